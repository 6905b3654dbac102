"""SIGTERM: every client is told in its turn, nothing accepted is lost, the process ends by itself."""
import asyncio
import threading
import time

import pytest

from support import rest
from support.chat import all_messages, connect_all
from support.names import text, uniques
from support.raw import RawSocket, upgrade_request


class Prober(threading.Thread):
    """Asks for readiness and for an upgrade again and again until the server is gone."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.ready, self.upgrades = server, [], []
        self.token = server.token("prober")

    def run(self):
        while True:
            try:
                self.ready.append(rest.call(self.server.port, "GET", "/readyz", timeout=5))
                with RawSocket(self.server.port, timeout=5) as socket:
                    headers = [("Authorization", f"Bearer {self.token}")]
                    self.upgrades.append(socket.ask(upgrade_request("/api/v1/ws/connect", self.server.port, headers)))
            except (OSError, EOFError):
                return
            time.sleep(0.02)


@pytest.mark.limit(120)
async def test_drain_of_500_connections(own_server):
    server = own_server({"drain.connections_per_second": 250, "drain.grace": "10s"})
    clients = await connect_all(server, 500)
    await asyncio.gather(*[client.synced() for client in clients])
    server.terminate()
    prober = Prober(server)
    prober.start()
    byes = await asyncio.gather(*[client.closed(4200, timeout=30) for client in clients])
    assert all(bye["reconnect"] is True and 0 <= bye["after_ms"] <= 1000 for bye in byes)
    assert len({bye["after_ms"] for bye in byes}) > 50, "every client has its own random delay"
    assert await asyncio.to_thread(server.wait) == 0
    prober.join(10)
    assert prober.ready[-1].status == 503
    assert prober.upgrades and all(answer.status == 503 for answer in prober.upgrades[1:])
    assert all(int(answer.headers["retry-after"]) >= 0 for answer in prober.upgrades[1:])


async def test_what_was_acknowledged_during_a_drain_is_there_after_it(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    first = await a.say(bob)
    posts = [a.post(type="message", to=bob, content=text()) for _ in range(500)]
    sending = [asyncio.ensure_future(post) for post in posts]
    await a.until(lambda: len(a.streams[first["conversation_id"]].entries) > 50)
    server.terminate()
    answers = await asyncio.gather(*sending, return_exceptions=True)
    acknowledged = {answer["seq"] for answer in answers if isinstance(answer, dict) and answer["type"] == "sent"}
    assert await asyncio.to_thread(server.wait) == 0
    server.restart()
    history = all_messages(server, bob, first["conversation_id"])
    seqs = [message["seq"] for message in history]
    assert acknowledged <= set(seqs) and seqs == list(range(1, len(seqs) + 1))
    assert len({message["content"] for message in history}) == len(history)
    b = await b.reconnect()
    await b.received(first["conversation_id"], seqs[-1])
    assert b.applied(first["conversation_id"]) == [(message["seq"], message["content"]) for message in history]


async def test_restart_keeps_epoch_sessions_and_cursors(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    chat = (await a.say(bob))["conversation_id"]
    await b.received(chat, 1)
    await b.settle()
    server.stop()
    await b.closed(4200)
    server.restart()
    a = await a.reconnect()
    await a.say(bob)
    again = await b.reconnect()
    await again.synced()
    assert again.welcome["epoch"] == b.welcome["epoch"]
    assert again.welcome["session_id"] == b.welcome["session_id"]
    assert again.pushed(chat) == [2]
