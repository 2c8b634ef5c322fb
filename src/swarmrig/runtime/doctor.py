"""What works on this machine: every probe really tries, none takes long, and each says how to get what is missing."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from swarmrig.errors import HostError
from swarmrig.nodes.emulator import kvm
from swarmrig.nodes.qemu.machines import MACHINES, Machine, Storage
from swarmrig.nodes.qemu.setup import DEBIAN_PACKAGES
from swarmrig.nodes.renode import program as renode_program
from swarmrig.proc import Completed, RunScope, Spawner, open_spawner
from swarmrig.timebase.plugin import probe as probe_lockstep

DEADLINE_S = 3.0
"""Per program; the probes run at the same time."""
TOTAL_S = 4.5
"""Per probe."""
REQUIRED = frozenset({"qemu-system-riscv32"})
"""What the presets cannot do without."""
CROSS_COMPILERS = {
    "riscv64-unknown-elf-gcc": "gcc-riscv64-unknown-elf",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
}
"""What builds the reference firmware, and the Debian packages that they come in."""
OLDEST_QEMU = (7, 2)
"""The first with `-netdev dgram`, which the network is attached by."""

_TUNSETIFF = 0x400454CA
_IFF_TAP_NO_PI = 0x0002 | 0x1000


@dataclass(frozen=True, slots=True)
class Probe:
    """One finding. `hint` says what to do when it is not ok; `required` marks what the presets cannot do without."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    required: bool = False


async def examine_host() -> list[Probe]:
    """Every probe, in a fixed order, within about five seconds; nothing is left behind."""
    async with open_spawner(RunScope.passing()) as spawner:
        return await probe_host(spawner, spawner.scope.temporary_directory)


async def probe_host(spawner: Spawner, scratch: Path) -> list[Probe]:
    """Every probe, in a fixed order; `scratch` is a directory for small files."""
    found: dict[str, Probe] = {}
    probes = _probes(spawner, scratch)

    async def run(name: str, probe: Callable[[], Awaitable[Probe]]) -> None:
        with anyio.move_on_after(TOTAL_S):
            found[name] = await probe()
        if name not in found:
            found[name] = Probe(name, False, f"no result within {TOTAL_S:g} s", "is this machine overloaded?")

    async with anyio.create_task_group() as tasks:
        for name, probe in probes.items():
            tasks.start_soon(run, name, probe)
    return [replace(found[name], required=name in REQUIRED) for name in probes]


def _probes(spawner: Spawner, scratch: Path) -> dict[str, Callable[[], Awaitable[Probe]]]:
    """By name; each gives the probe of that name."""
    esp_machines = [machine for machine in MACHINES.values() if machine.storage is Storage.ESP_FLASH]
    return {
        "qemu-system-riscv32": partial(_qemu, spawner, "riscv32", "virt"),
        "qemu-system-arm": partial(_qemu, spawner, "arm", "mps2-an385"),
        "qemu-system-x86_64": partial(_qemu, spawner, "x86_64", "q35"),
        **{machine.name: partial(_espressif, spawner, machine) for machine in esp_machines},
        "virtual time": partial(_virtual_time, spawner),
        "qemu-img": partial(_program, spawner, "qemu-img", "for nodes of kind vm with a disk: apt install qemu-utils"),
        "kvm": partial(_kvm, spawner, scratch),
        "tap": partial(anyio.to_thread.run_sync, _tap),
        "user namespaces": partial(_user_namespaces, spawner),
        "docker": _docker,
        "renode": partial(_renode, spawner),
        "tshark": partial(_program, spawner, "tshark", "apt install tshark"),
        **{
            compiler: partial(_program, spawner, compiler, f"apt install {package}")
            for compiler, package in CROSS_COMPILERS.items()
        },
    }


