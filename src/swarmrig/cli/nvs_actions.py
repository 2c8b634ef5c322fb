"""What `swarmrig nvs` does."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from swarmrig.cli.bare_plan import bare_network
from swarmrig.cli.failures import EXIT_BROKEN
from swarmrig.cli.loading import load
from swarmrig.cli.options import Choice
from swarmrig.cli.output import harmless, say, say_json
from swarmrig.errors import HostError, Problem, ScenarioError, SwarmrigError
from swarmrig.flash import commands
from swarmrig.flash.keys import CSI_CFG, key_spec
from swarmrig.flash.nvs import NvsEntry, NvsError
from swarmrig.flash.provision import nvs_entries
from swarmrig.net.topology import AGGREGATOR
from swarmrig.plugins import Registry
from swarmrig.runtime.plan import target_ip

_LARGEST_IMAGE = 64 << 20
_BLOB_SHOWN = 8
_NUMBER = re.compile(r"-?(0x[0-9a-fA-F]+|0|[1-9][0-9]*)")


def build_partition(pairs: Sequence[str], output: Path, scenario: str | None, node: str | None) -> tuple[NvsEntry, ...]:
    """Write the partition and return its entries; pairs win over what the scenario says."""
    values = _parse_pairs(pairs)
    if scenario is not None and node is not None:
        for entry in _entries_of(scenario, node):
            values.setdefault(entry.namespace, {}).setdefault(entry.key, entry.value)
    try:
        partition = commands.build_from_values(values)
    except NvsError as error:
        raise _wrong_values(error.problems) from error
    with _host_errors(f"cannot write {output}"):
        output.write_bytes(partition)
    return commands.show(partition).entries


def show_partition(file: Path, *, as_json: bool) -> int:
    """Print entries and pages; returns 3 when the partition is damaged."""
    contents = commands.show(_read(file))
    if as_json:
        say_json(contents.to_json())
    else:
        for entry in contents.entries:
            say(harmless(str(entry)).replace("\n", "\\n"))
        for page in contents.pages:
            sequence = "-" if page.sequence is None else page.sequence
            say(f"page {page.number}: {page.state}, sequence {sequence}, {page.written} entries")
        for problem in contents.problems:
            say(f"error: {harmless(problem)}", stream=sys.stderr)
    return EXIT_BROKEN if contents.problems else 0


def show_matrix(output_dir: Path | None, *, as_json: bool) -> None:
    """List the configurations; write them when there is a place for them."""
    configurations = commands.matrix()
    if output_dir is not None:
        with _host_errors(f"cannot write to {output_dir}"):
            output_dir.mkdir(parents=True, exist_ok=True)
            for configuration in configurations:
                (output_dir / f"{configuration.name}.bin").write_bytes(configuration.build())
    if as_json:
        say_json([{"name": c.name, "help": c.help, "damaged": c.damaged, "values": c.values} for c in configurations])
        return
    for configuration in configurations:
        values = " ".join(f"{key}={_shown(value)}" for key, value in configuration.values.items())
        say(f"{configuration.name:<18} {configuration.help}" + (f" ({values})" if values else ""))


def _parse_pairs(pairs: Sequence[str]) -> dict[str, dict[str, object]]:
    """namespace -> {key: value} of `key=value` and `namespace.key=value`; all that is wrong is raised together."""
    values: dict[str, dict[str, object]] = {}
    problems: list[str] = []
    for pair in pairs:
        name, separator, text = pair.partition("=")
        namespace, dot, key = name.rpartition(".")
        namespace = namespace if dot else CSI_CFG
        try:
            if not separator:
                raise ValueError(f"expected KEY=VALUE, got {pair!r}")
            spec = key_spec(namespace, key)
            is_number = spec.type.is_integer and _NUMBER.fullmatch(text)
            values.setdefault(namespace, {})[key] = spec.convert(int(text, 0) if is_number else text)
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise _wrong_values(problems)
    return values


def _wrong_values(problems: Sequence[str]) -> ScenarioError:
    return ScenarioError([Problem(problem) for problem in problems])


def _entries_of(scenario_name: str, node: str) -> tuple[NvsEntry, ...]:
    """What the rig would provision for a node."""
    scenario = load(Choice(scenario_name), Registry.load())
    known = [spec.id for spec in scenario.nodes]
    if node not in known:
        raise SwarmrigError(f"{scenario_name} has no node {node!r}", hint=f"its nodes are: {', '.join(known)}")
    network = bare_network(scenario)
    return nvs_entries(
        scenario.node(node),
        scenario,
        network.device(node),
        target_ip=target_ip(scenario, network, node),
        aggregator_ip=network.device(AGGREGATOR).ip,
    )


def _read(file: Path) -> bytes:
    with _host_errors(f"cannot read {file}"), file.open("rb") as stream:
        data = stream.read(_LARGEST_IMAGE + 1)
    if len(data) > _LARGEST_IMAGE:
        raise HostError(f"{file} is larger than {_LARGEST_IMAGE >> 20} MiB: not a flash image that nodes have")
    return data


@contextmanager
def _host_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HostError(f"{what}: {error.strerror}") from error


def _shown(value: int | str | bytes) -> str:
    if isinstance(value, bytes):
        return value.hex(":") if len(value) <= _BLOB_SHOWN else f"{value[:_BLOB_SHOWN].hex(':')}.. ({len(value)} bytes)"
    return str(value)
