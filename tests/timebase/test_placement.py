"""Where coordinator and guests run: together while turns are short, anywhere when they are long."""

import os
import subprocess
import sys
import time

import pytest

from swarmrig.timebase import placement
from swarmrig.timebase.placement import Placement

CORES = os.sched_getaffinity(0)
pytestmark = pytest.mark.skipif(len(CORES) < 2, reason="one core leaves nothing to decide")
BUSY = "import sys\nprint(flush=True)\nwhile True: pass"
IDLE = "import sys\nprint(flush=True)\nsys.stdin.read()"


@pytest.fixture
def own_affinity():
    yield
    os.sched_setaffinity(0, CORES)


@pytest.fixture
def guest():
    """Starts a program and returns its pid."""
    programs = []

    def start(text):
        program = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        programs.append(program)
        program.stdout.readline()
        return program.pid

    yield start
    for program in programs:
        program.kill()
        program.communicate()


def wait_for_review(where, turns, rounds=0, at_work=0):
    """Lets REVIEW_S pass in which somebody may have worked."""
    begun = time.monotonic()
    while time.monotonic() - begun < placement.REVIEW_S + 0.05:
        pass
    where.review(turns, rounds, at_work)


def test_all_are_on_one_core_at_first(own_affinity, guest):
    first, second = guest(IDLE), guest(IDLE)
    where = Placement()
    where.add(first)
    where.add(second)
    core = os.sched_getaffinity(first)
    assert len(core) == 1
    assert os.sched_getaffinity(second) == os.sched_getaffinity(0) == core


def test_guests_with_long_turns_are_spread_and_gathered_again(own_affinity, guest):
    pid = guest(BUSY)
    where = Placement()
    where.add(pid)
    wait_for_review(where, turns=10)  # some hundred milliseconds by ten turns
    assert os.sched_getaffinity(pid) == os.sched_getaffinity(0) == CORES
    wait_for_review(where, turns=10**7)  # the same by millions
    assert len(os.sched_getaffinity(pid)) == 1


def test_many_at_once_are_spread_however_short_their_turns(own_affinity, guest):
    pid = guest(IDLE)
    where = Placement()
    where.add(pid)
    wait_for_review(where, turns=1000, rounds=100, at_work=900)
    assert os.sched_getaffinity(pid) == CORES
    wait_for_review(where, turns=2000, rounds=200, at_work=1100)
    assert len(os.sched_getaffinity(pid)) == 1


def test_nothing_moves_while_nobody_has_had_a_turn(own_affinity, guest):
    pid = guest(BUSY)
    where = Placement()
    where.add(pid)
    core = os.sched_getaffinity(pid)
    wait_for_review(where, turns=0)
    assert os.sched_getaffinity(pid) == core


def test_guests_that_have_gone_do_not_matter(own_affinity, guest):
    gone = guest(IDLE)
    os.kill(gone, 9)
    where = Placement()
    where.add(gone)
    where.add(2**22 + 1)  # there is no such process
    where.remove(gone)
    where.remove(gone)
    where.review(5, 0, 0)
