"""Waiting for as long as this process runs: a machine that stood still in between was not late."""
import asyncio
import math
import time

SLICE_S = 0.25


async def within(seconds, awaitable):
    """The result of `awaitable`; asyncio.TimeoutError if it does not come. Counts slices and not the clock."""
    task = asyncio.ensure_future(awaitable)
    try:
        for _ in range(math.ceil(seconds / SLICE_S)):
            done, _ = await asyncio.wait({task}, timeout=SLICE_S)
            if done:
                return task.result()
        raise asyncio.TimeoutError(f"nothing came in {seconds} s")
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


def patiently(seconds, step=0.01):
    """Yields until so many seconds have gone in which this process ran, `step` apart; the same without asyncio."""
    spent, last = 0.0, time.monotonic()
    while spent < seconds:
        yield
        time.sleep(step)
        now = time.monotonic()
        spent, last = spent + min(now - last, SLICE_S), now
