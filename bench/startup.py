"""How long the command line takes to answer, beside a bare interpreter and a bare import of typer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from swarmrig.cli.main import COMMANDS

ROUNDS = 11


def run() -> None:
    """Whole processes, interleaved so that load hits all alike; medians in ms."""
    script = Path(sys.executable).with_name("swarmrig")
    contenders = {
        "bare interpreter": [sys.executable, "-c", "pass"],
        "import typer": [sys.executable, "-c", "import typer"],
        "--help": [str(script), "--help"],
        **{f"{name} --help": [str(script), name, "--help"] for name in COMMANDS},
    }
    if not _runs(contenders["import typer"]):
        del contenders["import typer"]
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, command in contenders.items():
            times[name].append(_timed_ms(command))
    results = {name: median(taken) for name, taken in times.items()}
    bare, typer = results.pop("bare interpreter"), results.pop("import typer", None)
    for name, taken in results.items():
        ratios = f"ratio vs bare interpreter = {taken / bare:.2f}"
        if typer is not None:
            ratios += f", ratio vs import typer = {taken / typer:.2f}"
        print(f"startup: {name} {taken:.0f} ms, {ratios}")


def _runs(command: list[str]) -> bool:
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def _timed_ms(command: list[str]) -> float:
    begin = time.perf_counter()
    environment = {"PATH": os.environ.get("PATH", ""), "COLUMNS": "100"}
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, env=environment)
    return (time.perf_counter() - begin) * 1000
