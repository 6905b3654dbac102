"""Limits of users, addresses and nodes: refused aloud, and only the one who is too much."""
import json
import select
import ssl

import pytest
import websockets

from support.certificates import Certificate
from support.names import text, unique, uniques
from support.raw import PING, TEXT, RawSocket, frame, upgrade_request
from support.rest import assert_refused


def refused_upgrade(server, user):
    with RawSocket(server.port) as socket:
        headers = [("Authorization", f"Bearer {server.token(user)}")]
        return socket.ask(upgrade_request("/api/v1/ws/connect", server.port, headers))


async def test_too_fast_is_refused_with_a_time_and_then_closed(own_server):
    server = own_server({"limits.messages_per_second": 1, "limits.messages_burst": 5})
    alice, bob, carol = uniques("alice", "bob", "carol")
    a, c = await server.connect(alice), await server.connect(carol)
    for _ in range(5):
        await a.say(bob)
    refused = await a.refused("rate_limited", type="message", to=bob, content=text())
    assert 0 < refused["retry_after_ms"] <= 60_000
    await a.settle()
    reply = server.api("POST", "/messages", alice, {"to": bob, "content": text()})
    assert_refused(reply, 429, "rate_limited")
    assert int(reply.headers["Retry-After"]) >= 1
    await c.say(bob)
    for _ in range(110):
        try:
            await a.send(type="message", to=bob, content=text())
        except websockets.ConnectionClosed:
            break
    await a.closed(4102)
    assert 99 <= len([frame for frame in a.frames if frame.get("code") == "rate_limited"]) <= 110
    await c.settle()


async def test_burst_is_counted_per_user_over_all_devices(own_server):
    server = own_server({"limits.messages_per_second": 1, "limits.messages_burst": 3})
    alice, bob = uniques("alice", "bob")
    phone, laptop = await server.connect(alice, "phone"), await server.connect(alice, "laptop")
    for client in (phone, laptop, phone):
        await client.say(bob)
    await laptop.refused("rate_limited", type="message", to=bob, content=text())
    b = await server.connect(bob)
    await b.say(alice)


async def test_connections_of_one_user(own_server):
    server = own_server({"limits.connections_per_user": 2})
    alice, bob = uniques("alice", "bob")
    first, second = await server.connect(alice, "one"), await server.connect(alice, "two")
    closed = server.raw(alice, query="?device_id=three").read_close()
    assert closed.code == 4007
    assert (closed.texts[-1]["type"], closed.texts[-1]["code"], closed.texts[-1]["reconnect"]) == ("bye", 4007, False)
    await first.settle()
    await second.settle()
    again = await server.connect(alice, "two")
    await second.closed(4005)
    await again.settle()
    await (await server.connect(bob)).settle()
    await first.close()
    await (await server.connect(alice, "three")).settle()


async def test_connections_of_one_node_are_refused_before_the_upgrade(own_server):
    server = own_server({"limits.connections": 3})
    clients = [await server.connect(unique("user")) for _ in range(3)]
    answer = refused_upgrade(server, unique("user"))
    assert answer.status == 503
    await clients[0].close()
    await (await server.connect(unique("user"))).settle()


async def test_connections_of_one_address_are_refused_before_the_upgrade(own_server):
    server = own_server({"limits.connections_per_ip": 2})
    clients = [await server.connect(unique("user")) for _ in range(2)]
    answer = refused_upgrade(server, unique("user"))
    assert answer.status == 503 and int(answer.headers["retry-after"]) >= 1
    assert answer.headers["connection"] == "close"
    for client in clients:
        await client.settle()
    await clients[0].close()
    await (await server.connect(unique("user"))).settle()
    assert server.metrics()["tidemark_upgrades_refused_total"] == 1


def test_http_connections_of_one_address_are_bounded(own_server):
    server = own_server({"limits.connections_per_ip": 1, "node.workers": 2, "limits.handshake_timeout": "1m"})
    silent = [RawSocket(server.port) for _ in range(64)]
    answered = []
    while len(answered) < 32:  # 16 may stay on each of two workers
        answered = select.select([one.sock for one in silent], [], [], 10)[0]
        assert answered
    answers = [one.answer() for one in silent if one.sock in answered]
    assert len(answers) == 32 and {answer.status for answer in answers} == {503}
    for one in silent:
        one.close()
    while not rest_works(server):
        pass


