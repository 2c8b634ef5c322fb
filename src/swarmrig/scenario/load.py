"""The one way from a file or a preset's name to a scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from swarmrig.errors import Problem, ScenarioError
from swarmrig.model.scenario import Scenario, TimeMode
from swarmrig.model.units import format_duration
from swarmrig.plugins import Registry
from swarmrig.scenario.baseline import Baseline, with_baseline
from swarmrig.scenario.build import Origin, build_scenario
from swarmrig.scenario.dialects.harness import harness_to_native, is_harness
from swarmrig.scenario.dialects.swarm import swarm_to_native
from swarmrig.scenario.fleet import Forced
from swarmrig.scenario.located import parse, read_text
from swarmrig.scenario.overrides import apply_overrides
from swarmrig.scenario.presets import find_preset, preset_names, preset_text
from swarmrig.scenario.problems import Mark, Problems, suggest
from swarmrig.scenario.tree import Items, Scalar, Table, describe, is_null

_SUFFIXES = (".yml", ".yaml")


def load_scenario(
    name_or_path: str | Path,
    *,
    registry: Registry,
    overrides: Sequence[tuple[str, str]] = (),
    seed: int | None = None,
    duration_ns: int | None = None,
    time: TimeMode | None = None,
    machine: str | None = None,
    flash_base: Path | None = None,
    flash_parts: Mapping[int, Path] | None = None,
    qemu_path: Path | None = None,
    baseline: Baseline | None = None,
    faults: Path | None = None,
) -> Scenario:
    """The scenario of a file (a path with a separator or the suffix .yml/.yaml) or of a preset.

    `overrides` are (path, value) pairs, applied before anything is checked. `seed`, `duration_ns` and `time` replace
    the file's; `machine`, `flash_base`, `flash_parts` (offset -> file) and `qemu_path` hold for every QEMU node.
    `baseline` is a former run that this one is compared with. `faults` names a file with a list of faults, in place of
    the scenario's own.
    Raises ScenarioError with every problem, each with its place.
    """
    file, text, directory, default_name = _source(name_or_path)
    forced = Forced(machine, flash_base, flash_parts or {}, qemu_path)
    origin = Origin(file, directory, default_name)
    return load_text(
        text,
        origin,
        registry=registry,
        overrides=overrides,
        seed=seed,
        duration_ns=duration_ns,
        time=time,
        forced=forced,
        baseline=baseline,
        faults=faults,
    )


def load_text(
    text: str,
    origin: Origin,
    *,
    registry: Registry,
    overrides: Sequence[tuple[str, str]] = (),
    seed: int | None = None,
    duration_ns: int | None = None,
    time: TimeMode | None = None,
    forced: Forced | None = None,
    baseline: Baseline | None = None,
    faults: Path | None = None,
) -> Scenario:
    """The scenario of a text, as `load_scenario` does it."""
    problems = Problems()
    tree = _read_table(text, origin.file, problems)
    tree = apply_overrides(tree, overrides, problems)
    tree, dialect = _to_native(tree, problems)
    tree = tree if faults is None else _with_faults(tree, faults, problems)
    tree = with_baseline(_with_options(tree, seed, duration_ns, time), baseline)
    origin = Origin(origin.file, origin.directory, origin.default_name, dialect)
    return build_scenario(tree, origin, registry, problems, forced)


def _read_table(text: str, file: str, problems: Problems) -> Table:
    """The top level of the text, which must be a mapping for anything else to make sense."""
    tree = parse(text, file, problems)
    if isinstance(tree, Table):
        return tree
    problems.raise_any()
    if tree is None or is_null(tree):
        raise ScenarioError([Mark(file).problem("is empty", "a scenario begins with `swarmrig: 1` and has `nodes:`")])
    raise ScenarioError([tree.mark.problem(f"expected a mapping with `swarmrig: 1`, seen {describe(tree)}")])


def _with_faults(tree: Table, path: Path, problems: Problems) -> Table:
    """With the list of another file, or what that has as `faults`."""
    name = str(path)
    found = parse(read_text(path, name), name, problems)
    if isinstance(found, Table):
        found = found.get("faults")
    if not isinstance(found, Items):
        seen = "nothing" if found is None else describe(found)
        problems.add(Mark(name), f"expected a list of faults, seen {seen}", "as under `faults:` of a scenario")
        problems.raise_any()
        return tree
    return tree.with_value("faults", found, found.mark)


def _to_native(tree: Table, problems: Problems) -> tuple[Table, str]:
    """Detect the dialect by content and convert."""
    if "swarm" in tree.entries and "swarmrig" not in tree.entries:
        return swarm_to_native(tree, problems), "swarm"
    if "swarmrig" not in tree.entries:
        if is_harness(tree):
            return harness_to_native(tree, problems), "harness"
        close = next((key for key, _ in tree if suggest(key, ["swarmrig"])), None)
        problems.add(
            tree.place(close) if close else tree.mark,
            "not a scenario: neither `swarmrig: 1` (native format) nor `swarm:` or `duration_sec:` (swarm and harness "
            "dialects) at its top level",
            f"did you mean 'swarmrig' instead of {close!r}?" if close else None,
        )
        problems.raise_any()
    return tree, "native"


def _with_options(tree: Table, seed: int | None, duration_ns: int | None, time: TimeMode | None) -> Table:
    if seed is not None:
        mark = Mark(f"--seed {seed}")
        tree = tree.with_value("seed", Scalar(seed, mark, str(seed)), mark)
    if duration_ns is not None:
        text = format_duration(duration_ns)
        mark = Mark(f"--duration {text}")
        tree = tree.with_value("duration", Scalar(text, mark, text), mark)
    if time is not None:
        mark = Mark(f"--time {time}")
        tree = tree.with_value("time", Scalar(time.value, mark, time.value), mark)
    return tree


def _source(name_or_path: str | Path) -> tuple[str, str, Path, str]:
    """File as shown, text, directory, default name."""
    name = str(name_or_path)
    if isinstance(name_or_path, str) and "/" not in name and not name.lower().endswith(_SUFFIXES):
        preset = find_preset(name)
        if preset is not None:
            return f"preset {preset}", preset_text(preset), Path.cwd(), preset
        if not _is_file(Path(name)):
            raise ScenarioError([_no_such(name)])
    path = Path(name_or_path)
    text = read_text(path, name)
    return name, text, path.absolute().parent, path.name.split(".")[0]


def _no_such(name: str) -> Problem:
    names = preset_names()
    hint = suggest(name, names) or f"presets: {', '.join(names)}; files are given by their path"
    return Problem(f"there is no preset and no file called {name[:80]!r}", hint=hint)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
