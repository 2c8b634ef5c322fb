"""A swarm that lives on by itself while a program looks on."""

from __future__ import annotations

import re

import pytest

from swarmrig.integrations.session import Swarm
from swarmrig.model.verdict import Outcome


@pytest.mark.parametrize(("time", "tier"), [("real", "scheduled"), ("paced", "recorded")])
def test_in_real_time_the_swarm_lives_on(lead, time, tier):
    with lead(time=time) as swarm:
        assert swarm.tier == tier
        swarm.wait_booted("60s")
        node = swarm.node("s1")
        assert node.expect("POWERON", timeout="60s")
        node.write("stats")
        assert int(node.expect(r"uptime_ms=(\d+)", timeout="60s").group(1)) >= 0
        cut = swarm.inject("cut", between=["coord", "s1"])
        assert cut.stages
        swarm.run_for("1s")
        cut.heal()
        _until_proved(swarm, cut)
        before = swarm.now_ns
        assert swarm.frames(link="coord--s1")
        assert swarm.now_ns > before
        assert swarm.verdict() is Outcome.PASS, swarm.finish().checks
        assert swarm.finish().digest is None


def _until_proved(swarm: Swarm, fault) -> None:
    for _ in range(60):
        if fault.proved:
            return
        swarm.run_for("500ms")


def test_text_without_a_line_end_is_seen(lead, tmp_path):
    """In real time at once; what a guest in virtual time has of a line is in the network's statistics."""
    from swarmrig.integrations.session.transcript import Search, Transcript, compiled

    log = tmp_path / "console.log"
    transcript = Transcript(log)
    search = Search(transcript, [compiled("login: $")])
    assert search.look() is None
    log.write_bytes(b"booting\r\n")
    assert search.look() is None
    transcript.unfinished = b"login: "
    found = search.look()
    assert found is not None
    assert found.end == len(b"booting\r\nlogin: ")
    transcript.consumed = found.end
    transcript.unfinished = b""
    log.write_bytes(b"booting\r\nlogin: root\r\n")
    again = Search(transcript, [re.compile(b"root")]).look()
    assert again is not None
