"""`init`: a first scenario and its schema, where the user wants them."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from swarmrig.cli.output import harmless, say
from swarmrig.errors import HostError, ScenarioError
from swarmrig.model.scenario import Topology
from swarmrig.nodes.qemu.machines import MACHINES
from swarmrig.plugins import Registry
from swarmrig.reports.document import write_document
from swarmrig.scenario.load import load_scenario
from swarmrig.scenario.schema import scenario_schema
from swarmrig.scenario.starter import REFERENCE, SCHEMA_FILE, Starter, machine_for, starter_text

SUFFIX = ".swarmrig.yml"


@dataclass(frozen=True, slots=True)
class InitChoice:
    """What the command line says."""

    file: Path
    firmware: Path | None
    machine: str | None
    nodes: int
    topology: str
    force: bool


def write_starter(choice: InitChoice) -> int:
    """Write both files, or neither of them when the scenario would not load; returns the exit code."""
    path = choice.file / f"swarm{SUFFIX}" if choice.file.is_dir() else choice.file
    if os.path.lexists(path) and not choice.force:
        raise HostError(f"{path} is there already", hint="choose another name, or --force")
    registry = Registry.load()
    text = starter_text(_starter(choice, path))
    unfinished = path.with_name(f".{path.name}.new")
    write_document(unfinished, text)
    try:
        load_scenario(unfinished, registry=registry)
        unfinished.replace(path)
    except ScenarioError as error:
        problems = [str(problem).replace(unfinished.name, path.name) for problem in error.problems]
        raise HostError(f"nothing was written: {'; '.join(problems)}", hint=error.hint) from error
    except OSError as error:
        raise HostError(f"cannot write {path}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    write_document(path.with_name(SCHEMA_FILE), json.dumps(scenario_schema(registry), indent=1) + "\n")
    say(f"{harmless(str(path))} and, for editors, {SCHEMA_FILE} beside it. Now:")
    say(f"  swarmrig run {harmless(str(path))}")
    return 0


def _starter(choice: InitChoice, path: Path) -> Starter:
    firmware = choice.firmware
    machine = choice.machine or (REFERENCE if firmware is None else machine_for(firmware))
    if machine not in MACHINES:
        raise HostError(f"there is no machine {machine!r}", hint=f"the machines are {', '.join(MACHINES)}")
    named = None if firmware is None else os.path.relpath(firmware.absolute(), path.absolute().parent)
    return Starter(_name_of(path), choice.nodes, Topology(choice.topology), named, machine)


def _name_of(path: Path) -> str:
    """What is safe in paths, of the file's own name."""
    stem = path.name.removesuffix(".yml").removesuffix(".yaml").removesuffix(".swarmrig")
    return re.sub(r"[^A-Za-z0-9_-]+", "-", stem).strip("-") or "swarm"
