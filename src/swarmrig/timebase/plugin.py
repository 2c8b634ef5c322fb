"""The lockstep plugin for QEMU: where it is, and whether a given QEMU can run with it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from swarmrig.errors import HostError
from swarmrig.proc import Completed, Spawner
from swarmrig.timebase.protocol import VERSION

DIRECTORY = Path(__file__).parent / "lockstep"
"""The build puts the libraries there; in an installation without a C compiler it does not exist."""
PROBE_DEADLINE_S = 20.0
_SHOWN_SYMBOLS = 3
_WRONG_API = re.compile(r"requires API version (\d+), but this QEMU supports only (?:up to|a minimum) version")


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a QEMU can be in virtual time, and if it can't, why."""

    ok: bool
    reason: str = ""
    """"" when it can; else a sentence without a full stop, to be put behind the name of the emulator."""
    hint: str | None = None
    api: int | None = None
    library: Path | None = None
    qemu: str = ""
    """Its version."""
    target: str = ""


def libraries(directory: Path = DIRECTORY) -> dict[int, Path]:
    """The libraries that were built, by version of QEMU's plugin API, the newest first."""
    found = {}
    for path in directory.glob("lockstep-api*.so"):
        number = path.stem.removeprefix("lockstep-api")
        if number.isdigit():
            found[int(number)] = path
    return dict(sorted(found.items(), reverse=True))


async def probe(spawner: Spawner, emulator: str | Path, *, directory: Path = DIRECTORY) -> Support:
    """Load the plugin into `emulator`, without a machine, and let it look for what it needs (0.1 s)."""
    built = libraries(directory)
    if not built:
        return Support(
            ok=False,
            reason="cannot be in virtual time: the lockstep plugin was not built",
            hint="install a C compiler (apt install gcc), then install the package again",
        )
    for api, library in built.items():
        try:
            outcome = await spawner.run(
                [
                    *(emulator, "-machine", "none", "-nodefaults", "-no-user-config", "-display", "none"),
                    *("-plugin", f"file={option_value(str(library))},probe=on"),
                ],
                deadline_s=PROBE_DEADLINE_S,
                name="lockstep-probe",
            )
        except HostError as error:
            return Support(ok=False, reason=f"could not be asked for virtual time: {error.message}", hint=error.hint)
        if not _WRONG_API.search(outcome.stderr.decode(errors="replace")):
            return _judge(outcome, api, library)
    known = ", ".join(map(str, sorted(built)))
    return Support(ok=False, reason=f"has a version of the plugin API for which there is no plugin (known: {known})")


def plugin_option(
    library: Path, channel_fd: int, *, netdev: str | None = None, console: str | None = None, core: int | None = None
) -> str:
    """The value of QEMU's `-plugin`. `channel_fd` is the guest's end of the socket, `netdev` and `console` are ids of
    a hubport netdev and a null chardev, `core` pins QEMU to one core."""
    words = [f"file={option_value(str(library))}", f"fd={channel_fd}"]
    words += [f"netdev={option_value(netdev)}"] if netdev else []
    words += [f"console={option_value(console)}"] if console else []
    words += [f"cpu={core}"] if core is not None else []
    return ",".join(words)


def option_value(text: str) -> str:
    """As a value inside a QEMU option, where a comma ends it unless it is doubled."""
    return text.replace(",", ",,")


def _judge(outcome: Completed, api: int, library: Path) -> Support:
    answer = _answer(outcome.stdout)
    if answer is None:
        return _no_answer(outcome)
    qemu, target = str(answer["qemu"]), str(answer["target"])
    if answer["lockstep"] != VERSION:
        return Support(
            ok=False,
            reason=f"loads a lockstep plugin of version {answer['lockstep']}, but this package speaks {VERSION}",
            hint="they were not built together: install the package again",
            qemu=qemu,
            target=target,
        )
    missing = [name for name in str(answer["missing"]).split(", ") if name]
    if missing:
        shown = ", ".join(missing[:_SHOWN_SYMBOLS]) + (
            f" and {len(missing) - _SHOWN_SYMBOLS} more" if len(missing) > _SHOWN_SYMBOLS else ""
        )
        return Support(
            ok=False,
            reason=f"does not export {shown}, which the lockstep plugin needs",
            hint="QEMUs of Debian and Ubuntu do; one of your own needs --enable-plugins --enable-modules, unstripped",
            qemu=qemu,
            target=target,
        )
    if not answer["target_known"]:
        return Support(
            ok=False,
            reason=f"emulates {target}; virtual time knows riscv32, riscv64 and arm",
            qemu=qemu,
            target=target,
        )
    return Support(ok=True, api=api, library=library, qemu=qemu, target=target)


def _answer(stdout: bytes) -> dict[str, object] | None:
    try:
        answer = json.loads(stdout)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) and "lockstep" in answer else None


def _no_answer(outcome: Completed) -> Support:
    words = outcome.stderr.decode(errors="replace").strip()
    if re.search(r"-plugin: (?:invalid option|.*not (?:supported|allowed))", words):
        return Support(
            ok=False,
            reason="was built without support for plugins",
            hint="QEMUs of Debian and Ubuntu have it; one of your own needs --enable-plugins --enable-modules",
        )
    last = words.splitlines()[-1] if words else str(outcome.exit)
    return Support(ok=False, reason=f"does not load the lockstep plugin: {last}")
