"""The timer that QEMU does not arm again after a migration."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmrig.errors import NodeError
from swarmrig.nodes.qemu.snapshot import TIMERS, TickTimer

TIMER = TIMERS["riscv32", "virt"]


def armed(t_ns: int, compare: int) -> int:
    """When QEMU has the interrupt come, of a compare register that is written at `t_ns`: see hw/intc/riscv_aclint.c."""
    return t_ns + (compare - t_ns // 100) * 100


@given(st.integers(0, 10**12), st.integers(1, 10**6), st.integers(0, 10**8))
def test_the_interrupt_comes_when_it_would_have_come(first_ns, ahead, since_ns):
    compare = first_ns // 100 + ahead
    deadline_ns = armed(first_ns, compare)
    t_ns = first_ns + since_ns
    if deadline_ns <= t_ns:
        return
    ((delay_ns, address, data),) = TIMER.stores("n", t_ns, t_ns // 100, compare, deadline_ns)
    assert 0 <= delay_ns < 100
    assert address == TIMER.compare_address
    assert armed(t_ns + delay_ns, int.from_bytes(data, "little")) == deadline_ns


def test_nothing_is_armed():
    assert TIMER.stores("n", 5_000, 50, 2**64 - 1, None) == ((0, TIMER.compare_address, b"\xff" * 8),)


def test_its_clock_was_set_back():
    with pytest.raises(NodeError, match="its clock was set back"):
        TIMER.stores("n", 5_000, 7, 100, 10_000)


@pytest.mark.parametrize("deadline_ns", [9_999, 10_100, 20_000])
def test_another_timer_is_next(deadline_ns):
    with pytest.raises(NodeError, match=f"acts next at {deadline_ns} ns by no timer"):
        TickTimer(0, 8, 100).stores("n", 5_000, 50, 100, deadline_ns)
