"""The watchdog of a process with Python nodes, in a process of its own: its timer is that of the whole process."""

from __future__ import annotations

import subprocess
import sys

COPIES = """
import os, signal, time
from swarmrig.net import watchdog

watchdog.STEP_S = 0.01
with watchdog.watching(lambda: 30.0):
    end = time.monotonic() + 0.2
    while time.monotonic() < end:  # it looks, and has a thread for the worst
        pass
    pid = os.fork()
    if pid == 0:
        with watchdog.watching(lambda: 30.0):
            end = time.monotonic() + 0.2
            while time.monotonic() < end:
                pass
        os._exit(7)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM) is signal.SIG_DFL)
"""


def test_a_copy_of_a_watched_process_lives_on() -> None:
    result = subprocess.run([sys.executable, "-c", COPIES], capture_output=True, text=True, timeout=120)
    assert result.stdout == "7\n(0.0, 0.0) True\n", result.stderr
