"""A scenario back to a file: native format, nothing left to defaults, loads to the same model."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from swarmrig.model.network import Impairment
from swarmrig.model.scenario import (
    CheckSpec,
    Condition,
    ConsoleSeen,
    FaultReached,
    FaultSpec,
    FirmwareSpec,
    FramesSeen,
    LinkSpec,
    NodeSpec,
    OnFailure,
    Scenario,
)
from swarmrig.model.units import format_duration, format_rate
from swarmrig.plugins import Registry
from swarmrig.scenario.emit import block
from swarmrig.scenario.explain import model_in
from swarmrig.scenario.native import FORMAT_VERSION
from swarmrig.scenario.plugin_params import bare_field


def dump_scenario(scenario: Scenario, registry: Registry | None = None) -> str:
    """The text of a native file that loads to the same scenario, whichever dialect it came from.

    Places, the dialect's name and warnings are not part of it. Paths are absolute. `registry` (default: what is
    installed) knows how plugins write their parameters.
    """
    return "\n".join(block(scenario_dict(scenario, registry or Registry.load()))) + "\n"


def scenario_dict(scenario: Scenario, registry: Registry) -> dict[str, Any]:
    """The same as plain values."""
    found: dict[str, Any] = {
        "swarmrig": FORMAT_VERSION,
        "name": scenario.name,
        "duration": format_duration(scenario.duration_ns),
        "seed": scenario.seed,
        "time": scenario.time.value,
        "aggregator_port": scenario.aggregator_port,
        "network": _network(scenario),
        "nodes": {node.id: _node(node, registry) for node in scenario.nodes},
        "faults": [_fault(fault, registry) for fault in scenario.faults],
        "checks": [_check(check, registry) for check in scenario.checks],
    }
    return found


def _network(scenario: Scenario) -> dict[str, Any]:
    network = scenario.network
    found: dict[str, Any] = {"topology": network.topology.value}
    if network.hub is not None:
        found["hub"] = network.hub
    found["mode"] = network.mode.value
    if network.capture is not None:
        found["capture"] = network.capture
    if network.quantum_ns:
        found["quantum"] = format_duration(network.quantum_ns)
    found["link"] = _impairment(network.impairment)
    found["links"] = [_link(link) for link in network.links]
    return found


def _link(link: LinkSpec) -> dict[str, Any]:
    return {"between": list(link.between), **_impairment(link.impairment)}


def _impairment(impairment: Impairment) -> dict[str, Any]:
    found: dict[str, Any] = {
        "latency": format_duration(impairment.latency_ns),
        "jitter": format_duration(impairment.jitter_ns),
        "loss": impairment.loss,
        "duplicate": impairment.duplicate,
        "reorder": impairment.reorder,
        "corrupt": impairment.corrupt,
        "queue": impairment.queue_bytes,
    }
    if impairment.burst is not None:
        burst = impairment.burst
        found["burst"] = {
            "to_bad": burst.to_bad,
            "to_good": burst.to_good,
            "good_loss": burst.good_loss,
            "bad_loss": burst.bad_loss,
        }
    if impairment.rate_bps is not None:
        found["rate"] = format_rate(impairment.rate_bps)
    return found


def _node(node: NodeSpec, registry: Registry) -> dict[str, Any]:
    config: dict[str, Any] = {"scenario": node.scenario, "channel": node.channel, "tdm_slot": node.tdm_slot}
    if node.edge_tier is not None:
        config["edge_tier"] = node.edge_tier
    if node.filter_mac is not None:
        config["filter_mac"] = node.filter_mac
    config |= {key: value.hex() if isinstance(value, bytes) else value for key, value in node.nvs.items()}
    found: dict[str, Any] = {
        "kind": node.kind,
        "role": node.role.value,
        "number": node.number,
        "is_gateway": node.is_gateway,
        "machine": node.machine,
        "config": config,
    }
    if node.nvs_config is not None:
        found["nvs_config"] = node.nvs_config
    firmware = _firmware(node.firmware)
    if firmware:
        found["firmware"] = firmware
    if node.on_failure != OnFailure():
        found["on_failure"] = _on_failure(node.on_failure)
    return found | writable(registry.node(node.kind).options_model, node.options)


def _on_failure(on_failure: OnFailure) -> dict[str, Any]:
    return {
        "policy": on_failure.policy.value,
        "after": format_duration(on_failure.after_ns),
        "factor": on_failure.factor,
        "at_most": format_duration(on_failure.at_most_ns),
        "limit": on_failure.limit,
    }


def _firmware(firmware: FirmwareSpec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in ("image", "build_cwd", "flash_base"):
        path = getattr(firmware, key)
        if path is not None:
            found[key] = str(path)
    if firmware.build is not None:
        found["build"] = list(firmware.build)
    if firmware.parts:
        found["parts"] = [{"offset": part.offset, "file": str(part.file)} for part in firmware.parts]
    if firmware.variant is not None:
        found["variant"] = firmware.variant
    return found


def _fault(fault: FaultSpec, registry: Registry) -> dict[str, Any]:
    params = writable(registry.fault(fault.kind).params_model, fault.params)
    if fault.for_ns is not None:
        params["for"] = format_duration(fault.for_ns)
    found: dict[str, Any] = {"id": fault.id}
    if fault.at_ns is not None:
        found["at"] = format_duration(fault.at_ns)
    if fault.when is not None:
        found["when"] = _condition(fault.when)
    if not fault.required:
        found["required"] = False
    return found | {fault.kind: params}


def _condition(when: Condition) -> dict[str, Any]:
    found: dict[str, Any] = {}
    match when:
        case ConsoleSeen():
            found = {"node": when.node, "console": when.pattern, "count": when.count}
        case FramesSeen():
            found = {"link": when.link, "frames": when.filter, "count": when.count}
        case FaultReached():
            found = {"fault": when.fault, "stage": when.stage.value}
    return found | {"after": format_duration(when.after_ns)}


def _check(check: CheckSpec, registry: Registry) -> Any:
    model = registry.check(check.name).params_model
    params = writable(model, check.params)
    if check.label != check.name:
        params.pop(bare_field(model) or "", None)
    return {check.label: params} if params else check.label


def writable(model: type[BaseModel], dumped: Any) -> dict[str, Any]:
    """Plain values from which the model makes the same dump again.

    Models read units and hold numbers, so a dumped number may need its unit back: ns are the rig's own.
    """
    instance = model.model_validate(dumped) if _same(model, dumped, dumped) else _constructed(model, dumped)
    fields = model.model_fields
    values: dict[str, Any] = {
        key: value
        for key, value in instance.model_dump(mode="json", warnings=False).items()
        if value is not None or key not in fields or fields[key].default is not None
    }
    if _same(model, values, dumped):
        return values
    for key, value in values.items():
        if type(value) is int:
            values[key] = f"{value}ns"
            if not _field_same(model, values, dumped, key):
                values[key] = value
    return values


def _constructed(model: type[BaseModel], dumped: Any) -> BaseModel:
    """The instance of a dump, whose values are the model's own already; models inside of it, too."""
    fields = model.model_fields
    values = {
        key: _constructed_inside(fields[key].annotation, value) if key in fields else value
        for key, value in dumped.items()
    }
    return model.model_construct(**values)


def _constructed_inside(annotation: Any, value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(_constructed_inside(annotation, item) for item in value)
    inner = model_in(annotation) if isinstance(value, dict) else None
    return value if inner is None else _constructed(inner, value)


def _same(model: type[BaseModel], values: Any, dumped: Any) -> bool:
    try:
        return bool(model.model_validate(values).model_dump() == dumped)
    except ValidationError:
        return False


def _field_same(model: type[BaseModel], values: dict[str, Any], dumped: Any, key: str) -> bool:
    try:
        return bool(model.model_validate(values).model_dump()[key] == dumped[key])
    except ValidationError:
        return False
