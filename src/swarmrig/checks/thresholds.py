"""Bounds for what a run measures: any metric, the latency of frames, a number that firmware prints."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, WithJsonSchema, field_validator, model_validator

from swarmrig.api import CheckContext
from swarmrig.checks.counters import Counter as Readings
from swarmrig.checks.counters import Reading, Use
from swarmrig.checks.journeys import HUB, Journey, Journeys, senders, targets
from swarmrig.checks.metrics import PERCENTILES, Meter, is_duration, is_share, matching, may_be_counted, vocabulary
from swarmrig.checks.params import DurationNs, Params, describe_bounds, within_bounds
from swarmrig.checks.sightings import find_node
from swarmrig.checks.tally import Tally, listed
from swarmrig.model.facts import Fact, Frame
from swarmrig.model.units import format_duration, parse_duration_ns, parse_ratio
from swarmrig.model.verdict import Judgement, Outcome

_NEEDED = {"p50": 2, "p95": 20, "p99": 100}
"""Of fewer frames the percentile says no more than the slowest of them."""

Quantity = Annotated[
    int | float | None, WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "null"}]})
]


def read_quantity(name: str, value: Any) -> Any:
    """A bound in the unit of the metric: `20ms` in ns, `1%` as a share; anything else is left to pydantic."""
    if value is None or isinstance(value, bool):
        return value
    if is_duration(name) and isinstance(value, str | int | float):
        return parse_duration_ns(value)
    return parse_ratio(value) if is_share(name) and isinstance(value, str | int | float) else value


def show_quantity(name: str, value: float) -> str:
    """A value with its unit, for messages."""
    if is_duration(name):
        return show_duration(round(value))
    return f"{value * 100:.4g}%" if is_share(name) else f"{value:.10g}"


def show_duration(ns: int) -> str:
    """`20ms` when that is exact and short, else milliseconds to the microsecond: `6.652 ms`."""
    exact = format_duration(ns)
    return exact if len(exact) <= len("999ms") else f"{ns / 1e6:.3f} ms"


class MetricParams(Params):
    """A metric by its name in results.json, and its bounds; `*` stands for any characters between two dots."""

    name: str = Field(min_length=1)
    """As in results.json, under `metrics`; `*` stands for any characters between two dots."""
    min: Quantity = None
    """At least, in the unit of the metric: `10ms`, `2%`, `20`."""
    max: Quantity = None
    """At most."""

    @model_validator(mode="before")
    @classmethod
    def _with_units(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not isinstance(values.get("name"), str):
            return values
        return {
            key: read_quantity(values["name"], value) if key in ("min", "max") else value
            for key, value in values.items()
        }

    @model_validator(mode="after")
    def _bounded(self) -> MetricParams:
        _check_bounds(self.min, self.max)
        return self


class Metric:
    """Numbers that the run measures (`links.L.loss`, `nodes.N.hub.latency_ns.p95`, …) are within bounds."""

    params_model: ClassVar[type[Params]] = MetricParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "metric: {name: links.*.loss, max: 2%}"

    def __init__(self, context: CheckContext, *, name: str, min: float | None = None, max: float | None = None) -> None:
        self._meter = Meter(context)
        self._pattern = name
        self._bounds = {"min": min, "max": max}

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be judged; ValueError when the run has no such metric."""
        names = known_metrics(params["name"], context)
        return f"{listed(names)}: {_describe(params['name'], {'min': params['min'], 'max': params['max']})}"

    def observe(self, fact: Fact) -> None:
        self._meter.observe(fact)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        if not final:
            return None
        tally = Tally(self.severity)
        values = self._meter.values(now_ns)
        names = matching(values, self._pattern)
        if not names:
            tally.gap(f"the run has no metric {self._pattern}")
        for name in names:
            evidence, value = self._meter.evidence(name), values[name]
            if value is None or evidence is None:
                tally.gap(f"nothing was seen that {name} could be measured by", evidence)
            elif within_bounds(value, self._bounds):
                tally.support(evidence)
            else:
                expected = _describe(name, self._bounds)
                tally.fail(f"{name} is {show_quantity(name, value)}, expected {expected}", evidence)
        shown = listed(f"{name} = {show_quantity(name, values[name] or 0)}" for name in names)
        return tally.judgement(
            f"{shown} ({_describe(self._pattern, self._bounds)})", {name: values[name] for name in names}
        )


