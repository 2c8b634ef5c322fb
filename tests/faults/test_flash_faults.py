"""Faults of flash and NVS: the power goes, the image changes, the node sees it; and all is put back."""

import pytest
from nodes_rig import ALL, AT, BOOT, HEALED, WHOLE_LIFE, Obeying, Rig, S, make_flash, plan_of
from pydantic import ValidationError

from swarmrig.api import ProofStatus
from swarmrig.errors import NodeError
from swarmrig.flash.reader import read_nvs
from swarmrig.model.facts import FaultStage
from swarmrig.model.scenario import FirmwareSpec, NodeSpec

NVS = slice(0x9000, 0xF000)
KINDS = {
    "flash_corrupt": {"bytes": 32},
    "flash_erase": {},
    "flash_bit_rot": {"bits": 5},
    "flash_torn_write": {"offset": 0x10000, "data": "00112233", "after": 2},
    "nvs_erase": {},
    "nvs_corrupt": {},
    "nvs_set": {"key": "tdm_slot", "value": 2},
    "nvs_torn_set": {"key": "tdm_slot", "value": 2, "after": 20},
}
TELLS = {
    "nvs_erase": "I (3) nvs: NVS is empty, using defaults",
    "nvs_corrupt": "W (3) nvs: NVS damaged (CRC of a page header, page 0 entry 999), using defaults",
}


@pytest.fixture
def node(tmp_path):
    return Obeying(make_flash(tmp_path))


def whole_life(rig):
    rig.inject()
    rig.says(AT + 1, BOOT)
    rig.says(AT + 2, TELLS.get(rig.spec.kind, "refnode"))
    rig.heal()
    rig.says(HEALED + 1, BOOT)
    return rig.proof()


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_life(kind, node):
    before = node.flash_path.read_bytes()
    rig = Rig(kind, KINDS[kind], node=node)
    rig.inject()
    assert node.calls == ["power_off", "power_on"]
    assert node.flash_path.read_bytes() != before
    proof = whole_life(Rig(kind, KINDS[kind], node=Obeying(make_flash(node.flash_path.parent))))
    assert proof.status is ProofStatus.PROVED, proof.message
    assert "bytes of flash changed; nodes/s1/console.log:" in proof.message


@pytest.mark.parametrize("kind", KINDS)
def test_healing_puts_every_byte_back(kind, node):
    before = node.flash_path.read_bytes()
    rig = Rig(kind, KINDS[kind], node=node)
    assert whole_life(rig).status is ProofStatus.PROVED
    assert node.flash_path.read_bytes() == before
    assert rig.told == WHOLE_LIFE
    assert node.calls == ["power_off", "power_on"] * 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_does_not_boot_from_it(kind, node):
    node.numb = True
    rig = Rig(kind, KINDS[kind], node=node)
    proof = whole_life(rig)
    assert proof.status is ProofStatus.INDETERMINATE
    assert "does not see" in proof.message


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_says_nothing(kind, node):
    rig = Rig(kind, KINDS[kind], node=node)
    rig.inject()
    rig.heal()
    assert rig.proof().status is ProofStatus.INDETERMINATE


@pytest.mark.parametrize("kind", TELLS)
def test_firmware_that_does_not_notice(kind, node):
    rig = Rig(kind, KINDS[kind], node=node)
    rig.inject()
    rig.says(AT + 1, BOOT)
    rig.says(AT + 2, "refnode: node_id=1")
    rig.heal()
    rig.says(HEALED + 1, BOOT)
    assert rig.proof().status is ProofStatus.INDETERMINATE


def test_what_the_nvs_faults_leave(node, tmp_path):
    def left(kind):
        fresh = Obeying(make_flash(tmp_path))
        Rig(kind, KINDS[kind], node=fresh).inject()
        return read_nvs(fresh.flash_path.read_bytes()[NVS])

    assert left("nvs_erase").entries == ()
    assert {page.state for page in left("nvs_erase").pages} == {"empty"}
    assert left("nvs_corrupt").problems
    assert left("nvs_set").values["csi_cfg"] == {
        "node_id": 1, "tdm_slot": 2, "tdm_nodes": 3, "target_ip": "10.0.1.10"
    }  # fmt: skip
    assert left("nvs_torn_set").values["csi_cfg"]["tdm_slot"] == 1


def test_the_power_comes_back_when_the_change_fails(node):
    rig = Rig("nvs_set", {"key": "tdm_slot", "value": 2}, node=node)
    image = bytearray(node.flash_path.read_bytes())
    image[0x9040:0x9050] = bytes(16)
    node.flash_path.write_bytes(image)
    with pytest.raises(NodeError, match="NVS is damaged already"):
        rig.inject()
    assert node.calls == ["power_off", "power_on"]


def test_what_the_firmware_wrote_meanwhile_stays(node):
    rig = Rig("flash_corrupt", {"partition": "nvs", "offset": 0x1000, "size": 16, "bytes": 16}, node=node)
    rig.inject()
    image = bytearray(node.flash_path.read_bytes())
    image[0xA000:0xA004] = b"mine"
    node.flash_path.write_bytes(image)
    rig.heal()
    assert node.flash_path.read_bytes()[0xA000:0xA008] == b"mine\xff\xff\xff\xff"
    assert rig.proof().status is ProofStatus.INDETERMINATE


