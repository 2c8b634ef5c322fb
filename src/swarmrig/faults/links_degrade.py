"""Worse links: any impairment for a while, measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from swarmrig.api import FaultContext, Proof, ProofStatus
from swarmrig.api.params import DurationNs, Params, Share
from swarmrig.faults.links_meters import ChanceMeter, Change, Decision, Meter, Phase, TransitMeter
from swarmrig.faults.links_place import DirectedParams, LinkPlace, how_long, place_of
from swarmrig.faults.observation import ObservedFault, evidence_data
from swarmrig.model.facts import Fact, FaultStage, Frame
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.model.units import format_duration, format_rate, parse_rate_bps, parse_size_bytes
from swarmrig.net.impairment import changed
from swarmrig.timebase.distance import least_latency_ns

RateBps = Annotated[
    int,
    BeforeValidator(parse_rate_bps),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}], "examples": ["250kbit", "1Mbit"]}),
]
SizeBytes = Annotated[
    int,
    BeforeValidator(parse_size_bytes),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string"}], "examples": ["64KiB"]}),
]
_CHANCES = ("loss", "burst", "duplicate", "reorder", "corrupt")
_TIMING = ("latency_ns", "jitter_ns", "rate_bps", "queue_bytes")


class BurstParams(Params):
    """Losses in bursts, by Gilbert and Elliott: chances per frame."""

    to_bad: Share
    """That a burst begins."""
    to_good: Share
    """That it ends."""
    good_loss: Share = 0.0
    """That a frame is lost outside of bursts."""
    bad_loss: Share = 1.0
    """That a frame is lost in a burst."""


class DegradeParams(DirectedParams):
    """The link, and what is different while the fault lasts."""

    latency: DurationNs | None = None
    """How long every frame takes."""
    jitter: DurationNs | None = None
    """Added delay, uniform between 0 and this."""
    loss: Share | None = None
    """The share of frames that are lost."""
    burst: BurstParams | None = None
    """Frames that are lost in bursts."""
    duplicate: Share | None = None
    """The share of frames that arrive twice."""
    reorder: Share | None = None
    """The share of frames that overtake those before them."""
    corrupt: Share | None = None
    """The share of frames of which a bit is flipped."""
    rate: RateBps | None = None
    """How many bits a second pass."""
    queue: SizeBytes | None = None
    """Bytes that may wait for the rate."""

    @model_validator(mode="after")
    def _something(self) -> DegradeParams:
        if not impairment_changes(self.model_dump()):
            names = ", ".join(name for name in type(self).model_fields if name not in DirectedParams.model_fields)
            raise ValueError(f"expected what gets worse: {names}")
        return self


def value_claim(name: str, link: str, sender: str) -> str:
    """What a fault has for itself while it changes a value of one direction."""
    return f"change the {name} of the link {link} from {sender}"


def impairment_changes(params: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as fields of Impairment."""
    renamed = {"latency": "latency_ns", "jitter": "jitter_ns", "rate": "rate_bps", "queue": "queue_bytes"}
    own = DirectedParams.model_fields
    return {renamed.get(name, name): value for name, value in params.items() if name not in own and value is not None}


