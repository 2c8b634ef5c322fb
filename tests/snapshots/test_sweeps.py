"""When runs are booted instead, and why; what is refused."""

import anyio
import pytest

from swarmrig.errors import HostError
from swarmrig.suites import forks

pytestmark = pytest.mark.anyio

CUT = "- {id: cut, at: 1.5s, cut: {between: [c, a], for: 300ms}}"
SMALL = """\
swarmrig: 1
name: small
duration: 2s
time: TIME
network: {topology: star, hub: c, link: {latency: 5ms}}
nodes: {c: {role: coordinator}, a: {MORE}}
checks: [all_nodes_boot]
faults:
"""


def small(time: str = "virtual", more: str = "config: {tdm_slot: 1}") -> str:
    return SMALL.replace("TIME", time).replace("MORE", more)


async def test_real_time_is_booted_with_the_reason(swept):
    done = await swept("- {id: cut, at: 500ms, cut: {between: [c, a], for: 300ms}}", "auto", head=small("real"))
    assert done.why_booted["cut"].startswith("there are no snapshots of real time")
    assert done.done.at_ns is None


async def test_real_time_is_refused_where_a_fork_is_demanded(swept, tmp_path):
    with pytest.raises(HostError, match="no run can be forked: there are no snapshots of real time"):
        await swept(CUT, "always", head=small("real"))
    assert not list((tmp_path / "runs").glob("*/*/results.json"))


async def test_what_acts_before_the_fork_is_booted(swept):
    done = await swept(CUT + "\n- {id: early, at: 1s, reset: {node: r}}", at_ns=1_500_000_000)
    assert done.why_booted["cut"] is None
    assert done.why_booted["early"].startswith("it acts at 1s, before the fork at ")


async def test_what_waits_to_see_something_is_booted(swept):
    done = await swept(CUT + '\n- {id: seen, when: {node: c, console: "boot"}, reset: {node: r}}')
    assert done.why_booted == {"cut": None, "seen": "what it waits to see is counted from the beginning"}
    assert done.runs["seen"].finished.record.digest


async def test_all_wait_to_see_something(swept):
    done = await swept('- {id: seen, when: {node: c, console: "boot"}, reset: {node: c}}', "auto", head=small())
    assert "every fault waits for something to be seen" in done.why_booted["seen"]


async def test_booting_is_quicker(swept, monkeypatch):
    monkeypatch.setattr(forks, "FORK_ESTIMATE_S", 1000.0)
    done = await swept(CUT, "auto", head=small())
    assert "booting and warming up takes" in done.why_booted["cut"]
    assert done.done.fork_s is None


async def test_forking_is_quicker(swept, monkeypatch):
    monkeypatch.setattr(forks, "FORK_ESTIMATE_S", 0.0)
    done = await swept(CUT, "auto", head=small())
    assert done.why_booted == {"cut": None}


async def test_after_the_end(swept):
    with pytest.raises(HostError, match="9s is not before the end of the run at 2s"):
        await swept(CUT, head=small(), at_ns=9_000_000_000)


async def test_nobody_to_wait_for(swept):
    """A guest that never rests has no moment to be forked at."""
    with pytest.raises(HostError, match="somebody is at work at every moment in the 100us before 100us"):
        await swept(CUT, head=small(), at_ns=100_000)


async def test_a_guest_with_frames_that_it_has_not_taken(swept):
    """While it boots, its card is not set up; QEMU queues what the others send, and a snapshot has no queue."""
    head = small(more="firmware: {variant: slow-boot}}, b: {config: {tdm_slot: 1}")
    with pytest.raises(HostError, match=r"no run can be forked: node a: it has inputs that it has not taken yet"):
        await swept(CUT, head=head)


async def test_a_guest_whose_clock_began_anew(swept):
    head = small(more="firmware: {variant: panic-at-10s}").replace("duration: 2s", "duration: 12s")
    with pytest.raises(HostError, match=r"no run can be forked: .*clock was set back"):
        await swept("- {id: cut, at: 11.5s, cut: {between: [c, a], for: 100ms}}", head=head)


async def test_no_faults(swept):
    with pytest.raises(HostError, match="has no faults to sweep"):
        await swept("", head=small().replace("faults:\n", ""))


async def test_interrupted(swept):
    interrupt = anyio.Event()
    interrupt.set()
    done = await swept(CUT, head=small(), interrupt=interrupt)
    assert done.done.exit_code == 130
    assert done.done.runs == []


async def test_the_worst_run_decides(swept):
    done = await swept(CUT + "\n- {id: late, at: 2.4s, ring_flood: {node: r}}", "never")
    codes = [run.finished.record.exit_code for run in done.done.runs]
    assert done.done.exit_code == max(codes)
