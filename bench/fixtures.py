"""Fixtures: how fast captures are verified, against tshark's capinfos; an image built, against dpkg-deb; and made.

Verifying reads the same files as capinfos, which is C and only counts; CPU time of each. The whole command, which asks
tshark and capinfos as well, is measured by the clock. An image is built from a filled store; the peer unpacks the same
packages with dpkg-deb and does nothing else. The run of a guest has no peer: what is asked for is a time, from the
emulator's start to the generator's, and to the end of it all; of a tiny guest, and of one with systemd.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio

from swarmrig.fixtures.capture import read_capture
from swarmrig.fixtures.generate import GuestOptions, generate
from swarmrig.fixtures.image import Image, build_image
from swarmrig.fixtures.lock import Lock, load_lock
from swarmrig.fixtures.locking import fill_store, make_lock
from swarmrig.fixtures.recipe import Recipe, load_recipe
from swarmrig.fixtures.store import DebStore
from swarmrig.net.pcapng import CaptureWriter
from swarmrig.proc import RunScope, Spawner, open_spawner

ROUNDS = 3
CAPTURE_BYTES = 64 << 20
SIZES = (90, 300, 1400)
RECIPE = Path("examples/trace-topology/trace-topology.image.yml")
FULL = """
image: 1
kind: full
packages: [iproute2]
files: {/usr/sbin/generate: generate.sh}
expects: [made.txt]
"""
GENERATOR = "#!/bin/sh\nsystemctl --version >made.txt\n"


def run() -> None:
    runs = Path.cwd() / "runs"
    runs.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=runs) as name:
        for size in SIZES:
            verify(Path(name) / "frames.pcapng", size)
        whole_command(Path(name) / "capture.pcapng", SIZES[0])
        anyio.run(images, Path(name))


def write(path: Path, size: int, length: int) -> int:
    """A capture of frames of one size; returns its length."""
    with CaptureWriter(path, ("a", "b")) as capture:
        for number in range(length // (size + 48)):
            capture.record((number * 1000, number & 1, bytes(size), "drop: loss" if number % 20 == 0 else None))
    return path.stat().st_size


def verify(path: Path, size: int) -> None:
    length = write(path, size, CAPTURE_BYTES)
    ours = min(cpu(lambda: read_capture(path)) for _ in range(ROUNDS))
    words = ["capinfos", "-c", str(path)]
    peer = min(cpu(lambda: subprocess.run(words, check=True, capture_output=True)) for _ in range(ROUNDS))
    path.unlink()
    print(
        f"fixtures: verify frames of {size} bytes: {length / ours / 1e6:.0f} MB/s, capinfos "
        f"{length / peer / 1e6:.0f} MB/s, ratio vs capinfos = {peer / ours:.2f}"
    )


def whole_command(path: Path, size: int) -> None:
    """From its start to its end, as a user waits for it."""
    length = write(path, size, 4 * CAPTURE_BYTES)
    words = [sys.executable, "-m", "swarmrig", "fixtures", "verify", str(path.parent)]
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        times.append(time.perf_counter() - begin)
    path.unlink()
    print(
        f"fixtures: the whole command `fixtures verify`, tshark's reading included, {length >> 20} MiB of frames of "
        f"{size} bytes: {min(times):.1f} s, {length / min(times) / 1e6:.0f} MB/s"
    )


async def images(directory: Path) -> None:
    store = DebStore()
    async with open_spawner(RunScope.passing()) as spawner:
        for recipe in (load_recipe(RECIPE), full_recipe(directory)):
            kind = recipe.values.kind
            lock = load_lock(recipe) if recipe.lock_path.exists() else await make_lock(spawner, recipe)
            await fill_store(spawner, recipe, lock, store)
            image = await build(spawner, recipe, lock, store, directory / kind)
            await make(spawner, recipe, image, directory / f"made-{kind}")


def full_recipe(directory: Path) -> Recipe:
    (directory / "generate.sh").write_text(GENERATOR)
    (directory / "generate.sh").chmod(0o755)
    path = directory / "full.image.yml"
    path.write_text(FULL)
    return load_recipe(path)


async def build(spawner: Spawner, recipe: Recipe, lock: Lock, store: DebStore, directory: Path) -> Image:
    begin, begin_cpu = time.perf_counter(), used()
    image = await build_image(spawner, recipe, lock, store, directory)
    ours, ours_cpu = time.perf_counter() - begin, used() - begin_cpu
    begin, begin_cpu = time.perf_counter(), used()
    for package in lock.packages:
        words = ["dpkg-deb", "-x", str(store.path(package)), str(directory.with_name("unpacked"))]
        await anyio.run_process(words)
    peer, peer_cpu = time.perf_counter() - begin, used() - begin_cpu
    print(
        f"fixtures: {recipe.values.kind} image of {len(lock.packages)} packages built in {ours:.1f} s "
        f"({ours_cpu:.1f} s of CPU without its programs'), unpacked alone by dpkg-deb in {peer:.1f} s "
        f"({peer_cpu:.1f} s), ratio vs dpkg-deb -x = {peer / ours:.2f}"
    )
    return image


async def make(spawner: Spawner, recipe: Recipe, image: Image, directory: Path) -> None:
    began = time.perf_counter()
    marks: dict[str, float] = {}

    def observe(line: str) -> None:
        for word in ("starts", "ended"):
            if line.startswith(f"swarmrig: generator {word}"):
                marks[word] = time.perf_counter() - began

    options = GuestOptions(accelerator="tcg")
    await generate(spawner, image, recipe.values.expects, directory, options, observe)
    total = time.perf_counter() - began
    print(
        f"fixtures: emulated {recipe.values.kind} guest: generator starts after {marks['starts']:.1f} s, ends after "
        f"{marks['ended']:.1f} s, all is over after {total:.1f} s"
    )


def cpu(work: Callable[[], object]) -> float:
    begin = used()
    work()
    return used() - begin


def used() -> float:
    """Seconds of CPU, of this process and of those it has waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime
