"""The files of the page."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from swarmrig import __version__
from swarmrig.model.verdict import Outcome
from swarmrig.reports.page.data import page_data
from swarmrig.reports.page.material import Material, read_material
from swarmrig.reports.page.repeating import repeated
from swarmrig.reports.page.topology import drawing
from swarmrig.reports.page.words import FILTERS, counted, seconds
from swarmrig.reports.results import FAULT
from swarmrig.reports.web.files import command, loaded, rendered, require, write_files

PAGE = "report.html"
INCOMPLETE = "INCOMPLETE"
"""Stands where the verdict would."""
_PACKAGE = "swarmrig.reports.page"
_SCRIPTS = ("consoles.js", "frames.js", "plots.js", "report.js")
_FILES = ("events.jsonl", "results.json", "junit.xml", "scenario.yml")
_RANK = {Outcome.FATAL: 0, Outcome.FAIL: 1, Outcome.WARN: 2, Outcome.PASS: 3}


def write_page(path: Path) -> Path:
    """Make report.html in a run's directory, with a directory `report` beside it; returns the path of the page.

    The page appears when all that it needs is there. NoRunError when this is no run; HostError when something cannot
    be written (a full disk), or the libraries are missing.
    """
    require()
    material = read_material(path)
    data = page_data(material)
    texts = loaded(_PACKAGE, _SCRIPTS, data) | {PAGE: partial(html, material, data)}
    return write_files(material.directory, PAGE, texts, command("report", material.directory))


def html(material: Material, data: Mapping[str, Any]) -> str:
    """The page itself: everything that is read without a script is in it."""
    results = material.results or {}
    return rendered(
        _PACKAGE,
        "page.html",
        FILTERS,
        title=material.name,
        material=material,
        run=material.run,
        results=results,
        verdict=results.get("verdict", INCOMPLETE),
        checks=[check for check in results.get("checks", ()) if check["name"] != FAULT],
        reasons=reasons(material),
        why=why(material),
        commands=repeated(material.directory, material.run.get("digest")),
        files=[name for name in _FILES if (material.directory / name).is_file()],
        faults=data["faults"],
        judged={fault["id"]: fault for fault in results.get("faults", ())},
        data=data,
        drawing=drawing(material),
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
