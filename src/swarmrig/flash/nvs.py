"""Build ESP-IDF NVS partitions in process, with Espressif's own generator behind checks that it does not make.

The generator truncates long keys into their neighbours' bytes and raises whatever comes up; so names, ranges and
sizes are checked first, all together. Importing it takes a tenth of a second, hence only when something is built.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarmrig.flash.keys import MAX_KEY_LENGTH, KeySpec, NvsType, Value, key_spec

NVS_OFFSET = 0x9000
NVS_SIZE = 0x6000
PAGE_BYTES = 4096
MIN_NVS_SIZE = 3 * PAGE_BYTES
"""NVS needs one page in reserve, and the generator does not make less than three."""


class NvsError(ValueError):
    """What was asked for does not fit into NVS; carries every problem found."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(problems))


@dataclass(frozen=True, slots=True)
class NvsEntry:
    """One key with its value: int for integer types, str for strings, bytes for blobs."""

    namespace: str
    key: str
    type: NvsType
    value: Value

    def __str__(self) -> str:
        shown = self.value.hex(":") if isinstance(self.value, bytes) else self.value
        return f"{self.namespace}.{self.key} = {shown} ({self.type})"


def entries_from_values(values: Mapping[str, Mapping[str, object]]) -> tuple[NvsEntry, ...]:
    """Entries of `namespace -> {key: value}` with types from the key tables; NvsError with all problems."""
    entries: list[NvsEntry] = []
    problems: list[str] = []
    for namespace, keys in values.items():
        for key, value in keys.items():
            try:
                spec = key_spec(namespace, key)
                entries.append(NvsEntry(namespace, key, spec.type, spec.convert(value)))
            except ValueError as error:
                problems.append(str(error))
    if problems:
        raise NvsError(problems)
    return tuple(entries)


def build_nvs(entries: Iterable[NvsEntry], size: int = NVS_SIZE) -> bytes:
    """The partition's bytes, `size` long; entries in the given order, namespaces in order of first use.

    Equal input gives equal bytes. NvsError names everything that is wrong, also when the entries do not fit.
    """
    entries = tuple(entries)
    problems = [*_size_problems(size), *_entry_problems(entries)]
    if problems:
        raise NvsError(problems)
    return _generate(entries, size)


def _generate(entries: tuple[NvsEntry, ...], size: int) -> bytes:
    from esp_idf_nvs_partition_gen import nvs_partition_gen as generator

    buffer = io.BytesIO()
    try:
        # The generator adds the reserve page to what it is given.
        nvs = generator.nvs_open(buffer, size - PAGE_BYTES, generator.Page.VERSION2)
        for entry in entries:
            nvs.write_namespace(entry.namespace)
            nvs.write_entry(entry.key, _generator_value(entry), _encoding(entry), nvs.get_namespace_idx())
        generator.nvs_close(nvs)
    except generator.InsufficientSizeError as error:
        raise NvsError([f"{len(entries)} entries do not fit into an NVS partition of {size:#x} bytes"]) from error
    return buffer.getvalue()


def _encoding(entry: NvsEntry) -> str:
    return "binary" if entry.type is NvsType.BLOB else entry.type.value


def _generator_value(entry: NvsEntry) -> Any:
    return bytes(entry.value) if isinstance(entry.value, bytes) else entry.value


def _size_problems(size: int) -> list[str]:
    if size % PAGE_BYTES or size < MIN_NVS_SIZE:
        return [f"an NVS partition is a multiple of {PAGE_BYTES:#x} and at least {MIN_NVS_SIZE:#x}, not {size:#x}"]
    return []


def _entry_problems(entries: Sequence[NvsEntry]) -> list[str]:
    problems: list[str] = []
    seen: set[tuple[str, str]] = set()
    for entry in entries:
        for what, name in (("namespace", entry.namespace), ("key", entry.key)):
            problem = _name_problem(what, name)
            if problem and problem not in problems:
                problems.append(problem)
        try:
            KeySpec(f"{entry.namespace}.{entry.key}", entry.type, "").convert(_strict(entry))
        except ValueError as error:
            problems.append(str(error))
        if (entry.namespace, entry.key) in seen:
            problems.append(f"{entry.namespace}.{entry.key} is given twice")
        seen.add((entry.namespace, entry.key))
    if len({entry.namespace for entry in entries}) > 254:
        problems.append("NVS holds at most 254 namespaces")
    return problems


def _strict(entry: NvsEntry) -> Value:
    if entry.type is NvsType.BLOB and not isinstance(entry.value, bytes):
        raise ValueError(f"{entry.namespace}.{entry.key} is a blob: bytes expected, got {entry.value!r}")
    return entry.value


def _name_problem(what: str, name: str) -> str | None:
    if not name or not name.isascii() or not name.isprintable():
        return f"NVS {what} {name!r} is not printable ASCII"
    if len(name) > MAX_KEY_LENGTH:
        return f"NVS {what} {name!r} has {len(name)} characters, at most {MAX_KEY_LENGTH} are possible"
    return None
