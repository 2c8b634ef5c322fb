"""Do the nodes' frames appear on the wire, arrive, and come often enough? Judged from captures, never from banners."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from swarmrig.api import CheckContext
from swarmrig.checks.params import NoParams, Params
from swarmrig.checks.patterns import received_from
from swarmrig.checks.sightings import INTACT, OwnFrames, RateMeter, UniqueSequences, csi_key, decoded
from swarmrig.checks.tally import Tally, listed
from swarmrig.model.facts import ConsoleLine, Fact, Frame, NodeChange, NodeState
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import NodeSpec
from swarmrig.model.units import NS_PER_S
from swarmrig.model.verdict import Evidence, Judgement, Outcome

MIN_SPAN_NS = 2 * NS_PER_S
"""A rate over less says nothing."""


class AllNodesProduceFrames:
    """Every sensor's CSI frames were seen on the wire, at the sensor's own port."""

    params_model: ClassVar[type[Params]] = NoParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "all_nodes_produce_frames"

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        self._sensors = context.scenario.sensors
        self._own = OwnFrames(self._sensors)
        self._first: dict[str, Frame] = {}
        self._count = dict.fromkeys((node.id for node in self._sensors), 0)
        self._captured = 0

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            self._captured += 1
            if self._own.sequence(fact) is not None:
                self._first.setdefault(fact.sender, fact)
                self._count[fact.sender] += 1

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        missing = [node.id for node in self._sensors if node.id not in self._first]
        if not final and (missing or not self._sensors):
            return None
        tally = Tally(self.severity)
        for frame in (self._first[node.id] for node in self._sensors if node.id in self._first):
            tally.support(self._context.capture(frame.link, frame.number, f"first CSI frame of {frame.sender}"))
        if not self._sensors:
            tally.gap("the scenario has no sensor")
        elif not self._captured:
            tally.gap("no frame was captured at all")
        elif missing:
            pointers = [_captured_without(self._context.network, node, "CSI frames") for node in missing]
            tally.fail(f"no CSI frame was sent by {listed(missing)}", *pointers)
        return tally.judgement(f"all {len(self._sensors)} sensors send CSI frames", {"frames": dict(self._count)})


class CoordinatorReceivesFromAll:
    """Frames of every sensor were delivered to the coordinator, and the coordinator reported each of them."""

    params_model: ClassVar[type[Params]] = NoParams
    severity: ClassVar[Outcome] = Outcome.FAIL
    example: ClassVar[str] = "coordinator_receives_from_all"

    def __init__(self, context: CheckContext) -> None:
        self._context = context
        self._hub = context.scenario.coordinator
        self._sensors = tuple(node for node in context.scenario.sensors if node != self._hub)
        self._numbers = {node.number: node.id for node in self._sensors}
        self._hub_link = _device_link(context.network, self._hub.id) if self._hub else None
        self._delivered: dict[str, Frame] = {}
        self._reported: dict[str, ConsoleLine] = {}
        self._saw_anything = False

    def observe(self, fact: Fact) -> None:
        if self._hub is None or not isinstance(fact, Frame | ConsoleLine):
            return
        if isinstance(fact, Frame):
            self._observe_frame(fact)
        elif fact.node == self._hub.id:
            self._saw_anything = True
            number = received_from(fact.text)
            if number in self._numbers:
                self._reported.setdefault(self._numbers[number], fact)

    def _observe_frame(self, frame: Frame) -> None:
        self._saw_anything = True
        if frame.link != self._hub_link or self._hub is None or frame.sender == self._hub.id:
            return
        if not frame.delivered or frame.fate not in INTACT:
            return
        key = csi_key(frame.data)
        node = self._numbers.get(key[0]) if key is not None else None
        if node is not None and node not in self._delivered and self._is_for_hub(frame):
            self._delivered[node] = frame

    def _is_for_hub(self, frame: Frame) -> bool:
        """A switch that floods shows the hub also what is meant for others."""
        ip = decoded(frame.data).ip
        device = self._context.network.device(self._hub.id) if self._hub else None
        return device is not None and ip is not None and (not device.ip or ip.dst == device.ip)

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        complete = bool(self._sensors) and all(
            node.id in self._delivered and node.id in self._reported for node in self._sensors
        )
        if not final and not complete:
            return None
        tally = Tally(self.severity)
        if self._hub is None:
            tally.gap("the scenario has no coordinator or gateway")
        elif not self._sensors:
            tally.gap("the scenario has no sensor")
        elif not self._saw_anything:
            tally.gap(f"no frame was captured, and the console of {self._hub.id} is empty")
        else:
            for node in self._sensors:
                self._judge_sensor(node, self._hub, tally)
        measured = {"delivered": sorted(self._delivered), "reported": sorted(self._reported)}
        return tally.judgement(f"received from all {len(self._sensors)} sensors", measured)

    def _judge_sensor(self, node: NodeSpec, hub: NodeSpec, tally: Tally) -> None:
        frame, line = self._delivered.get(node.id), self._reported.get(node.id)
        on_wire = on_console = None
        if frame is not None:
            on_wire = self._context.capture(frame.link, frame.number, f"{node.id} -> {hub.id}")
        if line is not None:
            on_console = self._context.console(hub.id, line.line, line.text.strip()[:120])
        if frame is None:
            missing = _captured_without(self._context.network, hub.id, f"CSI of {node.id} for {hub.id}")
            tally.fail(f"no frame of {node.id} was delivered to {hub.id}", missing, on_console)
        if line is None:
            tally.fail(f"{hub.id} did not report {node.id} (node id {node.number})", on_wire)
        tally.support(on_wire, on_console)


class FrameRateParams(Params):
    bare: ClassVar[str | None] = "hz"
    hz: float = Field(default=10.0, gt=0)
    """CSI frames a second, at least."""


class FrameRateAbove:
    """Every sensor sends at least so many CSI frames a second, each counted once, at the sensor's own port.

    Measured from a sensor's first frame to its last one, or to the end of the run when it fell silent before.
    """

    params_model: ClassVar[type[Params]] = FrameRateParams
    severity: ClassVar[Outcome] = Outcome.WARN
    example: ClassVar[str] = "frame_rate_above: 15"

    def __init__(self, context: CheckContext, *, hz: float) -> None:
        self._context = context
        self._hz = hz
        self._sensors = context.scenario.sensors
        self._own = OwnFrames(self._sensors)
        self._meters = {node.id: RateMeter() for node in self._sensors}
        self._unique = {node.id: UniqueSequences() for node in self._sensors}
        self._latest: dict[str, Frame] = {}
        self._stopped_ns: dict[str, int] = {}

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, Frame):
            sequence = self._own.sequence(fact)
            if sequence is not None and self._unique[fact.sender].is_new(sequence):
                self._meters[fact.sender].add(fact.t_ns)
                self._latest[fact.sender] = fact
        elif isinstance(fact, NodeChange) and fact.state is NodeState.STOPPED:
            self._stopped_ns[fact.node] = fact.t_ns

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:
        if not final:
            return None
        tally = Tally(self.severity)
        if not self._sensors:
            tally.gap("the scenario has no sensor")
        rates = {node.id: self._judge_sensor(node.id, now_ns, tally) for node in self._sensors}
        lowest = min((rate for rate in rates.values() if rate is not None), default=0.0)
        measured = {"hz": {node: None if rate is None else round(rate, 3) for node, rate in rates.items()}}
        return tally.judgement(f"lowest rate {lowest:.2f} Hz of at least {self._hz:g} Hz", measured)

    def _judge_sensor(self, node: str, now_ns: int, tally: Tally) -> float | None:
        meter, latest = self._meters[node], self._latest.get(node)
        end_ns = min(now_ns, self._stopped_ns.get(node, now_ns))
        if latest is None:
            missing = _captured_without(self._context.network, node, "CSI frames")
            tally.gap(f"{node} sent no CSI frame", missing)
            return None
        pointer = self._context.capture(latest.link, latest.number, f"{meter.count} CSI frames of {node} up to here")
        if meter.span_ns(end_ns) < MIN_SPAN_NS:
            tally.gap(f"{node} sent for less than {MIN_SPAN_NS // NS_PER_S} s: no rate", pointer)
            return None
        rate = meter.rate(end_ns)
        if rate < self._hz:
            tally.fail(f"{node} sent {rate:.2f} Hz, less than {self._hz:g} Hz", pointer)
        else:
            tally.support(pointer)
        return rate


def _device_link(network: NetworkPlan, node: str) -> str | None:
    """The link at a node's only port; None when the network of this run has no such device."""
    return next((device.link for device in network.devices if device.name == node), None)


def _captured_without(network: NetworkPlan, node: str, what: str) -> Evidence | None:
    """The capture in which there should be something and is not."""
    link = _device_link(network, node)
    return None if link is None else Evidence(f"net/{link}.pcapng", note=f"no {what}")
