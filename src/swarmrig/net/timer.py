"""A timer with nanosecond resolution that epoll can wait for: timerfd_create(2) on CLOCK_MONOTONIC.

Python offers it from 3.13 on; before that, libc is called directly.
"""

from __future__ import annotations

import ctypes
import os
import time

_ABSOLUTE = 1  # TFD_TIMER_ABSTIME
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC  # TFD_NONBLOCK and TFD_CLOEXEC have their values
_NS_PER_S = 1_000_000_000


class Timer:
    """Readable once the set time has come; setting it anew makes it unreadable again."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(time.CLOCK_MONOTONIC, _FLAGS)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._settime = self._libc.timerfd_settime
        # struct itimerspec: interval (s, ns), then value (s, ns).
        self._spec = (ctypes.c_long * 4)()

    def fileno(self) -> int:
        return int(self._fd)

    def set(self, at_ns: int) -> None:
        """Fire at a time of CLOCK_MONOTONIC, at once when it has passed; 0 disarms."""
        self._spec[2], self._spec[3] = divmod(at_ns, _NS_PER_S)
        self._settime(self._fd, _ABSOLUTE, self._spec, None)

    def close(self) -> None:
        os.close(self._fd)
