"""Faults of whole nodes: what proves them, what contradicts them, what means nothing."""

import pytest
from nodes_rig import ALL, AT, BOOT, FIRMWARE, HEALED, MS, RAM, WHOLE_LIFE, Obeying, Rig, S, plan_of
from pydantic import ValidationError

from swarmrig.api import ProofStatus
from swarmrig.elf import read_elf
from swarmrig.errors import NodeError
from swarmrig.model.facts import FaultChange, FaultStage
from swarmrig.model.scenario import TimeMode


def busy_until(rig, t_ns=AT):
    rig.sends_from_to(t_ns - 5 * S, t_ns + 1)


SILENT = [("pause", {}), ("power_cycle", {}), ("hang", {}), ("hang", {"function": "firmware_boot"})]


@pytest.mark.parametrize(("kind", "params"), SILENT)
def test_silence_and_then_a_sign_of_life(kind, params):
    rig = Rig(kind, params)
    busy_until(rig)
    rig.inject()
    rig.heal()
    rig.says(HEALED + S, BOOT)
    proof = rig.proof()
    assert proof.status is ProofStatus.PROVED, proof.message
    assert "net/lan--s1.pcapng#" in proof.message and "nodes/s1/console.log:" in proof.message
    assert rig.told == WHOLE_LIFE or sorted(rig.told) == sorted(WHOLE_LIFE)


@pytest.mark.parametrize(("kind", "params"), SILENT)
def test_a_node_that_is_heard_all_the_same(kind, params):
    rig = Rig(kind, params)
    busy_until(rig)
    rig.inject()
    rig.sends(AT + 2 * S)
    rig.heal()
    rig.says(HEALED + S, BOOT)
    proof = rig.proof()
    assert proof.status is ProofStatus.FAILED
    assert "was heard all the same" in proof.message
    assert FaultStage.OBSERVED not in rig.told


@pytest.mark.parametrize(("kind", "params"), SILENT)
def test_a_node_that_does_not_come_back(kind, params):
    rig = Rig(kind, params)
    busy_until(rig)
    rig.inject()
    rig.heal()
    assert rig.proof().status is ProofStatus.INDETERMINATE


@pytest.mark.parametrize(("kind", "params"), SILENT)
def test_the_silence_of_a_silent_node_means_nothing(kind, params):
    rig = Rig(kind, params)
    rig.inject()
    rig.heal()
    rig.says(HEALED + S, BOOT)
    proof = rig.proof()
    assert proof.status is ProofStatus.INDETERMINATE
    assert "it was heard 0 times" in proof.message


def test_silence_must_be_unusual():
    rig = Rig("pause")
    rig.sends_from_to(0, 5 * S)
    for t_ns in (5 * S, 6 * S, 7 * S, 9 * S):
        rig.says(t_ns)
    rig.inject()
    rig.heal()
    rig.says(HEALED + S)
    proof = rig.proof()
    assert proof.status is ProofStatus.INDETERMINATE
    assert "silent for 5s, which means nothing: in as long a time before, it was heard 3 times" in proof.message


def test_others_and_other_links_are_not_the_node():
    rig = Rig("pause")
    busy_until(rig)
    rig.inject()
    rig.sends(AT + S, node="s2")
    rig.says(AT + S, node="s2")
    rig.heal()
    rig.sends(HEALED + 1)
    assert rig.proof().status is ProofStatus.PROVED


def test_in_virtual_time_the_instant_decides():
    rig = Rig("pause")
    busy_until(rig)
    rig.inject()
    rig.sends(AT + 1)
    rig.heal()
    rig.sends(HEALED)
    assert rig.proof().status is ProofStatus.FAILED


def test_in_real_time_what_was_under_way_may_still_arrive():
    rig = Rig("pause", time=TimeMode.REAL)
    busy_until(rig)
    rig.inject()
    rig.sends(AT + 100 * MS)
    rig.heal()
    rig.sends(HEALED)
    assert rig.proof().status is ProofStatus.PROVED