class Degrade(ObservedFault):
    """The link gets worse in any way that links can: slower, lossier, narrower.

    Each change is proved by itself. Where a link ends at a device, nothing shows when frames arrive there: latency,
    jitter and rate are measured in the direction towards a switch or router.
    """

    looks_back: ClassVar[bool] = True
    params_model: ClassVar[type[Params]] = DegradeParams
    changes_links: ClassVar[bool] = True
    evidence: ClassVar[str] = (
        "Loss, bursts, duplicates, reordering and damage: the fates of frames in the capture tell the new share from "
        "the former one at 100 to 1. Latency, jitter and rate: a frame took, from this link's capture to the next "
        "one's, a time that only the new values allow, or found the queue full. After healing, the other way round."
    )
    example: ClassVar[str] = "{at: 10s, degrade: {between: [a, lan], latency: 80ms, loss: 20%, for: 10s}}"

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        super().__init__(spec, context)
        self._place = place_of(spec.params, context.scenario, context.network)
        self._changes = self.changes(spec)
        self._transit, self._meters = _meters(self._place, self._changes, context.network)
        self._changing_since_ns: int | None = None
        self._waiting: list[Frame] = []

    @classmethod
    def changes(cls, spec: FaultSpec) -> dict[str, Any]:
        """The fields of Impairment that change."""
        return impairment_changes(spec.params)

    @classmethod
    def target(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        return place_of(spec.params, scenario, network).link

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        place, changes = place_of(spec.params, scenario, network), cls.changes(spec)
        for sender in place.senders:
            new = changed(place.impairment(sender), changes)
            if "queue_bytes" in changes and new.rate_bps is None:
                raise ValueError(f"frames queue for a rate, and {place.link} has none")
            if scenario.time.has_guests and not place.plan.access and not least_latency_ns(new):
                raise ValueError(f"in {scenario.time} time every frame on {place.link} must take a time")
        _, meters = _meters(place, changes, network)
        if not meters:
            raise ValueError(f"{place} is like that already")
        if spec.required and (unseen := next((each for each in meters if not _visible(each)), None)):
            raise ValueError(f"it could not be proved: {unseen.missing()}; degrade the other direction as well, or say "
                             "`required: false`")  # fmt: skip
        return f"degrade {place}: {_described(changes)}, {how_long(spec)}"

    @classmethod
    def claims(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> frozenset[str]:
        """Each value, and how long frames take, by direction: else nobody could tell whose doing it is."""
        place = place_of(spec.params, scenario, network)
        names = {"time" if name in _TIMING else name for name in cls.changes(spec)}
        return frozenset(value_claim(name, place.link, sender) for name in names for sender in place.senders)

    async def inject(self) -> None:
        t_ns = await self._set(self._changes)
        self._transit.begin(Phase.DURING, t_ns)
        self.injected(t_ns, link=self.what)

    async def heal(self) -> None:
        t_ns = await self._set({})
        self._transit.begin(Phase.AFTER, t_ns)
        self.healed(t_ns, link=self.what)

    def observe(self, fact: Fact) -> None:
        if not isinstance(fact, Frame):
            return
        since_ns = self._changing_since_ns
        if since_ns is not None and fact.t_ns >= since_ns:  # not known yet whether it was before or after
            self._waiting.append(fact)
        else:
            self._measure(fact)

    def proved(self) -> Proof:
        refuted = next((each for each in self._meters if each.began.refuted is not None), None)
        if refuted is not None:
            return Proof(ProofStatus.FAILED, f"{refuted.told(refuted.began)}: not what it was to do")
        unseen = next((each for each in self._meters if each.began.shown is None), None)
        if unseen is not None:
            return Proof(ProofStatus.INDETERMINATE, unseen.missing())
        seen = _told(self._meters, [each.began for each in self._meters])
        if self.healed_ns is None and self.spec.for_ns is None:
            return Proof(ProofStatus.PROVED, seen)
        unseen = next((each for each in self._meters if each.ended.shown is None), None)
        if unseen is not None:
            why = unseen.missing() if unseen.ended.refuted is None else unseen.told(unseen.ended)
            return Proof(ProofStatus.INDETERMINATE, f"{seen}; after healing: {why}")
        return Proof(
            ProofStatus.PROVED, f"{seen}; after healing: {_told(self._meters, [each.ended for each in self._meters])}"
        )

    async def _set(self, changes: Mapping[str, Any]) -> int:
        self._changing_since_ns = self.context.now_ns()
        try:
            return await self.context.links.set_link(
                self.what, changes, direction=self._place.direction, layer=self.spec.id
            )
        finally:
            self._changing_since_ns = None

    def _settle(self) -> None:
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            self._measure(frame)

    def _measure(self, frame: Frame) -> None:
        phase = self._phase(frame.t_ns)
        for meter in self._meters:
            meter.observe(frame, phase)
        self._tell_once(FaultStage.OBSERVED, [meter.began for meter in self._meters], self._effect)
        self._tell_once(FaultStage.HEAL_OBSERVED, [meter.ended for meter in self._meters], self._end)

    def _tell_once(self, stage: FaultStage, decisions: list[Decision], told: Any) -> None:
        frames = [each.shown for each in decisions if each.shown is not None]
        if told.found is None and len(frames) == len(decisions):
            told.found = max(frames, key=lambda frame: frame.t_ns)
            self.context.emit(stage, evidence_data(told.found))

    def _phase(self, t_ns: int) -> Phase:
        if self.injected_ns is None or t_ns <= self.injected_ns:
            return Phase.BEFORE
        return Phase.DURING if self.healed_ns is None or t_ns < self.healed_ns else Phase.AFTER


class ShareParams(DirectedParams):
    """The link, and the share of its frames."""

    share: Share
    """How many of the frames."""

    @model_validator(mode="after")
    def _some(self) -> ShareParams:
        if not self.share:
            raise ValueError("a share of 0 does nothing")
        return self


class _OneField(Degrade):
    """A degradation of one kind, by its name."""

    params_model: ClassVar[type[Params]] = ShareParams
    field: ClassVar[str]

    @classmethod
    def changes(cls, spec: FaultSpec) -> dict[str, Any]:
        return {cls.field: spec.params["share"]}


class Duplicate(_OneField):
    """A share of the frames on a link arrives twice."""

    field = "duplicate"
    evidence: ClassVar[str] = (
        "The fates of frames in the capture tell the new share of duplicated ones from the former one at 100 to 1; "
        "after healing, the other way round."
    )
    example: ClassVar[str] = "{at: 10s, duplicate: {between: [a, lan], share: 50%, for: 10s}}"


class Reorder(_OneField):
    """A share of the frames on a link takes half the time, and so overtakes those before them."""

    field = "reorder"
    evidence: ClassVar[str] = (
        "The fates of frames in the capture tell the new share of overtaking ones from the former one at 100 to 1; "
        "after healing, the other way round."
    )
    example: ClassVar[str] = "{at: 10s, reorder: {between: [a, lan], share: 50%, for: 10s}}"


class Corrupt(_OneField):
    """Of a share of the frames on a link, one bit is flipped."""

    field = "corrupt"
    evidence: ClassVar[str] = (
        "The fates of frames in the capture tell the new share of damaged ones from the former one at 100 to 1; "
        "after healing, the other way round."
    )
    example: ClassVar[str] = "{at: 10s, corrupt: {between: [a, lan], share: 50%, for: 10s}}"


def _meters(
    place: LinkPlace, changes: Mapping[str, Any], network: NetworkPlan
) -> tuple[TransitMeter, tuple[Meter, ...]]:
    """What measures the changes; ValueError names a value that no link can have."""
    both = {sender: (old := place.impairment(sender), changed(old, changes)) for sender in place.senders}

    def differing(*names: str) -> dict[str, Change]:
        return {
            sender: Change(old, new)
            for sender, (old, new) in both.items()
            if any(getattr(old, name) != getattr(new, name) for name in names)
        }

    transit = TransitMeter(place, differing(*_TIMING), network)
    chances = [ChanceMeter(name, place, found) for name in _CHANCES if (found := differing(name))]
    return transit, (*chances, transit) if differing(*_TIMING) else tuple(chances)


def _visible(meter: Meter) -> bool:
    return not isinstance(meter, TransitMeter) or meter.visible


def _told(meters: tuple[Meter, ...], decisions: list[Decision]) -> str:
    return ", ".join(meter.told(decision) for meter, decision in zip(meters, decisions, strict=True))


def _spelled(field: str) -> str:
    """As the file says it."""
    return field.removesuffix("_ns").removesuffix("_bps").removesuffix("_bytes")


def _described(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{_spelled(name)} {_written(name, value)}" for name, value in changes.items())


def _written(field: str, value: Any) -> str:
    if field in ("latency_ns", "jitter_ns"):
        return format_duration(value)
    if field == "burst":
        return f"with {value['to_bad']:g} to bad and {value['to_good']:g} to good"
    if field == "queue_bytes":
        return f"{value} bytes"
    return format_rate(value) if field == "rate_bps" else f"{100 * value:g}%"
