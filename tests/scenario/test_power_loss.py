"""The power goes at random moments under load: what was acknowledged had reached the disk.

The disk is simulated (tests/faults/faulty_vfs.h): it forgets what was not synced, sector by sector.

TIDEMARK_TEST_POWER_CUTS       how many cuts (default 5)
TIDEMARK_TEST_SEED             the seed of the moments and of what survives; printed
TIDEMARK_TEST_NORMAL_LOSES=1   shows that storage.synchronous=normal may lose acknowledged messages
"""
import asyncio
import os
import random

import pytest

from support.chat import all_messages
from support.faulty import FaultyServer
from support.load import Load

CUTS = int(os.environ.get("TIDEMARK_TEST_POWER_CUTS", "5"))


def fresh_seed():
    seed = int(os.environ.get("TIDEMARK_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"TIDEMARK_TEST_SEED={seed}")
    return seed


async def cut_under_load(server, load, chance):
    await load.progress(chance.randrange(1, 100))
    # Now, between two writes of a commit, or when everything but the sync is done.
    moment = chance.choice(["", f" write {chance.randrange(1, 60)}", f" sync {chance.randrange(1, 6)}"])
    await asyncio.to_thread(server.order, f"cut {chance.randrange(1, 1 << 31)}{moment}")
    await asyncio.to_thread(server.wait_dead)


@pytest.mark.limit(max(300, CUTS * 10))
async def test_power_cuts_lose_nothing_that_was_acknowledged(faulty_server):
    chance = random.Random(fresh_seed())
    server = faulty_server()
    async with Load(server) as load:
        for _ in range(CUTS):
            await cut_under_load(server, load, chance)
            await asyncio.to_thread(server.restart)
            await load.reader.follow()
            await load.check()


@pytest.mark.skipif("TIDEMARK_TEST_NORMAL_LOSES" not in os.environ, reason="an experiment, not a promise")
@pytest.mark.limit(300)
async def test_normal_synchronous_may_lose(tmp_path):
    """Run with -s to see the number. Fails if nothing was ever lost: then the cuts of the test above would be harmless."""
    chance, lost = random.Random(fresh_seed()), 0
    for number in range(CUTS):
        (tmp_path / str(number)).mkdir()
        server = FaultyServer(tmp_path / str(number), {"storage.synchronous": "normal"}).start()
        load = await Load(server).__aenter__()
        await cut_under_load(server, load, chance)
        await load.abandon()
        await asyncio.to_thread(server.restart)
        try:
            kept = {message["content"] for group in load.groups for message in all_messages(server, load.owner, group)}
        except AssertionError:
            kept = set()  # not even the groups are there
        lost += len({content for sender in load.senders for content in sender.acknowledged} - kept)
        server.stop()
    print(f"{lost} acknowledged messages lost in {CUTS} cuts")
    assert lost > 0
