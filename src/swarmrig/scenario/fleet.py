"""The section `nodes` (with `defaults`): tables to node specifications, checked with the nodes' own backends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from shutil import which
from typing import Any

from pydantic import BaseModel

from swarmrig.flash.keys import MAX_KEY_LENGTH
from swarmrig.model.scenario import NodeSpec
from swarmrig.plugins import Registry
from swarmrig.scenario.explain import checked, hint_for_key
from swarmrig.scenario.firmware import absolute, read_firmware
from swarmrig.scenario.native import MAX_NODES, NamedConfig, NodeConfig, NodeEntry
from swarmrig.scenario.problems import Mark, Problems, shorten, suggest_or_list
from swarmrig.scenario.quantities import node_id_fault
from swarmrig.scenario.tree import Entry, Items, Scalar, Table, Tree, describe, is_null, located, overlay

DEFAULT_KIND = "qemu"
_COMMON = frozenset(NodeEntry.model_fields)
_MOST_DEFAULTS = 1000
_SET_ELSEWHERE = {"node_id": "the node's `number`", "csi_channel": "`channel`"}
"""NVS keys that the format has another word for."""
MOST_IN_A_BYTE = 255
_OWN = frozenset({"number", "count"})
"""What is no default."""
_PROGRAMS = frozenset({"machine_binary", "renode"})
"""Options that name a program: without a separator it is found in PATH."""
_KEPT_ACROSS_KINDS = frozenset({"role", "is_gateway", "config", "on_failure"})
"""Defaults that hold for nodes of another kind than the defaults' own."""


@dataclass(frozen=True, slots=True)
class Forced:
    """What the command line says about every node that runs in the default kind of emulator."""

    machine: str | None = None
    flash_base: Path | None = None
    parts: Mapping[int, Path] = field(default_factory=dict)
    """Offset in flash -> file."""
    qemu_path: Path | None = None

    def tables(self) -> list[Table]:
        """One layer of settings per option, placed at the option."""
        layers: list[Table] = []
        if self.machine is not None:
            layers.append(_layer({"machine": self.machine}, f"--machine {self.machine}"))
        if self.flash_base is not None:
            firmware = {"flash_base": str(self.flash_base.absolute())}
            layers.append(_layer({"firmware": firmware}, f"--flash-base {self.flash_base}"))
        if self.parts:
            parts = [{"offset": at, "file": str(file.absolute())} for at, file in self.parts.items()]
            names = " ".join(f"0x{at:x}:{file}" for at, file in self.parts.items())
            layers.append(_layer({"firmware": {"parts": parts}}, f"flash parts {names}"))
        if self.qemu_path is not None:
            layers.append(_layer({"machine_binary": _program(self.qemu_path)}, f"--qemu-path {self.qemu_path}"))
        return layers


def _program(path: Path) -> str:
    """A bare name is left to be found in PATH, unless it is only here."""
    in_path = path.name == str(path) and (which(path.name) is not None or not path.exists())
    return path.name if in_path else str(path.absolute())


def _layer(values: dict[str, Any], option: str) -> Table:
    layer = located(values, Mark(option))
    assert isinstance(layer, Table)
    return layer


@dataclass(frozen=True, slots=True)
class Fleet:
    """The nodes that could be read, and the ids of all that the file names (for references)."""

    nodes: tuple[NodeSpec, ...]
    ids: tuple[str, ...]
    sound: tuple[NodeSpec, ...] = ()
    """The nodes of which nothing is wrong in the file."""

    @property
    def complete(self) -> bool:
        return len(self.nodes) == len(self.ids)

    @property
    def numbers(self) -> frozenset[int]:
        return frozenset(node.number for node in self.nodes)