def test_a_pause_for_good_is_proved_by_the_rest_of_the_run():
    rig = Rig("pause", for_ns=None)
    busy_until(rig)
    rig.inject()
    assert rig.proof(30 * S).status is ProofStatus.PROVED
    assert rig.description == "pause s1 for good"


def test_what_was_never_done_has_failed():
    assert Rig("pause").proof().status is ProofStatus.FAILED


def test_calls():
    for kind, params, calls in (
        ("pause", {}, ["pause", "resume"]),
        ("power_cycle", {}, ["power_off", "power_on"]),
        ("hang", {}, ["type hang", "reset"]),
        ("hang", {"command": "spin"}, ["type spin", "reset"]),
    ):
        rig = Rig(kind, params)
        rig.inject()
        rig.heal()
        assert rig.node.calls == calls


# --- reset --------------------------------------------------------------------------------------------------------


def test_a_reset_is_proved_by_the_boot():
    rig = Rig("reset")
    rig.says(AT - S, BOOT)
    rig.inject()
    assert rig.node.calls == ["reset"]
    assert rig.fault.proved().status is ProofStatus.INDETERMINATE
    rig.says(AT + S, BOOT, node="s2")
    rig.says(AT + S)
    assert rig.fault.proved().status is ProofStatus.INDETERMINATE
    rig.says(AT + S, BOOT)
    assert rig.proof().status is ProofStatus.PROVED
    assert rig.told == [FaultStage.INJECTED, FaultStage.OBSERVED]


def test_firmware_that_boots_with_other_words():
    rig = Rig("reset", {"says": "^U-Boot"})
    rig.inject()
    rig.says(AT + S, BOOT)
    assert rig.fault.proved().status is ProofStatus.INDETERMINATE
    rig.says(AT + S, "U-Boot 2025.01")
    assert rig.proof().status is ProofStatus.PROVED


# --- crash --------------------------------------------------------------------------------------------------------


def test_a_crash_is_proved_by_the_end_of_the_process():
    rig = Rig("crash")
    busy_until(rig)
    rig.inject()
    rig.dies(AT + 1)
    assert rig.node.calls == ["kill"]
    assert rig.proof().status is ProofStatus.PROVED


@pytest.mark.parametrize("signal", [None, 11])
def test_another_end_is_not_ours(signal):
    rig = Rig("crash")
    rig.inject()
    rig.dies(AT + 1, signal)
    assert rig.proof().status is not ProofStatus.PROVED


def test_a_restart():
    rig = Rig("crash", {"restart": {"after": "2s"}})
    busy_until(rig)
    rig.inject()
    rig.hold(None)
    assert rig.node.calls == ["power_off", "power_on"]
    assert (FaultStage.HEALED, AT + 2 * S) in rig.stages
    assert rig.proof().status is ProofStatus.INDETERMINATE
    rig = Rig("crash", {"restart": {"after": "2s"}})
    busy_until(rig)
    rig.inject()
    rig.hold(None)
    rig.says(AT + 2 * S + 1, BOOT)
    assert rig.proof().status is ProofStatus.PROVED
    assert sorted(rig.told) == sorted(WHOLE_LIFE)


def test_a_restart_that_the_run_did_not_live_to_see():
    rig = Rig("crash", {"restart": {"after": "2s"}})
    busy_until(rig)
    rig.inject()
    proof = rig.proof()
    assert proof.status is ProofStatus.INDETERMINATE
    assert "was not started again" in proof.message


def test_after_enough_restarts_it_stays_down():
    rig = Rig("crash", {"restart": {"after": "1s", "max": 2}})
    for number in (1, 2):
        rig.fault.observe(FaultChange(number * S, f"crash-{number}", "crash", FaultStage.HEALED, {"node": "s1"}))
        rig.fault.observe(FaultChange(number * S, f"other-{number}", "crash", FaultStage.HEALED, {"node": "s2"}))
    rig.inject()
    rig.hold(None)
    assert rig.node.calls == ["kill"]
    rig.dies(AT + 1)
    assert rig.proof().status is ProofStatus.PROVED


