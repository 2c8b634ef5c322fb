"""The commands that repeat a run, from what is in its directory."""

from __future__ import annotations

from pathlib import Path

from swarmrig.reports.web.files import command
from swarmrig.runtime.repeat import REPEAT_FILE
from swarmrig.timebase.recording import SUFFIX


def repeated(place: Path, digest: str | None, *, alone: bool = True) -> list[tuple[str, str]]:
    """(what it does, command) for whoever wants to see it again; `digest` is that of a whole, exact run. With `alone`,
    also how to repeat one of its nodes."""
    found = []
    if digest:
        found.append(("The same run again: same bytes, compared", command("replay", place)))
    recorded = sorted(path.stem for path in place.glob(f"net/*{SUFFIX}")) if alone else []
    if recorded:
        what = "One node alone, to the byte, from what it was given; also in a debugger (--gdb PORT)"
        found.append((what, command("replay", place, "--node", recorded[0])))
    if (place / REPEAT_FILE).is_file():
        found.append(("Run it anew, with its faults at the same times", command("run", place / REPEAT_FILE)))
    elif (place / "scenario.yml").is_file():
        found.append(("Run it anew", command("run", place / "scenario.yml")))
    return found
