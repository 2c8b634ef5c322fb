"""What the page's script draws, as JSON. Times are in ns of run time; what has no time has null."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import pairwise
from typing import Any

from swarmrig.model.facts import Frame, NodeState
from swarmrig.reports.page.consoles import Console, read_console
from swarmrig.reports.page.material import Material
from swarmrig.reports.page.references import capture_frames, console_lines
from swarmrig.reports.page.traffic import LinkTraffic, Traffic, read_traffic
from swarmrig.reports.page.transits import summarised
from swarmrig.reports.sentences import sentence
from swarmrig.runtime.events import Event
from swarmrig.wire.decode import decode
from swarmrig.wire.words import in_words

_EVENTS = 2000
_BYTES_SHOWN = 256
_STATES = {f"node.{state.value}": state.value for state in NodeState if state is not NodeState.UNHEARD} | {
    "node.booted": "booted"
}


def page_data(material: Material) -> dict[str, Any]:
    """Everything that is drawn or listed by the script."""
    lines, frames = console_lines(material.results), capture_frames(material.results)
    traffic = None
    if material.network is not None:
        traffic = read_traffic(material.directory, material.network, material.end_ns, frames)
    times = material.line_times
    consoles = [
        read_console(material.directory, node, times.get(node, {}), lines.get(node, ()), len(material.nodes))
        for node in material.nodes
    ]
    return {
        "end": material.end_ns,
        "step": traffic.step_ns if traffic else material.end_ns,
        "nodes": [_node(material, console, traffic, lines.get(console.node, ())) for console in consoles],
        "links": [] if traffic is None else [_link(material, link, traffic) for link in traffic.links.values()],
        "faults": _faults(material),
        "checks": [_check(check) for check in (material.results or {}).get("checks", ())],
        "events": list(_events(material)),
        "evidence": {link: sorted(numbers) for link, numbers in frames.items()},
    }


def _node(material: Material, console: Console, traffic: Traffic | None, evidence: Collection[int]) -> dict[str, Any]:
    ports = traffic.nodes.get(console.node) if traffic else None
    times = summarised(traffic.transits.nodes.get(console.node, {})) if traffic else {}
    return {
        "id": console.node,
        "spans": spans(material.events, console.node, material.end_ns),
        "sent": ports.sent if ports else [],
        "received": ports.received if ports else [],
        "latency": _times(times),
        "problem": console.problem,
        "total": console.total,
        "evidence": sorted(evidence),
        "lines": [[line.number, line.t_ns, line.text, line.mark] for line in console.lines],
    }


def spans(events: Collection[Event], node: str, end_ns: int) -> list[tuple[int, int, str]]:
    """(from, to, state) of a node, without gaps, from its start to the end of the run."""
    changes = [(event.t_ns, _STATES[event.kind]) for event in events if event.source == node and event.kind in _STATES]
    states = pairwise((*changes, (end_ns, "")))
    return [(since_ns, until_ns, state) for (since_ns, state), (until_ns, _) in states if until_ns > since_ns]


def _link(material: Material, link: LinkTraffic, traffic: Traffic) -> dict[str, Any]:
    assert material.network is not None
    plan = material.network.link(link.name)
    return {
        "name": link.name,
        "a": plan.a,
        "b": plan.b,
        "access": plan.access,
        "delivered": link.delivered,
        "lost": link.lost,
        "down": link.down,
        "latency": _times(summarised(traffic.transits.links.get(link.name, {}))),
        "total": link.total,
        "problem": link.problem,
        "frames": [_frame(frame) for frame in link.frames],
    }


def _times(times: Mapping[int, tuple[int, int]]) -> list[tuple[int, int, int]]:
    return [(step, median, most) for step, (median, most) in times.items()]


def _frame(frame: Frame) -> list[Any]:
    decoded = decode(frame.data)
    return [
        frame.number,
        frame.t_ns,
        frame.sender,
        in_words(decoded),
        frame.note or frame.fate.value,
        frame.delivered,
        decoded.fields(),
        frame.data[:_BYTES_SHOWN].hex(),
    ]


def _faults(material: Material) -> list[dict[str, Any]]:
    """As the results conclude; as the events tell when there are no results."""
    if material.results:
        return [
            {
                "id": fault["id"],
                "description": fault["description"],
                "status": fault["status"],
                "at": fault["at_ns"],
                "stages": [[stage["stage"], stage["t_ns"]] for stage in fault["stages"]],
                "evidence": fault["evidence"],
            }
            for fault in material.results["faults"]
        ]
    found: dict[str, dict[str, Any]] = {}
    for event in material.events:
        if event.kind == "fault":
            name = str(event.data.get("id"))
            fault = found.setdefault(name, _unconcluded(name, event.data.get("kind")))
            fault["stages"].append([event.data.get("stage"), event.t_ns])
    return list(found.values())


def _unconcluded(name: str, kind: Any) -> dict[str, Any]:
    return {"id": name, "description": kind, "status": "not concluded", "at": None, "stages": [], "evidence": []}


def _check(check: Mapping[str, Any]) -> dict[str, Any]:
    return {name: check[name] for name in ("label", "outcome", "message", "evidence")}


def _events(material: Material) -> Iterator[tuple[int, str, str, str]]:
    """(time, source, kind, sentence) of what is worth a row."""
    told = 0
    for event in sorted(material.events, key=lambda event: event.t_ns):
        said = sentence(event)
        if said is None:
            continue
        told += 1
        if told > _EVENTS:
            return
        yield event.t_ns, event.source, event.kind, said
