"""Did the node that should notice the fall notice it?"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from swarmrig.api import CheckContext
from swarmrig.checks.params import Params
from swarmrig.checks.patterns import reported_fall
from swarmrig.checks.sightings import decoded, find_node, is_injected
from swarmrig.checks.tally import Tally
from swarmrig.model.facts import ConsoleLine, Fact, Frame
from swarmrig.model.verdict import Evidence, Judgement, Outcome
from swarmrig.wire.vitals import BYTES as VITALS_BYTES

_VITALS_FRAME_MIN = 14 + 20 + 8 + VITALS_BYTES
_VITALS_FRAME_MAX = _VITALS_FRAME_MIN + 40  # IPv4 options


class FallParams(Params):
    bare: ClassVar[str | None] = "node"
    node: int = Field(ge=0, le=255)
    """Number of the node."""


class FallDetectedByNode:
    """The node reported a fall: on its console, or by the flag in a vitals packet that it sent itself."""

    params_model: ClassVar[type[Params]] = FallParams
    severity: ClassVar[Outcome] = Outcome.WARN
    example: ClassVar[str] = "fall_detected_by_node: 1"

    def __init__(self, context: CheckContext, *, node: int) -> None:
        self._context = context
        self._number = node
        found = find_node(context, node)
        self._node = found.id if found is not None and found.number == node else None
        self._line: ConsoleLine | None = None
        self._frame: Frame | None = None
        self._lines = 0
        self._vitals = 0

    def observe(self, fact: Fact) -> None:
        if isinstance(fact, ConsoleLine):
            if fact.node == self._node:
                self._lines += 1
                if self._line is None and reported_fall(fact.text, self._number):
                    self._line = fact
        elif isinstance(fact, Frame) and fact.sender == self._node and self._frame is None:
            self._observe_frame(fact)

    def _observe_frame(self, frame: Frame) -> None:
        if not _VITALS_FRAME_MIN <= len(frame.data) <= _VITALS_FRAME_MAX or is_injected(frame):
            return
        vitals = decoded(frame.data).vitals
        if vitals is not None and vitals.node == self._number:
            self._vitals += 1
            if vitals.fall:
                self._frame = frame

    def judge(self, now_ns: int, *, final: bool) -> Judgement | None:  # noqa: ARG002 - the contract
        line, frame = self._line, self._frame
        if not final and line is None and frame is None:
            return None
        tally = Tally(self.severity)
        name = self._node or str(self._number)
        if line is not None:
            tally.support(self._context.console(name, line.line, line.text.strip()[:120]))
        if frame is not None:
            tally.support(self._context.capture(frame.link, frame.number, "vitals with the fall flag"))
        if self._node is None:
            tally.gap(f"the scenario has no node with number {self._number}")
        elif line is None and frame is None:
            self._nothing_found(name, tally)
        return tally.judgement(f"{name} reported a fall")

    def _nothing_found(self, name: str, tally: Tally) -> None:
        if not self._lines and not self._vitals:
            tally.gap(f"{name} sent no vitals and its console is empty")
            return
        searched = f"searched {self._lines} lines and {self._vitals} vitals packets"
        tally.fail(f"{name} reported no fall", Evidence(f"nodes/{name}/console.log", note=searched))
