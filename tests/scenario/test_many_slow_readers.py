"""Very many devices that do not read, beside some that do: those that do must not notice.

The suite runs a small number. The whole thing, with figures:

    TIDEMARK_TEST_SLOW_READERS=10000 TIDEMARK_TEST_QUICK_READERS=100 TIDEMARK_TEST_SECONDS=10 \\
        /usr/bin/python3 -m pytest -s tests/scenario/test_many_slow_readers.py
"""
import asyncio
import os
import resource
import statistics
import time

import pytest

from support import rest, tokens
from support.names import unique
from support.raw import RawSocket, upgrade_request

SLOW = int(os.environ.get("TIDEMARK_TEST_SLOW_READERS", "200"))
QUICK = int(os.environ.get("TIDEMARK_TEST_QUICK_READERS", "20"))
SECONDS = int(os.environ.get("TIDEMARK_TEST_SECONDS", "2"))
PER_SECOND = 10
CONTENT = "CANARY " + "x" * (16_000 if SLOW <= 1000 else 4_000)


def raise_file_limit(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(hard, count)))


def connect_slow(server, users, at_once=100):
    """Sockets whose upgrade was answered and that nobody reads from then on."""
    sockets = []
    for start in range(0, len(users), at_once):
        group = [(RawSocket(server.port, timeout=30, receive_buffer=4096), user) for user in users[start:start + at_once]]
        for socket, user in group:
            headers = [("Authorization", f"Bearer {tokens.token(user)}")]
            socket.send(upgrade_request("/api/v1/ws/connect?device_id=slow&replay=0", server.port, headers))
        for socket, _ in group:
            assert socket.answer().status == 101
            sockets.append(socket)
    return sockets


class Latency:
    """When each message was sent, and how long after it each quick reader had it."""

    def __init__(self, group, sender, readers):
        self.group, self.sender, self.readers = group, sender, readers

    async def measure(self, seconds):
        delays = []

        async def read(client, count):
            for _ in range(count):
                message = await client.recv("message", timeout=60)
                delays.append(time.monotonic() - float(message["data"]["at"]))

        count = seconds * PER_SECOND
        tasks = [asyncio.create_task(read(client, count)) for client in self.readers]
        start = time.monotonic()
        for number in range(count):
            await asyncio.sleep(max(0, start + number / PER_SECOND - time.monotonic()))
            await self.sender.say(conversation_id=self.group, content=CONTENT, data={"at": str(time.monotonic())})
        await asyncio.gather(*tasks)
        cuts = statistics.quantiles(delays, n=100)
        return {"p50": round(cuts[49] * 1000, 2), "p99": round(cuts[98] * 1000, 2)}


@pytest.mark.limit(900)
async def test_slow_readers_do_not_slow_the_others(own_server):
    raise_file_limit(SLOW + QUICK + 1000)
    server = own_server({"limits.members": 1_000_000, "limits.queue": "64KiB", "limits.write_stall": "10m",
                         "heartbeat.interval": "50m", "heartbeat.timeout": "1h"})
    users = [unique(f"slow-{number}") for number in range(SLOW)]
    names = [unique(f"quick-{number}") for number in range(QUICK + 1)]
    body = {"title": "all", "members": users + names[1:]}
    group = rest.assert_success(server.api("POST", "/conversations", names[0], body), 201)["conversation"]["conversation_id"]
    sender, *readers = [await server.connect(name, replay="0") for name in names]
    latency = Latency(group, sender, readers)
    alone = await latency.measure(SECONDS)
    idle = server.metrics()["process_resident_memory_bytes"]

    sockets = connect_slow(server, users)
    connected = server.metrics()["process_resident_memory_bytes"]
    largest = 0
    while True:  # until all of them have stopped the server from writing
        await latency.measure(1)
        values = server.metrics()
        largest = max(largest, values["tidemark_outbound_queue_bytes"])
        if values.get('tidemark_outbound_queue_connections{stage="lagging"}') == SLOW:
            break
    beside = await latency.measure(SECONDS)
    values = server.metrics()
    largest = max(largest, values["tidemark_outbound_queue_bytes"])
    assert largest <= SLOW * 64 * 1024
    mib = 1 << 20
    print(f"\n{SLOW} slow and {QUICK} quick readers, {PER_SECOND} messages a second of {len(CONTENT)} bytes\n"
          f"  quick alone             p50 {alone['p50']} ms, p99 {alone['p99']} ms\n"
          f"  beside the slow ones    p50 {beside['p50']} ms, p99 {beside['p99']} ms\n"
          f"  server memory           {idle / mib:.0f} MiB, with the slow ones {connected / mib:.0f} MiB, "
          f"in the end {values['process_resident_memory_bytes'] / mib:.0f} MiB\n"
          f"  queued                  {values['tidemark_outbound_queue_bytes'] / mib:.1f} MiB")
    for socket in sockets:
        socket.close()
