"""A node that hangs: it has power and does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import model_validator

from swarmrig.api import MemoryMap, NodePlan
from swarmrig.elf import Elf
from swarmrig.errors import NodeError
from swarmrig.faults.memory_place import Stretch, check_in_ram, elf_of, image_of
from swarmrig.faults.nodes import NodeParams
from swarmrig.faults.silence import SilentFault
from swarmrig.model.network import NetworkPlan
from swarmrig.model.scenario import FaultSpec, Scenario

COMMAND = "hang"
"""What the reference firmware takes as: turn interrupts off, and spin."""
ANSWER_NS = 100_000_000
"""So long after the command the node may still say that it has understood."""
_JUMPS_TO_SELF = {
    "EM_RISCV": bytes.fromhex("6f000000"),  # j .
    "EM_AARCH64": bytes.fromhex("00000014"),  # b .
    "EM_386": bytes.fromhex("ebfe"),  # jmp .
    "EM_X86_64": bytes.fromhex("ebfe"),
    "EM_XTENSA": bytes.fromhex("06ffff"),  # j .
}
_ARM_THUMB, _ARM_A32 = bytes.fromhex("fee7"), bytes.fromhex("feffffea")  # b .


class HangParams(NodeParams):
    """The node, and by what it hangs."""

    command: str | None = None
    """What is typed on its console so that it hangs. Default, without `function`: hang."""
    function: str | None = None
    """A function of its ELF file whose first instruction becomes a jump to itself: the node hangs when it is called."""

    @model_validator(mode="after")
    def _one_way(self) -> HangParams:
        if self.command is not None and self.function is not None:
            raise ValueError("give `command` or `function`, not both")
        return self


class Hang(SilentFault):
    """A node hangs: it runs, and gets nowhere, until it is reset.

    Either because its firmware is told to by a console command, or because the first instruction of a function in RAM
    is overwritten with a jump to itself. The healing is a reset, which loads the image again.
    """

    params_model: ClassVar[type[HangParams]] = HangParams
    verb = "hang"
    needs: ClassVar[frozenset[str]] = frozenset({"CanReset"})
    evidence: ClassVar[str] = (
        "In as long a time before, the node was heard five times or more, by its console or its frames; not while it "
        "hung (but for what it answers to the command); and again after the reset."
    )
    example: ClassVar[str] = "{at: 10s, hang: {node: a, for: 3s}}"
    effect_words = "was the last of it before it hung"
    end_words = "was heard after the reset"

    @classmethod
    def resolve(cls, spec: FaultSpec, scenario: Scenario, network: NetworkPlan) -> str:
        """How the node will hang; ValueError when it is not there."""
        function = spec.params.get("function")
        way = f"in {function}" if function else f"by the command {spec.params.get('command') or COMMAND!r}"
        return f"{super().resolve(spec, scenario, network)}, {way}"

    @staticmethod
    def examine(spec: FaultSpec, scenario: Scenario, plans: Mapping[str, NodePlan]) -> None:
        """ValueError when the node cannot be typed to or written to, or has no such function in RAM."""
        node = scenario.find_node(spec.params["node"])
        assert node is not None
        function = spec.params.get("function")
        needed = "HasConsole" if function is None else "HasMemory"
        if needed not in plans[node.id].capabilities:
            raise ValueError(f"this way it needs {needed}, which node {node.id} (kind {node.kind}) does not have")
        memory = plans[node.id].memory
        if function is not None and image_of(memory, f"the function {function!r}") is not None:
            _jump(memory, function)

    async def inject(self) -> None:
        at_ns = self.now()
        function = self.spec.params.get("function")
        if function is None:
            self.grace_ns = max(self.grace_ns, ANSWER_NS)
            await self.node.write_console(f"{self.spec.params.get('command') or COMMAND}\n".encode())
            self.injected(at_ns, node=self.what)
            return
        try:
            place, jump = _jump(self.plan.memory, function)
        except (ValueError, OSError) as error:
            raise NodeError(self.what, str(error)) from error
        await self.node.write_memory(place.address, jump)
        self.injected(at_ns, node=self.what, address=place.address)

    async def heal(self) -> None:
        at_ns = self.now()
        await self.node.reset()
        self.healed(at_ns, node=self.what)


def _jump(memory: MemoryMap, function: str) -> tuple[Stretch, bytes]:
    """Where the function begins, and the instruction that never leaves it."""
    elf = elf_of(memory, f"the function {function!r}")
    jump = _jump_to_self(elf)
    place = Stretch(function, elf.symbol(function).address, len(jump))
    check_in_ram(place, memory)
    return place, jump


def _jump_to_self(elf: Elf) -> bytes:
    if elf.machine == "EM_ARM":
        return _ARM_THUMB if elf.entry & 1 else _ARM_A32
    found: Any = _JUMPS_TO_SELF.get(elf.machine)
    if found is None:
        raise ValueError(f"how a processor of the kind {elf.machine} jumps to itself is not known here")
    return bytes(found)
