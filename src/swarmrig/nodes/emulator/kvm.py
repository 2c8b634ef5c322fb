"""Whether KVM can be relied upon. The device may be there and let guests crawl, or hang: so one is run, for a moment.

Its firmware does what the first moments of a kernel are made of: it turns on paging and 64-bit mode, clears 128 MiB of
memory (on a virtual machine whose host does not really share its virtualisation that takes longer than emulation does),
and is woken by its local APIC ten times. Emulation (TCG) needs half a second for all of that.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import anyio
import anyio.to_thread

from swarmrig.errors import HostError
from swarmrig.proc import Completed, RunScope, Spawner, open_spawner, private_directory
from swarmrig.proc.probe import boot_id

DEVICE = Path("/dev/kvm")
DEADLINE_S = 3.0
_EXIT_VALUE = 0x15
EXIT_CODE = _EXIT_VALUE << 1 | 1
"""isa-debug-exit ends QEMU with (value << 1) | 1."""
_ROM_BYTES = 0x10000
_ENABLE = "optional: enable virtualisation in the firmware or the surrounding virtual machine, join the group kvm"

_FIRMWARE = f"""
fa fc                          cli; cld                                   (16 bit, at f000:0000)
2e 66 0f01 16 5001             lgdt cs:[gdtr]
0f20c0 0c01 0f22c0             cr0 |= 1: protected mode
66 ea 19000f00 0800            jmp 8:f0019
66b81000 8ed8 8ec0 8ed0        ds = es = ss = 16                          (32 bit, at f0019)
bc 00800000                    esp = 8000
bf 00100000 31c0 b9 00140000   edi = 1000; eax = 0; ecx = 1400
f3ab                           rep stosd: no tables yet from 1000 to 6000
c705 00100000 03200000         [1000] = 2003: PML4, entry 0
c705 00200000 03300000         [2000] = 3003: PDPT, the first GiB
c705 18200000 03400000         [2018] = 4003: PDPT, the fourth GiB
c705 b84f0000 9300e0fe         [4fb8] = fee00093: the local APIC's page of 2 MiB, not cached
bf 00300000 b8 83000000        edi = 3000; eax = 83
b9 48000000                    ecx = 72: 144 MiB in pages of 2 MiB
8907 05 00002000 83c708 e2f4   [edi] = eax; eax += 200000; edi += 8; loop
b8 20000000 0f22e0             cr4 = PAE
b8 00100000 0f22d8             cr3 = 1000
b9 800000c0 0f32               rdmsr EFER
0d 00010000 0f30               EFER |= LME
0f20c0 0d 00000080 0f22c0      cr0 |= PG
ea a9000f00 1800               jmp 18:f00a9
bf 00002000 b9 00000002 31c0   edi = 2 MiB; ecx = 2000000; eax = 0        (64 bit, at f00a9)
f3ab                           rep stosd: clear 128 MiB
b8 21010f00                    eax = f0121, the interrupt's handler
66890425 00520000              [5200] = ax: gate of vector 20h
c70425 02520000 1800008e       [5202] = 8e000018
66c70425 06520000 0f00         [5206] = f
0f011d 76000000                lidt [idtr]
bf 0000e0fe                    edi = fee00000, the local APIC
c787 f0000000 ff010000         spurious vector: enabled
c787 e0030000 03000000         divide by 16
c787 20030000 20000200         timer: periodic, vector 20h
c787 80030000 00000100         initial count 10000h
31db                           ebx = 0
fb f4 83fb0a 72f9              sti; hlt; until ebx == 10
b0 {_EXIT_VALUE:02x} 66baf400 ee             out f4, the value that ends the emulator
fa f4 ebfc                     cli; hlt; for ever
ffc3                           ++ebx                                      (the handler, at f0121)
c787 b0000000 00000000         end of interrupt
48cf 90                        iretq
0000000000000000               GDT, at f0130: none,
ffff0000009bcf00               8: code of 32 bit,
ffff00000093cf00               10: data,
ffff0000009baf00               18: code of 64 bit
1f00 30010f00                  gdtr, at f0150
0f02 0050000000000000          idtr, at f0156: 5000
"""
"""Its bytes, in hex up to two blanks, and what they are."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether KVM was seen to work; if not, why, and what to do about it."""

    ok: bool
    detail: str
    hint: str = ""


