"""What a run is called and where it keeps its things."""

from __future__ import annotations

import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from swarmrig.proc import probe, sweep

TAG = probe.TAG

_RUN_ID = re.compile(r"[0-9a-z]{8,32}")


def default_state_root() -> Path:
    """${SWARMRIG_STATE_DIR:-${XDG_STATE_HOME:-~/.local/state}/swarmrig}

    A relative XDG_STATE_HOME is ignored, as the XDG base directory specification wants it.
    """
    chosen = os.environ.get("SWARMRIG_STATE_DIR")
    if chosen:
        return Path(chosen).absolute()
    base = Path(os.environ.get("XDG_STATE_HOME") or "")
    return (base if base.is_absolute() else Path("~/.local/state").expanduser()) / "swarmrig"


def new_run_id() -> str:
    return secrets.token_hex(6)


@dataclass(frozen=True)
class RunScope:
    """One run, as `proc` sees it. Names are pure; the directories come to life in `open_spawner`.

    `run_directory` must exist: logs go there, and stay.
    """

    run_directory: Path
    run_id: str = field(default_factory=new_run_id)
    state_root: Path = field(default_factory=default_state_root)

    def __post_init__(self) -> None:
        if not _RUN_ID.fullmatch(self.run_id):
            raise ValueError(f"run id {self.run_id!r}: 8 to 32 of 0-9a-z expected")

    @classmethod
    def passing(cls) -> RunScope:
        """A scope of its own for a few commands: its logs go with its state directory, whatever happens."""
        root, run_id = default_state_root(), new_run_id()
        return cls(root / run_id, run_id, root)

    @property
    def is_passing(self) -> bool:
        return self.run_directory == self.state_directory

    @property
    def state_directory(self) -> Path:
        """Private (0700), removed at the end of the run: sockets, temporary files, the journal."""
        return self.state_root / self.run_id

    @property
    def temporary_directory(self) -> Path:
        """TMPDIR of every process of the run."""
        return self.state_directory / "tmp"

    @property
    def link_prefix(self) -> str:
        """Names of the run's network links begin so (8 of the 15 characters)."""
        return sweep.link_prefix(self.run_id)

    @property
    def link_alias(self) -> str:
        """Alias (ifalias) that every network link of the run is given."""
        return sweep.link_alias(self.run_id)

    @property
    def namespace_prefix(self) -> str:
        """Names of the run's network namespaces begin so."""
        return sweep.namespace_prefix(self.run_id)
