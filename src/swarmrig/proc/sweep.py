"""Remove what a run has left: processes, links, network namespaces, files.

Used by the guardian at the end of a run, by `clean` when both rig and guardian were killed, and by the rig
when its guardian was. Imported late and only then: it may cost milliseconds.
"""

# ruff: noqa: PTH100, PTH108, PTH112, PTH114, PTH118, PTH202
# (pathlib and contextlib would add 10 ms to the guardian's start)

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from swarmrig.proc import containers, netlink, probe
from swarmrig.proc.place import remove_tree

if TYPE_CHECKING:
    from swarmrig.proc.guardian import Guardian
    from swarmrig.proc.place import Place

KILL_DEADLINE_S = 1.5
GRACE_S = 0.2
NESTED_S = 6.0
"""How long the guardian of a run that this run had started may take to end it."""
POLL_S = 0.005
GUARDIAN_LOG = "guardian.log"
NETNS_DIRECTORY = "/run/netns"
MNT_DETACH = 2


class Removed:
    """What was found and removed; `remaining` is what could not be. With `dry_run` nothing is touched."""

    def __init__(self, *, dry_run: bool = False) -> None:
        self.dry_run = dry_run
        self.processes: list[str] = []
        self.links: list[str] = []
        self.namespaces: list[str] = []
        self.containers: list[str] = []
        self.paths: list[str] = []
        self.remaining: list[str] = []

    def lines(self) -> list[str]:
        """One line per thing, for people."""
        named = (
            ("process", self.processes),
            ("link", self.links),
            ("network namespace", self.namespaces),
            ("container", self.containers),
            ("path", self.paths),
        )
        found = [f"{kind} {thing}" for kind, things in named for thing in things]
        return found + [f"not removable: {thing}" for thing in self.remaining]

    def record(self) -> dict[str, list[str]]:
        return {name: things for name, things in vars(self).items() if name != "dry_run"}


def read_journal(path: str) -> list[dict[str, Any]]:
    """Every whole record; a torn line (the writer was killed) is skipped."""
    records: list[dict[str, Any]] = []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().split("\n")
    except OSError:
        return records
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and isinstance(record.get("t"), str):
            records.append(record)
    return records


def journalled_processes(records: list[dict[str, Any]]) -> dict[int, int]:
    """Pid to start time, of the children and the adopted orphans of a guardian."""
    found = ((record.get("pid"), record.get("start")) for record in records if record["t"] == "process")
    return {pid: start for pid, start in found if isinstance(pid, int) and isinstance(start, int)}


def kill_all(targets: Callable[[], Iterable[int]], removed: Removed, *, freeze: bool = False) -> None:
    """SIGKILL what `targets` lists, again and again, until it lists nothing that runs.

    `freeze`: stop everything first. Who is no subreaper would lose sight of a child that was forked after
    its parent was listed and before its parent died.
    """
    end = time.monotonic() + KILL_DEADLINE_S
    if removed.dry_run:
        removed.processes += [f"{pid} ({probe.command(pid)})" for pid, _ in _running(targets)]
        return
    if freeze:
        stand_still(targets, end - KILL_DEADLINE_S / 2)
    seen: set[tuple[int, int]] = set()
    while True:
        running = _running(targets)
        if not running or time.monotonic() > end:
            removed.remaining += [f"process {pid} ({probe.command(pid)})" for pid, _ in running]
            return
        for pid, found in running:
            what = f"{pid} ({probe.command(pid)})"
            if _signal(pid, found.start, signal.SIGKILL) and (pid, found.start) not in seen:
                seen.add((pid, found.start))
                removed.processes.append(what)
        time.sleep(POLL_S)  # processes die asynchronously, and orphans arrive here meanwhile


def stand_still(targets: Callable[[], Iterable[int]], end: float) -> None:
    """SIGSTOP everything until all of it, children that were just being forked included, has stopped."""
    while time.monotonic() < end:
        moving = [(pid, found.start) for pid, found in _running(targets) if found.state not in "Tt"]
        if not moving:
            return
        for pid, start in moving:
            _signal(pid, start, signal.SIGSTOP)
        time.sleep(POLL_S / 5)


def _running(targets: Callable[[], Iterable[int]]) -> list[tuple[int, probe.Stat]]:
    return [(pid, found) for pid in targets() if (found := probe.stat(pid)) and found.state not in "ZX"]


def _signal(pid: int, start: int, number: int) -> bool:
    try:
        return probe.send_signal(pid, start, number)
    except PermissionError:  # somebody else's, by a setuid program: it will be among the remaining
        return False


def remove_resources(
    records: list[dict[str, Any]], run_id: str, roots: Iterable[str], removed: Removed, *, aborted: bool
) -> None:
    """Containers by label, links by alias, namespaces by name, paths inside `roots`; each attempted whatever happens
    to the others.

    Paths recorded as `scratch` stay when the run ended in order.
    """
    for engine in dict.fromkeys(str(record.get("engine")) for record in records if record["t"] == "containers"):
        _remove_containers(engine, run_id, removed)
    names = {str(record.get("name")) for record in records if record["t"] == "link"}
    if names:
        _remove_links(names, run_id, removed)
    for record in records:
        if record["t"] == "netns":
            _remove_namespace(str(record.get("name")), run_id, removed)
        elif record["t"] == "path" and (aborted or not record.get("scratch")):
            _remove_path(str(record.get("path")), roots, removed)


def link_prefix(run_id: str) -> str:
    """Every link of a run is named so (15 characters are all that the kernel takes)."""
    return "sr" + run_id[:6]


def link_alias(run_id: str) -> str:
    return f"swarmrig:{run_id}"


def namespace_prefix(run_id: str) -> str:
    return f"swarmrig-{run_id}"


