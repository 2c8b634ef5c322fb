"""The picture in the README: `make picture` runs examples/two-rooms.swarmrig.yml, and draws what its terminal shows.

run-light.svg and run-dark.svg are that run; nothing in them is made up, and they need no font and no file beside them.
"""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import chdir
from io import StringIO
from pathlib import Path
from shutil import copyfile

import anyio
from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI, TerminalTheme
from rich.text import Text

from swarmrig.cli.summary import summary_lines
from swarmrig.cli.view.blocks import Lines
from swarmrig.cli.view.live import LivePicture
from swarmrig.plugins import Registry
from swarmrig.reports.document import write_document
from swarmrig.runtime.events import Event
from swarmrig.runtime.observer import Programme, Snapshot
from swarmrig.runtime.plan import plan_loaded
from swarmrig.runtime.run import RunOptions, run
from swarmrig.scenario.load import load_scenario

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "examples/two-rooms.swarmrig.yml"
_COLUMNS, _ROWS = 116, 34
_FONTS = 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'
_LIGHT = TerminalTheme(
    (255, 255, 255),
    (31, 35, 40),
    [
        (31, 35, 40),
        (179, 38, 30),
        (20, 113, 58),
        (138, 90, 0),
        (11, 92, 173),
        (112, 48, 160),
        (0, 110, 120),
        (91, 102, 112),
    ],
)
THEMES = {"run-light.svg": _LIGHT, "run-dark.svg": DIMMED_MONOKAI}


class Onlooker:
    """Has the live view's picture follow a run."""

    def __init__(self, picture: LivePicture) -> None:
        self._picture = picture

    def on_event(self, event: Event) -> None:
        self._picture.take(event)

    def progress(self, snapshot: Snapshot) -> None:
        self._picture.see(snapshot)


async def shown() -> tuple[Lines, list[str]]:
    """The last picture of the live view, and the lines that follow it, of a run in the current directory."""
    registry = Registry.load()
    file = Path(copyfile(EXAMPLE, EXAMPLE.name))
    plan = await plan_loaded(lambda: load_scenario(file, registry=registry), registry)
    picture = LivePicture(Programme.of(plan))
    finished = await run(plan, RunOptions(output_dir=Path("runs"), observer=Onlooker(picture)))
    return picture.draw(_COLUMNS, _ROWS, last=True), list(summary_lines(finished, colours=True))


def drawn() -> dict[str, str]:
    """The pictures by file name."""
    console = Console(record=True, width=_COLUMNS, file=StringIO(), force_terminal=True, color_system="standard")
    with tempfile.TemporaryDirectory() as place, chdir(place):
        picture, summary = anyio.run(shown)
    console.print(f"$ swarmrig run {EXAMPLE.name}", style="bold", highlight=False)
    console.print(picture)
    console.print()
    for line in summary:
        console.print(Text.from_ansi(line), no_wrap=True, overflow="ellipsis", highlight=False)
    return {name: _svg(console, theme) for name, theme in THEMES.items()}


def _svg(console: Console, theme: TerminalTheme) -> str:
    made = console.export_svg(title="swarmrig", theme=theme, clear=False, unique_id="swarmrig")
    alone = re.sub(r"@font-face \{.*?\}\s*", "", made, flags=re.S).replace("Fira Code, monospace", _FONTS)
    return "\n".join(line.rstrip() for line in alone.splitlines() if line.strip()) + "\n"


if __name__ == "__main__":
    for name, text in drawn().items():
        write_document(Path(sys.argv[1]) / name, text)