async def _qemu(spawner: Spawner, architecture: str, machine: str) -> Probe:
    name = f"qemu-system-{architecture}"
    package = DEBIAN_PACKAGES.get(architecture, "apt install qemu-system-misc")
    path = shutil.which(name)
    if path is None:
        return Probe(name, False, "not found", package)
    try:
        version, machines = await _version_and_machines(spawner, path)
    except HostError as error:
        return Probe(name, False, f"{path}: {error.message}", package)
    if version < OLDEST_QEMU:
        wanted = ".".join(map(str, OLDEST_QEMU))
        return Probe(name, False, f"{path} is version {_dotted(version)}", f"QEMU {wanted} or newer is needed")
    if machine not in machines:
        return Probe(name, False, f"{path} has no machine {machine}", package)
    return Probe(name, True, f"{path}, version {_dotted(version)}, machine {machine}")


async def _virtual_time(spawner: Spawner) -> Probe:
    """The plugin was built, and those emulators of the reference firmware that are here can be in lockstep with it."""
    names = [f"qemu-system-{machine.architecture}" for machine in MACHINES.values() if machine.reference_firmware]
    paths = [path for name in names if (path := shutil.which(name)) is not None]
    if not paths:
        return Probe("virtual time", False, f"needs {' or '.join(names)}", "runs take place in real time")
    good = []
    for path in paths:
        support = await probe_lockstep(spawner, path)
        if not support.ok:
            hint = support.hint or "without it, runs take place in real time"
            return Probe("virtual time", False, f"{path} {support.reason}", hint)
        good.append(f"{path} loads the lockstep plugin (plugin API {support.api})")
    return Probe("virtual time", True, "; ".join(good))


async def _espressif(spawner: Spawner, machine: Machine) -> Probe:
    """Any emulator of the architecture may be Espressif's: ask each which machines it has."""
    looked_at = espressif_candidates(machine.architecture)
    for path in looked_at:
        try:
            version, machines = await _version_and_machines(spawner, str(path))
        except HostError:
            continue
        if machine.qemu_machine in machines:
            return Probe(machine.name, True, f"{path}, version {_dotted(version)}")
    detail = (
        f"no machine {machine.qemu_machine} in {', '.join(map(str, looked_at))}" if looked_at else "no emulator found"
    )
    return Probe(machine.name, False, detail, machine.install_hint)


def espressif_candidates(architecture: str) -> list[Path]:
    """Emulators that may be Espressif's fork: what PATH has, and what ESP-IDF's tools installer puts in place."""
    name = f"qemu-system-{architecture}"
    found = [Path(path)] if (path := shutil.which(name)) else []
    tools = Path(os.environ.get("IDF_TOOLS_PATH") or Path("~/.espressif").expanduser()) / "tools"
    return found + sorted(tools.glob(f"qemu-{architecture}/*/qemu/bin/{name}"), reverse=True)


async def _version_and_machines(spawner: Spawner, path: str) -> tuple[tuple[int, ...], set[str]]:
    version = await _output(spawner, [path, "--version"])
    match = re.search(r"version (\d+(?:\.\d+)+)", version)
    if match is None:
        raise HostError(f"it does not say its version, but {version.strip()[:60]!r}")
    machines = await _output(spawner, [path, "-machine", "help"])
    return tuple(map(int, match[1].split("."))), {line.split()[0] for line in machines.splitlines() if line.strip()}


async def _output(spawner: Spawner, argv: Sequence[str]) -> str:
    completed = await spawner.run(argv, deadline_s=DEADLINE_S)
    if not completed.ok:
        raise HostError(f"{completed.exit}: {_first_line(completed.stderr)}")
    return completed.stdout.decode("utf-8", "replace")


async def _kvm(spawner: Spawner, scratch: Path) -> Probe:
    """The device may be there and hang every guest: run one, for a moment."""
    emulator = shutil.which("qemu-system-x86_64")
    if emulator is None:
        return Probe("kvm", False, "not tried: no qemu-system-x86_64", DEBIAN_PACKAGES["x86_64"])
    found = await kvm.try_guest(spawner, Path(emulator), scratch)
    return Probe("kvm", found.ok, found.detail, found.hint)