def test_who_is_refused_before_tls_cannot_stretch_the_handshake(own_server, tmp_path):
    certificate = Certificate(tmp_path)
    server = own_server({"limits.connections_per_ip": 1, "node.workers": 1, "limits.handshake_timeout": "1s"},
                        certificate=certificate)
    held = []
    for _ in range(16):  # as many as may stay on a worker
        held.append(RawSocket(server.port, tls=server.tls))
        assert held[-1].ask("GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").status == 200
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        certificate.context().wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    with RawSocket(server.port) as slow:
        hello, sent = outgoing.read(), 0
        while sent < len(hello) - 1 and not select.select([slow.sock], [], [], 0.05)[0]:
            slow.send(hello[sent:sent + 1])
            sent += 1
        assert sent < len(hello) - 1, "a byte now and then kept it open"
    for socket in held:
        socket.close()


async def test_refused_and_failed_upgrades_give_their_place_back(own_server):
    server = own_server({"limits.connections_per_ip": 1})
    for _ in range(5):
        with RawSocket(server.port) as socket:
            bad = upgrade_request("/api/v1/ws/connect", server.port, [("Authorization", "Bearer nonsense")])
            assert socket.ask(bad).status == 401
    await (await server.connect(unique("user"))).settle()


async def test_connections_without_a_user_count_for_their_address_too(own_server):
    server = own_server({"limits.connections_per_ip": 1})
    silent = RawSocket(server.port)
    assert silent.ask(upgrade_request("/ws", server.port)).status == 101
    assert refused_upgrade(server, unique("user")).status == 503
    silent.close()
    with RawSocket(server.port) as socket:
        while socket.ask(upgrade_request("/ws", server.port)).status == 503:
            socket.close()
            socket.__init__(server.port)


async def test_upgrades_of_one_second_are_bounded(own_server):
    server = own_server({"limits.handshakes_per_second": 3})
    answers = [refused_upgrade(server, unique("user")) for _ in range(12)]
    statuses = [answer.status for answer in answers]
    assert statuses[:3] == [101] * 3 and 503 in statuses
    refused = answers[statuses.index(503)]
    assert int(refused.headers["retry-after"]) >= 1 and refused.json["error"] == "unavailable"
    assert rest_works(server)


def rest_works(server):
    return server.api("GET", "/conversations", unique("user")).status == 200


QUERY = {"type": "history", "conversation_id": "00000000-0000-0000-0000-000000000000"}
SIGNAL = {"type": "watch", "users": ["somebody"]}


@pytest.mark.parametrize("kind,frame", [("queries", QUERY), ("signals", SIGNAL)])
async def test_what_is_not_stored_is_limited_by_itself(own_server, kind, frame):
    server = own_server({f"limits.{kind}_per_second": 1, f"limits.{kind}_burst": 5})
    alice, bob = uniques("alice", "bob")
    client, other = await server.connect(alice), await server.connect(bob)
    for number in range(6):
        await client.send(id=f"request-{number}", **frame)
    refused = await client.recv("error", id="request-5")
    assert refused["code"] == "rate_limited" and refused["retry_after_ms"] > 0
    assert not [one for one in client.frames if one.get("code") == "rate_limited" and one["id"] != "request-5"]
    await client.say(bob)  # another class
    await other.send(id="theirs", **frame)
    await other.settle()
    assert not [one for one in other.frames if one.get("code") == "rate_limited"]
    client.unanswered.clear()
    other.unanswered.clear()


UPKEEP = {"ping": {"type": "ping"}, "ack": {"type": "ack", "cursors": {"@self": 0}}}


@pytest.mark.parametrize("kind", UPKEEP)
async def test_pings_and_acks_are_limited_by_themselves(own_server, kind):
    server = own_server({"limits.upkeep_per_second": 1, "limits.upkeep_burst": 5})
    alice, bob = uniques("alice", "bob")
    client = await server.connect(alice, auto_ack=False)
    for _ in range(6):
        await client.send(**UPKEEP[kind])
    refused = await client.recv("error")
    assert refused["code"] == "rate_limited" and refused["retry_after_ms"] > 0
    assert len(client.find("pong")) == (5 if kind == "ping" else 0)
    await client.say(bob)  # another class
    for _ in range(110):
        try:
            await client.send(**UPKEEP[kind])
        except websockets.ConnectionClosed:
            break
    await client.closed(4102)