class FleetReader:
    """Reads the nodes of one file."""

    def __init__(self, registry: Registry, directory: Path, problems: Problems, forced: Forced) -> None:
        self._registry = registry
        self._directory = directory
        self._problems = problems
        self._forced = forced.tables()

    def read(self, nodes: Tree | None, defaults: Tree | None) -> Fleet:
        if not isinstance(nodes, Table):
            if nodes is not None:
                self._problems.add(nodes.mark, f"nodes: expected a mapping of node ids, seen {describe(nodes)}")
            return Fleet((), ())
        if not nodes.entries:
            self._problems.add(nodes.mark, "nodes: expected at least one node")
        under = self._defaults(defaults)
        found: list[NodeSpec] = []
        sound: list[NodeSpec] = []
        ids: list[str] = []
        for node_id, entry in nodes:
            count = self._count_of(entry)
            names = [node_id] if count is None else [f"{node_id}-{number}" for number in range(1, count + 1)]
            if len(ids) + len(names) > MAX_NODES:
                self._problems.add(entry.mark, f"nodes: more than {MAX_NODES} nodes")
                break
            problems_before = len(self._problems)
            node = self._node(node_id, entry, len(ids), under)
            if node is not None:
                nodes_here = _copies(node, names, len(ids), keeps_number=_says(entry, "number"))
                found += nodes_here
                sound += nodes_here if len(self._problems) == problems_before else []
            ids += names
        self._refuse_same_numbers(tuple(found), nodes)
        self._refuse_large_numbers(found, nodes)
        return Fleet(tuple(found), tuple(ids), tuple(sound))

    def _count_of(self, entry: Entry) -> int | None:
        """How many nodes an entry stands for; None for one that does not say so."""
        given = entry.value.get("count") if isinstance(entry.value, Table) else None
        if not isinstance(given, Scalar) or not isinstance(given.value, int) or not 1 <= given.value <= MAX_NODES:
            return None  # what else it may be is told by whoever reads the entry
        if _says(entry, "number") and given.value > 1:
            assert isinstance(entry.value, Table)
            self._problems.add(entry.value.place("number"), "number: several nodes cannot have one number")
        return given.value

    def _defaults(self, tree: Tree | None) -> Table:
        if is_null(tree):
            return Table()
        if not isinstance(tree, Table):
            self._problems.add(tree.mark, f"defaults: expected a mapping, seen {describe(tree)}")  # type: ignore[union-attr]
            return Table()
        if _count(tree, _MOST_DEFAULTS) > _MOST_DEFAULTS:
            self._problems.add(tree.mark, f"defaults: more than {_MOST_DEFAULTS} values")
            return Table()
        for key in _OWN & set(tree.entries):
            self._problems.add(tree.place(key), f"{key}: is each node's own and cannot be a default")
        options = self._options_model(tree)
        self._refuse_unknown(tree.without(_COMMON), options)
        return tree.without(_OWN)

    def _node(self, node_id: str, entry: Entry, index: int, defaults: Table) -> NodeSpec | None:
        fault = node_id_fault(node_id)
        if fault:
            self._problems.add(entry.mark, f"node {shorten(entry.label)}: {fault}")
        body = Table({}, entry.mark) if is_null(entry.value) else entry.value
        if not isinstance(body, Table):
            self._problems.add(body.mark, f"{entry.label}: expected a mapping, seen {describe(body)}")
            return None
        table = self._layered(defaults, body)
        options = self._options_model(table)
        known = tuple(options.model_fields) if options else ()
        common = checked(NodeEntry, self._plausible(table.only(_COMMON)), self._problems, also_known=known)
        if common is None or options is None:
            return None
        return self._spec(node_id, entry.mark, index, common, table, self._options(table, options))

    def _plausible(self, table: Table) -> Table:
        """Without the keys of `config` about which there is more to say than that they are unknown."""
        config = table.get("config")
        if not isinstance(config, Table):
            return table
        bad = {key for key, _ in config if key in _SET_ELSEWHERE or len(key) > MAX_KEY_LENGTH}
        for key in bad:
            place = config.place(key)
            if key in _SET_ELSEWHERE:
                self._problems.add(place, f"{key}: is not set here but by {_SET_ELSEWHERE[key]}")
            else:
                message = f"unknown key {shorten(key)}: NVS keys have at most {MAX_KEY_LENGTH} characters"
                self._problems.add(place, message, hint_for_key(key, NodeConfig.model_fields))
        return table.with_value("config", config.without(bad))

    def _layered(self, defaults: Table, body: Table) -> Table:
        if _kind(defaults) != _kind(overlay(defaults, body)):
            defaults = defaults.only(_KEPT_ACROSS_KINDS)
        table = overlay(defaults, body)
        if _kind(table) == DEFAULT_KIND:
            for layer in self._forced:
                table = Table(overlay(_without_rivals(table, layer), layer).entries, table.mark)
        return table

    def _options_model(self, table: Table) -> type[BaseModel] | None:
        """The backend's settings; None (and a problem) when there is no such backend."""
        kind, kinds = _kind(table), self._registry.names("nodes")
        if kind in kinds:
            model: type[BaseModel] = self._registry.node(kind).options_model
            return model
        tree = table.get("kind")
        if isinstance(tree, Scalar) and isinstance(tree.value, str):
            message = f"{table.entries['kind'].label}: no backend is called {shorten(tree.value)}"
            self._problems.add(tree.mark, message, suggest_or_list(tree.value, kinds))
        elif is_null(tree):
            self._problems.add(table.mark, f"no backend {kind!r} is installed", suggest_or_list(kind, kinds))
        return None

    def _options(self, table: Table, model: type[BaseModel]) -> dict[str, Any]:
        extra = table.without(_COMMON)
        self._refuse_unknown(extra, model)
        known = extra.only(_option_names(model) | _free_keys(extra, model))
        found = checked(model, known, self._problems, directory=self._directory)
        if found is None:
            return {}
        commands = {key for key in _PROGRAMS if "/" not in _text(extra.get(key))}
        return {
            key: value if key in commands else _anchored(value, self._directory)
            for key, value in found.model_dump().items()
        }

    def _refuse_unknown(self, extra: Table, model: type[BaseModel] | None) -> None:
        if model is None or model.model_config.get("extra") == "allow":
            return
        names = _option_names(model)
        for key, entry in extra:
            if key not in names:
                hint = partial(hint_for_key, entry.label, [*NodeEntry.model_fields, *model.model_fields])
                self._problems.add(entry.mark, f"unknown key {shorten(entry.label)}", hint)

    def _spec(
        self, node_id: str, mark: Mark, index: int, entry: NodeEntry, table: Table, options: dict[str, Any]
    ) -> NodeSpec:
        config = entry.config
        nvs = config.model_dump(exclude=set(NamedConfig.model_fields))
        return NodeSpec(
            id=node_id,
            number=index if entry.number is None else entry.number,
            kind=entry.kind,
            role=entry.role,
            machine=entry.machine,
            is_gateway=entry.is_gateway,
            scenario=config.scenario or 0,
            channel=6 if config.channel is None else config.channel,
            tdm_slot=min(index, 255) if config.tdm_slot is None else config.tdm_slot,
            edge_tier=config.edge_tier,
            filter_mac=config.filter_mac,
            nvs={key: value for key, value in nvs.items() if value is not None},
            nvs_config=entry.nvs_config,
            firmware=read_firmware(entry.firmware, table.get("firmware"), self._directory, self._problems),
            options=options,
            on_failure=entry.on_failure.spec(),
            source=mark.ref,
        )

    def _refuse_large_numbers(self, nodes: list[NodeSpec], tree: Table) -> None:
        """Of nodes that send theirs in one byte. Where the file does not say them, the first is told."""
        told = False
        for node in nodes:
            if node.number <= MOST_IN_A_BYTE or getattr(self._registry.node(node.kind), "any_number", False):
                continue
            written, given = _written(node, tree)
            if given is not None:
                seen = f"expected at most {MOST_IN_A_BYTE}, seen {node.number}"
                self._problems.add(given.value.mark, f"{given.label}: {seen}")
            elif not told:
                told = True
                message = f"{node.id} would have the number {node.number}, at most {MOST_IN_A_BYTE} is possible"
                hint = (
                    f"a node of kind {node.kind} sends its number in one byte; without `number`, that is its position"
                )
                self._problems.add(tree.place(written), message, hint)

    def _refuse_same_numbers(self, nodes: tuple[NodeSpec, ...], tree: Table) -> None:
        first: dict[int, str] = {}
        for node in nodes:
            other = first.setdefault(node.number, node.id)
            if other == node.id:
                continue
            written, given = _written(node, tree)
            place = given.mark if given else tree.place(written)
            how = f"{given.label}: " if given else ""
            message = f"{how}{node.number} is the number of two nodes, {other} and {node.id}"
            self._problems.add(place, message, None if given else "without `number`, a node's position is its number")