def _remove_containers(engine: str, run_id: str, removed: Removed) -> None:
    """All of the run that the engine has. If it does not answer, at least nothing that is in them runs on."""
    try:
        removed.containers += containers.remove(engine, run_id, dry_run=removed.dry_run)
        return
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
    removed.remaining.append(f"containers labelled {containers.LABEL}={run_id} of {engine}: {reason}")
    for pid in probe.all_pids():
        if probe.variable(pid, probe.TAG) == run_id and probe.is_running(pid):
            what = f"{pid} ({probe.command(pid)})"
            if removed.dry_run or _signal(pid, probe.start_time(pid) or 0, signal.SIGKILL):
                removed.processes.append(what)


def _remove_links(names: set[str], run_id: str, removed: Removed) -> None:
    def ours(link: netlink.Link) -> bool:
        # Killed between making a link and naming its alias: then the journalled name and the prefix decide.
        fresh = link.name in names and link.name.startswith(link_prefix(run_id)) and not link.alias
        return link.alias == link_alias(run_id) or fresh

    try:
        found = [link for link in netlink.links() if ours(link)]
    except OSError as error:
        removed.remaining.append(f"links {sorted(names)}: {error.strerror}")
        return
    for link in found:
        try:
            if not removed.dry_run:
                netlink.delete(link)
            removed.links.append(link.name)
        except OSError as error:
            removed.remaining.append(f"link {link.name}: {error.strerror}")


def _remove_namespace(name: str, run_id: str, removed: Removed) -> None:
    path = os.path.join(NETNS_DIRECTORY, name)
    if "/" in name or not name.startswith(namespace_prefix(run_id)) or not os.path.lexists(path):
        return
    try:
        if not removed.dry_run:
            # Fails when the rig was killed before the mount: the file goes all the same.
            ctypes.CDLL(None).umount2(os.fsencode(path), MNT_DETACH)
            os.unlink(path)
        removed.namespaces.append(name)
    except OSError as error:
        removed.remaining.append(f"network namespace {name}: {error.strerror}")


def _remove_path(path: str, roots: Iterable[str], removed: Removed) -> None:
    parent, name = os.path.split(os.path.abspath(path))
    real = os.path.join(os.path.realpath(parent), name)
    if not any(real.startswith(os.path.realpath(root) + os.sep) for root in roots) or not os.path.lexists(real):
        return
    try:
        if removed.dry_run:
            pass
        elif os.path.isdir(real) and not os.path.islink(real):
            shutil.rmtree(real)
        else:
            os.unlink(real)
        removed.paths.append(path)
    except OSError as error:
        removed.remaining.append(f"path {path}: {error.strerror}")


def write_aborted(run_directory: str, run_id: str, reason: str, removed: Removed, took_s: float) -> None:
    """Leave `aborted.json` in the run directory: what happened, when, and what was removed."""
    text = json.dumps(
        {
            "run_id": run_id,
            "reason": reason,
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "took_s": round(took_s, 3),
            "removed": removed.record(),
        },
        indent=2,
    )
    _try(lambda: _write(os.path.join(run_directory, "aborted.json"), text + "\n"))


def drop_state(place: Place, run_directory: str, *, keep: bool = False) -> None:
    """Copy the journal into the run directory and remove the state directory (`keep`: leave it to `clean`)."""
    if os.path.isdir(run_directory):
        _try(lambda: shutil.copyfile(place.journal_path, os.path.join(run_directory, "journal.jsonl")))
        _try(lambda: _drop_empty(os.path.join(run_directory, GUARDIAN_LOG)))
    if not keep:
        remove_tree(place.directory)


def end_of_run(guardian: Guardian, place: Place, run_directory: str) -> None:
    """The guardian's last act: see that nothing is left, say so, and go."""
    began = time.monotonic()
    aborted = guardian.goodbye is None
    removed = Removed()

    def targets() -> list[int]:
        guardian.reap_all()
        return probe.descendants(os.getpid())

    if not aborted:
        _wait_gone(targets, GRACE_S)
    _end_nested_runs(targets, removed)
    kill_all(targets, removed)
    records = read_journal(place.journal_path)
    remove_resources(records, place.run_id, (place.directory, run_directory), removed, aborted=aborted)
    if aborted:
        reason = "the rig ended without saying goodbye (killed, or crashed)"
        write_aborted(run_directory, place.run_id, reason, removed, time.monotonic() - began)
    drop_state(place, run_directory, keep=bool(removed.remaining))
    if not aborted:
        guardian.say_goodbye(removed.lines())


def _end_nested_runs(targets: Callable[[], list[int]], removed: Removed) -> None:
    """Kill the rigs among `targets`, and let the guardians behind them work: only they know of their containers,
    links and files."""

    def guardians() -> list[int]:
        return [pid for pid in targets() if probe.is_guardian(pid)]

    def others() -> list[int]:
        nested = {pid for guardian in guardians() for pid in (guardian, *probe.descendants(guardian))}
        return [pid for pid in targets() if pid not in nested]

    if guardians():
        kill_all(others, removed)
        _wait_gone(guardians, NESTED_S)


def _wait_gone(targets: Callable[[], Iterable[int]], seconds: float) -> None:
    """Give what is just about to end a moment, so that it is not called a leftover."""
    end = time.monotonic() + seconds
    while any(probe.is_running(pid) for pid in targets()) and time.monotonic() < end:
        time.sleep(POLL_S)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _drop_empty(path: str) -> None:
    if os.path.getsize(path) == 0:
        os.unlink(path)


def _try(action: Callable[[], Any]) -> None:
    """Clean-up attempts every step."""
    with suppress(OSError):
        action()
