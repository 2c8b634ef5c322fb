"""The files of the page."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from functools import partial
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from swarmrig import __version__
from swarmrig.errors import HostError, MissingExtraError
from swarmrig.model.verdict import Outcome
from swarmrig.reports.document import write_whole
from swarmrig.reports.page.data import as_script, page_data
from swarmrig.reports.page.material import Material, read_material
from swarmrig.reports.page.topology import drawing
from swarmrig.reports.page.words import FILTERS, counted, seconds
from swarmrig.reports.results import FAULT
from swarmrig.runtime.repeat import REPEAT_FILE

PAGE = "report.html"
BESIDE = "report"
"""Directory of what the page loads."""
INCOMPLETE = "INCOMPLETE"
"""Stands where the verdict would."""
_NEEDED = ("jinja2", "plotly")
_FILES = ("events.jsonl", "results.json", "junit.xml", "scenario.yml")
_RANK = {Outcome.FATAL: 0, Outcome.FAIL: 1, Outcome.WARN: 2, Outcome.PASS: 3}


def require() -> None:
    """MissingExtraError when the libraries that make pages are not installed."""
    if any(find_spec(name) is None for name in _NEEDED):
        raise MissingExtraError("a report", "report")


def write_page(path: Path) -> Path:
    """Make report.html in a run's directory, with a directory `report` beside it; returns the path of the page.

    The page appears when all that it needs is there. NoRunError when this is no run; HostError when something cannot
    be written (a full disk), or the libraries are missing.
    """
    require()
    material = read_material(path)
    data = page_data(material)
    texts: dict[str, Callable[[], str]] = {
        f"{BESIDE}/data.js": partial(as_script, data),
        f"{BESIDE}/report.js": partial(_asset, "report.js"),
        f"{BESIDE}/plots.js": partial(_asset, "plots.js"),
        f"{BESIDE}/consoles.js": partial(_asset, "consoles.js"),
        f"{BESIDE}/frames.js": partial(_asset, "frames.js"),
        f"{BESIDE}/plotly.min.js": _plotly,
        PAGE: partial(html, material, data),
    }
    name = BESIDE
    try:
        (material.directory / BESIDE).mkdir(exist_ok=True)
        for name, make in texts.items():
            write_whole(material.directory / name, make())
    except OSError as error:
        raise HostError(
            f"cannot write {material.directory / name}: {error.strerror or error}",
            hint="free some space, then: swarmrig report " + shlex.quote(str(material.directory)),
        ) from error
    return material.directory / PAGE


def html(material: Material, data: Mapping[str, Any]) -> str:
    """The page itself: everything that is read without a script is in it."""
    from jinja2 import Environment, FileSystemLoader

    place = str(files("swarmrig.reports.page") / "assets")
    # Everything is escaped, whatever the name of the template is.
    environment = Environment(loader=FileSystemLoader(place), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= FILTERS
    results = material.results or {}
    return environment.get_template("page.html").render(
        material=material,
        run=material.run,
        results=results,
        verdict=results.get("verdict", INCOMPLETE),
        checks=[check for check in results.get("checks", ()) if check["name"] != FAULT],
        reasons=reasons(material),
        why=why(material),
        commands=commands(material),
        files=[name for name in _FILES if (material.directory / name).is_file()],
        faults=data["faults"],
        judged={fault["id"]: fault for fault in results.get("faults", ())},
        data=data,
        drawing=drawing(material),
        style=_asset("page.css"),
        version=results.get("generator", {}).get("version", __version__),
    )


def why(material: Material) -> str:
    """The verdict in a sentence."""
    results = material.results
    if results is None:
        return (
            "The run wrote no results: it is still going on, or it was ended from outside. "
            "What it left behind is shown; nothing has been judged."
        )
    checks = [check for check in results["checks"] if check["name"] != FAULT]
    passed = sum(check["outcome"] == Outcome.PASS for check in checks)
    proved = sum(bool(fault["proved"]) for fault in results["faults"])
    told = [f"{passed} of {counted(len(checks), 'check')} passed"] if checks else ["Nothing was checked"]
    if results["faults"]:
        told.append(f"{proved} of {counted(len(results['faults']), 'fault')} proved to have happened")
    if results.get("failures"):
        told.append(f"{counted(len(results['failures']), 'failure')} of the rig or its nodes")
    if material.run.get("interrupted"):
        told.append(f"interrupted at {seconds(material.end_ns)}: only what had been seen by then is judged")
    return ", ".join(told) + "."


def reasons(material: Material) -> list[Mapping[str, Any]]:
    """What kept the run from passing, the worst first."""
    judged = [check for check in (material.results or {}).get("checks", ()) if check["counted"] != Outcome.PASS]
    return sorted(judged, key=lambda check: _RANK[check["counted"]])


def commands(material: Material) -> list[tuple[str, str]]:
    """(what it does, command) for whoever wants to see it again."""
    place = material.directory
    found = []
    if material.run.get("digest"):
        found.append(("The same run again: same bytes, compared", _command("replay", place)))
    if (place / REPEAT_FILE).is_file():
        found.append(("Run it anew, with its faults at the same times", _command("run", place / REPEAT_FILE)))
    elif (place / "scenario.yml").is_file():
        found.append(("Run it anew", _command("run", place / "scenario.yml")))
    return found


def _command(name: str, path: Path) -> str:
    return f"swarmrig {name} {shlex.quote(str(path))}"


def _asset(name: str) -> str:
    return (files("swarmrig.reports.page") / "assets" / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """The library's script, without importing the library."""
    spec = find_spec("plotly")
    assert spec is not None and spec.origin is not None
    return (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
