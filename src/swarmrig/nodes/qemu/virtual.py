"""Virtual time for QEMU guests: which can live in it, with which plugin, and how their emulator must be started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import anyio

from swarmrig.errors import NodeError
from swarmrig.model.scenario import Scenario
from swarmrig.nodes.qemu.setup import Setup
from swarmrig.proc import RunScope, open_spawner
from swarmrig.timebase.plugin import Support, probe

NETWORK_DEVICES = {("riscv32", "virt"): "virtio-net-device", ("arm", "mps2-an385"): "lan9118"}
"""The machines that are known to keep to virtual time (architecture, QEMU machine), each with the network device that
transmits in the guest's own thread."""
NMI_ARCHITECTURES = frozenset({"arm"})
"""Of these, the ones whose processor takes a non-maskable interrupt (Arm's M profile)."""
HARMLESS_ARGUMENTS = frozenset({"-append", "-d"})
SETTLED_ARGUMENTS = frozenset({"-icount", "-rtc", "-seed", "-smp"})

ICOUNT_SHIFT = 4
"""An instruction takes 2^4 ns of virtual time: a processor of 62.5 MHz."""
TRANSMIT_DELAY_NS = 1000
"""How long virtio-net gathers frames before it sends them, in virtual time."""
EPOCH = "2020-01-01T00:00:00"
"""What the guest's real-time clock shows at its start (UTC)."""

_probed: dict[tuple[Path, int, int], Support] = {}


@dataclass(frozen=True, slots=True)
class Lockstep:
    """How one guest takes part in virtual time."""

    library: Path
    """The plugin."""
    api: int
    """Version of QEMU's plugin API."""
    seed: int
    """Of the emulator's own random numbers, 64 bits."""
    qemu: str = ""
    """The emulator's version."""

    @property
    def details(self) -> dict[str, object]:
        """For people and reports."""
        return {
            "emulator_version": self.qemu,
            "plugin": str(self.library),
            "plugin_api": self.api,
            "icount_shift": ICOUNT_SHIFT,
        }


def lockstep(setup: Setup, support: Support, scenario: Scenario) -> Lockstep:
    """How the node takes part in virtual time. NodeError when it cannot."""
    reason = obstacle(setup) or refusal(setup, support)
    if reason is not None or support.library is None or support.api is None:
        raise NodeError(setup.spec.id, f"it cannot be in virtual time: {reason}", hint="use `time: real`")
    return Lockstep(
        library=support.library,
        api=support.api,
        seed=guest_seed(scenario.seed, setup.spec.number),
        qemu=support.qemu,
    )


def guest_seed(seed: int, number: int) -> int:
    """The seed of node `number`: its own, and the same in every run."""
    return (seed << 8 | number) & (1 << 64) - 1


def obstacle(setup: Setup) -> str | None:
    """What in the node's own description keeps it from virtual time; None when nothing does."""
    machine = (setup.architecture, setup.qemu_machine)
    if machine not in NETWORK_DEVICES or setup.machine.halts_on_reboot:
        known = " and ".join(f"{name} ({architecture})" for architecture, name in NETWORK_DEVICES)
        return f"virtual time knows the QEMU machines {known}, not {setup.qemu_machine} ({setup.architecture})"
    device = NETWORK_DEVICES[machine]
    if setup.nic is not None and setup.nic.model != device:
        return f"of the network devices of {setup.qemu_machine}, virtual time knows {device}, not {setup.nic.model}"
    return _wrong_argument(setup)


def _wrong_argument(setup: Setup) -> str | None:
    options = frozenset(setup.options.args[::2]) - HARMLESS_ARGUMENTS
    settled = sorted(options & SETTLED_ARGUMENTS)
    if settled:
        return f"`args` has {', '.join(settled)}, which virtual time settles itself (with one processor)"
    if options:
        return f"`args` has {', '.join(sorted(options))}: whether that keeps to virtual time is not known"
    return None


class Prober:
    """Asks emulators for the plugin, each only once: the answer holds until the file changes."""

    def __init__(self) -> None:
        self._turn = anyio.Lock()

    async def support(self, emulator: Path) -> Support:
        """Whether this emulator can run with the lockstep plugin."""
        key = _identity(emulator)
        async with self._turn:
            if key not in _probed:
                _probed[key] = await _ask(emulator)
            return _probed[key]


def _identity(emulator: Path) -> tuple[Path, int, int]:
    status = emulator.stat()
    return emulator, status.st_mtime_ns, status.st_size


async def _ask(emulator: Path) -> Support:
    async with open_spawner(RunScope.passing()) as spawner:
        return await probe(spawner, emulator)


def refusal(setup: Setup, support: Support) -> str | None:
    """What in the emulator keeps the node from virtual time."""
    if support.ok:
        return None
    name = setup.emulator.name if setup.options.machine_binary is None else str(setup.emulator)
    return f"{name} {support.reason}" + (f" ({support.hint})" if support.hint else "")
