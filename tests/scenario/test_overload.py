"""A node that has too much to do refuses newcomers aloud and keeps those it has."""
import select

import pytest

from support.chat import make_group
from support.names import unique, uniques
from support.raw import CLOSE, TEXT, RawSocket, RawWebSocket, upgrade_request


def request(server, user, query="?device_id=phone"):
    headers = [("Authorization", f"Bearer {server.token(user)}")]
    return upgrade_request("/api/v1/ws/connect" + query, server.port, headers)


def upgrade(server, user):
    socket = RawSocket(server.port)
    return socket, socket.ask(request(server, user))


def upgrade_all(server, users):
    """All at once: every request is sent before the first answer is read."""
    sockets = [RawSocket(server.port, timeout=30) for _ in users]
    for socket, user in zip(sockets, users):
        socket.send(request(server, user))
    return sockets, [socket.answer() for socket in sockets]


def assert_refused_for_now(answer):
    assert answer.status == 503 and answer.json["error"] == "unavailable", answer
    assert 1 <= int(answer.headers["retry-after"]) <= 60 and answer.headers["connection"] == "close"


async def test_what_returns_at_once_waits_or_is_sent_away_for_a_while(own_server):
    server = own_server({"limits.openings": 2, "limits.openings_waiting": 2})
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob)
    sockets, answers = upgrade_all(server, uniques(*["user"] * 200))
    refused = [answer for answer in answers if answer.status == 503]
    for answer in refused:
        assert_refused_for_now(answer)
    assert refused and len({answer.headers["retry-after"] for answer in refused}) > 1, "they must not come back together"
    assert {answer.status for answer in answers} == {101, 503}
    await a.say(bob)
    await b.recv("message")
    for socket in sockets:
        socket.close()
    assert upgrade(server, unique("user"))[1].status == 101
    assert server.metrics()['tidemark_upgrades_refused_total{reason="openings"}'] == len(refused)


async def test_who_may_wait_is_let_in_in_turn(own_server):
    server = own_server({"limits.openings": 1, "limits.openings_waiting": 1000, "limits.opening_wait": "1m"})
    sockets, answers = upgrade_all(server, uniques(*["user"] * 200))
    assert [answer.status for answer in answers] == [101] * 200
    for socket in sockets:
        socket.close()


def test_who_has_waited_too_long_is_sent_away(own_server):
    server = own_server({"limits.openings": 1, "limits.openings_waiting": 1000, "limits.opening_wait": "10ms"})
    sockets, answers = upgrade_all(server, uniques(*["user"] * 300))
    assert {answer.status for answer in answers} == {101, 503}
    for socket in sockets:
        socket.close()


def test_a_bad_token_takes_no_place_among_those_who_wait(faulty_server):
    server = faulty_server({"node.workers": 1, "limits.openings": 1, "limits.openings_waiting": 1})
    server.order("delay 3000")  # the first one's session is being stored meanwhile
    sockets = [RawSocket(server.port, timeout=30) for _ in range(3)]
    for socket in sockets:
        socket.send(request(server, unique("user")))
    waiting = {socket.sock: socket for socket in sockets}
    statuses = []
    while 503 not in statuses:  # one is being opened, one waits
        ready = select.select(list(waiting), [], [], 20)[0]
        assert ready
        statuses += [waiting.pop(one).answer().status for one in ready]
    with RawSocket(server.port) as socket:
        bad = upgrade_request("/api/v1/ws/connect", server.port, [("Authorization", "Bearer nonsense")])
        assert socket.ask(bad).status == 401
    server.order("delay 0")
    assert sorted(statuses + [socket.answer().status for socket in waiting.values()]) == [101, 101, 503]
    for socket in sockets:
        socket.close()


def test_registering_at_once_is_closed_with_overloaded(own_server):
    server = own_server({"limits.openings": 1, "limits.openings_waiting": 1})
    sockets = [RawWebSocket(server.port).handshake("/ws") for _ in range(100)]
    for socket in sockets:
        socket.send_json({"type": "register", "user_id": unique("user")})
    codes = set()
    for socket in sockets:
        while True:
            frame = socket.read_frame()
            if frame.opcode == CLOSE:
                codes.add(int.from_bytes(frame.payload[:2], "big"))
                break
            if b'"synced"' in frame.payload:
                codes.add(0)
                break
        socket.close()
    assert codes == {0, 4100}


