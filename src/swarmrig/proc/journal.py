"""The append-only record of what a run has made outside its own processes; written before it is made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from swarmrig.errors import HostError


class Journal:
    """Whoever makes something that would survive a crash says so here first.

    One write per record, so that records of the rig and of the guardian never mix.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def path(self, path: Path, *, scratch: bool = False) -> None:
        """A file or directory inside the run's directories that must not outlive the run.

        `scratch`: it may stay when the run ends in order (a flash image, for instance), and goes only when
        the rig is killed.
        """
        self._append({"t": "path", "path": str(path.absolute()), "scratch": scratch})

    def link(self, name: str) -> None:
        """A network link, named with `RunScope.link_prefix`; give it `RunScope.link_alias` at once."""
        self._append({"t": "link", "name": name})

    def namespace(self, name: str) -> None:
        """A named network namespace (/run/netns), named with `RunScope.namespace_prefix`."""
        self._append({"t": "netns", "name": name})

    def containers(self, engine: Path) -> None:
        """Containers, labelled `swarmrig.run=<run id>`, of the engine behind this socket."""
        self._append({"t": "containers", "engine": str(engine.absolute())})

    def _append(self, record: dict[str, Any]) -> None:
        line = json.dumps(record).encode() + b"\n"
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            raise HostError(f"cannot write the run's journal: {error.strerror}") from error
        if written != len(line):
            raise HostError("cannot write the run's journal: the disk is full")
