"""A device that does not read harms nobody and finds everything when it is back."""
import pytest

from support import tokens
from support.chat import make_group
from support.names import unique, uniques
from support.raw import CLOSE, PING as WS_PING, PONG, TEXT, RawWebSocket, frame


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


DROPPING = 'tidemark_outbound_queue_connections{stage="dropping"}'
LAGGING = 'tidemark_outbound_queue_connections{stage="lagging"}'


async def fill(server, sender, target, reached):
    """Sends large messages until the metrics say that the queue of a slow device is where the test wants it."""
    sent = []
    while not reached(server.metrics()):
        sent.append(await sender.say(target, content="CANARY " + "x" * 60_000))
        assert len(sent) < 1000, server.metrics()
    return sent


@pytest.mark.limit(90)
async def test_the_three_stages_of_a_slow_device(own_server):
    limit = 4 << 20
    server = own_server({"limits.queue": "4MiB"}, file={"limits.write_stall": "10m"})
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    socket = connect_slow(server, bob)
    socket.read_json("synced")
    sent = await fill(server, a, bob, lambda values: values["tidemark_outbound_queue_bytes"] > limit / 4)

    # 1. What may be lost is lost; entries are still pushed.
    await a.send(type="typing", to=bob, is_typing=True)
    values = server.await_metrics(lambda values: values["tidemark_signals_dropped_total"] == 1)
    assert (values[DROPPING], values[LAGGING], values["tidemark_slow_consumers_total"]) == (1, 0, 0)

    # 2. Nothing more is pushed, and the queue does not grow.
    sent += await fill(server, a, bob, lambda values: values[LAGGING] == 1)
    sent += [await a.say(bob, content="CANARY " + "y" * 60_000) for _ in range(50)]
    values = server.metrics()
    assert values["tidemark_slow_consumers_total"] == 1 and values[DROPPING] == 0
    assert values["tidemark_outbound_queue_bytes"] <= limit

    # It reads again: the same connection gets all of it in order, and then what is live, signals too.
    for message in sent:
        assert socket.read_json("message")["seq"] == message["seq"]
    server.await_metrics(lambda values: values[LAGGING] == 0 and values["tidemark_outbound_queue_bytes"] == 0)
    await a.send(type="typing", to=bob, is_typing=True)
    assert socket.read_json("typing")["user_id"] == alice

    # 3. Without any progress it is closed.
    server.reload(**{"limits.write_stall": "500ms"})
    await fill(server, a, bob, lambda values: values.get('tidemark_close_codes_total{code="4101"}') == 1)


@pytest.mark.limit(90)
async def test_all_queues_together_are_bounded(own_server):
    server = own_server({"limits.write_stall": "10m", "limits.queue": "64MiB", "limits.queue_total": "1MiB"})
    alice, *others = uniques("alice", *[f"slow-{number}" for number in range(6)])
    a = await server.connect(alice)
    group = make_group(server, alice, *others)
    sockets = [connect_slow(server, user) for user in others]
    for socket in sockets:
        socket.read_json("synced")
    largest = 0
    for _ in range(150):
        await a.say(conversation_id=group, content="CANARY " + "x" * 60_000)
        largest = max(largest, server.metrics()["tidemark_outbound_queue_bytes"])
    assert 0 < largest < (1 << 20) + len(sockets) * 64_000, largest
    assert server.metrics()["tidemark_slow_consumers_total"] >= 1
    newest = a.streams.floor(group)
    for socket in sockets:
        seqs = []
        while not seqs or seqs[-1] < newest:
            seqs.append(socket.read_json("message")["seq"])
            if len(seqs) % 50 == 0:
                socket.send_json({"type": "ack", "cursors": {group: seqs[-1]}})
        assert seqs == list(range(seqs[0], newest + 1)) and len(seqs) == 150


PING = frame(TEXT, '{"type":"ping"}')


def test_who_does_not_read_answers_is_not_listened_to(own_server):
    server = own_server({"limits.write_stall": "10m", "limits.queue": "64KiB"})
    socket = connect_slow(server, unique("alice"))
    socket.read_json("synced")
    socket.sock.settimeout(2)
    with pytest.raises(TimeoutError):
        socket.send(PING * 2_000_000)
    assert server.metrics()["tidemark_outbound_queue_bytes"] <= 2 * 64 * 1024
    socket.close()


@pytest.mark.parametrize("question,answer,count", [(PING, TEXT, 3000), (frame(WS_PING, b"x" * 125), PONG, 1000)],
                         ids=["commands", "pings"])
def test_who_reads_late_gets_every_answer(own_server, question, answer, count):
    server = own_server({"limits.write_stall": "10m", "limits.queue": "4KiB"})
    socket = connect_slow(server, unique("alice"))
    socket.read_json("synced")
    socket.send(question * count)
    received = 0
    while received < count:
        received += socket.read_frame().opcode == answer
    assert socket.ping_works()


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
