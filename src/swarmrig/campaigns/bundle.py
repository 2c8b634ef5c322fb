"""A scenario and all files that it names, as something that another machine can make again.

Paths differ between machines. So a bundle names files by their places in it, and in the scenario, a document of the
native format, every path of such a file is MARK and that place. What belongs to each machine, emulators and sockets
of engines for example, stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from swarmrig.campaigns.bundle_content import Content, checked_place, content_of, inventory
from swarmrig.errors import HostError
from swarmrig.model.scenario import FirmwareSpec, NodeSpec, Scenario
from swarmrig.plugins import Registry
from swarmrig.scenario.emit import block
from swarmrig.scenario.resolved import scenario_dict

MARK = "swarmrig-bundle:"
_OF_THE_MACHINE = frozenset({"machine_binary", "renode", "engine"})
"""Settings of nodes that name programs and sockets: each machine has its own, and they are compared."""
_COMPANIONS = {
    ".py": frozenset({".py"}),
    ".repl": frozenset({".repl"}),
    ".resc": frozenset({".resc", ".repl", ".elf", ".bin"}),
}
"""Files that speak of others beside them: those are shipped, too."""
_RESULTS = "results.json"
"""All that a comparison needs of a former run."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that a run needs of the machine where it was thought up, but the seed."""

    name: str
    """The scenario's."""
    scenario: str
    """The document, as JSON."""
    files: Mapping[str, Content]
    """By place."""
    sources: Mapping[str, Path]
    """Digest to a file of this machine that has it."""


def bundle_of(scenario: Scenario, registry: Registry) -> Bundle:
    """Look for all files of a scenario and read them. Firmware must have been built.

    Raises HostError for what is missing, cannot be read, is too much, or leads out of the directory that is shipped.
    """
    packing = _Packing()
    nodes = tuple(_without_build(node) for node in scenario.nodes)
    for path in _paths(nodes, scenario):
        packing.add(path)
    document = scenario_dict(replace(scenario, nodes=nodes), registry)
    text = json.dumps(_rewritten(document, packing.places()), allow_nan=True)
    return Bundle(scenario.name, text, packing.files, packing.sources)


def scenario_text(document: str, root: Path) -> str:
    """The scenario as a file of this machine, where the bundle's files are below `root`. ValueError for a place that
    would be outside."""
    return "\n".join(block(_placed(json.loads(document), root))) + "\n"


class _Packing:
    """Paths of this machine to places in the bundle."""

    def __init__(self) -> None:
        self.files: dict[str, Content] = {}
        self.sources: dict[str, Path] = {}
        self._places: dict[str, str] = {}

    def add(self, path: Path) -> None:
        """Take in a file, with its companions, or a directory; nothing when neither is there."""
        if str(path) in self._places:
            return
        if (path / _RESULTS).is_file():
            self._take(path, {_RESULTS: content_of(path / _RESULTS)})
        elif path.is_dir():
            self._take(path, inventory(path))
        elif path.is_file() and path.suffix in _COMPANIONS:
            self._take(path.parent, inventory(path.parent, suffixes=_COMPANIONS[path.suffix]))
        elif path.is_file():
            place, content = f"{len(self._places)}/{_safe(path.name)}", content_of(path)
            self._places[str(path)] = place
            self.files[place] = content
            self.sources[content.digest] = path

    def places(self) -> list[tuple[str, str]]:
        """The longest path first: it is the one that is meant."""
        return sorted(self._places.items(), key=lambda item: -len(item[0]))

    def _take(self, directory: Path, found: Mapping[str, Content]) -> None:
        top = self._places.setdefault(str(directory), f"{len(self._places)}/{_safe(directory.name)}")
        self.files |= {f"{top}/{place}": content for place, content in found.items()}
        self.sources |= {content.digest: directory / place for place, content in found.items()}


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".")[-100:] or "files"


def _without_build(node: NodeSpec) -> NodeSpec:
    """One firmware for all machines: it is built here, if at all."""
    firmware = node.firmware
    if firmware.build is not None and firmware.image is not None and not firmware.image.is_file():
        raise HostError(
            f"node {node.id}: the firmware image {firmware.image} has not been built",
            hint="build it here first: other machines get the image, not what it is made of",
        )
    return replace(node, firmware=replace(firmware, build=None, build_cwd=None))


def _paths(nodes: tuple[NodeSpec, ...], scenario: Scenario) -> Iterator[Path]:
    """What the scenario names, directories before files: they may have them inside."""
    found: dict[Path, None] = {}
    for node in nodes:
        found |= dict.fromkeys(_of_firmware(node.firmware))
        settings = {name: value for name, value in node.options.items() if name not in _OF_THE_MACHINE}
        found |= dict.fromkeys(path.absolute() for path in _typed(settings))
        found |= dict.fromkeys(_model(settings.get("model")))
        found |= dict.fromkeys(_named(settings.get("settings")))
    for params in (*(fault.params for fault in scenario.faults), *(check.params for check in scenario.checks)):
        found |= dict.fromkeys(_named(params))
    yield from sorted(found, key=lambda path: not path.is_dir())


def _of_firmware(firmware: FirmwareSpec) -> Iterator[Path]:
    named = [firmware.image, firmware.flash_base, *(part.file for part in firmware.parts)]
    yield from (path for path in named if path is not None)


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _typed(settings: Mapping[str, Any]) -> Iterator[Path]:
    """Settings that their backend declares as paths. Words of commands that look so are the machine's programs."""
    yield from (leaf for leaf in _leaves(settings) if isinstance(leaf, Path))


def _named(params: Any) -> Iterator[Path]:
    """Parameters hold paths as texts, absolute by convention."""
    for leaf in _leaves(params):
        path = Path(leaf) if isinstance(leaf, str | Path) else None
        if path is not None and path.is_absolute() and _exists(path):
            yield path


def _exists(path: Path) -> bool:
    try:
        return path.is_file() or path.is_dir()
    except (OSError, ValueError):
        return False


def _model(model: Any) -> Iterator[Path]:
    """The file of `file.py:Class`."""
    file = model.rpartition(":")[0] if isinstance(model, str) else ""
    if file.endswith(".py"):
        yield Path(file).absolute()


def _rewritten(value: Any, places: list[tuple[str, str]]) -> Any:
    if isinstance(value, dict):
        return {key: _rewritten(item, places) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rewritten(item, places) for item in value]
    return _moved(str(value), places) if isinstance(value, str | Path) else value


def _moved(text: str, places: list[tuple[str, str]]) -> str:
    for path, place in places:
        rest = text[len(path) :]
        if text.startswith(path) and rest[:1] in ("", "/", ":"):
            return f"{MARK}{place}{rest}"
    return text


def _placed(value: Any, root: Path) -> Any:
    if isinstance(value, dict):
        return {key: _placed(item, root) for key, item in value.items()}
    if isinstance(value, list):
        return [_placed(item, root) for item in value]
    if isinstance(value, str) and value.startswith(MARK):
        return str(root / checked_place(value.removeprefix(MARK)))
    return value
