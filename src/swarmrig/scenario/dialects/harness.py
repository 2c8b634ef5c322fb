"""The harness dialect (`duration_sec:`, `nodes:` by type, `network:` direct or latency, `ml_inference:`), converted
into a tree of the native format.

As with the swarm dialect, what its own system would not mind is a warning, and all values keep their places. What the
dialect means by its network: `direct` delivers messages at the next multiple of `time_quantum_us`; `latency` delivers
them after the latency of the two nodes, exactly.
"""

from __future__ import annotations

from itertools import combinations

from swarmrig.scenario.dialects.harness_inference import with_inference
from swarmrig.scenario.dialects.harness_nodes import convert_nodes
from swarmrig.scenario.dialects.reading import number, section, warn_unknown, with_value
from swarmrig.scenario.problems import Mark, Problems, suggest
from swarmrig.scenario.tree import Entry, Items, Scalar, Table, Tree, describe, is_null

DEFAULT_QUANTUM_US = 10_000
DEFAULT_LATENCY_MS = 10
DIRECT_LATENCY = "1us"
"""Of a link in a direct network; there are two between two nodes. What is sent less than that before the end of a
quantum misses it."""
MOST_LINKED = 32
"""Nodes of a network with latencies of single pairs: each pair of nodes has a link of its own there."""

_TOP = ("name", "duration_sec", "duration_s", "seed", "time_quantum_us", "nodes", "network", "ml_inference",
        "faults", "checks", "time", "description")  # fmt: skip
_SIGNS = ("duration_sec", "duration_s", "time_quantum_us", "ml_inference")
_AS_THEY_ARE = ("name", "seed", "faults", "checks", "time")
_NETWORK = ("type", "default_latency_ms", "links")
_LINK = ("from", "to", "source", "target", "src", "dst", "nodes", "between", "latency_ms", "jitter_ms", "loss",
         "bandwidth_kbps")  # fmt: skip
_NS_PER_MS = 1_000_000


def is_harness(tree: Table) -> bool:
    """Whether a file that is of no other kind is of this one, by its keys."""
    network = tree.get("network")
    typed = isinstance(network, Table) and "type" in network.entries
    return typed or any(sign in tree.entries for sign in _SIGNS)


def harness_to_native(tree: Table, problems: Problems) -> Table:
    """The same scenario in the native format; problems and warnings are collected."""
    warn_unknown(tree, _TOP, problems)
    native = Table({}, tree.mark).with_value("swarmrig", Scalar(1, tree.mark, "1"))
    for key in _AS_THEY_ARE:
        value = tree.get(key)
        if value is not None and not is_null(value):
            native = with_value(native, key, tree, key, value)
    native = _with_duration(native, tree, problems)
    nodes = tree.get("nodes")
    ids: tuple[str, ...] = ()
    if isinstance(nodes, Table):
        nodes = with_inference(convert_nodes(nodes, problems), tree, problems)
        ids = tuple(nodes.entries)
    if nodes is not None:  # the native checks say what else is wrong with them
        native = native.with_value("nodes", nodes, tree.place("nodes"))
    return native.with_value("network", _network(tree, ids, problems), tree.place("network"))


def _with_duration(native: Table, tree: Table, problems: Problems) -> Table:
    given = [key for key in ("duration_sec", "duration_s") if not is_null(tree.get(key))]
    if len(given) > 1:
        problems.warn(tree.place("duration_s"), "duration_s is ignored: there is duration_sec")
    seconds = number(tree, given[0], problems, more_than=0) if given else None
    return native if seconds is None else with_value(native, "duration", tree, given[0], seconds)


def _network(tree: Table, nodes: tuple[str, ...], problems: Problems) -> Table:
    network = section(tree.get("network"), "network", problems)
    warn_unknown(network, _NETWORK, problems)
    kind, quantum = network.get("type"), _quantum(tree, problems)
    if kind is None or is_null(kind):
        kind = Scalar("latency" if "default_latency_ms" in network.entries else "direct", network.mark)
    if not isinstance(kind, Scalar) or kind.value not in ("direct", "latency"):
        hint = suggest(kind.text, ("direct", "latency")) if isinstance(kind, Scalar) else None
        problems.add(kind.mark, f"type: expected direct or latency, seen {describe(kind)}", hint)
        return Table({}, network.mark)
    if kind.value == "latency":
        return _with_latencies(network, nodes, problems)
    for key in ("default_latency_ms", "links"):
        if key in network.entries:
            problems.warn(network.place(key), f"{key} is ignored: the network is direct")
    return _mesh(_text(DIRECT_LATENCY, kind.mark), kind.mark).with_value("quantum", quantum)