async def proved(emulator: Path) -> Finding:
    """Whether a guest really runs with KVM. Asked once per start of this machine and emulator; after that the answer
    is in a file of the user's cache directory."""
    unusable = _unusable()
    if unusable is not None:
        return unusable
    known = _remembered(_cache_file(emulator))
    if known is not None:
        return known
    async with open_spawner(RunScope.passing()) as spawner:
        return await try_guest(spawner, emulator, spawner.scope.temporary_directory)


async def try_guest(spawner: Spawner, emulator: Path, scratch: Path) -> Finding:
    """Run one now, whatever is remembered, and remember that; `scratch` is a directory for small files."""
    unusable = _unusable()
    if unusable is not None:
        return unusable
    found = await _run_guest(spawner, emulator, scratch)
    await anyio.to_thread.run_sync(_remember, _cache_file(emulator), found)
    return found


async def _run_guest(spawner: Spawner, emulator: Path, scratch: Path) -> Finding:
    rom = scratch / "kvm-proof.rom"
    rom.write_bytes(firmware())
    try:
        completed = await spawner.run(tiny_guest(emulator, "kvm", rom), deadline_s=DEADLINE_S)
    except HostError:
        return Finding(False, f"{DEVICE} is there, but a guest did not get anywhere within {DEADLINE_S:g} s", _ENABLE)
    if completed.exit.code == EXIT_CODE:
        return Finding(True, "a guest ran")
    return Finding(False, f"a guest failed ({completed.exit}): {_first_line(completed)}", _ENABLE)


def firmware() -> bytes:
    """64 KiB for the end of the first MiB."""
    lines = [line.partition("   ")[0] for line in _FIRMWARE.strip().splitlines()]
    code = bytes.fromhex(" ".join(lines))
    rom = bytearray(b"\xf4" * _ROM_BYTES)  # hlt
    rom[: len(code)] = code
    rom[0xFFF0:0xFFF5] = bytes.fromhex("ea 0000 00f0")  # where processors begin: jmp f000:0000
    return bytes(rom)


def tiny_guest(emulator: Path, accelerator: str, rom: Path) -> Sequence[str]:
    """The command that runs `firmware`."""
    machine = ["-machine", "pc", "-accel", accelerator, "-m", "160M", "-bios", str(rom).replace(",", ",,")]
    devices = ["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]
    return [str(emulator), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", *machine, *devices]


def _unusable() -> Finding | None:
    """Why it need not be tried."""
    if not DEVICE.exists():
        return Finding(False, f"{DEVICE} does not exist", _ENABLE)
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return Finding(False, f"{DEVICE} may not be opened", "sudo usermod -aG kvm $USER, then log in again")
    if platform.machine() != "x86_64":
        return Finding(False, f"{DEVICE} runs {platform.machine()} guests, not x86_64", "guests are emulated here")
    return None


def _cache_file(emulator: Path) -> Path:
    base = Path(os.environ.get("XDG_CACHE_HOME") or "")
    directory = (base if base.is_absolute() else Path("~/.cache").expanduser()) / "swarmrig"
    status = emulator.stat()
    asked = f"{boot_id()} {platform.release()} {emulator} {status.st_mtime_ns} {status.st_size} {_FIRMWARE}"
    return directory / f"kvm-{sha256(asked.encode()).hexdigest()[:16]}.json"


def _remembered(file: Path) -> Finding | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Finding(bool(found["ok"]), str(found["detail"]), str(found["hint"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(file: Path, finding: Finding) -> None:
    """What cannot be remembered is found out again. Answers of former times go."""
    fresh = file.with_suffix(f".{os.getpid()}")
    with suppress(OSError, HostError):
        private_directory(file.parent)
        for old in file.parent.glob("kvm-*.json"):
            old.unlink(missing_ok=True)
        fresh.write_text(json.dumps(asdict(finding)), encoding="utf-8")
        fresh.replace(file)


def _first_line(completed: Completed) -> str:
    text = completed.stderr.decode("utf-8", "replace").strip()
    return text.splitlines()[-1][:200] if text else ""
