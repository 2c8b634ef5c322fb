"""Frames that no device sent: injected, replayed, or a flood of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from swarmrig.api import FaultContext, Proof, ProofStatus
from swarmrig.api.params import DurationNs, Params
from swarmrig.errors import SwarmrigError
from swarmrig.faults.frames_made import (
    EPHEMERAL_PORT,
    DatagramParams,
    Hop,
    make_datagram,
    parse_frame,
    read_capture,
)
from swarmrig.faults.links_place import LinkParams, LinkPlace, Name, node_id, place_of
from swarmrig.faults.observation import evidence_data
from swarmrig.model.facts import Fact, FaultStage, Frame
from swarmrig.model.network import Fate, NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario
from swarmrig.model.units import NS_PER_S, format_duration
from swarmrig.net.link import INJECTED
from swarmrig.net.topology import AGGREGATOR
from swarmrig.wire.filter import compile_filter

MOST_FRAMES = 100_000
TimedFrames = list[tuple[int, bytes]]


class Injection:
    """Base of faults that have frames enter a link. A subclass says which: times count from the injection."""

    needs: ClassVar[frozenset[str]] = frozenset()
    changes_links: ClassVar[bool] = True
    heals: ClassVar[bool] = False

    def __init__(self, spec: FaultSpec, context: FaultContext) -> None:
        self.spec = spec
        self.context = context
        self.hop = self.over(spec, context.scenario, context.network)
        self._expected: dict[bytes, int] = {}
        self._injected_ns: int | None = None
        self._last_ns = 0
        self._wanted = 0
        self._waiting: list[Frame] = []
        self._entered: list[Frame] = []
        """The first and the last; between them, counts will do."""
        self._entered_count = 0
        self._arrived_count = 0
        self._stopped: Counter[Fate] = Counter()

    @classmethod
    def over(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> Hop:
        """The link, and where the frames enter it."""
        raise NotImplementedError

    async def frames(self) -> TimedFrames:
        """What enters, in order of time; SwarmrigError when there is nothing."""
        raise NotImplementedError

    async def inject(self) -> None:
        frames = await self.frames()
        now_ns = self.context.now_ns()
        times = [now_ns + after_ns for after_ns, _ in frames]
        self._wanted = len(frames)
        for _, data in frames:
            self._expected[data] = self._expected.get(data, 0) + 1
        timed = [(t_ns, data) for t_ns, (_, data) in zip(times, frames, strict=True)]
        first_ns = await self.context.links.inject_frames(self.hop.link, self.hop.sender, timed)
        self._injected_ns = first_ns
        self._last_ns = max(times[-1], first_ns)
        self.context.emit(FaultStage.INJECTED, {"link": self.hop.link, "frames": len(frames), "t_ns": first_ns})
        waiting, self._waiting = self._waiting, []
        for frame in waiting:
            self._see(frame)

    async def heal(self) -> None:
        """There is nothing to heal: it is over when the last frame has entered."""

    def observe(self, fact: Fact) -> None:
        if not isinstance(fact, Frame) or (fact.link, fact.sender) != (self.hop.link, self.hop.sender):
            return
        if not fact.note.endswith(INJECTED):
            return
        if self._injected_ns is None:
            self._waiting.append(fact)
        else:
            self._see(fact)

    def proved(self) -> Proof:
        told = f"{self._entered_count} of {self._wanted} frames entered {self.hop.link} at {self.hop.sender}"
        if self._entered:
            told += f" (net/{self.hop.link}.pcapng#{self._entered[0].number} to #{self._entered[-1].number})"
        if self._entered_count < self._wanted or not self._wanted:
            return Proof(ProofStatus.INDETERMINATE, told)
        told += f", and {self._arrived_count} reached the other end"
        if self._stopped:
            told += f" ({', '.join(f'{fate}: {count}' for fate, count in sorted(self._stopped.items()))})"
        enough = self._arrived_count >= self.enough(self._wanted)
        return Proof(ProofStatus.PROVED if enough else ProofStatus.INDETERMINATE, told)

    def enough(self, wanted: int) -> int:  # noqa: ARG002
        """How many must reach the other end, past all that the link does to them."""
        return 1

    def _see(self, frame: Frame) -> None:
        assert self._injected_ns is not None
        if not self._injected_ns <= frame.t_ns <= self._last_ns + self._slack_ns or not self._take(frame.data):
            return
        self._entered_count += 1
        self._entered = [*self._entered[:1], frame]
        if frame.delivered:
            self._arrived_count += 1
        else:
            self._stopped[frame.fate] += 1
        if self._entered_count == self._wanted and self._arrived_count >= self.enough(self._wanted):
            self.context.emit(FaultStage.OBSERVED, evidence_data(frame))

    @property
    def _slack_ns(self) -> int:
        """In real time frames may be a little late."""
        return NS_PER_S

    def _take(self, data: bytes) -> bool:
        """Is it one of ours that has not been seen yet?"""
        left = self._expected.get(data, 0)
        if left:
            self._expected[data] = left - 1
        return left > 0


class InjectParams(LinkParams):
    """The link (frames enter at the node named first and travel to the other), the frame, how many of it and when."""

    hex: str | None = None
    """The frame in hex digits, without checksum (FCS)."""
    udp: DatagramParams | None = None
    """A datagram: src, dst, port, and text or hex."""
    file: str | None = None
    """A pcapng file that has the frame."""
    packet: int = Field(default=1, ge=1, strict=True)
    """Which of the file's frames, counted from 1."""
    count: int = Field(default=1, ge=1, le=MOST_FRAMES, strict=True)
    """How many times it is injected."""
    every: DurationNs = 10_000_000
    """From one to the next."""

    @field_validator("hex")
    @classmethod
    def _frame(cls, value: str | None) -> str | None:
        return None if value is None else parse_frame(value).hex()

    @model_validator(mode="after")
    def _one_frame(self) -> InjectParams:
        if [self.hex, self.udp, self.file].count(None) != 2:
            raise ValueError("expected the frame as one of hex, udp or file")
        return self