def _written(node: NodeSpec, tree: Table) -> tuple[str, Entry | None]:
    """Where the file speaks of a node, and its `number` there."""
    written = node.id if node.id in tree.entries else node.id.rpartition("-")[0]
    body = tree.entries[written].value
    return written, body.entries.get("number") if isinstance(body, Table) else None


def _says(entry: Entry, key: str) -> bool:
    return isinstance(entry.value, Table) and key in entry.value.entries


def _copies(node: NodeSpec, names: list[str], index: int, *, keeps_number: bool) -> list[NodeSpec]:
    """The nodes that an entry stands for: alike, but for id and number."""
    if names == [node.id]:
        return [node]
    first = node.number if keeps_number else index
    return [replace(node, id=name, number=first + place) for place, name in enumerate(names)]


def _without_rivals(table: Table, layer: Table) -> Table:
    """A flash image is a base or parts: what the command line gives replaces what the file gives."""
    mine, theirs = layer.get("firmware"), table.get("firmware")
    if not isinstance(mine, Table) or not isinstance(theirs, Table):
        return table
    return table.with_value("firmware", theirs.without({"flash_base", "parts"} - set(mine.entries)))


def _kind(table: Table) -> str:
    tree = table.get("kind")
    return DEFAULT_KIND if tree is None or is_null(tree) else str(getattr(tree, "value", ""))


def _option_names(model: type[BaseModel]) -> frozenset[str]:
    aliases = (field.alias for field in model.model_fields.values())
    return frozenset(model.model_fields) | frozenset(alias for alias in aliases if alias)


def _free_keys(extra: Table, model: type[BaseModel]) -> frozenset[str]:
    return frozenset(extra.entries) if model.model_config.get("extra") == "allow" else frozenset()


def _text(tree: Tree | None) -> str:
    return tree.text if isinstance(tree, Scalar) else ""


def _anchored(value: Any, directory: Path) -> Any:
    """Paths inside a backend's options are relative to the scenario file, as all others."""
    if isinstance(value, Path):
        return absolute(str(value), directory)
    if isinstance(value, dict):
        return {name: _anchored(item, directory) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_anchored(item, directory) for item in value)
    return value


def _count(tree: Tree, most: int) -> int:
    """How many values the tree holds; stops soon after `most`."""
    total, todo = 0, [tree]
    while todo and total <= most:
        current = todo.pop()
        total += 1
        if isinstance(current, Table):
            todo.extend(entry.value for _, entry in current)
        elif isinstance(current, Items):
            todo.extend(current.items)
    return total
