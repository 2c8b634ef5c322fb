"""`ml_inference` of the harness dialect: which nodes judge readings, with which model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from swarmrig.scenario.dialects.harness_nodes import type_of
from swarmrig.scenario.dialects.reading import section, warn_unknown
from swarmrig.scenario.problems import Problems, suggest
from swarmrig.scenario.tree import Entry, Scalar, Table, describe, is_null

PLACEMENTS: Mapping[str, tuple[str, ...]] = {
    "edge": ("sensor", "gateway"),
    "sensor": ("sensor",),
    "gateway": ("gateway",),
    "cloud": ("cloud",),
    "none": (),
}
"""Who judges readings. Each reading is judged once: by the first of them that it comes to."""
_KEYS = ("placement", "model_path", "edge_config", "cloud_config")


def with_inference(nodes: Table, tree: Table, problems: Problems) -> Table:
    """The nodes (in the native format), those that judge told with what."""
    given = tree.get("ml_inference")
    if given is None or is_null(given):
        return nodes
    table = section(given, "ml_inference", problems)
    warn_unknown(table, _KEYS, problems)
    placement = _placement(table, problems)
    model = _model(table, placement, problems) if PLACEMENTS[placement] else None
    if model is None:
        return nodes
    judging = [node for node, entry in nodes if _is_one_of(entry, PLACEMENTS[placement])]
    if not judging:
        message = f"placement: there is no node of type {' or '.join(PLACEMENTS[placement])} to judge readings"
        problems.add(table.place("placement"), message)
    for node in judging:
        nodes = nodes.with_value(node, _told(nodes.entries[node], model))
    return nodes


def _is_one_of(entry: Entry, types: tuple[str, ...]) -> bool:
    return isinstance(entry.value, Table) and type_of(entry.value) in types


def _told(entry: Entry, model: Scalar) -> Table:
    node = entry.value
    assert isinstance(node, Table)
    settings = node.get("settings")
    assert isinstance(settings, Table)
    return node.with_value("settings", settings.with_value("inference", model, model.mark))


def _placement(table: Table, problems: Problems) -> str:
    tree = table.get("placement")
    if tree is None or is_null(tree):
        return "edge"
    if isinstance(tree, Scalar) and isinstance(tree.value, str) and tree.value in PLACEMENTS:
        return tree.value
    hint = suggest(tree.text, PLACEMENTS) if isinstance(tree, Scalar) else None
    problems.add(tree.mark, f"placement: expected one of {', '.join(PLACEMENTS)}, seen {describe(tree)}", hint)
    return "none"


def _model(table: Table, placement: str, problems: Problems) -> Scalar | None:
    """The path of the model; None, reported, when there is none. That the file is missing is told here, once, and not
    of each node that would use it."""
    config = "cloud_config" if placement == "cloud" else "edge_config"
    own = section(table.get(config), config, problems)
    warn_unknown(own, ("model_path",), problems)
    holder = own if "model_path" in own.entries else table
    path = holder.get("model_path")
    if path is None or is_null(path):
        hint = f"{config}: {{model_path: FILE.onnx}}"
        problems.add(own.mark if own.entries else table.mark, "missing key 'model_path': the model", hint)
        return None
    if not isinstance(path, Scalar) or not isinstance(path.value, str):
        problems.add(path.mark, f"model_path: expected the path of a model, seen {describe(path)}")
        return None
    directory = Path(path.mark.file).parent if path.mark.line is not None else Path()
    if not (directory / path.value).is_file():
        problems.add(path.mark, f"model_path: {directory / path.value} does not exist")
        return None
    return path
