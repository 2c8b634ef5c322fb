"""The nodes of the harness dialect: types to kinds of nodes, models and their settings."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from swarmrig.net.devices import AGGREGATOR
from swarmrig.scenario.dialects.reading import number, section, warn_unknown, with_value
from swarmrig.scenario.problems import Mark, Problems
from swarmrig.scenario.tree import Entry, Items, Scalar, Table, Tree, describe, is_null

DEFAULT_TYPE = "sensor"
MODELS = ("sensor", "gateway", "cloud")
"""Types that are models in Python, shipped under the same names."""
_KINDS = {"docker": "container"}
"""Other types, where the kind of node is called otherwise."""
_ROLES = {"sensor": "sensor", "gateway": "gateway", "cloud": "coordinator"}
_COMMON = ("type", "on_failure", "description")
_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "sensor": {"sensors": "sensors", "interval_ms": "period", "to": "to"},
    "gateway": {"interval_ms": "period", "to": "to"},
    "cloud": {},
}
"""What nodes that are models are told: key of the dialect -> setting of the model."""


@dataclass(frozen=True, slots=True)
class _Swarm:
    """Whom those send to who do not say it."""

    gateway: str | None
    cloud: str | None
    other: str | None

    def target(self, kind: str) -> str | None:
        if kind == "gateway":
            return self.cloud
        return self.gateway or self.cloud or self.other or AGGREGATOR


def type_of(node: Table) -> str:
    """The type of a node that was converted, as the file called it."""
    model = node.get("model") or node.get("kind")
    return str(model.value) if isinstance(model, Scalar) else DEFAULT_TYPE


def convert_nodes(listed: Table, problems: Problems) -> Table:
    """The section `nodes` in the native format."""
    read = {node: _body(node, entry, problems) for node, entry in listed}
    types = {node: _type(body, problems) for node, body in read.items()}
    swarm = _swarm(types)
    entries = {
        node: Entry(entry.mark, _node(read[node], types[node], swarm, problems), entry.label) for node, entry in listed
    }
    return Table(entries, listed.mark)


def _swarm(types: Mapping[str, str]) -> _Swarm:
    def first(wanted: Callable[[str], bool]) -> str | None:
        return next((node for node, kind in types.items() if wanted(kind)), None)

    return _Swarm(first("gateway".__eq__), first("cloud".__eq__), first(lambda kind: kind not in MODELS))


def _body(node: str, entry: Entry, problems: Problems) -> Table:
    """Empty for a node that says nothing."""
    body = section(entry.value, node, problems)
    return Table(body.entries, entry.mark if is_null(entry.value) else body.mark)


def _type(body: Table, problems: Problems) -> str:
    tree = body.get("type")
    if tree is None or is_null(tree):
        return DEFAULT_TYPE
    if not isinstance(tree, Scalar) or not isinstance(tree.value, str):
        problems.add(tree.mark, f"type: expected a type of node such as sensor or docker, seen {describe(tree)}")
        return DEFAULT_TYPE
    return tree.value


def _node(body: Table, kind: str, swarm: _Swarm, problems: Problems) -> Table:
    place = body.get("type")
    mark = place.mark if place is not None else body.mark
    if kind in MODELS:
        native = _model(body, kind, swarm, problems)
    elif kind == "docker":
        native = _container(body, problems)
    else:
        native = _any_other(body)
    role = _ROLES.get(kind)
    if role is not None:
        native = native.with_value("role", Scalar(role, mark, role))
    word = "python" if kind in MODELS else _KINDS.get(kind, kind)
    native = native.with_value("kind", Scalar(word, mark, word)).relabelled("kind", "type")
    policy = body.get("on_failure")
    return native if policy is None else with_value(native, "on_failure", body, "on_failure", policy)


def _any_other(body: Table) -> Table:
    """With the keys of its kind; firmware may be the path alone."""
    firmware = body.get("firmware")
    native = body.without({"type", "description"})
    if isinstance(firmware, Scalar) and isinstance(firmware.value, str):
        image = Table({}, firmware.mark).with_value("image", firmware).relabelled("image", "firmware")
        native = with_value(native, "firmware", body, "firmware", image)
    return native


# Models.


def _model(body: Table, kind: str, swarm: _Swarm, problems: Problems) -> Table:
    known = _SETTINGS[kind]
    warn_unknown(body, (*_COMMON, *known, "settings"), problems)
    settings = section(body.get("settings"), "settings", problems)
    for theirs, ours in known.items():
        value = _setting(body, theirs, problems)
        if value is not None:
            settings = with_value(settings, ours, body, theirs, value)
    target = swarm.target(kind)
    if "to" in known and "to" not in settings.entries and target is not None:
        settings = settings.with_value("to", Scalar(target, body.mark, target))
    if kind == "sensor" and "start" not in settings.entries:  # all measure at multiples of their period
        settings = settings.with_value("start", Scalar(0, body.mark, "0"))
    model = Scalar(kind, body.mark, kind)
    return Table({}, body.mark).with_value("model", model).with_value("settings", settings)


def _setting(body: Table, key: str, problems: Problems) -> Tree | None:
    if key == "interval_ms":
        value = number(body, key, problems, more_than=0)
        return None if value is None else Scalar(f"{value.value}ms", value.mark, f"{value.value}ms")
    tree = body.get(key)
    return None if is_null(tree) else tree


# Containers.

_CONTAINER = ("image", "command", "entrypoint", "user", "working_dir", "health", "memory", "cpus", "engine", "network")
"""Keys that are the native ones."""


def _container(body: Table, problems: Problems) -> Table:
    converted = {"build": _build, "environment": _environment, "ports": _ports, "volumes": _volumes}
    warn_unknown(body, (*_COMMON, *_CONTAINER, *converted, "networks"), problems)
    native = Table({}, body.mark)
    for key in _CONTAINER:
        value = body.get(key)
        if value is not None and not is_null(value):
            native = with_value(native, key, body, key, _words(value) if key in ("command", "entrypoint") else value)
    for key, convert in converted.items():
        value = body.get(key)
        if value is not None and not is_null(value):
            native = with_value(native, key, body, key, convert(value))
    return _with_network(native, body, problems)


def _with_network(native: Table, body: Table, problems: Problems) -> Table:
    """One network of the engine; without any, the network of the run."""
    networks = body.get("networks")
    names = networks.items if isinstance(networks, Items) else ()
    if networks is not None and not is_null(networks) and not names:
        problems.add(networks.mark, f"networks: expected a list of names, seen {describe(networks)}")
    if len(names) > 1:
        problems.warn(names[1].mark, "networks: only the first one is joined")
    return with_value(native, "network", body, "networks", names[0]) if names else native


def _words(value: Tree) -> Tree:
    """A command in one text, as a shell would split it."""
    if not isinstance(value, Scalar) or not isinstance(value.value, str):
        return value
    try:
        words = shlex.split(value.value)
    except ValueError:
        return value
    return Items(tuple(Scalar(word, value.mark, word) for word in words), value.mark)


def _build(value: Tree) -> Tree:
    """The context alone, or a mapping."""
    return value if not isinstance(value, Scalar) else Table({}, value.mark).with_value("context", value)


def _environment(value: Tree) -> Tree:
    """A mapping, or a list of NAME=VALUE."""
    if not isinstance(value, Items):
        return value
    table = Table({}, value.mark)
    for item in value.items:
        name, _, text = _text(item).partition("=")
        table = table.with_value(name, Scalar(text, item.mark, text))
    return table


def _ports(value: Tree) -> Tree:
    """HOST:CONTAINER, or one number for both."""
    if not isinstance(value, Items):
        return value
    return Items(tuple(_port(item) for item in value.items), value.mark)


def _port(item: Tree) -> Tree:
    text = _text(item)
    return Scalar(f"{text}:{text}", item.mark, text) if text.isdecimal() else item


def _volumes(value: Tree) -> Tree:
    """SOURCE:TARGET, with :ro or :rw behind it (default :rw)."""
    if not isinstance(value, Items):
        return value
    return Items(tuple(_volume(item) for item in value.items), value.mark)


def _volume(item: Tree) -> Tree:
    if not isinstance(item, Scalar):
        return item
    parts = _text(item).split(":")
    if len(parts) not in (2, 3) or parts[2:] not in ([], ["ro"], ["rw"]):
        return item
    values: dict[str, str | bool] = {"source": parts[0], "target": parts[1], "read_only": parts[2:] == ["ro"]}
    return Table({key: Entry(item.mark, _scalar(each, item.mark), key) for key, each in values.items()}, item.mark)


def _scalar(value: str | bool, mark: Mark) -> Scalar:
    return Scalar(value, mark, str(value))


def _text(item: Tree) -> str:
    return (item.text or str(item.value)) if isinstance(item, Scalar) else ""