@pytest.mark.limit(120)
async def test_short_of_memory_newcomers_are_refused_and_the_longest_queues_go(own_server):
    server = own_server({"limits.queue": "64MiB", "limits.write_stall": "10m"}, file={"limits.memory": "1024GiB"})
    alice, bob, carol = uniques("alice", "bob", "carol")
    a, c = await server.connect(alice), await server.connect(carol)
    group = make_group(server, alice, bob, carol)
    slow = RawWebSocket(server.port, timeout=20, receive_buffer=4096).handshake(
        "/api/v1/ws/connect?device_id=slow", [("Authorization", f"Bearer {server.token(bob)}")])
    slow.read_json("synced")
    while server.metrics()["tidemark_outbound_queue_bytes"] < 4 << 20:
        await a.say(conversation_id=group, content="CANARY " + "x" * 60_000)
    server.reload(**{"limits.memory": "16MiB"})
    server.await_metrics(lambda values: values["tidemark_memory_short"] == 1
                         and values.get('tidemark_close_codes_total{code="4100"}') == 1)
    socket, answer = upgrade(server, unique("user"))
    assert_refused_for_now(answer)
    code = None
    try:
        while code is None:
            frame = slow.read_frame()
            code = int.from_bytes(frame.payload[:2], "big") if frame.opcode == CLOSE else None
            assert frame.opcode in (TEXT, CLOSE)
    except (EOFError, ConnectionError):
        code = 4100  # the close frame itself may have found no room in time
    assert code == 4100
    await a.say(conversation_id=group)
    await c.received(group, a.streams.floor(group))
    server.reload(**{"limits.memory": "1024GiB"})
    server.await_metrics(lambda values: values["tidemark_memory_short"] == 0)
    assert upgrade(server, unique("user"))[1].status == 101


def test_short_of_descriptors_newcomers_are_refused_and_nothing_else_fails(own_server):
    server = own_server(descriptors=160)
    held, answer = [], None
    while answer is None or answer.status == 101:
        socket, answer = upgrade(server, unique("user"))
        held.append(socket)
        assert len(held) < 160
    assert_refused_for_now(answer)
    assert server.metrics()['tidemark_upgrades_refused_total{reason="descriptors"}'] >= 1
    user = unique("alice")
    assert server.api("POST", "/messages", user, {"to": unique("bob"), "content": "hello"}).status == 201
    # A flood of silent connections takes the rest; each is answered 503 or closed, and the store still works.
    flood = [RawSocket(server.port) for _ in range(200)]
    server.await_metrics(lambda values: values["process_open_fds"] > 130)
    for socket in flood:
        socket.close()
    for socket in held:
        socket.close()
    while upgrade(server, user)[1].status != 101:
        pass
    assert server.api("GET", "/conversations", user).data["conversations"][0]["last_seq"] == 1


@pytest.mark.memory
def test_silent_connections_cost_little_and_are_closed(own_server):
    """500 connections that say nothing, or half a request."""
    server = own_server({"limits.handshake_timeout": "3s"})
    server.api("GET", "/conversations", unique("warm-up"))
    before = server.metrics()["process_resident_memory_bytes"]
    silent = [RawSocket(server.port, timeout=20) for _ in range(250)]
    half = [RawSocket(server.port, timeout=20) for _ in range(250)]
    for socket in half:
        socket.send(b"GET /api/v1/ws/connect HTTP/1.1\r\nHost: localhost\r\nX-Padding: " + b"x" * 4000)
    grown = server.metrics()["process_resident_memory_bytes"] - before
    assert grown < 20 << 20, f"{grown / 2**20:.1f} MiB"
    for socket in [*silent, *half]:
        assert socket.at_end()
    assert server.api("GET", "/conversations", unique("after")).status == 200
