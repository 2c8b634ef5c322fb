"""Contents on their way: to workers that lack them, and back from runs."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import anyio
import anyio.to_thread

from swarmrig.campaigns.bundle_content import Content, checked_inventory, checked_place, content_of, next_data
from swarmrig.campaigns.cluster_link import WORKER_S, Link, LostError
from swarmrig.campaigns.worker_order import Report
from swarmrig.errors import HostError
from swarmrig.flash.image import copy_image

SMALL_BYTES = 4096
"""Asking for so much costs no more than looking whether it is here."""
LISTED = 256
"""So many files are asked for at a time."""


class Transfer:
    """Sends what workers lack, once to each; fetches what is not here yet."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._sending: dict[str, anyio.Lock] = defaultdict(anyio.Lock)
        self._here: dict[str, Path] = {}
        self.sent_bytes = 0
        self.fetched_bytes = 0

    async def send(self, worker: str, contents: Iterable[Content], sources: Mapping[str, Path]) -> None:
        """Send what a worker lacks of these. Raises LostError; HostError when a source has changed since."""
        from swarmrig.campaigns import worker as there

        wanted = {content.digest: content for content in contents}
        async with self._sending[worker]:
            lacking = await self._link.on_worker(worker, there.lacking, list(wanted.values()), deadline_s=WORKER_S)
            for digest in lacking:
                await self._send_file(worker, wanted[digest], sources[digest])

    async def _send_file(self, worker: str, content: Content, source: Path) -> None:
        from swarmrig.campaigns import worker as there

        if (await anyio.to_thread.run_sync(content_of, source)).digest != content.digest:
            raise HostError(f"{source} has changed since the campaign began", hint="begin it again")
        part = await self._link.on_worker(worker, there.begin_part, deadline_s=WORKER_S)
        have = 0
        while have < content.size:
            begin, data = await anyio.to_thread.run_sync(_next_data, source, have)
            have = begin + len(data)
            if not data:
                break
            bytes_on_way = await anyio.to_thread.run_sync(there.packed, data)
            await self._link.on_worker(worker, there.write_part, part, begin, bytes_on_way, deadline_s=WORKER_S)
            self.sent_bytes += len(data)
        await self._link.on_worker(worker, there.finish_part, part, content, deadline_s=WORKER_S)

    async def fetch(self, key: str, report: Report, place: Path, only: frozenset[str] | None = None) -> None:
        """Make the files of a run below `place`, which is empty; `only`: those with such names. Raises LostError when
        the worker is gone, or sends something else than it has announced, and HostError when there is no room."""
        try:
            files = checked_inventory(report.files)
        except ValueError as error:
            raise LostError(f"worker {report.worker}: {error}", report.worker) from None
        wanted = [name for name in files if only is None or checked_place(name).name in only]
        distant = [
            name for name in wanted if not await anyio.to_thread.run_sync(self._copied, files[name], place / name)
        ]
        for begin in range(0, len(distant), LISTED):
            await self._fetch_some(key, report, place, distant[begin : begin + LISTED])
        for name in distant:
            path, content = place / name, files[name]
            if await anyio.to_thread.run_sync(content_of, path) != Content(content.digest, content.size):
                raise LostError(
                    f"worker {report.worker} sent something else than {name}: damaged on its way", report.worker
                )
            if content.size > SMALL_BYTES:
                self._here[content.digest] = path

    async def _fetch_some(self, key: str, report: Report, place: Path, names: list[str]) -> None:
        from swarmrig.campaigns import worker as there

        have = dict.fromkeys(names, 0)
        for name in names:
            await anyio.to_thread.run_sync(_begin, place / name, report.files[name].size)
        while rest := [name for name in names if have[name] < report.files[name].size]:
            asked = [(name, have[name]) for name in rest]
            answer = await self._link.on_worker(report.worker, there.read_files, key, asked, deadline_s=WORKER_S)
            ends = await anyio.to_thread.run_sync(_write, place, rest, answer)
            self.fetched_bytes += sum(len(data) for _, data in answer)
            if not any(end > have[name] for name, end in ends.items()):
                raise LostError(f"worker {report.worker} does not send {rest[0]}", report.worker)
            have |= ends

    def _not_copied(self, files: Mapping[str, Content], place: Path) -> list[str]:
        return [name for name, content in files.items() if not self._copied(content, place / name)]

    def _copied(self, content: Content, path: Path) -> bool:
        """Is it here already? Then it is copied."""
        source = self._here.get(content.digest)
        if source is None or content.size <= SMALL_BYTES:
            return False
        try:
            copy_image(source, _made(path))
            if content_of(path).digest == content.digest:
                return True
            path.unlink()
        except (OSError, HostError):
            pass
        del self._here[content.digest]  # moved, or changed by somebody
        return False


def _begin(path: Path, size: int) -> None:
    """A file of that size, all of it a hole."""
    try:
        with _made(path).open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.truncate(size)
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}") from error


def _write(place: Path, names: list[str], answer: list[tuple[int, bytes]]) -> dict[str, int]:
    """Put what came where it belongs; returns how far each file is complete now."""
    from swarmrig.campaigns.worker import unpacked

    ends = {}
    for name, (begin, packed) in zip(names, answer, strict=False):
        path = place / name
        try:
            data = unpacked(packed)
            with path.open("r+b") as file:
                file.seek(begin)
                file.write(data)
        except ValueError as error:
            raise LostError(f"{name}: {error}") from None
        except OSError as error:
            raise HostError(f"cannot write {path}: {error.strerror}") from error
        ends[name] = begin + len(data)
    return ends


def _next_data(path: Path, offset: int) -> tuple[int, bytes]:
    from swarmrig.campaigns.worker import CHUNK_BYTES

    try:
        return next_data(path, offset, CHUNK_BYTES)
    except OSError as error:
        raise HostError(f"{path} cannot be read: {error.strerror}") from error


def _made(path: Path) -> Path:
    """The path, in directories that are there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError(f"cannot make {path.parent}: {error.strerror}") from error
    return path
