"""Whole runs from Python: what `swarmrig run` does, without its view and its exit codes.

`swarmrig.run` and `swarmrig.run_async` are these functions, imported when they are first called.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TypedDict, Unpack

import anyio

from swarmrig.model.network import Fate
from swarmrig.model.record import RunRecord
from swarmrig.model.scenario import Scenario, TimeMode
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import CheckResult, Outcome
from swarmrig.net.evidence import FrameTail
from swarmrig.net.plan_file import load_plan
from swarmrig.nodes.python.message import MESSAGE_PORT, Message
from swarmrig.plugins import Registry
from swarmrig.reports.write import write_reports
from swarmrig.runtime.events import Event, read_events
from swarmrig.runtime.observer import Snapshot, Unobserved
from swarmrig.runtime.plan import plan_loaded
from swarmrig.runtime.run import RunOptions
from swarmrig.runtime.run import run as conduct
from swarmrig.scenario.load import load_scenario
from swarmrig.wire.ipv4 import ip_to_text
from swarmrig.wire.udp import plain_datagram


@dataclass(frozen=True)
class RunResult:
    """What became of a run. `record` has all that the reports are made of, `directory` the evidence."""

    record: RunRecord
    directory: Path

    @property
    def success(self) -> bool:
        """Nothing failed, and the run was not interrupted: the verdict is PASS, or WARN, as that of a scenario without
        checks is."""
        return self.record.verdict in (Outcome.PASS, Outcome.WARN) and not self.record.interrupted

    @property
    def verdict(self) -> Outcome:
        return self.record.verdict

    @property
    def duration_sec(self) -> float:
        """Run time, in the time of the run: virtual seconds in virtual time."""
        return self.record.run_ns / NS_PER_S

    @property
    def checks(self) -> tuple[CheckResult, ...]:
        """What the checks said, those that prove faults included."""
        return self.record.checks

    @property
    def digest(self) -> str | None:
        """SHA-256 of everything that happened; equal for equal file and seed. None where time was real, or the run
        broke off."""
        return self.record.digest

    @property
    def metrics(self) -> Mapping[str, int | float | None]:
        """The numbers of the run by name."""
        return self.record.metrics

    @property
    def problems(self) -> tuple[str, ...]:
        """What failed of the rig and its nodes, as opposed to what a check found."""
        return self.record.failures

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """All events in order, as events.jsonl has them; read when they are first asked for."""
        return tuple(read_events(self.directory))

    @cached_property
    def messages(self) -> tuple[Message, ...]:
        """What nodes sent to each other as messages, lost ones included, by (time, source, sequence); out of the
        captures, so that links without a capture hide what they carried."""
        return tuple(sorted(_messages(self.directory), key=lambda message: (message.time_us, message.src)))


def _messages(directory: Path) -> Iterator[Message]:
    """Each at the link of its sender."""
    plan = load_plan((directory / "net" / "plan.json").read_text(encoding="utf-8"))
    names = {device.ip: device.name for device in plan.devices}
    senders = frozenset(names.values())
    for frame in FrameTail(plan, directory / "net").poll():
        datagram = plain_datagram(frame.data) if frame.sender in senders and frame.fate is not Fate.OVERRUN else None
        if datagram is None or datagram.dport != MESSAGE_PORT:
            continue
        src, dst = (names.get(ip_to_text(ip), ip_to_text(ip)) for ip in (datagram.src, datagram.dst))
        with suppress(ValueError):  # what is no message
            yield Message.parse(datagram.payload, src=src, dst=dst, time_us=frame.t_ns // 1000)


class _Listener:
    """Tells events to a function as they happen."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self.on_event = on_event

    def progress(self, snapshot: Snapshot) -> None:
        """Whoever wants to see more of a run in progress looks at its events."""


class RunSettings(TypedDict, total=False):
    """What may be said about a run besides its file."""

    seed: int
    """In place of the file's."""
    duration_s: float
    """In place of the file's."""
    time: str
    """Which clock rules, in place of the file's: auto, virtual, paced or real."""
    overrides: Mapping[str, object]
    """Single values by path, as `--set` has them: `{"network.link.loss": 0.01}`."""
    output_dir: str | Path
    """Where the run directory is made; `runs` by default."""
    strict: bool
    """WARN counts as FAIL."""
    on_event: Callable[[Event], None]
    """Called with each event as it happens."""


def run(path: str | Path, **settings: Unpack[RunSettings]) -> RunResult:
    """Run a scenario from file to verdict, and return when nothing of it is left but its run directory.

    `path` is a file of any dialect, or the name of a preset. Settings: `seed`, `duration_s`, `time`, `overrides`,
    `output_dir`, `strict`, `on_event`; see RunSettings.

    A run that fails is a result. Raises ScenarioError with everything that is wrong with the file or stands in the way
    on this machine, before anything is launched; HostError when only the machine does; NodeError when an image or a
    firmware cannot be built. An exception raised by `on_event`, and Ctrl-C, end the run, and leave nothing running.
    """
    return anyio.run(partial(run_async, path, **settings))


async def run_async(path: str | Path, **settings: Unpack[RunSettings]) -> RunResult:
    """`run`, for callers in an event loop (of asyncio)."""
    registry = Registry.load()
    plan = await plan_loaded(partial(_load, path, settings, registry), registry)
    observer = _Listener(settings["on_event"]) if "on_event" in settings else Unobserved()
    options = RunOptions(
        output_dir=Path(settings.get("output_dir", "runs")), strict=settings.get("strict", False), observer=observer
    )
    finished = await conduct(plan, options)
    write_reports(finished.record, finished.directory)
    return RunResult(finished.record, finished.directory)


def _load(path: str | Path, settings: RunSettings, registry: Registry) -> Scenario:
    duration_s, time = settings.get("duration_s"), settings.get("time")
    return load_scenario(
        path,
        registry=registry,
        overrides=[(key, as_yaml(value)) for key, value in settings.get("overrides", {}).items()],
        seed=settings.get("seed"),
        duration_ns=None if duration_s is None else round(duration_s * NS_PER_S),
        time=None if time is None else TimeMode(time),
    )


def as_yaml(value: object) -> str:
    """As the command line would have it; JSON is YAML."""
    return value if isinstance(value, str) else json.dumps(value)