def test_a_restart_needs_power():
    rig = Rig("crash", {"restart": {"after": "1s"}}, plan=plan_of(None, ALL - {"CanPowerCycle"}))
    with pytest.raises(ValueError, match=r"restart needs CanPowerCycle, which node s1 \(kind qemu\) does not have"):
        rig.examine()
    Rig("crash", plan=plan_of(None, frozenset({"CanKill"}))).examine()


def test_a_restart_after_the_end():
    rig = Rig("crash", {"restart": {"after": "50s"}})
    with pytest.raises(ValueError, match="restart after 50s is not within the run"):
        _ = rig.description


def test_descriptions():
    assert Rig("crash", {"restart": {"after": "1s"}}).description == (
        "crash s1, start it again after 1s (at most 3 times)"
    )
    assert Rig("power_cycle").description == "cut the power of s1 for 5s"
    assert Rig("hang").description == "hang s1 for 5s, by the command 'hang'"
    assert Rig("hang", {"function": "timers_run"}).description == "hang s1 for 5s, in timers_run"


# --- hang ---------------------------------------------------------------------------------------------------------


def test_what_the_node_answers_to_the_command_is_no_contradiction():
    rig = Rig("hang")
    busy_until(rig)
    rig.inject()
    rig.says(AT + MS, "W (10001) console: hanging until a reset")
    rig.heal()
    rig.says(HEALED + 1, BOOT)
    assert rig.proof().status is ProofStatus.PROVED


def test_the_jump_is_written_where_the_function_begins():
    rig = Rig("hang", {"function": "timers_run"})
    rig.inject()
    address = read_elf(FIRMWARE).symbol("timers_run").address
    assert rig.node.ram[address - RAM :][:4] == bytes.fromhex("6f000000")


def test_a_function_that_is_not_there():
    rig = Rig("hang", {"function": "timers_ran"})
    with pytest.raises(ValueError, match="has no symbol 'timers_ran', did you mean 'timers_run'"):
        rig.examine()
    with pytest.raises(NodeError, match="has no symbol"):
        rig.inject()


@pytest.mark.parametrize(
    ("params", "missing"), [({}, "HasConsole"), ({"function": "timers_run"}, "HasMemory")]
)  # fmt: skip
def test_a_hang_needs_a_way(params, missing):
    rig = Rig("hang", params, plan=plan_of(None, ALL - {missing}))
    with pytest.raises(ValueError, match=f"needs {missing}"):
        rig.examine()


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("hang", {"command": "hang", "function": "main"}),
        ("reset", {"says": "("}),
        ("crash", {"restart": {"after": "1s", "max": 0}}),
        ("pause", {"nodes": ["s1"]}),
    ],
)
def test_wrong_parameters(kind, params):
    with pytest.raises(ValidationError):
        Rig(kind, params)


def test_a_node_that_is_not_there():
    with pytest.raises(ValueError, match="there is no node 's9'"):
        Rig("pause", {"node": "s9"})


def test_faults_of_one_node_exclude_each_other():
    claims = {
        frozenset(Rig(kind).factory.claims(Rig(kind).spec, Rig(kind).scenario, Rig(kind).network))
        for kind in ("pause", "power_cycle", "hang", "crash", "starve_cpu")
    }
    assert claims == {frozenset({"decide whether s1 runs"})}


def test_numb_nodes_prove_nothing():
    for kind in ("pause", "power_cycle", "hang", "reset", "crash", "starve_cpu"):
        rig = Rig(kind, node=Obeying(numb=True))
        busy_until(rig)
        rig.inject()
        if kind == "starve_cpu":
            rig.hold()
        rig.sends_from_to(AT + 50 * MS, HEALED + S)
        if getattr(rig.factory, "heals", True):
            rig.heal()
        assert rig.proof().status is not ProofStatus.PROVED, kind