def test_pings_of_the_protocol_count_like_the_others(own_server):
    server = own_server({"limits.upkeep_per_second": 1, "limits.upkeep_burst": 3})
    with server.raw(unique("alice")) as socket:
        for _ in range(4):
            socket.send(frame(PING, b"x"))
        assert socket.read_json("error")["code"] == "rate_limited"


async def test_bytes_of_one_connection_are_bounded(own_server):
    server = own_server({"limits.frame": "4KiB", "limits.inbound_per_second": "1KiB", "limits.inbound_burst": "1KiB"})
    alice, bob = uniques("alice", "bob")
    a, again = await server.connect(alice, "phone"), await server.connect(alice, "laptop")
    await a.say(bob, content="CANARY " + "x" * 3900)  # one message of the largest size is always taken
    refused = await a.refused("rate_limited", type="message", to=bob, content="CANARY " + "x" * 3000)
    assert 0 < refused["retry_after_ms"] <= 4000
    await again.say(bob, content="CANARY " + "y" * 3000)  # each connection by itself
    for _ in range(110):
        try:
            await a.send(type="message", to=bob, content="CANARY " + "x" * 3000)
        except websockets.ConnectionClosed:
            break
    await a.closed(4102)
    assert server.metrics()['tidemark_rate_limited_total{class="inbound"}'] >= 100


async def test_conversations_that_one_connection_follows(own_server):
    server = own_server({"limits.streams": 2})
    alice, *friends = uniques("alice", "bob", "carol", "dave", "erin")
    clients = [await server.connect(friend) for friend in friends]
    chats = [(await client.say(alice))["conversation_id"] for client in clients[:3]]
    phone = await server.connect(alice, "phone")
    await phone.synced()
    assert phone.welcome["limits"]["streams"] == 2 and phone.welcome["resume"]["left_out"] == 1
    assert {one["conversation_id"] for one in phone.find("message")} == set(chats[1:]), "the latest ones"
    await clients[0].say(alice)  # left out
    await clients[3].say(alice)  # comes into it while it is open: one too many
    await clients[1].say(alice)
    await phone.recv("message", conversation_id=chats[1], seq=2)
    assert {one["conversation_id"] for one in phone.frames if one["type"] == "message"} == set(chats[1:])
    listed = server.api("GET", "/conversations", alice).data["conversations"]
    assert len(listed) == 4
    again = await phone.reconnect()
    await again.synced()
    followed = {one["conversation_id"] for one in again.find("message")} | {chats[1]}
    assert len(followed) == 2 and chats[2] not in followed, "the others have been more active since"


async def test_a_search_that_is_too_fast_says_so(own_server):
    server = own_server({"limits.messages_per_second": 1, "limits.messages_burst": 1})
    alice = unique("alice")
    assert server.api("GET", "/messages/search?q=x", alice).status == 200
    refused = server.api("GET", "/messages/search?q=x", alice)
    assert_refused(refused, 429, "rate_limited")
    assert refused.json["message"] == "too many requests"


async def test_typing_is_limited(own_server):
    server = own_server({"limits.signals_per_second": 1, "limits.signals_burst": 3})
    alice, bob = uniques("alice", "bob")
    client = await server.connect(alice)
    await client.say(bob)
    for _ in range(110):
        try:
            await client.send(type="typing", to=bob, is_typing=True)
        except websockets.ConnectionClosed:
            break
    await client.closed(4102)


def test_reading_over_rest_is_limited(own_server):
    server = own_server({"limits.queries_per_second": 1, "limits.queries_burst": 3})
    user = unique("alice")
    assert [server.api("GET", "/conversations", user).status for _ in range(3)] == [200] * 3
    reply = server.api("GET", "/presence?users=bob", user)
    assert_refused(reply, 429, "rate_limited")
    assert int(reply.headers["Retry-After"]) >= 1
    assert server.api("GET", "/conversations", unique("bob")).status == 200