def _tap() -> Probe:
    """Make a TAP interface; it vanishes when the descriptor is closed."""
    name = "tap"
    if not Path("/dev/net/tun").exists():
        return Probe(name, False, "/dev/net/tun does not exist", "optional, for host bridges: sudo modprobe tun")
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        try:
            answer = fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", b"srdoctor%d", _IFF_TAP_NO_PI))
        finally:
            os.close(fd)
    except OSError as error:
        return Probe(name, False, f"no TAP interface: {error.strerror}", "optional, for host bridges: run as root")
    made = answer[:16].rstrip(b"\0").decode("ascii", "replace")
    return Probe(name, True, f"{made} was made, and removed")


async def _user_namespaces(spawner: Spawner) -> Probe:
    name = "user namespaces"
    hint = "optional: sudo sysctl kernel.unprivileged_userns_clone=1 kernel.apparmor_restrict_unprivileged_userns=0"
    unshare = shutil.which("unshare")
    if unshare is None:
        return Probe(name, False, "unshare was not found", "apt install util-linux")
    try:
        completed = await spawner.run([unshare, "--user", "--map-root-user", "--net", "true"], deadline_s=DEADLINE_S)
    except HostError as error:
        return Probe(name, False, error.message, hint)
    if completed.ok:
        return Probe(name, True, "a user and a network namespace were made")
    return Probe(name, False, _first_line(completed.stderr) or str(completed.exit), hint)


async def _renode(spawner: Spawner) -> Probe:
    try:
        program = renode_program.find_program()
        version = await renode_program.version_of(spawner, program, deadline_s=DEADLINE_S)
    except HostError as error:
        return Probe("renode", False, error.message, f"optional: {error.hint}")
    return Probe("renode", True, f"{program.path} ({program.kind}), version {_dotted(version)}")


async def _docker() -> Probe:
    name, hint = "docker", "optional: apt install docker.io, and join the group docker"
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    if not host.startswith("unix://"):
        return Probe(name, False, f"DOCKER_HOST is {host}", "optional: only unix:// sockets are tried")
    path = host.removeprefix("unix://")
    try:
        answer = await ping_docker(path)
    except FileNotFoundError:
        return Probe(name, False, f"{path} does not exist", hint)
    except (OSError, TimeoutError) as error:
        return Probe(name, False, f"{path}: {getattr(error, 'strerror', None) or 'no answer'}", hint)
    server = re.search(rb"(?im)^server: *([^\r\n]+)", answer)
    if answer.split(b"\r\n", 1)[0].split(b" ")[1:2] != [b"200"]:
        return Probe(name, False, f"{path} does not answer as a Docker daemon does", hint)
    return Probe(name, True, f"{path}, {server[1].decode('ascii', 'replace') if server else 'answers'}")


async def docker_answers() -> str:
    """Why containers cannot be run here, "" when they can."""
    probe = await _docker()
    return "" if probe.ok else probe.detail


async def ping_docker(path: str) -> bytes:
    """The answer's head to Docker's `/_ping`. OSError or TimeoutError when there is none."""
    with anyio.fail_after(DEADLINE_S):
        async with await anyio.connect_unix(path) as stream:
            await stream.send(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            try:
                return await stream.receive(4096)
            except anyio.EndOfStream:
                return b""


async def _program(spawner: Spawner, program: str, hint: str) -> Probe:
    path = shutil.which(program)
    if path is None:
        return Probe(program, False, "not found", f"optional: {hint}")
    try:
        completed: Completed = await spawner.run([path, "--version"], deadline_s=DEADLINE_S)
    except HostError as error:
        return Probe(program, False, error.message, f"optional: {hint}")
    if not completed.ok:
        return Probe(program, False, f"{path}: {_first_line(completed.stderr) or completed.exit}", f"optional: {hint}")
    return Probe(program, True, f"{path}, {_first_line(completed.stdout)}")


def _first_line(output: bytes) -> str:
    text = output.decode("utf-8", "replace").strip()
    return text.splitlines()[0][:200] if text else ""


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


__all__ = ["Probe", "examine_host", "probe_host"]
