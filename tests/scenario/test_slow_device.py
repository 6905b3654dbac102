"""A device that does not read harms nobody and finds everything when it is back."""
import pytest

from support import tokens
from support.chat import make_group
from support.names import uniques
from support.raw import CLOSE, TEXT, RawWebSocket


def connect_slow(server, user):
    socket = RawWebSocket(server.port, timeout=20, receive_buffer=4096)
    return socket.handshake("/api/v1/ws/connect?device_id=slow", [("Authorization", f"Bearer {tokens.token(user)}")])


@pytest.mark.limit(90)
async def test_device_that_stops_reading_is_closed_and_resumes_completely(own_server):
    server = own_server({"limits.write_stall": "1s", "limits.queue": "64KiB", "presence.grace": "100ms"})
    alice, bob, carol = uniques("alice", "bob", "carol")
    a, c = await server.connect(alice), await server.connect(carol, "phone")
    group = make_group(server, alice, bob, carol)
    socket = connect_slow(server, bob)
    socket.read_json("synced")
    content = "CANARY " + "x" * 60_000
    for _ in range(200):  # far more than the sockets and the queue hold
        await a.say(conversation_id=group, content=content)
    await c.received(group, 202)
    await a.send(type="watch", users=[bob])
    await a.recv("presence", online=False, timeout=30)
    read = 0
    try:
        while True:
            received = socket.read_frame()
            if received.opcode == CLOSE:
                assert int.from_bytes(received.payload[:2], "big") == 4101
                break
            read += received.opcode == TEXT
    except (EOFError, ConnectionError):
        pass  # the close frame itself may have found no room
    socket.close()
    assert read < 200
    b = await server.connect(bob, "slow")
    await b.synced()
    await b.received(group, max(c.pushed(group)), timeout=30)
    assert [seq for seq in b.pushed(group) if seq > 2] == list(range(3, max(c.pushed(group)) + 1))


async def test_slow_start_is_caught_up_from_the_log(server):
    """A device that reads late, but reads, gets everything in order on the same connection."""
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    socket = connect_slow(server, bob)
    socket.read_json("synced")
    content = "CANARY " + "y" * 20_000
    chat = [await a.say(bob, content=content) for _ in range(150)][0]["conversation_id"]
    seqs = []
    while len(seqs) < 150:
        message = socket.read_json("message")
        seqs.append(message["seq"])
        if len(seqs) % 50 == 0:
            socket.send_json({"type": "ack", "cursors": {chat: seqs[-1]}})
    assert seqs == list(range(1, 151))
    assert socket.ping_works()
