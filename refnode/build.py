"""Build the reference firmware: for every machine one ELF, and one for each planted bug.

The result depends on the sources and the compiler only: no paths, no times, no build ids.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "src" / "swarmrig" / "nodes" / "qemu" / "firmware"
BUGS = (
    "mute", "wrong-slot", "panic-at-10s", "leak-until-oom", "corrupt-frame", "slow-boot", "deaf-coordinator",
    "outage-report",
)  # fmt: skip


@dataclass(frozen=True)
class Port:
    """One machine of the package: its HAL's directory, and the compiler with the flags for its processor."""

    machine: str
    board: str
    compiler: str
    flags: tuple[str, ...]


PORTS = (
    Port("refnode-rv32", "rv32_virt", "riscv64-unknown-elf-gcc",
         ("-march=rv32imafc", "-mabi=ilp32f", "-mcmodel=medany", "-msmall-data-limit=8")),
    Port("refnode-arm", "arm_mps2", "arm-none-eabi-gcc", ("-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft")),
)  # fmt: skip

WARNINGS = (
    "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wdouble-promotion", "-Wstrict-prototypes", "-Wmissing-prototypes",
    "-Wundef",
)  # fmt: skip
PORTABLE_FLAGS = ("-std=c11", "-O2", "-ffreestanding", "-ffp-contract=off", "-fno-math-errno", *WARNINGS)
IMAGE_FLAGS = (
    "-fno-tree-loop-distribute-patterns", "-ffunction-sections", "-fdata-sections", "-fno-asynchronous-unwind-tables",
    "-fno-common",
)  # fmt: skip
# The symbol table stays, for those who read and write variables of a running node; debug information does not.
LINK_FLAGS = (
    "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,--gc-sections", "-Wl,--strip-debug",
    "-Wl,--no-warn-rwx-segments", "-Wl,-z,max-page-size=4096",
)  # fmt: skip


def image_name(port: Port, bug: str | None) -> str:
    return f"{port.machine}-{bug}.elf" if bug else f"{port.machine}.elf"


def sources(port: Port) -> list[Path]:
    directories = (HERE / "src", HERE / "hal" / "common", HERE / "hal" / port.board)
    return sorted(path for directory in directories for path in directory.iterdir() if path.suffix in {".c", ".S"})


def build(output: Path, objects: Path) -> list[Path]:
    """Compile into `objects`, link every variant of every port into `output`; the paths of the ELFs."""
    output.mkdir(parents=True, exist_ok=True)
    wanted = [(port, bug) for port in PORTS for bug in (None, *BUGS)]
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda one: _build_variant(*one, output, objects), wanted))


def _build_variant(port: Port, bug: str | None, output: Path, objects: Path) -> Path:
    directory = objects / port.machine / (bug or "plain")
    directory.mkdir(parents=True, exist_ok=True)
    define = [f"-DBUG_{bug.upper().replace('-', '_')}=1"] if bug else []
    for source in sources(port):
        _compile(port, source, directory / f"{source.stem}.o", define)
    image = output / image_name(port, bug)
    _link(port, [directory / f"{source.stem}.o" for source in sources(port)], image)
    return image


def _compile(port: Port, source: Path, target: Path, define: list[str]) -> None:
    includes = ["-Isrc", "-Ihal", "-Ihal/common", f"-Ihal/{port.board}"]
    maps = [f"-ffile-prefix-map={HERE}/=", f"-ffile-prefix-map={target.parent}/="]
    relative = source.relative_to(HERE)
    _run([port.compiler, *port.flags, *PORTABLE_FLAGS, *IMAGE_FLAGS, *maps, *includes, *define,
          "-c", str(relative), "-o", str(target)])  # fmt: skip


def _link(port: Port, objects: list[Path], image: Path) -> None:
    flags = [f"-Wl,-T,hal/{port.board}/link.ld", *LINK_FLAGS]
    _run([port.compiler, *port.flags, *flags, *map(str, objects), "-lgcc", "-o", str(image)])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=HERE, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=SHIPPED, help="directory for the ELFs (default: the package)")
    parser.add_argument("--objects", type=Path, default=HERE / "build", help="directory for object files")
    arguments = parser.parse_args()
    for image in build(arguments.output.resolve(), arguments.objects.resolve()):
        print(image, file=sys.stderr)


if __name__ == "__main__":
    main()
