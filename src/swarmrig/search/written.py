"""A finding as files: a scenario to run, and a test for pytest."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from swarmrig.model.scenario import Scenario
from swarmrig.model.units import format_duration
from swarmrig.plugins import Registry
from swarmrig.reports.document import write_document
from swarmrig.scenario.resolved import dump_scenario
from swarmrig.search.findings import Finding
from swarmrig.search.schedule import Schedule, applied

WIDTH = 110


def write_finding(finding: Finding, scenario: Scenario, registry: Registry, directory: Path) -> None:
    """Write both files, in place of those that told of the finding before. HostError when there is no room."""
    write_document(scenario_path(finding, directory), scenario_text(finding, scenario, registry))
    write_document(module_path(finding, directory), module_text(finding, scenario))


def scenario_path(finding: Finding, directory: Path) -> Path:
    return directory / f"finding-{finding.number}.swarmrig.yml"


def module_path(finding: Finding, directory: Path) -> Path:
    return directory / f"test_finding_{finding.number}.py"


def scenario_text(finding: Finding, scenario: Scenario, registry: Registry) -> str:
    """A file that `swarmrig run` loads; what was seen, in comments. Faults that were proved must be proved again."""
    broken = applied(scenario, finding.schedule, registry, proved=finding.proved)
    broken = replace(broken, name=f"{scenario.name[:48]}-finding-{finding.number}")
    comments = [f"# {line}".rstrip() for text in _story(finding) for line in _wrapped(text)]
    return "\n".join([*comments, "", dump_scenario(broken, registry)])


def _story(finding: Finding) -> Iterator[str]:
    shown = finding.shown
    yield f"The check {shown.check} does not hold: {shown.outcome}: {shown.message}"
    yield f"What it takes, in this order (seed {finding.schedule.seed}):"
    for strike in finding.schedule.strikes:
        yield f"  {strike}{'' if strike.name in finding.proved or not finding.runs else '  (its effect was not seen)'}"
    yield sureness(finding)
    for run in finding.runs[:1]:
        if run.directory is not None:
            yield f"Evidence: {run.directory}"


def sureness(finding: Finding) -> str:
    """How small it is, and how often it was seen."""
    alone = len(finding.schedule.strikes) == 1
    least = "Without it, the check holds." if alone else "Without any one of them, the check holds."
    size = least if finding.minimal else "Shrinking was interrupted: there may be a smaller one."
    same = f", each with the digest {finding.digests[0][:16]}" if len(finding.digests) == 1 and finding.runs else ""
    if not finding.runs:
        return f"{size} Not confirmed: the search was interrupted."
    return f"{size} Confirmed in {finding.confirmed} of {len(finding.runs)} further runs{same}."


def _wrapped(text: str) -> Iterator[str]:
    """Lines that fit; a guest may have said anything, so nothing that steers a terminal or ends a comment."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    indent = clean[: len(clean) - len(clean.lstrip())]
    yield from textwrap.wrap(
        clean, WIDTH, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False
    ) or [""]


TEST = '''"""Found by `swarmrig explore`: {words}.

The test says what should be: it fails as long as the bug is there.
"""

from pathlib import Path

import swarmrig

SCENARIO = Path(__file__).with_name({scenario!r})


def test_{name}(tmp_path):
    result = swarmrig.run(SCENARIO, output_dir=tmp_path)
    assert not result.problems, result.problems
    for check in result.checks:  # a fault that did not take effect would prove nothing
        if check.name == "fault":
            assert check.judgement.counted in ("PASS", "WARN"), check.judgement.message
    (check,) = [check for check in result.checks if check.label == {check!r}]
    assert check.judgement.counted in ("PASS", "WARN"), check.judgement.message
'''


def module_text(finding: Finding, scenario: Scenario) -> str:
    """A module for pytest; it needs the scenario beside it."""
    name = "_".join(
        ["".join(c if c.isalnum() else "_" for c in finding.broken.check), "holds", *_names(finding.schedule)]
    )
    return TEST.format(
        words=_ascii(f"{finding.broken.check} in {scenario.name} breaks by {_told(finding.schedule)}"),
        scenario=scenario_path(finding, Path()).name,
        name=name[:100].lower(),
        check=finding.broken.check,
    )


def _names(schedule: Schedule) -> list[str]:
    kinds = [strike.kind for strike in schedule.strikes]
    return [word for index, kind in enumerate(kinds) for word in (["after" if index == 0 else "then", kind])]


def _told(schedule: Schedule) -> str:
    return ", then ".join(f"{strike.kind} at {format_duration(strike.at_ns)}" for strike in schedule.strikes)


def _ascii(text: str) -> str:
    """What may stand in a docstring."""
    return text.encode("ascii", "replace").decode().replace("\\", "/").replace('"', "'")
