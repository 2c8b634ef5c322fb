"""One node of a finished run lives again, alone: its emulator gets the inputs that were recorded, at their times.

What it says and sends must then be what it said and sent in the run, to the byte and the nanosecond. Nothing else runs,
so the node can be stopped at any virtual time and looked at with a debugger, as often as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from swarmrig.api import LaunchContext
from swarmrig.errors import HostError
from swarmrig.model.units import format_duration
from swarmrig.net.link import INJECTED, MIN_FRAME
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.net.topology import AGGREGATOR
from swarmrig.plugins import Registry
from swarmrig.proc import RunScope, Spawner, open_spawner
from swarmrig.replay.comparison import Comparison, first_difference, in_time_order
from swarmrig.replay.finished import FinishedDirectory
from swarmrig.replay.lives import RecordedLife, life_at, recorded_lives
from swarmrig.replay.moments import FrameMoment, LineMoment, console, console_times, frames
from swarmrig.replay.relive import Debugging, Deeds, Halt, Reliving
from swarmrig.replay.runs import NodeAgain, plan_node_again, provenance_changes
from swarmrig.runtime.directory import RunDirectory, create_run_directory
from swarmrig.runtime.provenance import provenance_of, write_provenance


@dataclass(frozen=True, slots=True)
class SoloOptions:
    """How to replay a node."""

    output_dir: Path = Path("runs")
    debugging: Debugging | None = None
    on_halt: Callable[[Halt], None] = field(default=lambda _: None)


async def replay_node(
    finished: FinishedDirectory, node: str, registry: Registry, options: SoloOptions | None = None
) -> Comparison:
    """Replay one node and compare its console and the frames it sent. Its new console.log, flash and capture are in a
    directory of their own.

    IncomparableError when its inputs are not recorded; NodeError when it does not run.
    """
    options = options or SoloOptions()
    lives = recorded_lives(finished, node)
    if options.debugging is not None:
        life_at(lives, options.debugging.at_ns, node)
    again = await plan_node_again(finished, node, registry)
    place = create_run_directory(options.output_dir, f"{finished.name}-{node}"[:64], (node,))
    async with open_spawner(RunScope(place.path, place.id)) as spawner:
        return await _Solo(finished, again, place, spawner, options).replay(lives)


class _Solo:
    """One replay of one node."""

    def __init__(
        self,
        finished: FinishedDirectory,
        again: NodeAgain,
        place: RunDirectory,
        spawner: Spawner,
        options: SoloOptions,
    ) -> None:
        self._finished = finished
        self._again = again
        self._node = again.plan.spec.id
        self._place = place
        self._spawner = spawner
        self._options = options
        self._warnings: list[str] = []

    async def replay(self, lives: tuple[RecordedLife, ...]) -> Comparison:
        reliving, deeds = await self._reliving(), Deeds()
        debugging = self._options.debugging
        looked_at = None if debugging is None else life_at(lives, debugging.at_ns, self._node)
        for life in lives:
            await reliving.live(life, deeds, debugging if life is looked_at else None)
            if deeds.ended_ns is not None:
                ended = format_duration(deeds.ended_ns)
                self._warnings.append(f"its emulator ended at {ended}: compared up to there")
                break
        self._keep(deeds)
        return self._compare(deeds)

    async def _reliving(self) -> Reliving:
        again = self._again
        context = LaunchContext(
            scenario=again.scenario,
            device=again.network.device(self._node),
            target_ip=again.target_ip,
            aggregator_ip=again.network.device(AGGREGATOR).ip,
            directory=self._place.node(self._node),
            port_fd=None,
            spawner=self._spawner,
            now_ns=lambda: 0,
            on_console=lambda *_: None,
        )
        firmware = await self._check_provenance(context)
        return Reliving(again.backend, again.plan, context, firmware, self._finished.run_ns, self._options.on_halt)

    async def _check_provenance(self, context: LaunchContext) -> Path | None:
        """Warn of what the node is made of differently now; returns its firmware, if it has one."""
        found = await provenance_of(self._again.backend, self._again.plan, context)
        write_provenance(self._place.path, {self._node: found})
        recorded = dict(self._finished.provenance)
        if recorded:
            recorded = {"nodes": {self._node: recorded.get("nodes", {}).get(self._node, {})}}
        self._warnings += provenance_changes(recorded, {"nodes": {self._node: found}})
        return Path(found["firmware"]) if "firmware" in found else None

    def _keep(self, deeds: Deeds) -> None:
        """Write the new console and what the node sent."""
        text = b"".join(line + b"\n" for _, line in deeds.lines)
        (self._place.node(self._node) / "console.log").write_bytes(text)
        link = self._again.network.link(self._again.network.device(self._node).link)
        with CaptureWriter(self._place.net / f"{link.name}.pcapng", (link.a, link.b)) as capture:
            side = 0 if link.a == self._node else 1
            for t_ns, frame in deeds.frames:
                if len(frame) >= MIN_FRAME and t_ns < self._finished.run_ns:  # others never enter the network
                    capture.record((t_ns, side, frame, None))
        if capture.failure is not None:
            raise HostError(f"cannot write to {self._place.net}: {capture.failure}", hint="free some space")

    def _compare(self, deeds: Deeds) -> Comparison:
        directory, node = self._finished.path, self._node
        link = self._again.network.device(node).link
        until_ns = self._until_ns(deeds)
        said = first_difference(f"nodes/{node}/console.log", *self._consoles(deeds), until_ns=until_ns)
        sent = first_difference(
            f"net/{link}.pcapng",
            _sent_by(node, frames(directory, link)),
            _sent_by(node, frames(self._place.path, link)),
            until_ns=until_ns,
        )
        return Comparison(
            str(directory),
            str(self._place.path),
            f"console of {node} ({len(deeds.lines)} lines) and what it sent ({len(deeds.frames)} frames)",
            in_time_order((said, sent)),
            warnings=tuple(self._warnings),
        )

    def _until_ns(self, deeds: Deeds) -> int | None:
        """Of a run that broke off, not all that guests had done is recorded."""
        ends = [] if self._finished.doubt is None else [self._finished.run_ns]
        return min(ends if deeds.ended_ns is None else [*ends, deeds.ended_ns], default=None)

    def _consoles(self, deeds: Deeds) -> tuple[list[LineMoment], list[LineMoment]]:
        """Recorded and new. Of a flood, the times of the later lines are not recorded: there, both have that of the
        last one that is."""
        times = console_times(self._finished.path).get(self._node, {})
        recorded = list(console(self._finished.path, self._node, times))
        known = max(times, default=0)
        flooded = len(recorded) > known
        new = []
        for number, (t_ns, line) in enumerate(deeds.lines, 1):
            at_ns = times.get(known, 0) if flooded and number > known else t_ns
            new.append(LineMoment(at_ns, self._node, (line,), f"nodes/{self._node}/console.log:{number}"))
        return recorded, new


def _sent_by(node: str, moments: Iterator[FrameMoment]) -> Iterator[FrameMoment]:
    """The node's own frames: neither what reached it, nor what a fault put on its wire. What the link made of them
    afterwards is not its doing."""
    for moment in moments:
        data, comment, inbound = moment.content
        if moment.source == node and not inbound and not str(comment or "").startswith(INJECTED):
            yield FrameMoment(moment.t_ns, node, (data, None), moment.place)
