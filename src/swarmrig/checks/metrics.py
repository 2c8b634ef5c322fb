"""The numbers of a run, each by the one name that it has in results.json, in checks and in comparisons.

| name | what |
|---|---|
| `links.L.frames`, `.bytes` | what entered the link, both directions together |
| `links.L.dropped`, `.loss` | modelled drops (loss, down, full queue, …), and their share of the frames |
| `links.L.fates.F` | frames by fate: `loss`, `burst_loss`, `link_down`, `queue_full`, `corrupted`, … |
| `nodes.N.boot_ns` | from the start of the emulator to the boot marker, or until it is found ready |
| `nodes.N.console_lines` | lines on the console |
| `nodes.N.sent`, `.rate_hz` | CSI frames of the node at its own port, each sequence number once |
| `nodes.N.hub.received`, `.lost`, `.loss` | of these, how many were delivered to the hub; likewise `.aggregator.…` |
| `nodes.N.hub.latency_ns.p50`, `.p95`, `.p99`, `.max`, `.mean` | how long they took; likewise `.aggregator.…` |
| `nodes.N.reported.…` | what the aggregator says of the node: `frames`, `gaps`, `duplicates`, `falls`, … |
| `nodes.N.console.C` | a number that the firmware prints, for a `counter` check called C |
| `nodes.N.model.M` | a number that a model in Python counts: its `metrics` when the run is over |

Frames are counted in captures, so these are numbers of the wire; `reported` and `model` are what programs say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from fnmatch import fnmatchcase
from math import isfinite
from typing import Any

from swarmrig.api import CheckContext
from swarmrig.checks.counters import Counter
from swarmrig.checks.journeys import Journey, Journeys, targets
from swarmrig.checks.patterns import is_boot_marker
from swarmrig.checks.sightings import OwnFrames, RateMeter, UniqueSequences
from swarmrig.model.facts import ConsoleLine, Fact, Frame, NodeChange, NodeReport, NodeState
from swarmrig.model.network import Fate, PortKind
from swarmrig.model.verdict import Evidence

Number = int | float
PERCENTILES = {"p50": 50.0, "p95": 95.0, "p99": 99.0}
REPORTED = (
    "frames", "unique_frames", "bytes", "gaps", "duplicates", "reorders", "restarts", "rate_hz", "vitals", "falls",
)  # fmt: skip
"""What the aggregator counts for each node."""
MODEL = "model"
"""What a model in Python counts stands in metrics of this group, whose names only the model knows."""
_FATES = {fate.value.removeprefix("drop: ").replace(" ", "_"): fate for fate in Fate if fate is not Fate.DELIVERED}
_WORSE_WHEN_HIGHER = frozenset(
    {"dropped", "loss", "lost", "boot_ns", "gaps", "duplicates", "reorders", "restarts", "overrun"}
)
_WORSE_WHEN_LOWER = frozenset({"sent", "received", "rate_hz", "unique_frames"})


class Better(Enum):
    """Which way a number gets better."""

    LOWER = "lower"
    HIGHER = "higher"
    NEITHER = "neither"


def better(name: str) -> Better:
    """Which way this metric gets better; NEITHER for what only describes."""
    last = name.rpartition(".")[2]
    if last in _WORSE_WHEN_HIGHER or ".latency_ns." in name or ".fates." in name:
        return Better.LOWER
    return Better.HIGHER if last in _WORSE_WHEN_LOWER else Better.NEITHER


def is_duration(name: str) -> bool:
    """Is the metric a time in ns?"""
    return any(part.endswith("_ns") for part in name.split("."))


def is_share(name: str) -> bool:
    """Is the metric a share in 0..1?"""
    return name.endswith(".loss") and ".fates." not in name


class _LinkMeter:
    __slots__ = ("bytes", "dropped", "fates", "frames", "last")

    def __init__(self) -> None:
        self.frames = 0
        self.bytes = 0
        self.dropped = 0
        self.last = 0
        self.fates: dict[Fate, int] = {}

    def add(self, frame: Frame) -> None:
        self.last = max(self.last, frame.number)
        if frame.fate is not Fate.DELIVERED:
            self.fates[frame.fate] = self.fates.get(frame.fate, 0) + 1
            if frame.fate is Fate.OVERRUN:
                return  # the second record of a frame
        self.frames += 1
        self.bytes += len(frame.data)
        self.dropped += not frame.delivered

    def values(self) -> dict[str, Number | None]:
        return {
            "frames": self.frames,
            "bytes": self.bytes,
            "dropped": self.dropped,
            "loss": _share(self.dropped, self.frames),
            **{f"fates.{name}": self.fates.get(fate, 0) for name, fate in _FATES.items()},
        }


class _NodeMeter:
    def __init__(self) -> None:
        self.started_ns: int | None = None
        self.stopped_ns: int | None = None
        self.up: ConsoleLine | NodeChange | None = None
        """The first that tells that it has booted, or is ready."""
        self.lines = 0
        self.last_line = 0
        self.unique = UniqueSequences()
        self.rate = RateMeter()
        self.report: Mapping[str, Number | None] = {}
        self.model: Mapping[str, Number] = {}

    def values(self, now_ns: int) -> dict[str, Number | None]:
        end_ns = now_ns if self.stopped_ns is None else min(now_ns, self.stopped_ns)
        return {
            "boot_ns": self.boot_ns,
            "console_lines": self.lines,
            "sent": self.rate.count,
            "rate_hz": round(self.rate.rate(end_ns), 3) if self.rate.count > 1 else None,
            **{f"reported.{name}": self.report.get(name) for name in REPORTED},
            **{f"{MODEL}.{name}": value for name, value in self.model.items()},
        }

    @property
    def boot_ns(self) -> int | None:
        if self.started_ns is None or self.up is None:
            return None
        return max(0, self.up.t_ns - self.started_ns)


class Meter:
    """Counts and measures while facts come. Memory does not grow with the length of the run."""

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        nodes = context.scenario.nodes
        self._links = {link.name: _LinkMeter() for link in context.network.links if link.capture}
        self._nodes = {node.id: _NodeMeter() for node in nodes}
        self._ids = {str(node.number): node.id for node in nodes}
        self._own = OwnFrames(nodes)
        self._journeys = {name: Journeys(context, target) for name, target in targets(context).items()}
        self._counters = {
            str(check.params["name"]): Counter.of_params(context, check.params)
            for check in context.scenario.checks
            if check.name == "counter" and check.params.get("name")
        }

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            self._frame(fact)
            return
        for counter in self._counters.values():
            counter.observe(fact)
        if isinstance(fact, NodeReport):
            self._report(fact)
        elif isinstance(fact, ConsoleLine | NodeChange) and fact.node in self._nodes:
            self._node(self._nodes[fact.node], fact)

    def values(self, now_ns: int) -> dict[str, Number | None]:
        """Every metric by name; None for what could not be measured."""
        found: dict[str, Number | None] = {}
        for link, counts in self._links.items():
            found |= {f"links.{link}.{name}": value for name, value in counts.values().items()}
        for node, meter in self._nodes.items():
            found |= {f"nodes.{node}.{name}": value for name, value in meter.values(now_ns).items()}
            for target, journeys in self._journeys.items():
                if node in journeys.by_node:
                    values = _journey_values(journeys.by_node[node])
                    found |= {f"nodes.{node}.{target}.{name}": value for name, value in values.items()}
            for name, counter in self._counters.items():
                if node in counter.readings:
                    found[f"nodes.{node}.console.{name}"] = counter.readings[node].value(counter.use)
        return found

    def evidence(self, name: str) -> Evidence | None:
        """Where one can see for oneself what a metric says; None when nothing was seen that it could rest on."""
        kind, owner, rest = name.split(".", 2)
        if kind == "links":
            return self._on_link(owner, f"{self._links[owner].frames} frames up to here")
        group, _, field = rest.partition(".")
        node = self._nodes[owner]
        if group == "boot_ns":
            return self._of_boot(owner, node.up)
        if group == "console_lines":
            return self._context.console(owner, node.last_line, "the last line") if node.lines else None
        if group == "reported":
            return Evidence("aggregator.json", note=f"nodes, {owner}") if node.report else None
        if group == MODEL:
            return Evidence(f"nodes/{owner}/report.json", note=f"metrics, {field}")
        if group == "console":
            return self._counters[field].evidence(self._context, owner)
        if group in self._journeys:
            return self._of_journey(owner, self._journeys[group])
        return self._on_link(self._context.network.device(owner).link, f"{node.rate.count} CSI frames of {owner}")

    def _of_boot(self, node: str, up: ConsoleLine | NodeChange | None) -> Evidence | None:
        if isinstance(up, ConsoleLine):
            return self._context.console(node, up.line, "boot marker")
        return Evidence("events.jsonl", note=f"node.ready of {node}") if up else None

    def _of_journey(self, node: str, journeys: Journeys) -> Evidence | None:
        journey, link = journeys.by_node[node], journeys.target.device.link
        if journey.slowest is not None:
            return self._context.capture(link, journey.slowest.arrived.number, f"the slowest CSI frame of {node}")
        if journey.latest is None:
            return self._on_link(link, f"no CSI frame of {node} up to here")
        own = self._context.network.device(node).link
        return self._context.capture(own, journey.latest.number, f"the last of {journey.sent}, none arrived")

    def _on_link(self, link: str, note: str) -> Evidence | None:
        meter = self._links.get(link)
        return self._context.capture(link, meter.last, note) if meter is not None and meter.last else None

    def _frame(self, frame: Frame) -> None:
        link = self._links.get(frame.link)
        if link is not None:
            link.add(frame)
        for journeys in self._journeys.values():
            journeys.observe(frame)
        sequence = self._own.sequence(frame)
        if sequence is not None:
            node = self._nodes[frame.sender]
            if node.unique.is_new(sequence):
                node.rate.add(frame.t_ns)

    def _node(self, meter: _NodeMeter, fact: ConsoleLine | NodeChange) -> None:
        if isinstance(fact, ConsoleLine):
            meter.lines += 1
            meter.last_line = max(meter.last_line, fact.line)
            if meter.up is None and is_boot_marker(fact.text):
                meter.up = fact
        elif fact.state is NodeState.STARTED and meter.started_ns is None:
            meter.started_ns = fact.t_ns
        elif fact.state is NodeState.READY:
            meter.up = meter.up or fact
        elif fact.state is NodeState.STOPPED:
            meter.stopped_ns = fact.t_ns

    def _report(self, report: NodeReport) -> None:
        if report.node in self._nodes:
            self._nodes[report.node].model = _numbers(report.data.get("metrics"))
            return
        for number, counts in report.data.get("nodes", {}).items():
            if number in self._ids:
                self._nodes[self._ids[number]].report = counts


def _numbers(metrics: Any) -> dict[str, Number]:
    """What a model counted, as far as these are numbers: whatever it has made of its metrics."""
    if not isinstance(metrics, Mapping):
        return {}
    return {
        str(name): value
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    }


def _journey_values(journey: Journey) -> dict[str, Number | None]:
    latency = journey.latency
    return {
        "received": journey.received,
        "lost": journey.lost if journey.sent else None,
        "loss": _share(journey.lost, journey.sent),
        **{f"latency_ns.{name}": latency.at(percent) for name, percent in PERCENTILES.items()},
        "latency_ns.max": latency.max if latency.count else None,
        "latency_ns.mean": latency.mean,
    }


def may_be_counted(context: CheckContext, pattern: str) -> bool:
    """Does the pattern mean something that a model in Python may count, once it runs?"""
    kind, _, rest = pattern.partition(".")
    node, _, name = rest.partition(".")
    ours = [device.name for device in context.network.devices if device.port is PortKind.PYTHON]
    return kind == "nodes" and name.startswith(f"{MODEL}.") and any(fnmatchcase(each, node) for each in ours)


def vocabulary(context: CheckContext) -> tuple[str, ...]:
    """The names of all metrics that a run of this scenario has."""
    return tuple(Meter(context).values(0))


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """The names that a pattern means: `*` stands for any characters between two dots."""
    wanted = pattern.split(".")
    return [name for name in names if _fits(name.split("."), wanted)]


def _fits(parts: list[str], wanted: list[str]) -> bool:
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None
