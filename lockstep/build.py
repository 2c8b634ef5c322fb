"""Build the lockstep plugin: one shared library for each version of QEMU's plugin API.

Needs a C compiler and nothing else: no headers of QEMU or GLib. Used by the package's build and by the tests.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHIPPED = HERE.parent / "src" / "swarmrig" / "timebase" / "lockstep"
APIS = (1, 4)
"""1: QEMU 7.2 to 8.2. 4: QEMU 10.0."""
FLAGS = (
    "-std=gnu11", "-O2", "-fPIC", "-shared", "-pthread", "-fvisibility=hidden", "-Wl,--build-id=none", "-Wl,-z,now",
    "-s", "-Wall", "-Wextra", "-Wshadow", "-Wstrict-prototypes", "-Wmissing-prototypes",
)  # fmt: skip


class BuildError(Exception):
    """The plugin cannot be built; says why."""


def library_name(api: int) -> str:
    return f"lockstep-api{api}.so"


def compiler() -> str:
    """$CC, cc, gcc or clang, whichever is there first."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    raise BuildError("there is no C compiler (CC, cc, gcc, clang)")


def build(output: Path, apis: tuple[int, ...] = APIS, *, strict: bool = True) -> list[Path]:
    """Compile into `output`; the paths of the libraries, one for each API. `strict`: a warning is an error."""
    flags = [compiler(), *FLAGS, *(["-Werror"] if strict else [])]
    output.mkdir(parents=True, exist_ok=True)
    return [_compile(flags, api, output / library_name(api)) for api in apis]


def _compile(flags: list[str], api: int, target: Path) -> Path:
    sources = [path.name for path in sorted(HERE.glob("*.c"))]
    new = target.with_suffix(f".{os.getpid()}")
    command = [*flags, f"-DLOCKSTEP_API={api}", *sources, "-o", str(new.absolute())]
    result = subprocess.run(command, cwd=HERE, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BuildError(f"{' '.join(command)} failed:\n{result.stderr}")
    new.replace(target)  # QEMUs that run keep the file they mapped
    return target


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    try:
        for library in build(arguments.output):
            print(library)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
