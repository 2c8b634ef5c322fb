"""The lives of a node that were recorded: from every power-on to the next power-off, or the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swarmrig.api.nodes import kept_flash
from swarmrig.model.network import PortKind
from swarmrig.model.units import format_duration
from swarmrig.replay.finished import FinishedDirectory, IncomparableError
from swarmrig.timebase.recording import SUFFIX, Input, Life, RecordingError, read_recording


@dataclass(frozen=True, slots=True)
class RecordedLife:
    """One life, and all that is needed to live it again."""

    inputs: tuple[Input, ...]
    """At the node's own times."""
    power_on_ns: int
    """Run time of the node's time 0."""
    end_ns: int
    """How far it lived, by its own time."""
    flash: Path | None
    """The flash image that it began with; None: what is provisioned, or none at all."""

    def run_ns(self, own_ns: int) -> int:
        """Run time of a time of its own."""
        return self.power_on_ns + own_ns

    def saw(self, run_ns: int) -> bool:
        """Did it live then?"""
        return self.power_on_ns <= run_ns <= self.run_ns(self.end_ns)


def recorded_lives(finished: FinishedDirectory, node: str) -> tuple[RecordedLife, ...]:
    """What a node was given, life by life. IncomparableError when nobody knows."""
    if not finished.has_guests:
        raise IncomparableError(
            f"{finished.path.name} took place in real time: what its nodes were given, and when, is not known exactly"
        )
    ids = [device.name for device in finished.network.devices if device.port is PortKind.LOCKSTEP]
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
    if not lives:
        raise IncomparableError(f"{path} breaks off: the run was killed")
    directory = finished.path / "nodes" / node
    return tuple(_life(path, directory, number, life) for number, life in enumerate(lives, 1))


def life_at(lives: Sequence[RecordedLife], run_ns: int, node: str) -> RecordedLife:
    """The life in which somebody can be looked at then. IncomparableError when there is none."""
    for life in reversed(lives):
        if life.saw(run_ns):
            return life
    spans = (f"from {format_duration(life.power_on_ns)} to {format_duration(life.run_ns(life.end_ns))}"
             for life in lives)  # fmt: skip
    raise IncomparableError(
        f"at {format_duration(run_ns)} there is no {node} to look at: it lived {', then '.join(spans)}"
    )


def _life(path: Path, directory: Path, number: int, life: Life) -> RecordedLife:
    if life.end_ns is None:
        raise IncomparableError(f"{path} breaks off: the run was killed")
    flash = kept_flash(directory, number) if number > 1 else None
    if flash is not None and not flash.exists():
        if (directory / "flash.bin").exists():
            raise IncomparableError(f"{flash} is missing: it is the flash with which life {number} of the node begins")
        flash = None
    return RecordedLife(life.inputs, life.power_on_ns, life.end_ns, flash)
