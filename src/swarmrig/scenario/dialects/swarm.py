"""The swarm dialect (`swarm:`, `nodes:` as a list, `assertions:`), converted into a tree of the native format.

The dialect belongs to another system, so what that system would not mind is a warning here: unknown keys, values
out of the ordinary. What it refuses is refused. All values keep their places, so the checks of the native format
report in terms of this file.
"""

from __future__ import annotations

from swarmrig.scenario.dialects.reading import section, warn_unknown, with_value
from swarmrig.scenario.problems import Mark, Problems, shorten, suggest
from swarmrig.scenario.quantities import safe_name
from swarmrig.scenario.tree import Entry, Items, Scalar, Table, Tree, describe, is_null

DEFAULT_NAME = "unnamed-swarm"
DEFAULT_DURATION_S = 60
LEAST_DURATION_S = 5
ALL_SCENARIOS = 255
TOPOLOGIES = ("star", "mesh", "line", "ring")

_TOP = ("swarm", "nodes", "assertions", "faults")
_SWARM = ("name", "duration_s", "topology", "aggregator_port")
_NODE_TO_NATIVE = {"role": "role", "node_id": "number", "is_gateway": "is_gateway"}
_CONFIG = ("scenario", "channel", "tdm_slot", "edge_tier", "filter_mac")
_YES_NO = {"yes": True, "on": True, "y": True, "no": False, "off": False, "n": False}
"""Booleans of YAML 1.1, which such files were written for."""


def swarm_to_native(tree: Table, problems: Problems) -> Table:
    """The same scenario in the native format; problems and warnings are collected."""
    warn_unknown(tree, _TOP, problems)
    swarm = section(tree.get("swarm"), "swarm", problems)
    warn_unknown(swarm, _SWARM, problems)
    nodes = _nodes(tree, problems)
    native = Table({}, tree.mark).with_value("swarmrig", Scalar(1, tree.mark, "1"))
    native = with_value(native, "name", swarm, "name", _name(swarm, problems))
    native = with_value(native, "duration", swarm, "duration_s", _duration(swarm, problems))
    port = swarm.get("aggregator_port")
    if port is not None and not is_null(port):
        native = with_value(native, "aggregator_port", swarm, "aggregator_port", port)
    topology = _topology(swarm, len(nodes.entries), problems)
    native = native.with_value("network", with_value(Table({}, swarm.mark), "topology", swarm, "topology", topology))
    native = native.with_value("nodes", nodes, tree.place("nodes"))
    for key, theirs in (("checks", "assertions"), ("faults", "faults")):
        value = tree.get(theirs)
        if value is not None:
            value = _one_by_one(value, problems) if key == "checks" else value
            native = with_value(native, key, tree, theirs, value)
    return native


def _name(swarm: Table, problems: Problems) -> Scalar:
    tree = swarm.get("name")
    if tree is None or is_null(tree):
        return Scalar(DEFAULT_NAME, swarm.mark, DEFAULT_NAME)
    if not isinstance(tree, Scalar):
        problems.add(tree.mark, f"name: expected a text, seen {describe(tree)}")
        return Scalar(DEFAULT_NAME, tree.mark, DEFAULT_NAME)
    name = safe_name(tree.text)
    if name != tree.text:
        problems.warn(tree.mark, f"name: {shorten(tree.text)} becomes {name!r}, which is safe in paths")
    return Scalar(name, tree.mark, name)


def _duration(swarm: Table, problems: Problems) -> Scalar:
    """Seconds. The native format reads a bare number as seconds too."""
    tree = swarm.get("duration_s")
    if tree is None or is_null(tree):
        return Scalar(DEFAULT_DURATION_S, swarm.mark, str(DEFAULT_DURATION_S))
    value = tree.value if isinstance(tree, Scalar) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        problems.add(tree.mark, f"duration_s: expected a number of seconds, seen {describe(tree)}")
    elif not value >= LEAST_DURATION_S:
        problems.add(tree.mark, f"duration_s: expected at least {LEAST_DURATION_S}, seen {describe(tree)}")
    else:
        if isinstance(value, float):
            problems.warn(tree.mark, f"duration_s: {describe(tree)} is not a whole number of seconds")
        return Scalar(value, tree.mark, str(value))
    return Scalar(DEFAULT_DURATION_S, tree.mark, str(DEFAULT_DURATION_S))


