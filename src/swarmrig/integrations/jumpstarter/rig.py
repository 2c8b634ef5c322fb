"""A scenario that is switched on and off again, as often as somebody likes; what its drivers share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import IO

from swarmrig.api import CanFlash
from swarmrig.integrations.session import WITH_FIRMWARE, Settings, Swarm, load_settled, open_swarm
from swarmrig.model.scenario import NodeSpec, Scenario
from swarmrig.plugins import Registry
from swarmrig.programmatic import RunResult

ELF = b"\x7fELF"
WITH_FLASH = frozenset({"qemu"})
"""Kinds of nodes that boot from an image of their flash."""


class PowerOffError(ValueError):
    """What was asked for needs the swarm to be on, or off."""


@dataclass(frozen=True)
class Target:
    """Which scenario, and how it is run."""

    scenario: str
    seed: int | None = None
    time: str = "real"
    """Who leases a target uses it at the pace of this world."""
    overrides: Mapping[str, object] = field(default_factory=dict)
    output_dir: str = "runs"


class Rig:
    """Safe to be used by several threads."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._images: dict[str, object] = {}
        self.scenario: Scenario = load_settled(target.scenario, self._settings(), Registry.load())
        self.result: RunResult | None = None
        """Of the last run that was switched off."""
        self._turn = threading.RLock()
        self._stack = ExitStack()
        self._swarm: Swarm | None = None
        self._runs: list[Path] = []
        self._begin = 0
        """The run that new listeners begin with: this one, or, when it is off, the next. Former ones were others'."""
        self._listeners: dict[object, Callable[[], None]] = {}
        self._files: TemporaryDirectory[str] | None = None

    @property
    def swarm(self) -> Swarm:
        """PowerOffError when it is off."""
        swarm = self._swarm
        if swarm is None:
            raise PowerOffError("the swarm is off: power it on first")
        return swarm

    @property
    def is_on(self) -> bool:
        return self._swarm is not None

    def node(self, name: str) -> NodeSpec:
        """ValueError when there is none of this name."""
        node = self.scenario.find_node(name)
        if node is None:
            raise ValueError(f"there is no node {name!r}: the nodes are {', '.join(n.id for n in self.scenario.nodes)}")
        return node

    def on(self) -> None:
        """Start the swarm, with what has been flashed; nothing, when it is on."""
        with self._turn:
            if self._swarm is not None:
                return
            with ExitStack() as stack:
                swarm = stack.enter_context(open_swarm(self.target.scenario, **self._settings()))
                swarm.listen(lambda _: self._wake())
                self._stack, self._swarm = stack.pop_all(), swarm
            self._runs.append(swarm.directory)
            self._wake()

    def _settings(self) -> Settings:
        """How its file is run, with what has been flashed."""
        target = self.target
        settings = Settings(
            time=target.time, overrides={**target.overrides, **self._images}, output_dir=target.output_dir
        )
        if target.seed is not None:
            settings["seed"] = target.seed
        return settings

    def off(self) -> None:
        """End the swarm and judge its run; nothing, when it is off."""
        with self._turn:
            swarm, self._swarm = self._swarm, None
            if swarm is None:
                return
            self._begin = len(self._runs)
            with self._stack:
                self.result = swarm.finish()
            self._wake()

    def close(self) -> None:
        """Leave nothing; can be repeated."""
        self.off()
        with self._turn:
            files, self._files = self._files, None
        if files is not None:
            files.cleanup()

    @contextmanager
    def flashing(self, node: str, target: str | None) -> Iterator[IO[bytes]]:
        """Where to write what the node shall boot from whenever the swarm is switched on. `target`: `image` (an ELF
        file, a kernel) or `flash` (an image of the whole flash); by what the file is, if not said. PowerOffError when
        the swarm is on and the node must be off for that."""
        if target not in (None, "image", "flash"):
            raise ValueError(f"a node has no target {target!r}: it has `image` and `flash`")
        if (kind := self.node(node).kind) not in WITH_FIRMWARE:
            raise ValueError(f"{node} is a node of kind {kind}, which boots no firmware that could be flashed")
        if self.is_on and not self.swarm.node(node).can(CanFlash):
            raise PowerOffError("the swarm is on: power it off to flash this node")
        path = self._image(node)
        with NamedTemporaryFile(dir=path.parent, delete=False) as file:  # only this user can read it
            part = Path(file.name)
            try:
                yield file
                if not file.tell():
                    raise ValueError("nothing was flashed: the file is empty")
                part.replace(path)
            except BaseException:
                part.unlink()
                raise
        key = "image" if self._is_image(node, path, target) else "flash_base"
        self._images[f"nodes.{self.node(node).id}.firmware"] = {key: str(path)}

    def load(self, node: str) -> None:
        """If the swarm is on, give the node what was flashed now."""
        if self.is_on:
            self.swarm.node(node).flash(self._image(node))

    def _is_image(self, node: str, path: Path, target: str | None) -> bool:
        """What is no ELF file is an image of the flash, for nodes that boot from such."""
        if target is not None:
            return target == "image"
        with path.open("rb") as file:
            return file.read(len(ELF)) == ELF or self.node(node).kind not in WITH_FLASH

    def _image(self, node: str) -> Path:
        """In a directory that only this user can read, which goes with the rig."""
        with self._turn:
            if self._files is None:
                self._files = TemporaryDirectory(prefix="swarmrig-flash-")
        return Path(self._files.name) / f"{self.node(node).id}.bin"

    # --- consoles ----------------------------------------------------------------------------------------------

    def listen(self, key: object, on_more: Callable[[], None]) -> None:
        """Call this, in whatever thread, when a console may have said more."""
        self._listeners[key] = on_more

    def unlisten(self, key: object) -> None:
        self._listeners.pop(key, None)

    def _wake(self) -> None:
        for on_more in list(self._listeners.values()):
            on_more()

    def reader(self, node: str) -> ConsoleReader:
        return ConsoleReader(self._runs, self._begin, self.node(node).id)


class ConsoleReader:
    """All that a node's console says, from its first boot on, over all times that the swarm is switched on: one after
    another, from the logs that the rig writes. So whoever comes late has lost nothing."""

    def __init__(self, runs: list[Path], begin: int, node: str) -> None:
        self._runs = runs
        self._node = node
        self._run = begin
        self._offset = 0

    def read(self) -> bytes:
        """What is new; empty when nothing is."""
        while self._run < len(self._runs):
            log = self._runs[self._run] / "nodes" / self._node / "console.log"
            if log.exists():
                with log.open("rb") as file:
                    file.seek(self._offset)
                    more = file.read(1 << 16)
                self._offset += len(more)
                if more:
                    return more
            if self._run + 1 == len(self._runs):
                break
            self._run, self._offset = self._run + 1, 0
        return b""
