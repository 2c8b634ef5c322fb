"""The ELFs in the package: built from these sources, byte by byte, and safe to judge by."""

import re
import shutil
import struct
import subprocess
import sys

import pytest
from refnode_virtual import REFNODE, load_build

from swarmrig.checks import patterns
from swarmrig.errors import HostError
from swarmrig.nodes.qemu.firmware import MACHINES, VARIANTS, firmware_path

SAYS_SO_ONLY_WHEN_IT_IS_SO = {
    "Guru Meditation Error: Core  0 panic'ed (%s). Exception was unhandled.",
    "***ERROR*** Stack overflow in task main has been detected.",
    "Rebooting...",
    "rst:0x%x (%s)",
    "HEAP_ERROR: out of memory, malloc(%u) failed",
    "CORRUPT HEAP: bad block at 0x%08x",
    "InstrFetchProhibited",
    "IllegalInstruction",
    "LoadProhibited",
    "StoreProhibited",
    "Calling app_main()",
    "fall detected node_id=%u accel=%u",
    "panic",  # the name of a command, which is never printed
}


def sections(image: bytes) -> dict[str, bytes]:
    """Name -> contents of the sections of a 32-bit little-endian ELF file (System V ABI, chapter 4)."""
    offset, count, names = struct.unpack_from("<I", image, 32)[0], *struct.unpack_from("<HH", image, 48)
    headers = [struct.unpack_from("<10I", image, offset + 40 * index) for index in range(count)]
    table = image[headers[names][4] :]
    found = {}
    for name, kind, _, _, start, size, *_ in headers:
        text = table[name : table.index(b"\0", name)].decode()
        found[text] = b"" if kind == 8 else image[start : start + size]
    return found


def compiler(image: bytes) -> str:
    return sections(image)[".comment"].rstrip(b"\0").decode()  # and its version


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """All variants, built from a copy of the sources in another place."""
    place = tmp_path_factory.mktemp("elsewhere") / "a longer name" / "refnode"
    shutil.copytree(REFNODE, place, ignore=shutil.ignore_patterns("build", "__pycache__"))
    subprocess.run(
        [sys.executable, "build.py", "--output", "images", "--objects", "objects"],
        cwd=place, check=True, stdin=subprocess.DEVNULL, capture_output=True,
    )  # fmt: skip
    return place / "images"


@pytest.mark.parametrize("variant", [None, *VARIANTS])
def test_the_shipped_images_are_built_from_these_sources(built, machine, variant):
    shipped = firmware_path(machine, variant)
    ours, theirs = (built / shipped.name).read_bytes(), shipped.read_bytes()
    if compiler(ours) == compiler(theirs):
        assert ours == theirs, "run: make -C refnode"
    else:  # another compiler makes other code of them, but the same names
        assert symbol_names(ours) == symbol_names(theirs), "run: make -C refnode"


def symbol_names(image: bytes) -> set[bytes]:
    ours = re.compile(rb"[a-z_][a-z0-9_]*")
    return {name for name in sections(image)[".strtab"].split(b"\0") if ours.fullmatch(name)}


@pytest.mark.parametrize("variant", [None, *VARIANTS])
def test_symbols_stay_and_nothing_tells_of_the_build(machine, variant):
    image = firmware_path(machine, variant).read_bytes()
    parts = sections(image)
    assert not [name for name in parts if name.startswith((".debug", ".note"))]
    assert {b"main", b"config", b"crash_report", b"edge_feed", b"csi_frame", b"heap_limit"} <= set(
        parts[".strtab"].split(b"\0")
    )
    for trace in (b"/work", b"/home", b"/tmp", b"/root", b"build/"):
        assert trace not in image
    assert len(image) < 128 * 1024


def test_variants_differ_from_the_plain_image_and_each_other(machine):
    images = {firmware_path(machine, variant).read_bytes() for variant in (None, *VARIANTS)}
    assert len(images) == 1 + len(VARIANTS)


def test_the_package_the_build_and_the_sources_name_the_same_bugs():
    header = (REFNODE / "src" / "bugs.h").read_text()
    named = {name.lower().replace("_", "-") for name in re.findall(r"#ifndef BUG_(\w+)", header)}
    assert named == set(VARIANTS) == set(load_build().BUGS)
    assert tuple(port.machine for port in load_build().PORTS) == MACHINES


def literals(image: bytes) -> set[str]:
    return {text.decode() for text in re.findall(rb"[\x20-\x7e]{4,}", sections(image)[".rodata"])}


@pytest.mark.parametrize("variant", [None, *VARIANTS])
def test_no_text_looks_like_a_crash_or_a_boot_by_accident(machine, variant):
    """Judges read consoles by these patterns, so a text that matches one must mean it."""
    judged = (patterns.BOOT, patterns.CRASH, patterns.HEAP, patterns.STACK, patterns.REBOOT, patterns.FALL)
    texts = literals(firmware_path(machine, variant).read_bytes())
    matching = {text for text in texts if any(pattern.search(text) for pattern in judged)}
    # What stands before a literal may be printable by chance.
    assert [text for text in matching if not text.endswith(tuple(SAYS_SO_ONLY_WHEN_IT_IS_SO))] == []
    assert "Calling app_main()" in matching  # the search finds what is there


def test_what_is_not_there_is_refused_with_what_is():
    with pytest.raises(HostError, match="no reference firmware for machine 'toaster'"):
        firmware_path("toaster")
    with pytest.raises(HostError, match="no firmware variant 'perfect'") as error:
        firmware_path("refnode-rv32", "perfect")
    assert "wrong-slot" in str(error.value)
