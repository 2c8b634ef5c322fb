"""Faults of a node's settings in flash: the NVS partition of ESP-IDF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from swarmrig.api import NodePlan
from swarmrig.faults.flash import FlashFault, torn_after
from swarmrig.faults.flash_place import FlashParams, PartParams, examine_part, place_in, table_of
from swarmrig.flash.damage import Place, erase
from swarmrig.flash.keys import CSI_CFG, key_spec
from swarmrig.flash.matrix import damage
from swarmrig.flash.nvs import NvsEntry
from swarmrig.flash.update import torn_update, update_bytes, update_writes, with_values
from swarmrig.model.scenario import FaultSpec, Scenario

DAMAGED = r"(?i)nvs\b.*(damaged|corrupt|using defaults)"
EMPTY = r"(?i)nvs\b.*(empty|not found|no free pages|using defaults)"


class NvsFault(FlashFault):
    """Base of faults of the NVS partition."""

    @staticmethod
    def examine(spec: FaultSpec, scenario: Scenario, plans: Mapping[str, NodePlan]) -> None:
        """ValueError when the flash has no such partition."""
        examine_part(PartParams(node=spec.params["node"]), scenario, plans)

    def place(self) -> Place:
        return place_in(PartParams(node=self.what), table_of(self.node.flash_path))


class NvsErase(NvsFault):
    """A node's settings are gone: its NVS partition is erased when it boots the next time.

    The node loses its power, the partition is erased, and its power comes back, all at once.
    """

    told = EMPTY
    example: ClassVar[str] = "{at: 10s, nvs_erase: {node: a, for: 5s}}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:  # noqa: ARG003
        return "erase the NVS"

    def change(self, content: bytes) -> bytes:
        return erase(content)


class NvsCorrupt(NvsFault):
    """A node's settings are damaged: no checksum in its NVS partition holds when it boots the next time.

    As by an interrupted, then half overwritten flash: the damage of the configuration corrupt-nvs of the NVS matrix.
    Firmware has to notice, and to live on with its defaults.
    """

    told = DAMAGED
    example: ClassVar[str] = "{at: 10s, nvs_corrupt: {node: a, for: 5s}}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:  # noqa: ARG003
        return "corrupt the NVS"

    def change(self, content: bytes) -> bytes:
        return damage(content)


class SettingParams(FlashParams):
    """Which setting, and its new value."""

    key: str
    """Name of the setting, with its namespace in front where that is not csi_cfg: `tdm_slot`, `swarmrig.scenario`."""
    value: int | str
    """Its value; bytes as hexadecimal text."""

    @model_validator(mode="after")
    def _known(self) -> SettingParams:
        setting(self.key, self.value)
        return self


class NvsSet(NvsFault):
    """One of a node's settings is another one when it boots the next time, as if somebody had provisioned it wrongly.

    The partition is made anew with that value in it. The node loses its power meanwhile, which takes no time.
    """

    params_model: ClassVar[type[SettingParams]] = SettingParams
    example: ClassVar[str] = "{at: 10s, nvs_set: {node: a, key: tdm_slot, value: 0, for: 5s}}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:
        return f"set {params['key']} = {params['value']} in the NVS"

    def change(self, content: bytes) -> bytes:
        return with_values(content, [setting(self.params.key, self.params.value)])


class TornSettingParams(SettingParams):
    """Which setting, its new value, and where the update is torn."""

    after: int | None = Field(None, ge=0)
    """After how many bytes of the update the power goes. Default: drawn from the seed."""


class NvsTornSet(NvsFault):
    """The power goes while the firmware gives a setting a new value, after any byte that it writes.

    The writes are those of ESP-IDF in their order: the new entry, its state, its data, then the old entry is marked as
    erased. A firmware that is safe against power failures finds the old value or the new one.
    """

    params_model: ClassVar[type[TornSettingParams]] = TornSettingParams
    example: ClassVar[str] = "{at: 10s, nvs_torn_set: {node: a, key: tdm_slot, value: 2, after: 20, for: 5s}}"

    @classmethod
    def describe(cls, params: Mapping[str, Any]) -> str:
        after = "somewhere" if params["after"] is None else f"after {params['after']} bytes"
        return f"tear the update {params['key']} = {params['value']} {after} in the NVS"

    def change(self, content: bytes) -> bytes:
        chance = self.context.random
        writes = update_writes(content, setting(self.params.key, self.params.value))
        return torn_update(content, writes, torn_after(self.params.after, update_bytes(writes), chance), chance)


def setting(key: str, value: object) -> NvsEntry:
    """The setting as NVS stores it. ValueError for an unknown key, or a value out of its range."""
    namespace, _, name = key.rpartition(".")
    spec = key_spec(namespace or CSI_CFG, name)
    return NvsEntry(namespace or CSI_CFG, name, spec.type, spec.convert(value))
