"""`runs`: what there is of former runs, told and removed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from swarmrig.cli.failures import EXIT_BROKEN
from swarmrig.cli.output import counted, harmless, say, say_json
from swarmrig.errors import HostError
from swarmrig.replay.shelf import Pruning, ShelvedRun, State, find_run, remove, shelf

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def list_shelf(output: Path, *, as_json: bool) -> None:
    """A table, or JSON."""
    runs = shelf(output)
    if as_json:
        say_json([_described(run) for run in runs])
        return
    now_s = time.time()
    for run in runs:
        age, size = _age(now_s - run.began_s), f"{run.size / 2**20:.1f} MiB"
        say(f"{run.verdict:<13} {run.kind:<8} {age:>8} ago {size:>11}  {harmless(run.path.name)}")
    total = sum(run.size for run in runs) / 2**20
    say(f"{counted(len(runs), 'run')} in {harmless(str(output))}, {total:.1f} MiB" if runs else f"no runs in {output}")


def show_run(named: str, output: Path, *, as_json: bool) -> int:
    """What a finished run concluded, or what is known of one that has not."""
    run = find_run(named, output)
    if as_json:
        say_json({**_described(run), "results": run.results})
        return 0
    say(f"{harmless(str(run.path))}: {run.verdict}")
    if run.kind == "run" and run.state is State.FINISHED:
        for line in _result_lines(run.results):
            say(harmless(line))
    for line in _hints(run):
        say(line)
    return 0


def prune_shelf(output: Path, pruning: Pruning, *, dry_run: bool, as_json: bool) -> int:
    """Remove what is chosen; 3 when something could not be."""
    chosen = pruning.chosen(shelf(output), time.time())
    removed, size, failed = [], sum(run.size for run in chosen), False
    for run in chosen:
        try:
            if not dry_run:
                remove(run)
            removed.append(run)
        except HostError as error:
            failed = True
            say(f"error: {error}", stream=sys.stderr)
    if as_json:
        say_json([_described(run) for run in removed])
        return EXIT_BROKEN if failed else 0
    for run in removed:
        say(f"{'would remove' if dry_run else 'removed'} {harmless(str(run.path))}")
    say(f"{counted(len(removed), 'run')}, {size / 2**20:.1f} MiB")
    return EXIT_BROKEN if failed else 0


def _described(run: ShelvedRun) -> dict[str, Any]:
    return {
        "directory": run.path.absolute(),
        "name": run.name,
        "id": run.id,
        "kind": run.kind,
        "state": run.state,
        "verdict": run.verdict,
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(run.began_s)),
        "bytes": run.size,
    }


def _result_lines(results: Mapping[str, Any]) -> Iterator[str]:
    """Of results.json, whichever version wrote it."""
    about = results.get("run", {})
    yield (
        f"{float(about.get('run_s', 0)):g} s, seed {about.get('seed')}, tier {about.get('tier')}, "
        f"exit code {results.get('exit_code')}{', interrupted' if about.get('interrupted') else ''}"
    )
    for check in results.get("checks", []):
        evidence = [str(item.get("at")) for item in check.get("evidence", [])]
        seen = f" ({evidence[0]})" if evidence else ""
        yield f"{check.get('outcome', '?'):<13} {check.get('label')}: {check.get('message')}{seen}"
    for kind in ("failures", "warnings"):
        yield from (f"{kind[:-1]:<13} {text}" for text in results.get(kind, []))


def _hints(run: ShelvedRun) -> Iterator[str]:
    """What to do next."""
    path = harmless(str(run.path))
    if run.state is State.LIVE:
        yield f"  swarmrig watch {path}" if run.kind == "run" else "it goes on"
    elif run.state is State.UNFINISHED:
        why = run.path / "aborted.json"
        yield f"it has no verdict{f'; see {why}' if why.exists() else ''}"
    elif run.kind == "run":
        yield f"repeat it: swarmrig replay {path}"


def _age(age_s: float) -> str:
    size, unit = next(((size, unit) for size, unit in _UNITS if age_s >= size), _UNITS[-1])
    return f"{max(0, int(age_s // size))} {unit}"
