"""One run on every worker before the campaign: the same run gives the same bytes, or it is said what differs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swarmrig.campaigns.sameness import EXACT, differing_inputs
from swarmrig.runtime.provenance import FILE

SHOWN = 12


@dataclass(frozen=True, slots=True)
class Sample:
    """The pilot's run on one worker."""

    worker: str
    digest: str
    inputs: Mapping[str, str]


def sample_of(worker: str, documents: tuple[Mapping[str, Any], ...], place: Path) -> Sample | None:
    """What came of it, its provenance below `place`; None when it has no digest that could be compared."""
    results = next((each["results"] for each in documents if each.get("kind") == "result"), None)
    run = results["run"] if results else {}
    if run.get("tier") != EXACT or not run.get("digest"):
        return None
    provenance = next(place.glob(f"*/{FILE}"), None)
    return Sample(worker, run["digest"], inputs_in(provenance) if provenance is not None else {})


def inputs_in(provenance: Path) -> dict[str, str]:
    """`nodes.a.firmware_sha256` and so on to its value."""
    try:
        document = json.loads(provenance.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    found: dict[str, str] = {}
    _flatten("", document, found)
    return found


def _flatten(prefix: str, value: Any, found: dict[str, str]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{prefix}.{key}" if prefix else str(key), item, found)
    else:
        found[prefix] = str(value)


def verdict(task: str, samples: list[Sample]) -> list[str]:
    """What is wrong with the samples, in lines; nothing when all of them are the same."""
    by_digest: dict[str, list[str]] = {}
    for sample in samples:
        by_digest.setdefault(sample.digest, []).append(sample.worker)
    inputs = differing_inputs({sample.worker: sample.inputs for sample in samples})
    causes = [_cause(name, values) for name, values in inputs.items()]
    if len(by_digest) <= 1:
        return [f"{task} is the same on all workers ({samples[0].digest[:SHOWN]}), though {each}" for each in causes]
    told = "; ".join(f"{digest[:SHOWN]} on {', '.join(workers)}" for digest, workers in by_digest.items())
    head = f"{task} is not the same on all workers: {told}"
    if not causes:
        return [f"{head}: no input that is known of differs, so this is a defect of the rig or of a node"]
    return [head, *causes]


def _cause(name: str, values: Mapping[str, tuple[str, ...]]) -> str:
    return f"{name} differs: " + "; ".join(f"{value[:40]} on {', '.join(who)}" for value, who in values.items())