def test_nothing_changes_what_is_erased_already(node):
    rig = Rig("flash_erase", {"partition": "phy_init"}, node=node, for_ns=None)
    image = bytearray(node.flash_path.read_bytes())
    image[0x11000:0x12000] = b"\xff" * 0x1000
    node.flash_path.write_bytes(image)
    rig.inject()
    rig.says(AT + 1, BOOT)
    assert "already, so nothing changed" in rig.proof().message


@pytest.mark.parametrize("capabilities", [ALL - {"HasMemory"}])
def test_without_a_bus_the_node_itself_must_tell(node, capabilities):
    plan = plan_of(None, capabilities)
    rig = Rig("flash_corrupt", {}, node=node, plan=plan)
    proof = whole_life(rig)
    assert proof.status is ProofStatus.INDETERMINATE
    assert "say with `says`" in proof.message
    rig = Rig("flash_corrupt", {"says": "refnode"}, node=Obeying(node.flash_path), plan=plan)
    assert whole_life(rig).status is ProofStatus.PROVED
    rig = Rig("nvs_corrupt", {}, node=Obeying(node.flash_path), plan=plan)
    assert whole_life(rig).status is ProofStatus.PROVED


@pytest.mark.parametrize(
    ("kind", "params", "reason"),
    [
        ("flash_corrupt", {"partition": "nvz"}, "no partition 'nvz' in the flash: nvs, otadata, phy_init"),
        ("flash_corrupt", {"partition": "nvs", "offset": 0x6000}, r"is not within nvs \(0x9000\.\.0xf000\)"),
        ("flash_erase", {"offset": 32 << 20, "size": 4096}, "is not within the flash, which has 0x2000000 bytes"),
        ("flash_torn_write", {"offset": (32 << 20) - 1, "data": "0000"}, "is not within the flash"),
    ],
)
def test_parts_that_do_not_exist(kind, params, reason):
    rig = Rig(kind, params, plan=plan_with_flash())
    with pytest.raises(ValueError, match=reason):
        rig.examine()


def plan_with_flash():
    plan = plan_of(NodeSpec("s1", 1))
    return type(plan)(plan.spec, plan.command, capabilities=ALL, memory=plan.memory, details={"flash_bytes": 32 << 20})


def test_partitions_of_the_node_s_own_flash(tmp_path, node):
    foreign = tmp_path / "base.bin"
    foreign.write_bytes(b"\xff" * 0x9000)
    rig = Rig("flash_corrupt", {"partition": "factory"})
    spec = NodeSpec("s1", 1, firmware=FirmwareSpec(flash_base=foreign))
    rig.scenario = type(rig.scenario)(**{
        **{name: getattr(rig.scenario, name) for name in rig.scenario.__dataclass_fields__}, "nodes": (spec,)
    })  # fmt: skip
    with pytest.raises(ValueError, match="no partition 'factory'"):
        rig.examine()
    spec = NodeSpec("s1", 1, firmware=FirmwareSpec(flash_base=tmp_path / "later.bin"))
    rig.scenario = type(rig.scenario)(**{
        **{name: getattr(rig.scenario, name) for name in rig.scenario.__dataclass_fields__}, "nodes": (spec,)
    })  # fmt: skip
    rig.examine()


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("nvs_set", {"key": "tdm_slots", "value": 1}),
        ("nvs_set", {"key": "tdm_slot", "value": 256}),
        ("nvs_set", {"key": "elsewhere.tdm_slot", "value": 1}),
        ("nvs_torn_set", {"key": "tdm_slot", "value": 1, "after": -1}),
        ("flash_torn_write", {"offset": 0, "data": ""}),
        ("flash_torn_write", {"offset": 0, "data": "0011", "after": 2}),
        ("flash_corrupt", {"offset": 0}),
        ("flash_corrupt", {"bytes": 0}),
        ("flash_bit_rot", {"way": "up"}),
    ],
)
def test_wrong_parameters(kind, params):
    with pytest.raises(ValidationError):
        Rig(kind, params)


def test_an_update_that_would_be_complete_by_then(node):
    rig = Rig("nvs_torn_set", {"key": "tdm_slot", "value": 2, "after": 1000}, node=node)
    with pytest.raises(NodeError, match="complete by then"):
        rig.inject()


def test_descriptions():
    said = {kind: Rig(kind, params).description for kind, params in KINDS.items()}
    assert said["flash_corrupt"] == "corrupt 32 bytes in the partition nvs of s1 for 5s"
    assert said["flash_bit_rot"] == "let 5 bits rot (loss) in the partition nvs of s1 for 5s"
    assert said["flash_torn_write"] == "tear a write of 4 bytes at 0x10000 after 2 bytes in the flash of s1 for 5s"
    assert said["nvs_set"] == "set tdm_slot = 2 in the NVS of s1 for 5s"
    assert said["nvs_erase"] == "erase the NVS of s1 for 5s"


def test_only_what_comes_after_the_power_counts(node):
    rig = Rig("nvs_corrupt", {}, node=node, for_ns=None)
    rig.says(AT - S, TELLS["nvs_corrupt"])
    rig.inject()
    assert rig.proof().status is ProofStatus.INDETERMINATE
    assert FaultStage.OBSERVED not in rig.told