def _quantum(tree: Table, problems: Problems) -> Scalar:
    given = number(tree, "time_quantum_us", problems, more_than=0)
    if given is None:
        return _text(f"{DEFAULT_QUANTUM_US}us", tree.mark)
    return _text(f"{given.value}us", given.mark)


def _with_latencies(network: Table, nodes: tuple[str, ...], problems: Problems) -> Table:
    default = number(network, "default_latency_ms", problems, more_than=0)
    default_ns = round(float(default.value if default else DEFAULT_LATENCY_MS) * _NS_PER_MS)  # type: ignore[arg-type]
    links = network.get("links")
    if links is None or is_null(links) or (isinstance(links, Items) and not links.items):
        return _mesh(_text(f"{max(default_ns // 2, 1)}ns", network.place("default_latency_ms")), network.mark)
    if not isinstance(links, Items):
        problems.add(links.mark, f"links: expected a list, seen {describe(links)}")
        return Table({}, network.mark)
    if len(nodes) > MOST_LINKED:
        message = f"links: latencies of single links are possible between up to {MOST_LINKED} nodes, not {len(nodes)}"
        problems.add(links.mark, message)
        return Table({}, network.mark)
    given = [link for item in links.items if (link := _link(item, problems)) is not None]
    return _all_linked(given, nodes, _text(f"{max(default_ns, 1)}ns", network.mark), links.mark)


def _mesh(latency: Scalar, mark: Mark) -> Table:
    """Everybody on one switch, and two links between any two."""
    link = Table({}, mark).with_value("latency", latency)
    return Table({}, mark).with_value("topology", _text("mesh", mark)).with_value("link", link)


def _all_linked(given: list[Table], nodes: tuple[str, ...], latency: Scalar, mark: Mark) -> Table:
    """A link for each pair: those of the file, and, as long as the default, all others."""
    known = {frozenset(_ends(link)) for link in given}
    others = [
        Table({}, mark).with_value("between", Items((_text(a, mark), _text(b, mark)), mark))
        for a, b in combinations(nodes, 2)
        if frozenset((a, b)) not in known
    ]
    link = Table({}, mark).with_value("latency", latency)
    table = Table({}, mark).with_value("topology", _text("custom", mark)).with_value("link", link)
    return table.with_value("links", Items((*given, *others), mark))


def _link(item: Tree, problems: Problems) -> Table | None:
    """A link in the native format; None (reported) when its ends cannot be read."""
    table = section(item, "link", problems)
    warn_unknown(table, _LINK, problems)
    ends = _ends_of(table, problems)
    if ends is None:
        return None
    link = Table({"between": Entry(table.mark, ends, "between")}, item.mark)
    for theirs, ours in (("latency_ms", "latency"), ("jitter_ms", "jitter")):
        value = number(table, theirs, problems)
        if value is not None:
            text = _text(f"{max(round(float(value.value) * _NS_PER_MS), 1)}ns", value.mark)  # type: ignore[arg-type]
            link = with_value(link, ours, table, theirs, text)
    rate = number(table, "bandwidth_kbps", problems, more_than=0)
    if rate is not None:
        link = with_value(link, "rate", table, "bandwidth_kbps", _text(f"{rate.value}kbit", rate.mark))
    loss = table.get("loss")
    return link if loss is None or is_null(loss) else with_value(link, "loss", table, "loss", loss)


def _ends_of(table: Table, problems: Problems) -> Items | None:
    for key in ("between", "nodes"):
        pair = table.get(key)
        if isinstance(pair, Items) and len(pair.items) == 2:
            return pair
    ends = [
        next((end for key in keys if isinstance(end := table.get(key), Scalar)), None)
        for keys in (("from", "source", "src"), ("to", "target", "dst"))
    ]
    if ends[0] is None or ends[1] is None:
        problems.add(table.mark, "a link needs its two ends", "for example {from: a, to: b, latency_ms: 5}")
        return None
    return Items((ends[0], ends[1]), ends[0].mark)


def _ends(link: Table) -> list[str]:
    between = link.get("between")
    assert isinstance(between, Items)
    return [end.text or str(end.value) for end in between.items if isinstance(end, Scalar)]


def _text(value: str, mark: Mark) -> Scalar:
    return Scalar(value, mark, value)
