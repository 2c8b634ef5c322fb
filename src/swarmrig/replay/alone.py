"""One node of a finished run lives again, alone: its emulator gets the inputs that were recorded, at their times.

What it says and sends must then be what it said and sent in the run, to the byte and the nanosecond. Nothing else runs,
so the node can be stopped at any virtual time and looked at with a debugger, as often as one likes.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from swarmrig.api import LaunchContext, NodePlan
from swarmrig.errors import NodeError
from swarmrig.model.network import PortKind
from swarmrig.model.units import format_duration
from swarmrig.net.link import INJECTED
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.plugins import Registry
from swarmrig.proc import RunScope, Spawner, open_spawner
from swarmrig.replay.comparison import Comparison, first_difference, in_time_order
from swarmrig.replay.finished import FinishedDirectory, IncomparableError
from swarmrig.replay.moments import FrameMoment, LineMoment, console, console_times, frames
from swarmrig.replay.runs import plan_again, provenance_changes
from swarmrig.runtime.directory import RunDirectory, create_run_directory
from swarmrig.runtime.plan import RunPlan
from swarmrig.runtime.provenance import provenance_of, write_provenance
from swarmrig.timebase.recording import SUFFIX, Life, RecordingError, read_recording
from swarmrig.timebase.solo import SoloError, SoloGuest


@dataclass(frozen=True, slots=True)
class Debugging:
    """Stop at `at_ns` of run time, before anything that happens then, and wait for a debugger."""

    port: int
    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Halt:
    """The node stands still, and its debugger stub listens on 127.0.0.1:`port`."""

    node: str
    t_ns: int
    pc: int
    port: int
    firmware: Path | None


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
    life = recorded_life(finished, node)
    if options.debugging is not None:
        _check_instant(options.debugging.at_ns, life, node)
    plan = await plan_again(finished, registry)
    place = create_run_directory(options.output_dir, f"{finished.name}-{node}"[:64], (node,))
    async with open_spawner(RunScope(place.path, place.id)) as spawner:
        solo = _Solo(finished, plan, node, life, place, spawner, options)
        return await solo.replay()


def recorded_life(finished: FinishedDirectory, node: str) -> Life:
    """What the node was given. IncomparableError when nobody knows."""
    ids = [device.name for device in finished.network.devices if device.port is PortKind.LOCKSTEP]
    if not finished.is_exact:
        raise IncomparableError(
            f"{finished.path.name} took place in real time: what its nodes were given, and when, is not known exactly"
        )
    if node not in ids:
        raise IncomparableError(
            f"{finished.path.name} has no recorded inputs of a node {node!r}",
            hint=f"those of {', '.join(ids)} are recorded" if ids else None,
        )
    path = finished.path / "net" / f"{node}{SUFFIX}"
    try:
        lives = read_recording(path)
    except RecordingError as error:
        raise IncomparableError(error.message) from error
    if not lives or lives[-1].end_ns is None:
        raise IncomparableError(f"{path} breaks off: the run was killed")
    if len(lives) > 1:
        raise IncomparableError(
            f"node {node} was switched off and on again ({len(lives)} lives): a life that begins with the flash of a "
            "former one cannot be replayed alone",
            hint="replay the whole run",
        )
    return lives[0]


def _check_instant(at_ns: int, life: Life, node: str) -> None:
    assert life.end_ns is not None
    begin_ns, end_ns = life.power_on_ns, life.power_on_ns + life.end_ns
    if not begin_ns <= at_ns <= end_ns:
        raise IncomparableError(
            f"at {format_duration(at_ns)} there is no {node} to look at: it lived from {format_duration(begin_ns)} to "
            f"{format_duration(end_ns)}"
        )


class _Solo:
    """One replay of one node."""

    def __init__(
        self,
        finished: FinishedDirectory,
        plan: RunPlan,
        node: str,
        life: Life,
        place: RunDirectory,
        spawner: Spawner,
        options: SoloOptions,
    ) -> None:
        self._finished = finished
        self._plan = plan
        self._node = node
        self._life = life
        self._place = place
        self._spawner = spawner
        self._options = options
        assert life.end_ns is not None
        self._end_ns = life.end_ns
        self._warnings: list[str] = []

    async def replay(self) -> Comparison:
        node_plan = next(node for node in self._plan.nodes if node.spec.id == self._node)
        with ExitStack() as stack:
            ours, guests = socket.socketpair()
            stack.enter_context(ours)
            guest = SoloGuest(ours)
            await self._run(node_plan, guests.detach(), guest)
        self._keep(guest)
        return self._compare(guest)

    async def _run(self, node_plan: NodePlan, port_fd: int, guest: SoloGuest) -> None:
        """The emulator lives for as long as this."""
        backend = self._plan.backends[node_plan.spec.kind]
        context = self._context(port_fd)
        firmware = await self._check_provenance(node_plan, context)
        async with backend.open(node_plan, context) as node:
            try:
                await guest.greet()
                await self._live(guest, firmware)
            except SoloError as error:
                raise NodeError(
                    self._node, f"{error.message}\n{node.last_words()}".rstrip(), hint=error.hint
                ) from error
            await guest.end()

    async def _live(self, guest: SoloGuest, firmware: Path | None) -> None:
        inputs, debugging = self._life.inputs, self._options.debugging
        if debugging is not None:
            at_ns = debugging.at_ns - self._life.power_on_ns
            await guest.live(at_ns, [one for one in inputs if one.t_ns < at_ns])
            inputs = tuple(one for one in inputs if one.t_ns >= at_ns)
            await guest.hold()
            self._options.on_halt(Halt(self._node, guest.now_ns, guest.pc, debugging.port, firmware))
            await guest.until_continued()
        await guest.live(self._end_ns, inputs)
        if guest.gone and guest.now_ns < self._end_ns:
            ended = f"its emulator ended at {format_duration(self._run_ns(guest.now_ns))}"
            if debugging is not None:
                self._warnings.append(f"{ended}: compared up to there")
            elif self._run_ns(self._end_ns) >= self._finished.run_ns:
                raise SoloError(f"{ended}; in the run it lived on")

    def _context(self, port_fd: int) -> LaunchContext:
        spec = self._plan.scenario.node(self._node)
        debugging = self._options.debugging
        return LaunchContext(
            scenario=self._plan.scenario,
            device=self._plan.network.device(self._node),
            target_ip=self._plan.target_ip(spec),
            aggregator_ip=self._plan.aggregator_ip,
            directory=self._place.node(self._node),
            port_fd=port_fd,
            spawner=self._spawner,
            now_ns=lambda: 0,
            on_console=lambda *_: None,
            debugger_port=None if debugging is None else debugging.port,
        )

    async def _check_provenance(self, node_plan: NodePlan, context: LaunchContext) -> Path | None:
        """Warn of what the node is made of differently now; returns its firmware, if it has one."""
        found = await provenance_of(self._plan.backends[node_plan.spec.kind], node_plan, context)
        write_provenance(self._place.path, {self._node: found})
        recorded = dict(self._finished.provenance)
        if recorded:
            recorded = {"nodes": {self._node: recorded.get("nodes", {}).get(self._node, {})}}
        self._warnings += provenance_changes(recorded, {"nodes": {self._node: found}})
        return Path(found["firmware"]) if "firmware" in found else None

    def _keep(self, guest: SoloGuest) -> None:
        """Write the new console and what the node sent."""
        output = guest.output
        if output.part:  # as in a run: the last line ends with the guest
            output.lines.append((self._finished.run_ns - self._life.power_on_ns, output.part))
        text = b"".join(line + b"\n" for _, line in output.lines)
        (self._place.node(self._node) / "console.log").write_bytes(text)
        link = self._plan.network.link(self._plan.network.device(self._node).link)
        with CaptureWriter(self._place.net / f"{link.name}.pcapng", (link.a, link.b)) as capture:
            side = 0 if link.a == self._node else 1
            for t_ns, frame in output.frames:
                capture.record((self._run_ns(t_ns), side, frame, None))

    def _compare(self, guest: SoloGuest) -> Comparison:
        directory, node = self._finished.path, self._node
        link = self._plan.network.device(node).link
        until_ns = self._until_ns(guest)
        said = first_difference(f"nodes/{node}/console.log", *self._consoles(guest), until_ns=until_ns)
        sent = first_difference(
            f"net/{link}.pcapng",
            _sent_by(node, frames(directory, link)),
            _sent_by(node, frames(self._place.path, link)),
            until_ns=until_ns,
        )
        return Comparison(
            str(directory),
            str(self._place.path),
            f"console of {node} ({len(guest.output.lines)} lines) and what it sent ({len(guest.output.frames)} frames)",
            in_time_order((said, sent)),
            warnings=tuple(self._warnings),
        )

    def _until_ns(self, guest: SoloGuest) -> int | None:
        """Of a run that broke off, not all that guests had done is recorded."""
        ends = [] if self._finished.doubt is None else [self._finished.run_ns]
        if self._options.debugging is not None and guest.now_ns < self._end_ns:
            ends.append(self._run_ns(guest.now_ns))
        return min(ends, default=None)

    def _run_ns(self, guest_ns: int) -> int:
        return self._life.power_on_ns + guest_ns

    def _consoles(self, guest: SoloGuest) -> tuple[list[LineMoment], list[LineMoment]]:
        """Recorded and new. Of a flood, the times of the later lines are not recorded: there, both have that of the
        last one that is."""
        times = console_times(self._finished.path).get(self._node, {})
        recorded = list(console(self._finished.path, self._node, times))
        known = max(times, default=0)
        flooded = len(recorded) > known
        new = []
        for number, (t_ns, line) in enumerate(guest.output.lines, 1):
            at_ns = times.get(known, 0) if flooded and number > known else self._run_ns(t_ns)
            new.append(LineMoment(at_ns, self._node, (line,), f"nodes/{self._node}/console.log:{number}"))
        return recorded, new


def _sent_by(node: str, moments: Iterator[FrameMoment]) -> Iterator[FrameMoment]:
    """The node's own frames: neither what reached it, nor what a fault put on its wire. What the link made of them
    afterwards is not its doing."""
    for moment in moments:
        data, comment, inbound = moment.content
        if moment.source == node and not inbound and not str(comment or "").startswith(INJECTED):
            yield FrameMoment(moment.t_ns, node, (data, None), moment.place)
