"""What goes on beside something ends with it, and hides none of its errors."""

from __future__ import annotations

import anyio
import pytest

from swarmrig.runtime.waiting import beside, first_of

pytestmark = pytest.mark.anyio


async def test_what_is_raised_within_comes_out_as_it_is_and_ends_the_rest():
    ended = anyio.Event()

    async def last() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    with pytest.raises(ZeroDivisionError, match="oh"):
        async with beside() as tasks:
            tasks.start_soon(last)
            await anyio.lowlevel.checkpoint()
            raise ZeroDivisionError("oh")
    assert ended.is_set()


async def test_what_goes_on_beside_ends_with_what_is_done():
    async with beside() as tasks:
        tasks.start_soon(anyio.sleep_forever)


async def test_an_error_beside_ends_what_is_done():
    async def fail() -> None:
        raise ValueError("beside")

    with pytest.raises(ExceptionGroup) as caught:
        async with beside() as tasks:
            tasks.start_soon(fail)
            await anyio.sleep_forever()
    assert [str(error) for error in caught.value.exceptions] == ["beside"]


async def test_the_first_event_is_enough():
    never, now = anyio.Event(), anyio.Event()
    now.set()
    await first_of(never, now)
