"""The wall clock jumps by a day, or the process stands still: timers are monotonic, order is by seq.

TIDEMARK_TEST_PAUSE   seconds that the process stands still (default 3)
"""
import asyncio
import glob
import os
import signal
import time

import pytest

from support.chat import all_messages
from support.load import Load
from support.names import uniques
from support.rest import assert_refused
from support.server import Server, sanitizer

PAUSE = float(os.environ.get("TIDEMARK_TEST_PAUSE", "3"))
DAY = 24 * 3600


class ShiftedServer(Server):
    """Its wall clock can be moved while it runs (libfaketime); the monotonic clock goes on."""

    def __init__(self, directory, settings):
        libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not libraries:
            pytest.skip("no libfaketime: install faketime")
        if sanitizer() is not None:
            pytest.skip("sanitizers and libfaketime replace the same functions")
        self.clock = directory / "clock"
        self.shift(0)
        super().__init__(directory, settings, {
            "LD_PRELOAD": libraries[0], "FAKETIME_TIMESTAMP_FILE": str(self.clock), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"})

    def shift(self, seconds):
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.rename(self.clock)


@pytest.fixture
def shifted_server(tmp_path):
    server = ShiftedServer(tmp_path, {"heartbeat.interval": "300ms", "heartbeat.timeout": "1s",
                                      "limits.register_timeout": "1s", "session.ttl": "10d"}).start()
    yield server
    server.stop()


@pytest.mark.parametrize("jump", [DAY, -DAY])
async def test_clock_jump_disconnects_nobody_and_keeps_the_order(shifted_server, jump):
    server = shifted_server
    alice, bob = uniques("alice", "bob")
    # Without `iat`: a token from the future is refused, which is what the expiry of tokens is about too.
    tokens = {user: server.token(user, ttl=10 * DAY, iat=None) for user in (alice, bob)}
    a = await server.connect(alice, "phone", token=tokens[alice])
    b = await server.connect(bob, "phone", token=tokens[bob])
    chat = (await a.say(bob))["conversation_id"]
    for shift in (jump, 0, jump):
        server.shift(shift)
        sent = await a.say(bob)
        assert abs(sent["timestamp"] / 1000 - time.time() - shift) < 60, "the wall clock did move"
        # Longer than the heartbeat's timeout, by the clock that counts: nobody is taken for dead while he answers.
        for _ in range(4):
            await asyncio.sleep(0.3)
            await a.settle()
            await b.settle()
    await b.received(chat, 4)
    assert [seq for seq, _ in b.applied(chat)] == [1, 2, 3, 4]
    assert [message["seq"] for message in all_messages(server, tokens[bob], chat)] == [1, 2, 3, 4]
    # The session and the cursor are still good.
    again = await b.reconnect()
    await again.synced()
    assert again.welcome["session_id"] == b.welcome["session_id"] and again.pushed(chat) == []


async def test_only_the_expiry_of_tokens_moves_with_the_clock(shifted_server):
    server = shifted_server
    alice, = uniques("alice")
    token = server.token(alice, ttl=3600)
    server.shift(DAY)
    assert_refused(server.api("GET", "/conversations", token), 401, "unauthorized")
    server.shift(0)
    assert server.api("GET", "/conversations", token).status == 200


@pytest.mark.limit(120 + 2 * PAUSE)
async def test_node_that_stood_still_loses_nothing(own_server):
    server = own_server({"heartbeat.interval": "500ms", "heartbeat.timeout": "2s"})
    async with Load(server, patience=PAUSE + 30) as load:
        await load.progress(100)
        server.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(PAUSE)
        server.process.send_signal(signal.SIGCONT)
        await load.progress(200)
        if load.reader.client.is_closed:
            await load.reader.follow()
        await load.check()
