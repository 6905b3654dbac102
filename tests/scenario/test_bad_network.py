"""Networks that cut, reset, delay, swallow and lose: everything acknowledged is there once, in one order, for everybody.

TIDEMARK_TEST_NETWORK_FAULTS   how many faults of each long test (default 15)
TIDEMARK_TEST_SEED             the seed; printed
"""
import asyncio
import ctypes
import os
import random
import subprocess

import pytest

from support.chat import all_messages
from support.load import Load
from support.names import text, uniques
from support.proxy import Proxy
from support.rest import assert_success

FAULTS = int(os.environ.get("TIDEMARK_TEST_NETWORK_FAULTS", "15"))
CLONE_NEWNET = 0x40000000


def fresh_chance():
    seed = int(os.environ.get("TIDEMARK_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"TIDEMARK_TEST_SEED={seed}")
    return random.Random(seed)


async def keep_following(reader):
    """The reader comes back whenever it lost its connection."""
    while True:
        try:
            if reader.client.is_closed:
                await reader.follow()
        except (OSError, AssertionError, asyncio.TimeoutError, ConnectionError):
            pass
        except Exception as error:  # a handshake that was cut has many names
            if type(error).__module__.split(".")[0] != "websockets":
                raise
        await asyncio.sleep(0.02)


async def stop(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.limit(max(120, FAULTS * 10))
async def test_cuts_resets_delays_and_stalls(own_server):
    chance = fresh_chance()
    server = own_server({"heartbeat.interval": "1s", "heartbeat.timeout": "5s"})
    async with Proxy(server) as proxy, Load(server, proxy) as load:
        following = asyncio.create_task(keep_following(load.reader))
        for _ in range(FAULTS):
            await load.progress(chance.randrange(1, 100))
            kind = chance.choice(["cut", "reset", "delay", "stall"])
            if kind == "cut":
                proxy.cut()
            elif kind == "reset":
                proxy.reset()
            elif kind == "delay":
                proxy.delay = chance.choice([0, 0.001, 0.02])
            else:
                proxy.stall = lambda: 0.2 if chance.random() < 0.1 else 0  # ten of a hundred pieces come late
        proxy.delay, proxy.stall = 0, lambda: 0
        await load.progress(20)
        await stop(following)
        await load.check()


async def test_half_open_connection_is_noticed_and_its_device_resumes(own_server):
    server = own_server({"heartbeat.interval": "200ms", "heartbeat.timeout": "1s", "presence.grace": "0s"})
    alice, bob = uniques("alice", "bob")
    async with Proxy(server) as proxy:
        a, b = await server.connect(alice, "phone"), await proxy.connect(bob, "phone")
        answering = [asyncio.create_task(answer_pings(a))]
        chat = (await a.say(bob))["conversation_id"]
        await b.received(chat, 1)
        await a.send(type="watch", users=[bob])
        await a.recv("presence", user_id=bob, online=True)
        proxy.pull_cable()
        for _ in range(5):
            await a.say(bob)
        # Nobody tells the server; silence does.
        await a.recv("presence", user_id=bob, online=False)
        await until(lambda: "4202" in codes(server))
        proxy.plug_in()
        b = await b.reconnect()
        await b.received(chat, 6)
        assert b.applied(chat) == [(message["seq"], message["content"]) for message in all_messages(server, bob, chat)]
        for task in answering:
            await stop(task)


async def answer_pings(client):
    while True:
        await client.send(type="ping")
        await asyncio.sleep(0.2)


def codes(server):
    from support.server import rest_text
    return [line.split('code="')[1].split('"')[0] for line in rest_text(server.metrics_port, "/metrics").splitlines()
            if line.startswith("tidemark_close_codes_total{") and not line.endswith(" 0")]


async def until(condition, timeout=15):
    deadline = asyncio.get_running_loop().time() + timeout
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "waited in vain"
        await asyncio.sleep(0.02)


async def test_answer_lost_on_the_way_is_repeated_with_the_first_result(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    async with Proxy(server) as proxy:
        a = await proxy.connect(alice, "phone")
        chat = (await a.say(bob))["conversation_id"]
        command = {"type": "message", "id": "lost-answer", "conversation_id": chat, "content": text()}
        proxy.delay = 0.3  # the command arrives; its answer is on the way when the cable is pulled
        await a.send(**command)
        await until(lambda: len(all_messages(server, bob, chat)) == 2)
        proxy.reset()
        proxy.delay = 0
        a = await a.reconnect()
        again = await a.request(**command)
        assert (again["type"], again["seq"], again["duplicate"]) == ("sent", 2, True)
        assert len(all_messages(server, bob, chat)) == 2


@pytest.fixture
def lossy_network():
    """A network of the test's own in which each tenth packet is lost. The server and its clients live in it."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if os.geteuid() != 0 or libc.unshare(CLONE_NEWNET) != 0:
        os.close(before)
        pytest.skip("cannot make a network namespace here")
    try:
        steps = ["ip link set lo up",
                 "iptables -A INPUT -p tcp -m statistic --mode random --probability 0.1 -j DROP"]
        for step in steps:
            if subprocess.run(step.split(), capture_output=True).returncode != 0:
                pytest.skip(f"cannot: {step}")
        yield
    finally:
        libc.setns(before, CLONE_NEWNET)
        os.close(before)


@pytest.mark.limit(180)
async def test_ten_of_a_hundred_packets_lost(lossy_network, own_server):
    # own_server starts its process from this thread, hence in the namespace.
    # A first packet that is lost twice comes after nine seconds: nothing here may be in a hurry.
    server = own_server({"heartbeat.interval": "5s", "heartbeat.timeout": "60s", "limits.handshake_timeout": "60s",
                         "limits.register_timeout": "60s"})
    async with Load(server, patience=60) as load:
        await load.progress(300, timeout=120)
        await load.check()