class LatencyParams(Params):
    """Upper bounds for how long CSI frames take from their sender's port to the target's; at least one."""

    bare: ClassVar[str | None] = "p99"
    node: str | int | None = None
    """Id or number of the sender; without `node` and `nodes` every sensor is judged."""
    nodes: tuple[str | int, ...] | None = Field(default=None, min_length=1)
    """Several senders, by id or number."""
    to: Literal["hub", "aggregator"] = "hub"
    """Where frames should arrive."""
    p50: DurationNs | None = None
    """Half of the frames take at most so long."""
    p95: DurationNs | None = None
    """95 % of the frames take at most so long; of fewer than 20 it is not told."""
    p99: DurationNs | None = None
    """99 % of the frames take at most so long; of fewer than 100 it is not told."""
    max: DurationNs | None = None
    """No frame takes longer."""

    @model_validator(mode="after")
    def _something(self) -> LatencyParams:
        if all(bound is None for bound in (self.p50, self.p95, self.p99, self.max)):
            raise ValueError("latency: needs an upper bound: p50, p95, p99 or max")
        if self.node is not None and self.nodes is not None:
            raise ValueError("give either node or nodes")
        return self


class Latency:
    """Every sensor's frames arrive at the hub (or the aggregator) in time, by percentile.

    A lost frame has no latency; bound `lost` or `loss` with `metric`.
    """

    params_model: ClassVar[type[Params]] = LatencyParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "latency: {p95: 10ms, p99: 25ms}"

    def __init__(
        self,
        context: CheckContext,
        *,
        node: str | int | None = None,
        nodes: tuple[str | int, ...] | None = None,
        to: str = HUB,
        **bounds: int | None,
    ) -> None:
        self._context = context
        self._to = to
        self._bounds = {name: bound for name, bound in bounds.items() if bound is not None}
        target = targets(context).get(to)
        self._journeys = Journeys(context, target) if target is not None else None
        self._nodes = chosen_senders(context, to, node, nodes)

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be judged; ValueError when this run has no such target or sender."""
        if params["to"] not in targets(context):
            raise ValueError(f"the network of this run has no {params['to']} at which frames arrive")
        nodes = chosen_senders(context, params["to"], params["node"], params["nodes"])
        if not nodes:
            raise ValueError(f"nobody sends frames to the {params['to']}")
        return f"latency of {listed(nodes)} to the {params['to']}"

    def observe(self, fact: Fact) -> None:
        if self._journeys is not None and isinstance(fact, Frame):
            self._journeys.observe(fact)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        if not final:
            return None
        tally = Tally(self.severity)
        measured: dict[str, Any] = {}
        if self._journeys is None or not self._nodes:
            tally.gap(f"the run has no {self._to}, or nobody who sends to it")
        else:
            measured = {node: self._judge_sender(node, self._journeys, tally) for node in self._nodes}
        wanted = ", ".join(f"{name} ≤ {format_duration(bound)}" for name, bound in self._bounds.items())
        return tally.judgement(f"{listed(self._nodes)} to the {self._to}: {wanted}", measured)

    def _judge_sender(self, node: str, journeys: Journeys, tally: Tally) -> dict[str, int | None]:
        journey = journeys.by_node[node]
        measured = {name: _latency(journey, name) for name in (*PERCENTILES, "max")}
        link, slowest = journeys.target.device.link, journey.slowest
        if slowest is None:
            sent = f"{journey.sent} frames of {node} were sent, none arrived" if journey.sent else f"{node} sent none"
            tally.gap(f"{sent}: no latency")
            return measured | {"frames": 0, "lost": journey.lost}
        pointer = self._context.capture(link, slowest.arrived.number, f"{node}: {show_duration(slowest.latency_ns)}")
        for name, bound in self._bounds.items():
            value = measured[name] or 0
            if value > bound:
                tally.fail(f"{node}: {name} is {show_duration(value)}, more than {format_duration(bound)}", pointer)
            elif journey.received < _NEEDED.get(name, 1):
                tally.gap(f"{node}: {name} of {journey.received} frames, fewer than {_NEEDED[name]}", pointer)
        tally.support(pointer)
        return measured | {"frames": journey.received, "lost": journey.lost}


def _latency(journey: Journey, name: str) -> int | None:
    if name in PERCENTILES:
        return journey.latency.at(PERCENTILES[name])
    return journey.latency.max if journey.latency.count else None


class CounterParams(Params):
    """A number on consoles: the first group of `console`, and its bounds."""

    console: str = Field(min_length=1)
    """A Python regular expression, searched in every line; its first group is the number: `free=(\\d+)`."""
    node: str | int | None = None
    """Id or number of the node; without `node` and `nodes` every node is judged."""
    nodes: tuple[str | int, ...] | None = Field(default=None, min_length=1)
    """Several nodes, by id or number."""
    use: Use = Use.LAST
    """Which of the numbers that a node printed counts: last, first, min, max, their sum, or their count."""
    min: float | None = None
    """The number is at least this."""
    max: float | None = None
    """The number is at most this."""
    name: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Makes it a metric of the run, `nodes.N.console.NAME`, which later runs can be compared with."""

    @field_validator("console")
    @classmethod
    def _has_a_group(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"not a regular expression: {error}") from error
        if not groups:
            raise ValueError("console: needs a group around the number, for example free=(\\d+)")
        return value

    @model_validator(mode="after")
    def _bounded(self) -> CounterParams:
        _check_bounds(self.min, self.max)
        if self.node is not None and self.nodes is not None:
            raise ValueError("give either node or nodes")
        return self


