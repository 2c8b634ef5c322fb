"""Frames on the wire that must, or must not, be there: chosen by a filter, counted or measured as a rate."""

from __future__ import annotations

from bisect import insort
from typing import Any, ClassVar

from pydantic import Field, field_validator

from swarmrig.api import CheckContext
from swarmrig.checks.params import Params, Range, describe_bounds, within_bounds
from swarmrig.checks.sightings import RateMeter, decoded, find_node
from swarmrig.checks.tally import Tally
from swarmrig.checks.traffic import MIN_SPAN_NS
from swarmrig.model.facts import Fact, Frame
from swarmrig.model.network import Fate
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import Evidence, Judgement, Outcome
from swarmrig.wire.filter import compile_filter

_KEPT = 3


class FramesParams(Params):
    """Which frames (`filter`, and where), and how many; without `count` and `rate`: at least one."""

    filter: str = Field(min_length=1)
    """An expression over fields of the frame, such as `csi.node == 1 and udp.dport == 5005`."""
    link: str | None = None
    """Only frames that enter this link, in either direction. Without `link`, each frame counts once, where its
    originator sends it."""
    node: str | int | None = None
    """Only frames that this node sends."""
    count: Range | None = None
    """How many: a number for exactly that, or {min, max}."""
    rate: Range | None = None
    """Frames a second, from the first match to the last."""
    delivered: bool | None = None
    """Only frames that were delivered (true), or only those that were dropped (false)."""

    @field_validator("filter")
    @classmethod
    def _compiles(cls, value: str) -> str:
        compile_filter(value)
        return value


class Frames:
    """As many frames as expected match a filter, or match it at the expected rate."""

    params_model: ClassVar[type[Params]] = FramesParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "frames: {filter: csi.node == 1, link: lan--b, rate: {min: 15}}"

    def __init__(
        self,
        context: CheckContext,
        *,
        filter: str,
        link: str | None = None,
        node: str | int | None = None,
        count: dict[str, float | None] | None = None,
        rate: dict[str, float | None] | None = None,
        delivered: bool | None = None,
    ) -> None:
        self._context = context
        self._filter = compile_filter(filter)
        self._link = link
        self._delivered = delivered
        spec = None if node is None else find_node(context, node)
        self._missing = _missing(context, link, node if spec is None else None)
        self._senders = {spec.id} if spec is not None else {device.name for device in context.network.devices}
        self._anybody = link is not None and spec is None
        self._count = count if count is not None or rate is not None else {"min": 1.0, "max": None}
        self._rate = rate
        self._meter = RateMeter()
        self._first: list[Frame] = []
        self._latest: Frame | None = None
        self._searched = 0

    @staticmethod
    def resolve(params: dict[str, Any], context: CheckContext) -> str:
        """What will be judged, for the plan; ValueError when the link or the node does not exist."""
        check = Frames(context, **params)
        if check._missing:
            raise ValueError(check._missing)
        return f"{check._wanted()}: {check._filter.text}"

    def observe(self, fact: Fact) -> None:
        if not isinstance(fact, Frame) or (self._link is not None and fact.link != self._link):
            return
        if not self._anybody and fact.sender not in self._senders:
            return
        self._searched += 1
        if self._delivered is None and fact.fate is Fate.OVERRUN:
            return  # the second record of a frame that was counted when it was sent
        if self._delivered is not None and fact.delivered is not self._delivered:
            return
        if self._filter.matches(decoded(fact.data)):
            self._meter.add(fact.t_ns)
            self._keep(fact)

    def _keep(self, frame: Frame) -> None:
        """The first few and the last one, by time: links are not read in step."""
        if self._latest is None or _when(frame) > _when(self._latest):
            self._latest = frame
        if len(self._first) < _KEPT or _when(frame) < _when(self._first[-1]):
            insort(self._first, frame, key=_when)
            del self._first[_KEPT:]

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        if not final and not self._decided():
            return None
        tally = Tally(self.severity)
        seen = [*self._first, *([self._latest] if self._latest and self._latest not in self._first else [])]
        pointers: list[Evidence | None] = [self._context.capture(frame.link, frame.number) for frame in seen]
        pointers = pointers or [self._searched_evidence()]
        if self._missing:
            tally.gap(self._missing)
        elif not self._searched:
            tally.gap("no frame was captured there at all")
        else:
            tally.support(*pointers)
            self._judge_count(tally, pointers)
            self._judge_rate(tally, pointers)
        measured = {"count": self._meter.count, "hz": round(self._meter.rate(), 3), "searched": self._searched}
        return tally.judgement(f"{self._meter.count} frames match, as expected ({self._wanted()})", measured)

    def _judge_count(self, tally: Tally, pointers: list[Evidence | None]) -> None:
        if self._count is not None and not within_bounds(self._meter.count, self._count):
            tally.fail(f"{self._meter.count} frames match, expected {describe_bounds(self._count)}", *pointers)

    def _judge_rate(self, tally: Tally, pointers: list[Evidence | None]) -> None:
        if self._rate is None:
            return
        if self._meter.span_ns() < MIN_SPAN_NS and self._rate["min"]:
            tally.gap(f"matching frames span less than {MIN_SPAN_NS // NS_PER_S} s: no rate", *pointers)
        elif not within_bounds(self._meter.rate(), self._rate):
            expected = describe_bounds(self._rate)
            tally.fail(f"matching frames come at {self._meter.rate():.2f} Hz, expected {expected} Hz", *pointers)

    def _decided(self) -> bool:
        if self._missing or self._rate is not None or self._count is None or self._count["max"] is not None:
            return False
        least = self._count["min"] or 0
        return least > 0 and self._meter.count >= least

    def _wanted(self) -> str:
        parts = [describe_bounds(self._count)] if self._count is not None else []
        return " and ".join(parts + ([f"{describe_bounds(self._rate)} Hz"] if self._rate is not None else []))

    def _searched_evidence(self) -> Evidence:
        where = f"net/{self._link}.pcapng" if self._link else "net"
        return Evidence(where, note=f"searched {self._searched} frames")


def _when(frame: Frame) -> tuple[int, str, int]:
    return frame.t_ns, frame.link, frame.number


def _missing(context: CheckContext, link: str | None, node: str | int | None) -> str | None:
    """What the parameters name and the run does not have."""
    if link is not None and all(plan.name != link for plan in context.network.links):
        return f"no link is called {link!r}: there are {', '.join(plan.name for plan in context.network.links)}"
    return None if node is None else f"the scenario has no node {node!r}"
