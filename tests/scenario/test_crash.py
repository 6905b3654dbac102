"""kill -9 at random moments under load: nothing acknowledged is lost, nothing is doubled, no order changes.

TIDEMARK_TEST_KILLS   how many kills (default 20)
TIDEMARK_TEST_SEED    the seed of the random moments; printed, so that a failing run can be repeated
"""
import asyncio
import os
import random

import pytest

from support.load import Load

KILLS = int(os.environ.get("TIDEMARK_TEST_KILLS", "20"))


@pytest.mark.limit(max(600, KILLS * 10))
async def test_kill_at_random_moments(own_server):
    seed = int(os.environ.get("TIDEMARK_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"TIDEMARK_TEST_SEED={seed}")
    chance = random.Random(seed)
    server = own_server()
    async with Load(server) as load:
        for _ in range(KILLS):
            await load.progress(chance.randrange(1, 200))
            await asyncio.sleep(chance.random() * 0.01)  # the random moment itself
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.restart)
            await load.reader.follow()
            await load.check()