class Inject(Injection):
    """A frame enters a link as if the node named first had sent it, once or several times."""

    params_model: ClassVar[type[Params]] = InjectParams
    evidence: ClassVar[str] = (
        "The link's capture shows every frame as injected, with its bytes, at that end; at least one reached the other "
        "end. It is over with the last one."
    )
    example: ClassVar[str] = (
        "{at: 10s, inject: {between: [a, lan], udp: {src: a, dst: b, port: 5005, text: hello}, count: 3, every: 20ms}}"
    )

    @classmethod
    def over(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> Hop:
        return _hop(place_of(spec.params, scenario, network))

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        hop = cls.over(spec, scenario, network)
        frame = cls._frame(spec, hop, scenario, network)
        count = spec.params["count"]
        times = "" if count == 1 else f" {count} times, every {format_duration(spec.params['every'])},"
        return f"inject a frame of {len(frame)} bytes{times} into {hop.link} at {hop.sender}"

    async def frames(self) -> TimedFrames:
        frame = self._frame(self.spec, self.hop, self.context.scenario, self.context.network)
        return [(index * self.spec.params["every"], frame) for index in range(self.spec.params["count"])]

    @classmethod
    def _frame(cls, spec: FaultSpec, hop: Hop, scenario: Scenario, network: NetworkPlan) -> bytes:
        params = spec.params
        if params["hex"] is not None:
            return bytes.fromhex(str(params["hex"]))
        if params["udp"] is not None:
            return make_datagram(DatagramParams.model_construct(**params["udp"]), hop, scenario, network)
        frames, wanted = read_capture(Path(params["file"])), int(params["packet"])
        if wanted > len(frames):
            raise ValueError(f"{params['file']} has {len(frames)} frames, so there is no packet {wanted}")
        return frames[wanted - 1][1]


class ReplayParams(LinkParams):
    """The link (frames enter at the node named first), and which frames: of the last while, or of a file."""

    last: DurationNs | None = None
    """What entered there in so long a time before."""
    file: str | None = None
    """A pcapng file."""
    filter: str | None = None
    """Of these, the frames that match."""

    @field_validator("filter")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            compile_filter(value)
        return value

    @model_validator(mode="after")
    def _one_source(self) -> ReplayParams:
        if (self.last is None) is (self.file is None) or self.last == 0:
            raise ValueError("expected `last: TIME`, or the `file` of a capture")
        return self


class Replay(Injection):
    """Frames that entered a link before, or were recorded elsewhere, enter it again with the gaps between them."""

    params_model: ClassVar[type[Params]] = ReplayParams
    evidence: ClassVar[str] = (
        "The link's capture shows every frame again, as injected, at that end; at least one reached the other end. It "
        "is over with the last one."
    )
    example: ClassVar[str] = "{at: 10s, replay: {between: [a, lan], last: 2s, filter: udp}}"

    @classmethod
    def over(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> Hop:
        return _hop(place_of(spec.params, scenario, network))

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        params, hop = ReplayParams.model_construct(**spec.params), cls.over(spec, scenario, network)
        if params.file is not None:
            what = (
                f"{len(_matching(read_capture(Path(params.file), hop.sender), params.filter))} frames of {params.file}"
            )
        elif not network.link(hop.link).capture:
            raise ValueError(f"nothing records what enters {hop.link}")
        else:
            what = f"the last {format_duration(params.last or 0)}"
        return f"replay {what} into {hop.link} at {hop.sender}"

    async def frames(self) -> TimedFrames:
        params = ReplayParams.model_construct(**self.spec.params)
        try:
            found = _matching(await self._recorded(params), params.filter)
        except ValueError as error:
            raise SwarmrigError(str(error)) from error
        first_ns = found[0][0]
        return [(t_ns - first_ns, frame) for t_ns, frame in found]

    async def _recorded(self, params: ReplayParams) -> TimedFrames:
        if params.file is not None:
            return read_capture(Path(params.file), self.hop.sender)
        since_ns = self.context.now_ns() - (params.last or 0)
        return await self.context.links.recorded_frames(self.hop.link, self.hop.sender, since_ns)


class RingFloodParams(Params):
    """The node, how many frames, and in what time."""

    bare: ClassVar[str | None] = "node"
    node: Name
    """The node that is flooded."""
    frames: int = Field(default=1000, ge=2, le=MOST_FRAMES, strict=True)
    """How many datagrams."""
    within: DurationNs = 100_000_000
    """From the first to the last frame."""


class RingFlood(Injection):
    """A flood of datagrams reaches a node, faster than its receive ring is emptied: 1000 frames in 100 ms.

    They come from the aggregator's address, are addressed to the node and carry no message that it knows.
    """

    params_model: ClassVar[type[Params]] = RingFloodParams
    evidence: ClassVar[str] = (
        "The capture of the node's link shows all the frames as injected, within that time, and at least half of them "
        "reached the node. It is over with the last one."
    )
    example: ClassVar[str] = "{at: 10s, ring_flood: {node: a, frames: 1000, within: 100ms}}"

    @classmethod
    def over(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> Hop:
        return Hop.to_device(network, network.device(node_id(scenario, spec.params["node"])))

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        hop, within = cls.over(spec, scenario, network), format_duration(spec.params["within"])
        return f"flood {hop.receiver} with {spec.params['frames']} frames in {within}"

    async def frames(self) -> TimedFrames:
        frames, within = self.spec.params["frames"], self.spec.params["within"]
        return [(within * index // (frames - 1), self._datagram(index)) for index in range(frames)]

    def enough(self, wanted: int) -> int:
        return -(-wanted // 2)

    def _datagram(self, index: int) -> bytes:
        scenario, network = self.context.scenario, self.context.network
        params = DatagramParams(
            src=AGGREGATOR,
            dst=self.hop.receiver,
            sport=EPHEMERAL_PORT,
            port=scenario.aggregator_port,
            text=f"flood {index:06d} of {self.spec.id}",
        )
        return make_datagram(params, self.hop, scenario, network, identification=index & 0xFFFF)


def _hop(place: LinkPlace) -> Hop:
    return Hop(place.link, place.near, place.far_end(place.near))


def _matching(frames: Sequence[tuple[int, bytes]], text: str | None) -> TimedFrames:
    """ValueError when there is none left."""
    wanted = compile_filter(text) if text is not None else None
    found = [each for each in frames if wanted is None or wanted.matches(each[1])]
    if not found:
        raise ValueError("there is no frame to replay" + (f" that matches {text!r}" if text is not None else ""))
    if len(found) > MOST_FRAMES:
        raise ValueError(f"{len(found)} frames are more than the {MOST_FRAMES} that can be replayed: use a filter")
    return found