class Counter:
    """A number that nodes print on their consoles is within bounds."""

    params_model: ClassVar[type[Params]] = CounterParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "counter: {console: 'free=(\\d+)', use: min, min: 30000}"

    def __init__(
        self, context: CheckContext, *, min: float | None = None, max: float | None = None, **params: Any
    ) -> None:
        self._context = context
        self._params = params
        self._bounds = {"min": min, "max": max}
        self._counter = Readings.of_params(context, params)

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be judged; ValueError when two counters have one name."""
        name = params["name"]
        same = [check for check in context.scenario.checks if check.name == "counter" and check.params["name"] == name]
        if name is not None and len(same) > 1:
            raise ValueError(f"{len(same)} counters are called {name!r}")
        return f"{params['console']} is {describe_bounds(params)}"

    def observe(self, fact: Fact) -> None:
        self._counter.observe(fact)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        if not final:
            return None
        tally = Tally(self.severity)
        if not self._counter.readings:
            tally.gap("the scenario has no such node")
        for node, reading in self._counter.readings.items():
            self._judge_node(node, reading, tally)
        values = {node: reading.value(self._counter.use) for node, reading in self._counter.readings.items()}
        shown = listed(f"{node} {value:.10g}" for node, value in values.items() if value is not None)
        return tally.judgement(f"{shown} ({describe_bounds(self._bounds)})", {"values": values})

    def _judge_node(self, node: str, reading: Reading, tally: Tally) -> None:
        evidence = self._counter.evidence(self._context, node)
        value = reading.value(self._counter.use)
        if value is None:
            what = "printed no such number" if reading.lines else "printed nothing"
            odd = f": {reading.unreadable.text.strip()[:80]!r} has none" if reading.unreadable else ""
            tally.gap(f"{node} {what}{odd}", evidence)
        elif reading.unheard:
            tally.gap(f"{node} said too much: its console was not searched to the end", evidence)
        elif within_bounds(value, self._bounds):
            tally.support(evidence)
        else:
            tally.fail(f"{node}: {value:.10g}, expected {describe_bounds(self._bounds)}", evidence)


def known_metrics(pattern: str, context: CheckContext) -> list[str]:
    """The metrics of the run that a pattern means; ValueError when there are none, or of several units."""
    names = vocabulary(context)
    found = matching(names, pattern)
    if not found and may_be_counted(context, pattern):
        return [pattern]
    if not found:
        raise ValueError(f"the run has no metric {pattern!r}: {_near(pattern, names)}")
    for has_unit in (is_duration, is_share):
        if any(has_unit(name) is not has_unit(pattern) for name in found):
            raise ValueError(f"{pattern!r} means metrics of several units, such as {listed(found[:3])}")
    return found


def _near(pattern: str, names: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(pattern, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else "results.json of a run has all names under `metrics`"


def chosen_senders(
    context: CheckContext, to: str, node: str | int | None, nodes: tuple[str | int, ...] | None
) -> list[str]:
    """The named nodes, else all sensors, as far as they send to that target."""
    target = targets(context).get(to)
    if target is None:
        return []
    able = {spec.id for spec in senders(context, target)}
    names = (node,) if node is not None else nodes
    specs = context.scenario.sensors if names is None else [find_node(context, name) for name in names]
    return [spec.id for spec in specs if spec is not None and spec.id in able]


def _describe(name: str, bounds: dict[str, float | None]) -> str:
    low, high = bounds["min"], bounds["max"]
    if low is not None and high is not None:
        return f"{show_quantity(name, low)} to {show_quantity(name, high)}"
    return f"at least {show_quantity(name, low)}" if low is not None else f"at most {show_quantity(name, high or 0)}"


def _check_bounds(low: float | None, high: float | None) -> None:
    if low is None and high is None:
        raise ValueError("needs min, max or both")
    if low is not None and high is not None and low > high:
        raise ValueError(f"min ({low:g}) is greater than max ({high:g})")
