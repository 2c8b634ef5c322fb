"""Has a metric become worse than in a former run?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, StrictFloat, StrictInt, field_validator

from swarmrig.api import CheckContext
from swarmrig.checks.former_run import FormerRun
from swarmrig.checks.metrics import Better, Meter, Number, better, matching
from swarmrig.checks.params import Params
from swarmrig.checks.tally import Tally, listed
from swarmrig.checks.thresholds import known_metrics, read_quantity, show_quantity
from swarmrig.model.facts import Fact
from swarmrig.model.verdict import Judgement, Outcome

Tolerated = str | int | float
DEFAULT_METRICS: Mapping[str, Tolerated] = {
    "nodes.*.*.latency_ns.p95": "10%",
    "nodes.*.*.loss": 0.01,
    "nodes.*.rate_hz": "10%",
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse is not yet worse: a share of the former value, or an amount."""

    share: float = 0.0
    amount: float = 0.0

    @classmethod
    def read(cls, metric: str, value: Tolerated) -> Tolerance:
        """`10%` of the former value, or an amount in the unit of the metric; ValueError for anything else."""
        text = str(value).strip()
        try:
            found = cls(share=float(text[:-1]) / 100) if text.endswith("%") else cls(amount=_amount(metric, value))
        except (ValueError, TypeError):
            found = cls(-1)
        if not (0 <= found.share < float("inf") and 0 <= found.amount < float("inf")):
            raise ValueError(f"{metric}: expected a tolerance such as 10%, or an amount such as 2ms, got {value!r}")
        return found

    def of(self, former: Number) -> float:
        return self.amount or abs(former) * self.share


def _amount(metric: str, value: Tolerated) -> float:
    return float(read_quantity(metric, value))


class ComparedToParams(Params):
    """A former run of the same scenario, and by how much each metric may be worse than there."""

    bare: ClassVar[str | None] = "run"
    run: str | None = None
    """A run directory or its results.json, relative to the scenario file. `--baseline` names it too."""
    metrics: dict[str, str | StrictInt | StrictFloat] = Field(default=dict(DEFAULT_METRICS), min_length=1)
    """By metric (`*` for any characters between dots): the tolerance, as a share of the former value (`10%`) or as an
    amount (`2ms`, `5`)."""

    @field_validator("metrics")
    @classmethod
    def _tolerances(cls, value: dict[str, Tolerated]) -> dict[str, Tolerated]:
        for metric, tolerance in value.items():
            Tolerance.read(metric, tolerance)
        return value


class ComparedTo:
    """No metric is worse than in a former run, beyond its tolerance.

    Worse is higher for latency, loss and the like, lower for rates and what is received; a number that only describes
    is worse when it differs.
    """

    params_model: ClassVar[type[Params]] = ComparedToParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "compared_to: {run: runs/base, metrics: {nodes.*.hub.latency_ns.p95: 10%}}"

    def __init__(self, context: CheckContext, *, run: str | None = None, metrics: Mapping[str, Tolerated]) -> None:
        self._context = context
        self._meter = Meter(context)
        self._metrics = metrics
        self._former: FormerRun | None = None
        self._reason = ""
        try:
            self._former = _former_run(run, context)
        except ValueError as error:  # gone since the plan was made
            self._reason = str(error)

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be compared; ValueError when there is no such run, or it ran another scenario."""
        former = _former_run(params["run"], context)
        names = [name for pattern in params["metrics"] for name in known_metrics(pattern, context)]
        return f"{listed(names)} compared to the run {former.id}"

    def observe(self, fact: Fact) -> None:
        self._meter.observe(fact)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        if not final:
            return None
        tally = Tally(self.severity)
        if self._former is None:
            tally.gap(self._reason)
            return tally.judgement("")
        values = self._meter.values(now_ns)
        compared: dict[str, dict[str, Number | None]] = {}
        for pattern, tolerance in self._metrics.items():
            names = matching(values, pattern)
            both_missing = [name for name in names if values[name] is None and self._then(name) is None]
            if len(both_missing) == len(names):
                tally.gap(f"neither run measured {pattern}")
            for name in names:
                if name not in both_missing:
                    compared[name] = {"now": values[name], "then": self._then(name)}
                    self._compare(name, values[name], Tolerance.read(pattern, tolerance), tally)
        return tally.judgement(self._summary(compared), {"run": self._former.id, "metrics": compared})

    def _then(self, name: str) -> Number | None:
        assert self._former is not None
        return self._former.metrics.get(name, 0 if ".fates." in name else None)

    def _compare(self, name: str, now: Number | None, tolerance: Tolerance, tally: Tally) -> None:
        then, evidence = self._then(name), self._meter.evidence(name)
        if now is None or evidence is None:
            tally.gap(f"{name} was not measured, {show_quantity(name, then or 0)} in the former run", evidence)
        elif then is None:
            tally.gap(f"the former run did not measure {name}", evidence)
        elif worsening(now - then, better_way(name, self._context)) > tolerance.of(then):
            change = f"{show_quantity(name, now)}, was {show_quantity(name, then)}"
            tally.fail(f"{name} is worse: {change}{_percent(now, then)}", evidence)
        else:
            tally.support(evidence)

    def _summary(self, compared: Mapping[str, Mapping[str, Number | None]]) -> str:
        assert self._former is not None
        improved = [
            f"{name} {show_quantity(name, values['now'] or 0)} (was {show_quantity(name, values['then'] or 0)})"
            for name, values in compared.items()
            if worsening((values["now"] or 0) - (values["then"] or 0), better_way(name, self._context)) < 0
        ]
        gained = f"; better: {listed(improved)}" if improved else ""
        verdict = "" if self._former.verdict == Outcome.PASS else f", which itself was {self._former.verdict}"
        seed = "" if self._former.seed == self._context.scenario.seed else f" with seed {self._former.seed}"
        return f"{len(compared)} metrics no worse than in the run {self._former.id}{seed}{verdict}{gained}"


def worsening(change: Number, way: Better) -> Number:
    """By how much a change is one for the worse; negative for the better."""
    if way is Better.NEITHER:
        return abs(change)
    return change if way is Better.LOWER else -change


def better_way(name: str, context: CheckContext) -> Better:
    """Which way a metric gets better; a counter's bound tells it of what the firmware prints."""
    _, _, rest = name.split(".", 2)
    if not rest.startswith("console."):
        return better(name)
    for check in context.scenario.checks:
        if check.name == "counter" and check.params.get("name") == rest.removeprefix("console."):
            has_min, has_max = check.params.get("min") is not None, check.params.get("max") is not None
            if has_min is not has_max:
                return Better.LOWER if has_max else Better.HIGHER
    return Better.NEITHER


def _former_run(run: str | None, context: CheckContext) -> FormerRun:
    if run is None:
        raise ValueError("no former run to compare with: give `run`, or the option --baseline RUN")
    former = FormerRun.read(Path(run))
    former.refuse_another(context.scenario)
    return former


def _percent(now: Number, then: Number) -> str:
    return f" ({(now - then) / then * 100:+.1f}%)" if then else ""
