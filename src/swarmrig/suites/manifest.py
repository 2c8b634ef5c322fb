"""The manifest of a suite's run: tab-separated, a header, one row for each scenario that ran.

    order  scenario_id  name  status  reason  duration_ms  <process>_rc ...  <process>_log ...  <artifact>_path ...

Columns are found by their names, in any order; what else there is, is left alone. A cell that a row lacks is empty.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from swarmrig.errors import ScenarioError
from swarmrig.scenario.problems import Mark, Problems, shorten, suggest

HEAD = ("order", "scenario_id", "name", "status", "reason", "duration_ms")
REPETITION = "repetition"
"""A column that is there when scenarios run more than once, 1-based."""
MAX_BYTES = 16 << 20
_INTEGER = re.compile(r"\s*[-+]?[0-9]{1,18}\s*\Z")


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `line` is where it stands in its file (1-based)."""

    cells: Mapping[str, str]
    line: int = 0

    def text(self, column: str) -> str:
        return self.cells.get(column, "")

    def integer(self, column: str, otherwise: int) -> int:
        """The cell as a whole number; `otherwise` when it is none."""
        text = self.text(column)
        return int(text) if _INTEGER.match(text) else otherwise

    @property
    def scenario_id(self) -> str:
        return self.text("scenario_id")

    @property
    def order(self) -> int:
        return self.integer("order", 0)


def columns(processes: Sequence[str], artifacts: Sequence[str]) -> tuple[str, ...]:
    """The header that goes with these processes and artifacts."""
    exits, logs = (tuple(f"{process}_{what}" for process in processes) for what in ("rc", "log"))
    return (*HEAD, *exits, *logs, *(f"{artifact}_path" for artifact in artifacts))


def read_manifest(path: Path, required: Iterable[str]) -> tuple[Row, ...]:
    """The rows in the order in which they are judged. Raises ScenarioError with everything that is wrong.

    `required` are the columns without which nothing can be judged; of the others, an absent one is empty.
    """
    problems = Problems()
    text = _text(path)
    rows = _rows(text, str(path), set(required), problems)
    problems.raise_any()
    return tuple(sorted(rows, key=lambda row: row.order))


def manifest_text(header: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    """The text of a manifest; tabs and line ends in cells become blanks, so that every reader gets the same."""
    return row_text(header, dict(zip(header, header, strict=True))) + "".join(row_text(header, row) for row in rows)


def row_text(header: Sequence[str], row: Mapping[str, object]) -> str:
    """One row, as it can be appended to a manifest."""
    out = io.StringIO()
    writer = csv.writer(out, dialect="excel-tab", lineterminator="\n")
    writer.writerow([" ".join(str(row.get(column, "")).split()) for column in header])
    return out.getvalue()


def append_row(path: Path, header: Sequence[str], row: Mapping[str, object]) -> None:
    """Add a row to a manifest, which is begun when there is none, and see it on the disk. OSError when that fails."""
    with path.open("ab") as file:
        text = row_text(header, row) if file.tell() else manifest_text(header, [row])
        file.write(text.encode("utf-8", "replace"))
        file.flush()
        os.fsync(file.fileno())


def cut_unfinished(path: Path) -> bool:
    """Cut off what a sudden end has left of a last row; False when there is no manifest, or nothing of it is left."""
    try:
        with path.open("r+b") as file:
            whole = file.read().rfind(b"\n") + 1
            file.truncate(whole)
    except FileNotFoundError:
        return False
    return whole > 0


def _text(path: Path) -> str:
    here = Mark(str(path))
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ScenarioError([here.problem(f"cannot be read: {reason}")]) from error
    if len(data) > MAX_BYTES:
        raise ScenarioError([here.problem(f"is larger than {MAX_BYTES >> 20} MiB, the limit for a manifest")])
    if b"\0" in data:
        line = data[: data.index(b"\0")].count(b"\n") + 1
        raise ScenarioError([Mark(str(path), line).problem("a NUL byte: this is no text", "is it the right file?")])
    # Bytes that are not UTF-8 may be part of a file's name: they must lead to it.
    return data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")


def _rows(text: str, file: str, required: set[str], problems: Problems) -> list[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), dialect="excel-tab", strict=True)
    header: list[str] = []
    rows: list[Row] = []
    try:
        for cells in reader:
            mark = Mark(file, reader.line_num)
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                _check_header(header, required, mark, problems)
            elif row := _row(header, cells, mark, problems):
                rows.append(row)
    except csv.Error as error:
        problems.add(Mark(file, reader.line_num), f"not tab-separated values: {error}")
    if not header:
        problems.add(Mark(file), "is empty", f"the first line names the columns: {', '.join(HEAD)}, ...")
    return rows


def _check_header(header: list[str], required: set[str], mark: Mark, problems: Problems) -> None:
    if len(header) == 1 and len(required) > 1:
        problems.add(mark, f"one column only, {shorten(header[0])}", "columns are separated by tabs")
        return
    for name in sorted(required - set(header)):
        problems.add(mark, f"missing column {name!r}", suggest(name, set(header) - required))
    for name in sorted({name for name in header if name and header.count(name) > 1}):
        problems.add(mark, f"two columns are called {shorten(name)}")


def _row(header: list[str], cells: list[str], mark: Mark, problems: Problems) -> Row | None:
    if len(cells) > len(header):
        problems.add(mark, f"{len(cells)} cells under {len(header)} columns", "does a cell contain a tab?")
        return None
    row = Row(dict(zip(header, cells, strict=False)), mark.line or 0)
    if "scenario_id" in header and not row.scenario_id.strip():
        problems.add(mark, "a row without a scenario_id")
        return None
    return row
