"""The native format as pydantic models: what each key means, its type, its limits, its default.

The models check one section each; the JSON Schema and the reference derive from them. What goes across sections
is checked in `build`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    create_model,
    model_validator,
)

from swarmrig.flash.keys import CSI_CFG_KEYS, KeySpec, NvsType
from swarmrig.flash.matrix import config as matrix_config
from swarmrig.model.network import DEFAULT_LATENCY_NS, MOST_CAPTURES
from swarmrig.model.scenario import FailurePolicy, NetworkMode, OnFailure, Role, TimeMode, Topology
from swarmrig.scenario.quantities import (
    U8,
    Channel,
    Command,
    DurationNs,
    FilePath,
    FlashOffset,
    Integer,
    Mac,
    MockScenario,
    Name,
    Port,
    RateBps,
    Seed,
    Share,
    SizeBytes,
    Switch,
    Text,
)

FORMAT_VERSION = 1
MAX_NODES = 50_000
"""As many addresses as a network of one segment has."""
DEFAULT_DURATION_NS = 60_000_000_000


RESERVED = {"matrix": "one file that makes many runs"}
"""Keys that are reserved for what is not there yet."""
SYNONYMS = {
    "node_id": "number",
    "id": "number",
    "duration_s": "duration",
    "assertions": "checks",
    "csi_channel": "channel",
    "env": "config",
    "latency_ms": "latency",
    "bandwidth": "rate",
}
"""Words of other formats, for hints only."""


class Section(BaseModel):
    """A mapping of the file: unknown keys are refused, a known key without a value counts as absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_said(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        return {key: value for key, value in data.items() if value is not None or key not in cls.model_fields}


class Burst(Section):
    """Loss in bursts: a two-state (Gilbert-Elliott) chain, stepped once a frame."""

    to_bad: Share = Field(description="Probability per frame to enter the bad state.")
    to_good: Share = Field(description="Probability per frame to leave it.")
    good_loss: Share = Field(0.0, description="Loss in the good state.")
    bad_loss: Share = Field(1.0, description="Loss in the bad state.")


class LinkOptions(Section):
    """What a link does to frames, in both directions."""

    latency: DurationNs = Field(DEFAULT_LATENCY_NS, description="Delay of every frame.")
    jitter: DurationNs = Field(0, description="Added delay, uniform between 0 and this.")
    loss: Share = Field(0.0, description="Share of frames lost, independently.")
    burst: Burst | None = Field(None, description="Loss in bursts.")
    duplicate: Share = Field(0.0, description="Share of frames delivered twice.")
    reorder: Share = Field(0.0, description="Share of frames that overtake those before them.")
    corrupt: Share = Field(0.0, description="Share of frames in which one bit is flipped.")
    rate: RateBps | None = Field(None, description="Bandwidth; without it a link is as fast as it gets.")
    queue: SizeBytes = Field(131_072, description="Bytes that may wait for the rate; more are dropped.")


class LinkEntry(LinkOptions):
    """One link by its two ends; what it does not set comes from `network.link`."""

    between: Annotated[tuple[Text, Text], Field(description="The two nodes that it joins.")]


class NetworkEntry(Section):
    """How the nodes are wired."""

    topology: Topology = Field(Topology.MESH, description="The shape; `custom` takes all of its links from `links`.")
    hub: Text | None = Field(
        None,
        description="The node in the middle of a star. Default: the first coordinator, else gateway, else node.",
    )
    link: LinkOptions = Field(LinkOptions.model_validate({}), description="Every link, unless `links` says more.")
    links: tuple[LinkEntry, ...] = Field((), description="Single links, or all links of a custom topology.")
    capture: Switch | None = Field(
        None,
        description="Is there a pcapng file of every link? Faults of links are proved by it, and checks judge it. "
        f"Default: yes, with up to {MOST_CAPTURES} links.",
    )
    mode: NetworkMode = Field(
        NetworkMode.FABRIC,
        description="`fabric`: the rig's own network, which needs no root. `bridge`: the same, with this host in it. "
        "`user`: each QEMU node alone behind its emulator's NAT, as a last resort.",
    )
    quantum: DurationNs = Field(
        0,
        description="Python nodes are handed their messages at multiples of this, in the order in which they were "
        "sent. 0: when they arrive.",
    )


class FlashPartEntry(Section):
    """A file and its place in flash."""

    offset: FlashOffset = Field(description="Where the file begins, for example 0x10000.")
    file: FilePath = Field(description="Path, relative to the scenario file.")


class FirmwareEntry(Section):
    """What a node boots; without it the rig's reference firmware. Paths are relative to the scenario file."""

    image: FilePath | None = Field(None, description="An ELF or kernel that the machine loads.")
    build: Command | None = Field(None, description="Command that makes the files, run first; words, no shell.")
    build_cwd: FilePath | None = Field(None, description="Directory of the build. Default: the scenario's own.")
    flash_base: FilePath | None = Field(None, description="A whole flash image; each node gets its own copy.")
    parts: tuple[FlashPartEntry, ...] = Field((), max_length=16, description="Files that a flash image is made of.")
    variant: Name | None = Field(None, description="A planted bug of the reference firmware.")


class NamedConfig(Section):
    """The settings of `config` that are fields of the model; all others are NVS values."""

    scenario: MockScenario | None = Field(None, description="The mock signal it sees: 0..9, or 255 for all in turn.")
    channel: Channel | None = Field(None, description="Wi-Fi channel, 1..14 or 36..177. Default 6.")
    tdm_slot: U8 | None = Field(None, description="Its time slot. Default: its position in the file.")
    edge_tier: Annotated[Integer, Field(ge=0, le=2)] | None = Field(
        None, description="How much the node computes itself: 0, 1 or 2. Default: the firmware's own."
    )
    filter_mac: Mac | None = Field(None, description="Take frames of this sender only.")


def _nvs_fields() -> dict[str, Any]:
    """A field for each key of `csi_cfg` that has no name of its own here; the NVS table says what it takes."""
    fields: dict[str, Any] = {}
    for key in CSI_CFG_KEYS.values():
        if key.name in NamedConfig.model_fields or key.name in SYNONYMS:
            continue
        kind = Annotated[Any, BeforeValidator(key.convert), WithJsonSchema(_nvs_schema(key))]
        fields[key.name] = (kind, Field(None, description=f"NVS {key.type}: {key.help}."))
    return fields


def _nvs_schema(key: KeySpec) -> dict[str, Any]:
    if key.type.is_integer:
        low, high = key.range
        return {"type": "integer", "minimum": low, "maximum": high}
    if key.type is NvsType.STRING:
        return {"type": "string", **({"maxLength": key.max_length} if key.max_length else {})}
    octet = {"type": "integer", "minimum": 0, "maximum": 255}
    return {
        "anyOf": [{"type": "string", "pattern": "^\\s*([0-9A-Fa-f]{2}[\\s:-]*)*$"}, {"type": "array", "items": octet}]
    }


_ABOUT_CONFIG = "What the node's firmware is told: named settings, and any key of the NVS namespace `csi_cfg`."
if TYPE_CHECKING:
    NodeConfig = NamedConfig
else:
    NodeConfig = create_model("NodeConfig", __base__=NamedConfig, __doc__=_ABOUT_CONFIG, **_nvs_fields())


def _matrix_name(name: str) -> str:
    return matrix_config(name).name


class OnFailureEntry(Section):
    """What becomes of a node that failed: it ended by itself, did not start, or cannot go on. A plain word is the
    policy."""

    policy: FailurePolicy = Field(
        FailurePolicy.FAIL,
        description="`fail`: the run fails. `restart`: the node is started again. `ignore`: the run goes on without "
        "it, and warns.",
    )
    after: DurationNs = Field(1_000_000_000, description="How long after its first failure it is started again.")
    factor: float = Field(2.0, ge=1, le=100, description="After each further failure, so many times as long as before.")
    at_most: DurationNs = Field(30_000_000_000, description="But never longer than this.")
    limit: Integer = Field(3, ge=1, le=1000, description="How often in a run; the next failure fails it.")

    @model_validator(mode="before")
    @classmethod
    def _plain_word(cls, data: Any) -> Any:
        return {"policy": data} if isinstance(data, str) else data

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        words = {"type": "string", "enum": [policy.value for policy in FailurePolicy]}
        return {"anyOf": [words, handler(core_schema)]}

    def spec(self) -> OnFailure:
        return OnFailure(self.policy, self.after, self.factor, self.at_most, self.limit)


class NodeEntry(Section):
    """One node. Further keys are options of its backend."""

    kind: Text = Field("qemu", description="The backend that runs it.")
    role: Role = Field(Role.SENSOR, description="Its part in the swarm.")
    number: Annotated[Integer, Field(ge=0, lt=MAX_NODES)] | None = Field(
        None,
        description="Its id in frames, unique. Default: its position in the file. Of devices with the rig's firmware "
        "at most 255.",
    )
    count: Annotated[Integer, Field(ge=1, le=MAX_NODES)] | None = Field(
        None, description="So many nodes in place of one, with the ids `ID-1`, `ID-2`, …."
    )
    is_gateway: Switch = Field(False, description="Forwards to the aggregator when there is no coordinator.")
    machine: Text = Field("refnode-rv32", description="The emulated machine.")
    firmware: FirmwareEntry = Field(FirmwareEntry.model_validate({}), description="What it boots.")
    config: NodeConfig = Field(NodeConfig.model_validate({}), description="What its firmware is told.")
    nvs_config: Annotated[str, AfterValidator(_matrix_name)] | None = Field(
        None,
        description="Boot with exactly this configuration of the NVS matrix (see `swarmrig nvs matrix`) instead of "
        "what `config` and the rig would tell the firmware.",
    )
    on_failure: OnFailureEntry = Field(
        OnFailureEntry.model_validate({}), description="What becomes of it and of the run when it fails."
    )


class Header(Section):
    """The settings of the whole run."""

    swarmrig: Literal[1] = Field(description="Version of this format.")
    name: Name | None = Field(None, description="Name of the run's directory and reports. Default: the file's name.")
    duration: DurationNs = Field(DEFAULT_DURATION_NS, gt=0, description="Run time; checks may decide it earlier.")
    seed: Seed = Field(0, description="Seed of everything random.")
    time: TimeMode = Field(
        TimeMode.AUTO,
        description="Which clock rules: `real`, the wall's; `virtual`, one that only the run has, so that the same "
        "file and seed give the same bytes; `paced`, that one for the nodes that can, held to the wall's, by which the "
        "others live; `auto`, virtual when every node can, paced when some can, else real.",
    )
    aggregator_port: Port = Field(5005, description="UDP port of the aggregator.")


class WhenEntry(Section):
    """What a fault waits for: a line on a console, a boot, frames on a link, or another fault."""

    node: Text | U8 | None = Field(None, description="Whose console, or boot.")
    event: Literal["booted"] | None = Field(None, description="The console says that the application has started.")
    console: Annotated[Text, Field(min_length=1)] | None = Field(
        None, description="A regular expression, found in a line of the console."
    )
    link: Text | None = Field(None, description="Which link, as `swarmrig plan` calls it.")
    frames: Annotated[Text, Field(min_length=1)] | None = Field(
        None, description="A filter such as `csi.node == 1`; frames that enter the link count, at either end."
    )
    count: Integer = Field(1, ge=1, description="How many such lines, boots or frames.")
    fault: Name | None = Field(None, description="The id of another fault.")
    stage: Literal["injected", "healed"] = Field("injected", description="What must have been done to it.")
    after: DurationNs = Field(0, description="How long after that; of a console or a link, at least 10 ms.")


class FaultEntry(Section):
    """Something that goes wrong. One more key names the kind of fault and holds its parameters and `for`."""

    at: DurationNs | None = Field(None, description="When, from the start of the run.")
    every: Annotated[DurationNs, Field(gt=0)] | None = Field(
        None, description="Again and again, with this period. The first time is `at`, or after one period."
    )
    until: DurationNs | None = Field(None, description="The last time at most. Default: the last that fits the run.")
    when: WhenEntry | None = Field(None, description="In place of `at`: what it waits for.")
    jitter: DurationNs = Field(0, description="Later by a draw between 0 and this, each time anew.")
    id: Name | None = Field(None, description="What others call it by. Default: its kind and its number in the list.")
    required: Switch = Field(True, description="The run fails unless the fault is proved; `false`: it warns.")


class ScenarioFile(Header):
    """A scenario for swarmrig: which devices, how they are wired, what goes wrong when, what must hold."""

    network: NetworkEntry = Field(NetworkEntry.model_validate({}), description="How the nodes are wired.")
    defaults: NodeEntry | None = Field(None, description="Settings of every node that does not say otherwise.")
    nodes: dict[str, NodeEntry] = Field(description="The nodes by id, in order.")
    faults: tuple[FaultEntry, ...] = Field((), description="What goes wrong, and when.")
    checks: tuple[Any, ...] = Field((), description="What must hold: names, or `name: parameters`.")
