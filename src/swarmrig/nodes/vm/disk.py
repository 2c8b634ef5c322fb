"""A guest's disk: an overlay that goes with the run, over an image that nobody writes into."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from swarmrig.errors import HostError, NodeError
from swarmrig.proc import Completed, RunScope, Spawner, open_spawner

DEADLINE_S = 30.0
IMAGE_TOOL_HINT = "apt install qemu-utils"
_QCOW2_MAGIC = b"QFI\xfb"
"""QEMU's docs/interop/qcow2.txt; an image without it is raw."""


@dataclass(frozen=True, slots=True)
class Disk:
    """An image as it was found."""

    image: Path
    format: str
    """`qcow2` or `raw`."""
    bytes: int
    """What the guest sees."""
    identity: tuple[int, int, int]
    """Inode, size and time of the last change: another one, and it has been written into."""

    @property
    def unchanged(self) -> bool:
        try:
            return identity_of(self.image) == self.identity
        except OSError:
            return False


def identity_of(image: Path) -> tuple[int, int, int]:
    status = image.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


async def examine_disk(node: str, image: Path) -> Disk:
    """What the image is. NodeError when it cannot be read, is damaged, or is being written into by somebody."""
    try:
        with image.open("rb") as file:
            magic = file.read(4)
        identity = identity_of(image)
    except OSError as error:
        raise NodeError(node, f"disk: {image} cannot be read: {error.strerror}") from error
    if not magic:
        raise NodeError(node, f"disk: {image} is empty")
    kind = "qcow2" if magic == _QCOW2_MAGIC else "raw"
    async with open_spawner(RunScope.passing()) as spawner:
        told = await _image_tool(spawner, node, ["info", "--output=json", "-f", kind, str(image)], "be used")
    return Disk(image, kind, int(json.loads(told.stdout)["virtual-size"]), identity)


async def make_overlay(spawner: Spawner, node: str, disk: Disk, overlay: Path) -> None:
    """An empty overlay. NodeError when the image cannot be under it."""
    words = ["create", "-q", "-f", "qcow2", "-b", str(disk.image.absolute()), "-F", disk.format, str(overlay)]
    await _image_tool(spawner, node, words, "be the base of an overlay")


async def _image_tool(spawner: Spawner, node: str, words: Sequence[str], purpose: str) -> Completed:
    program = shutil.which("qemu-img")
    if program is None:
        raise HostError(f"node {node}: a disk needs qemu-img, which was not found in PATH", hint=IMAGE_TOOL_HINT)
    completed = await spawner.run([program, *words], deadline_s=DEADLINE_S)
    if not completed.ok:
        reason = completed.stderr.decode("utf-8", "replace").strip().removeprefix("qemu-img: ")
        hint = "another program writes into it: give each its own copy, or end it" if "lock" in reason else None
        raise NodeError(node, f"disk: the image cannot {purpose}: {' '.join(reason.split())}", hint=hint)
    return completed
