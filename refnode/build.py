"""Build the reference firmware: one ELF, and one for each planted bug.

The result depends on the sources and the compiler only: no paths, no times, no build ids.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "src" / "swarmrig" / "nodes" / "qemu" / "firmware"
PREFIX = "riscv64-unknown-elf-"
BOARD = "rv32_virt"
MACHINE = "refnode-rv32"
BUGS = ("mute", "wrong-slot", "panic-at-10s", "leak-until-oom", "corrupt-frame", "slow-boot", "deaf-coordinator")

TARGET_FLAGS = ("-march=rv32imafc", "-mabi=ilp32f", "-mcmodel=medany", "-msmall-data-limit=8")
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


def image_name(bug: str | None) -> str:
    return f"{MACHINE}-{bug}.elf" if bug else f"{MACHINE}.elf"


def sources() -> list[Path]:
    board = HERE / "hal" / BOARD
    return sorted([*(HERE / "src").glob("*.c"), *board.glob("*.c"), *board.glob("*.S")])


def build(output: Path, objects: Path) -> list[Path]:
    """Compile into `objects`, link every variant into `output`; the paths of the ELFs."""
    output.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda bug: _build_variant(bug, output, objects), (None, *BUGS)))


def _build_variant(bug: str | None, output: Path, objects: Path) -> Path:
    directory = objects / (bug or "plain")
    directory.mkdir(parents=True, exist_ok=True)
    define = [f"-DBUG_{bug.upper().replace('-', '_')}=1"] if bug else []
    for source in sources():
        _compile(source, directory / f"{source.stem}.o", define)
    image = output / image_name(bug)
    _link([directory / f"{source.stem}.o" for source in sources()], image)
    return image


def _compile(source: Path, target: Path, define: list[str]) -> None:
    includes = ["-Isrc", "-Ihal", f"-Ihal/{BOARD}"]
    maps = [f"-ffile-prefix-map={HERE}/=", f"-ffile-prefix-map={target.parent}/="]
    relative = source.relative_to(HERE)
    _run([f"{PREFIX}gcc", *TARGET_FLAGS, *PORTABLE_FLAGS, *IMAGE_FLAGS, *maps, *includes, *define,
          "-c", str(relative), "-o", str(target)])  # fmt: skip


def _link(objects: list[Path], image: Path) -> None:
    flags = [f"-Wl,-T,hal/{BOARD}/link.ld", *LINK_FLAGS]
    _run([f"{PREFIX}gcc", *TARGET_FLAGS, *flags, *map(str, objects), "-lgcc", "-o", str(image)])


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
