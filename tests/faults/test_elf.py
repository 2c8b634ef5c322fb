"""What an ELF file tells: symbols, the memory that is written to, and clear words about what is not there."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmrig.elf import SymbolError, read_elf

FIRMWARE = Path(__file__).parents[2] / "src/swarmrig/nodes/qemu/firmware/refnode-rv32.elf"
NM = shutil.which("riscv64-unknown-elf-nm")
STRIP = shutil.which("riscv64-unknown-elf-strip")
ARM = shutil.which("arm-none-eabi-gcc")


@pytest.mark.skipif(NM is None, reason="no binutils for riscv")
def test_symbols_are_where_binutils_says():
    listing = subprocess.run([NM, "-S", "--defined-only", FIRMWARE], capture_output=True, text=True, check=True).stdout
    elf = read_elf(FIRMWARE)
    once = [line.split() for line in listing.splitlines()]
    names = [words[-1] for words in once]
    for words in once:
        if names.count(words[-1]) == 1:
            symbol = elf.symbol(words[-1])
            assert (symbol.address, symbol.size) == (int(words[0], 16), int(words[1], 16) if len(words) == 4 else 0)
    assert elf.machine == "EM_RISCV"
    assert elf.entry == elf.symbol("_start").address


def test_what_the_firmware_writes_to():
    elf = read_elf(FIRMWARE)
    names = [region.name for region in elf.writable]
    assert {".data", ".bss", ".heap"} <= set(names)
    assert ".text" not in names and ".rodata" not in names
    heap = elf.writable[names.index(".heap")]
    assert (heap.address, heap.end) == (elf.symbol("__heap_start").address, elf.symbol("__heap_end").address)
    assert all(one.end <= other.address for one, other in zip(elf.writable, elf.writable[1:], strict=False))


def test_a_symbol_that_is_not_there():
    with pytest.raises(SymbolError, match=r"refnode-rv32\.elf has no symbol 'confg', did you mean 'config'\?"):
        read_elf(FIRMWARE).symbol("confg")


@pytest.mark.skipif(STRIP is None, reason="no binutils for riscv")
def test_a_stripped_file(tmp_path):
    stripped = tmp_path / "stripped.elf"
    subprocess.run([STRIP, "-o", stripped, FIRMWARE], check=True)
    with pytest.raises(SymbolError, match="has no symbols"):
        read_elf(stripped).symbol("config")


@pytest.mark.skipif(ARM is None, reason="no compiler for arm")
def test_names_that_files_keep_to_themselves_and_thumb_functions(tmp_path):
    for name in ("one", "two"):
        (tmp_path / f"{name}.c").write_text(
            f"static int twice = 1; static int lone_{name} = 2; int {name}(void) {{ return twice++ + lone_{name}++; }}"
        )
    (tmp_path / "main.c").write_text("int lone_one; int _start(void) { return lone_one; }")
    output = tmp_path / "small.elf"
    sources = [tmp_path / f"{name}.c" for name in ("one", "two", "main")]
    subprocess.run([ARM, "-mthumb", "-mcpu=cortex-m3", "-nostdlib", "-o", output, *sources], check=True)
    elf = read_elf(output)
    with pytest.raises(SymbolError, match=r"several symbols 'twice', at 0x[0-9a-f]+, 0x[0-9a-f]+: give an address"):
        elf.symbol("twice")
    assert elf.symbol("lone_two").size == 4
    assert elf.symbol("one").address % 2 == 0
    assert elf.symbol("lone_one").name in [region.name for region in elf.symbols["lone_one"]]
    assert len(elf.symbols["lone_one"]) == 1, "the one that all files see"


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.binary(max_size=400), st.integers(0, 3000))
def test_no_bytes_make_it_fall_over(tmp_path_factory, noise, at):
    content = bytearray(FIRMWARE.read_bytes())
    content[at : at + len(noise)] = noise
    path = tmp_path_factory.mktemp("elf") / "noise.elf"
    path.write_bytes(content)
    try:
        read_elf(path)
    except SymbolError as error:
        assert "noise.elf" in str(error)


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF"])
def test_other_files(tmp_path, content):
    path = tmp_path / "other.bin"
    path.write_bytes(content)
    with pytest.raises(SymbolError, match=r"other\.bin is no ELF file"):
        read_elf(path)