async def test_what_one_user_makes_is_limited(own_server):
    server = own_server({"limits.creations_per_minute": 1, "limits.creations_burst": 3})
    alice, bob, carol, dave = uniques("alice", "bob", "carol", "dave")
    client = await server.connect(alice)
    assert server.api("POST", "/conversations", alice, {"title": "x"}).status == 201
    await client.say(bob)
    await client.say(carol)
    refused = await client.refused("rate_limited", type="message", to=dave, content=text())
    assert 0 < refused["retry_after_ms"] <= 60_000
    await client.say(bob)  # it is there already
    assert_refused(server.api("POST", "/conversations", alice, {"title": "x"}), 429, "rate_limited")
    assert_refused(server.api("POST", "/sessions", alice, {}), 429, "rate_limited")
    await (await server.connect(dave)).say(alice)


def test_a_socket_is_not_read_while_too_many_commands_are_unanswered(own_server):
    server = own_server({"limits.inflight": 2})
    alice, bob = uniques("alice", "bob")
    socket = server.raw(alice)
    socket.read_json("synced")
    messages = [{"type": "message", "id": f"m-{number}", "to": bob, "content": text()} for number in range(5)]
    socket.send(b"".join(frame(TEXT, json.dumps(one)) for one in [*messages, {"type": "ping"}]))
    answers = [socket.read_json() for _ in range(6)]
    # With room for all of them the ping, which needs no store, would be answered first.
    assert sorted(one["id"] for one in answers if one["type"] == "sent") == [one["id"] for one in messages]
    assert [one["type"] for one in answers].index("pong") >= 4, answers


async def test_watches_are_bounded(own_server):
    server = own_server({"limits.watches": 5})
    client = await server.connect(unique("alice"))
    await client.send(type="watch", users=[f"user-{number}" for number in range(5)])
    await client.until(lambda: len(client.find("presence")) == 5)
    await client.send(type="watch", users=["one more"])
    await client.recv("error")
    await client.settle()


async def test_members_are_bounded(own_server):
    server = own_server({"limits.members": 3})
    owner = unique("owner")
    reply = server.api("POST", "/conversations", owner, {"title": "x", "members": uniques("a", "b")})
    assert reply.status == 201
    group = reply.data["conversation"]["conversation_id"]
    reply = server.api("POST", f"/conversations/{group}/members", owner, {"user_id": unique("c")})
    assert 400 <= reply.status < 500, reply
    reply = server.api("POST", "/conversations", owner, {"title": "x", "members": uniques("a", "b", "c")})
    assert 400 <= reply.status < 500, reply


async def test_smaller_frame_and_content_limits_are_obeyed_and_told(own_server):
    server = own_server({"limits.frame": "4KiB", "limits.content": "1KiB"})
    alice, bob = uniques("alice", "bob")
    client = await server.connect(alice)
    assert (client.welcome["limits"]["frame_bytes"], client.welcome["limits"]["content_bytes"]) == (4096, 1024)
    await client.say(bob, content="x" * 1024)
    answer = await client.request(type="message", to=bob, content="x" * 1025)
    assert answer["type"] == "error" and answer["code"] in ("invalid_field", "too_large"), answer
    await client.send(type="ping", padding="x" * 4096)
    await client.closed(1009)


async def test_receipts_are_silent_in_large_groups(own_server):
    server = own_server({"limits.receipt_members": 2})
    alice, bob, carol = uniques("alice", "bob", "carol")
    a, b = await server.connect(alice), await server.connect(bob, "phone")
    body = {"title": "x", "members": [bob, carol]}
    group = server.api("POST", "/conversations", alice, body).data["conversation"]["conversation_id"]
    sent = await a.say(conversation_id=group)
    await b.received(group, sent["seq"])
    await b.send(type="read", conversation_id=group, seq=sent["seq"])
    marker = await b.say(conversation_id=group)
    await a.recv("message", seq=marker["seq"])
    await a.expect_none("read")
    shown = server.api("GET", f"/conversations/{group}", alice).data["conversation"]["members"]
    assert {member["user_id"]: member["read_seq"] for member in shown}[bob] == sent["seq"]
