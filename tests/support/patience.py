"""Waiting for as long as this process runs: a machine that stood still in between was not late."""
import asyncio
import math

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