def _topology(swarm: Table, nodes: int, problems: Problems) -> Tree:
    """The shape; lines and rings too small to be one are what they amount to."""
    tree = swarm.get("topology")
    if tree is None or is_null(tree):
        return Scalar("mesh", swarm.mark, "mesh")
    if not isinstance(tree, Scalar) or tree.value not in TOPOLOGIES:
        hint = suggest(tree.text, TOPOLOGIES) if isinstance(tree, Scalar) else None
        expected = f"expected one of {', '.join(TOPOLOGIES)}"
        problems.add(tree.mark, f"topology: {expected}, seen {describe(tree)}", hint)
        return Scalar("mesh", tree.mark, "mesh")
    shape = str(tree.value)
    if shape == "ring" and nodes == 2:
        shape = "line"
    elif shape in ("line", "ring") and nodes == 1:
        shape = "mesh"
    if shape != tree.value:
        problems.warn(tree.mark, f"topology: a {tree.value} of {nodes} is run as a {shape}")
    return Scalar(shape, tree.mark, shape)


def _nodes(tree: Table, problems: Problems) -> Table:
    """A table with the ids `n<node_id>`, in file order."""
    listed = tree.get("nodes")
    mark = tree.place("nodes")
    if listed is None or is_null(listed) or (isinstance(listed, Items) and not listed.items):
        return Table({}, mark)  # the native checks say that at least one is needed
    if not isinstance(listed, Items):
        problems.add(listed.mark, f"nodes: expected a list of nodes, seen {describe(listed)}")
        return Table({"n0": Entry(listed.mark, Table({}, listed.mark), "nodes")}, mark)
    entries: dict[str, Entry] = {}
    for position, item in enumerate(listed.items):
        node = section(item, f"node {position}", problems)
        node = Table(node.entries, item.mark)
        number, place = _node_id(node, position)
        other = entries.get(f"n{number}")
        if other is not None:
            hint = None if "node_id" in node.entries else "without node_id, a node's position in the list is its id"
            problems.add(place, f"node_id: {number} is the id of two nodes (first: {other.mark})", hint)
            continue
        body = _node(node, len(listed.items), problems)
        entries[f"n{number}"] = Entry(item.mark, body, f"n{number}")
    return Table(entries, mark)


def _node_id(node: Table, position: int) -> tuple[int, Mark]:
    """The id, or the position when it has none; one that is no id is reported by the native checks."""
    tree = node.get("node_id")
    if isinstance(tree, Scalar) and type(tree.value) is int and 0 <= tree.value <= 255:
        return tree.value, tree.mark
    return position, node.mark


def _node(node: Table, count: int, problems: Problems) -> Table:
    warn_unknown(node, (*_NODE_TO_NATIVE, *_CONFIG), problems)
    native, config = Table({}, node.mark), Table({}, node.mark)
    for theirs, ours in _NODE_TO_NATIVE.items():
        value = node.get(theirs)
        if value is not None and not is_null(value):
            native = with_value(native, ours, node, theirs, _boolean(value) if theirs == "is_gateway" else value)
    for key in _CONFIG:
        value = node.get(key)
        if value is not None and not is_null(value):
            config = with_value(config, key, node, key, value)
    _warn_unusual(node, count, problems)
    return native.with_value("config", config)


def _boolean(tree: Tree) -> Tree:
    if isinstance(tree, Scalar) and isinstance(tree.value, str) and tree.value.lower() in _YES_NO:
        return Scalar(_YES_NO[tree.value.lower()], tree.mark, tree.text)
    return tree


def _warn_unusual(node: Table, count: int, problems: Problems) -> None:
    scenario, slot = node.get("scenario"), node.get("tdm_slot")
    if isinstance(scenario, Scalar) and scenario.value == ALL_SCENARIOS:
        problems.warn(scenario.mark, f"scenario: {ALL_SCENARIOS} plays all scenarios, one after the other")
    if isinstance(slot, Scalar) and type(slot.value) is int and count <= slot.value <= 255:
        problems.warn(slot.mark, f"tdm_slot: {slot.value} is beyond the {count} slots of this swarm")


def _one_by_one(tree: Tree, problems: Problems) -> Tree:
    """Assertions as the native format lists checks: one in each item, `name: true` as the bare name."""
    if not isinstance(tree, Items):
        return tree
    items: list[Tree] = []
    for item in tree.items:
        if isinstance(item, Table) and item.entries:
            items.extend(_assertion(key, entry, problems) for key, entry in item)
        else:
            items.append(item)
    return Items(tuple(items), tree.mark)


def _assertion(name: str, entry: Entry, problems: Problems) -> Tree:
    value = entry.value
    if not isinstance(value, Scalar) or not isinstance(value.value, bool):
        return Table({name: entry}, entry.mark)
    if not value.value:
        problems.warn(value.mark, f"{shorten(name)} is asserted all the same: an assertion has no off")
    return Scalar(name, entry.mark, name)
