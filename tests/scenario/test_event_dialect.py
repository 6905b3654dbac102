"""Clients of the {"event": …, "data": …} style: other clothes, the same rules."""
import asyncio
import json

import pytest
import websockets

from support import tokens
from support.chat import add_member, all_messages, make_group, remove_member
from support.names import new_id, text, unique, uniques
from support.patience import within
from support.raw import RawSocket, upgrade_request
from support.rest import assert_success


class EventClient:
    """A small client of that dialect."""

    def __init__(self, server, user, by="subprotocol", query="", max_queue=None):
        self.server, self.user, self.by, self.query, self.events = server, user, by, query, []
        self.options = dict(compression=None, ping_interval=None, max_size=None, max_queue=max_queue)

    async def __aenter__(self):
        token = tokens.token(self.user)
        base = f"ws://127.0.0.1:{self.server.port}/api/v1/ws/connect?{self.query}"
        if self.by == "subprotocol":
            connecting = websockets.connect(base, subprotocols=["tidemark.events.v1", f"bearer.{token}"], **self.options)
        else:
            connecting = websockets.connect(base + "&dialect=events",
                                            extra_headers={"Authorization": f"Bearer {token}"}, **self.options)
        self.ws = await connecting
        assert self.ws.subprotocol == ("tidemark.events.v1" if self.by == "subprotocol" else None)
        return self

    async def __aexit__(self, *_):
        await self.ws.close()

    async def send(self, event, /, **data):
        await self.ws.send(json.dumps({"event": event, "data": data}))

    async def closed(self, code):
        """Waits for the close; gives the data of the bye before it."""
        with pytest.raises(websockets.ConnectionClosed):
            while True:
                self.events.append(json.loads(await within(10, self.ws.recv())))
        assert self.ws.close_code == code
        assert self.events[-1]["event"] == "bye", self.events[-3:]
        return self.events[-1]["data"]

    async def recv(self, event, /, **fields):
        """The data of the next such event; others are kept in `events` only."""
        while True:
            frame = json.loads(await within(10, self.ws.recv()))
            assert set(frame) == {"event", "data"}, frame
            self.events.append(frame)
            if frame["event"] == event and all(frame["data"].get(name) == value for name, value in fields.items()):
                return frame["data"]


@pytest.mark.parametrize("by", ["subprotocol", "query"])
async def test_private_message(server, by):
    alice, bob = uniques("alice", "bob")
    async with EventClient(server, alice, by) as a, EventClient(server, bob, by) as b:
        content = text()
        await a.send("send_private_message", receiver_id=bob, content=content, type="text")
        sent = await a.recv("message_sent")
        assert (sent["receiver_id"], sent["content"], sent["type"], sent["seq"]) == (bob, content, "text", 1)
        assert {"id", "conversation_id", "message_id", "timestamp"} <= set(sent)
        got = await b.recv("private_message")
        assert (got["sender_id"], got["receiver_id"], got["content"], got["type"]) == (alice, bob, content, "text")
        assert (got["conversation_id"], got["seq"]) == (sent["conversation_id"], 1)
        assert {"id", "timestamp"} <= set(got)


async def test_group_message_with_a_file(server):
    alice, bob = uniques("alice", "bob")
    group = make_group(server, alice, bob)
    async with EventClient(server, alice) as a, EventClient(server, bob) as b:
        await a.send("send_group_message", group_id=group, content=text(), type="file", file_id="f-1")
        got = await b.recv("group_message")
        assert (got["group_id"], got["sender_id"], got["type"], got["file_id"]) == (group, alice, "file", "f-1")
    (stored,) = all_messages(server, bob, group)
    assert stored["data"]["file_id"] == "f-1" and stored["content_type"] == "file"


async def test_both_dialects_meet(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    async with EventClient(server, bob) as b:
        there = await a.say(bob)
        got = await b.recv("private_message", sender_id=alice)
        await b.send("send_private_message", receiver_id=alice, content=text(), type="text")
        back = await a.recv("message")
        assert back["from"] == bob and back["conversation_id"] == got["conversation_id"] == there["conversation_id"]


async def test_numeric_ids_come_back_as_numbers(server):
    alice, bob = [str(int(unique("x")[2:], 16) % 10**15 + 10**15) for _ in range(2)]
    async with EventClient(server, alice) as a, EventClient(server, bob) as b:
        await a.send("send_private_message", receiver_id=int(bob), content=text(), type="text")
        got = await b.recv("private_message")
        assert (got["sender_id"], got["receiver_id"]) == (int(alice), int(bob))


async def test_online_status_of_those_one_shares_a_conversation_with(server):
    alice, bob, stranger = uniques("alice", "bob", "stranger")
    a = await server.connect(alice)
    await a.say(bob)
    async with EventClient(server, bob) as b:
        assert (await b.recv("user_online_status", user_id=alice))["is_online"] is True
        await server.connect(stranger)
        await a.close()
        assert (await b.recv("user_online_status", user_id=alice, is_online=False))["user_id"] == alice
        assert not [each for each in b.events if each["data"].get("user_id") == stranger]


async def test_more_contacts_are_watched_when_the_limit_is_raised(own_server):
    server = own_server(file={"limits.watches": 1})
    alice, *friends = uniques("alice", "bob", "carol", "dave")
    for friend in friends:
        server.api("POST", "/messages", alice, {"to": friend, "content": "CANARY"})
    server.reload(**{"limits.watches": 3})
    async with EventClient(server, alice) as a:
        for _ in friends:
            await a.recv("user_online_status")


async def test_typing_and_errors(server):
    alice, bob = uniques("alice", "bob")
    native = await server.connect(alice)
    chat = (await native.say(bob))["conversation_id"]
    async with EventClient(server, alice) as a, EventClient(server, bob) as b:
        await b.recv("synced")  # typing is not kept for who comes later
        await a.send("user_typing", conversation_id=chat)
        await b.recv("user_typing")
        await a.send("no_such_event")
        assert (await a.recv("error"))["code"] == "unknown_type"
        await a.send("send_private_message", content=text(), type="text")
        assert (await a.recv("error"))["code"] == "missing_field"
        await a.send("send_private_message", receiver_id=bob, content=text(), type="text")
        await a.recv("message_sent")


async def test_every_frame_wears_the_clothes(server):
    """welcome, synced, pong, history, bye, and what else has no event of its own."""
    alice, bob = uniques("alice", "bob")
    group = make_group(server, alice, bob)
    native = await server.connect(alice)
    async with EventClient(server, bob, query="device_id=phone") as b:
        welcome = await b.recv("welcome")
        assert (welcome["user_id"], welcome["device_id"]) == (bob, "phone")
        assert b.events[0]["event"] == "welcome"
        added = await b.recv("member_added")
        assert (added["conversation_id"], added["user_id"], added["from"], added["seq"]) == (group, bob, alice, 1)
        await b.recv("synced")
        await b.send("ping")
        assert (await b.recv("pong"))["timestamp"] > 10**12
        said = await native.say(conversation_id=group)
        got = await b.recv("group_message")
        assert set(got) == {"id", "sender_id", "group_id", "content", "type", "conversation_id", "seq", "timestamp"}
        await b.send("react", id="r", conversation_id=group, seq=said["seq"], reaction="+")
        assert (await b.recv("sent"))["id"] == "r"
        await native.change("edit", group, said["seq"], content="better")
        assert (await b.recv("message_edited"))["content"] == "better"
        await b.send("history", id="h", conversation_id=group)
        page = await b.recv("history")
        assert page["id"] == "h" and [entry["type"] for entry in page["entries"]][-1] == "message_edited"
        assert_success(remove_member(server, alice, group, bob))
        assert (await b.recv("sync", event="conversation.left"))["data"] == {"conversation_id": group}
        again = await server.connect(bob, "phone")
        bye = await b.closed(4005)
        assert (bye["code"], bye["reconnect"]) == (4005, False)
        await again.synced()


async def test_message_sent_is_the_data_as_sent(server):
    alice, bob = uniques("alice", "bob")
    async with EventClient(server, alice) as a:
        data = {"id": new_id(), "receiver_id": bob, "content": text(), "type": "image", "file_id": 77,
                "client_time": 1.5, "nested": {"a": [None, True]}}
        await a.send("send_private_message", **data)
        sent = await a.recv("message_sent")
        assert {name: sent[name] for name in data} == data
        assert set(sent) == set(data) | {"conversation_id", "message_id", "seq", "timestamp"}
        # The same again is the same message; with other content it is another one under the same name.
        await a.send("send_private_message", **data)
        repeated = await a.recv("message_sent")
        assert repeated.pop("duplicate") is True and repeated == sent
        await a.send("send_private_message", **{**data, "content": text()})
        assert (await a.recv("error"))["code"] == "conflict"
        # Without an id of its own it gets the message's.
        await a.send("send_private_message", receiver_id=bob, content=text())
        sent = await a.recv("message_sent")
        assert sent["id"] == sent["message_id"] and "type" not in sent
    (first, second) = all_messages(server, bob, sent["conversation_id"])
    assert (first["content_type"], first["data"]) == ("image", {"file_id": "77"})
    assert (second["content_type"], "data" in second) == ("text", False)


async def test_the_replay_is_the_same_as_live(server):
    """Direct and group messages with their receiver or group, of both authors, in both ways."""
    alice, bob = uniques("alice", "bob")
    group = make_group(server, alice, bob)
    a = await server.connect(alice)
    async with EventClient(server, bob, query="device_id=live") as live:
        await live.recv("synced")
        await a.say(bob, data={"file_id": "f", "more": 1})
        await live.recv("private_message")
        await live.send("send_private_message", receiver_id=alice, content=text(), file_id=5)
        sent = await live.recv("message_sent")
        await a.say(conversation_id=group)
        await live.recv("group_message")
        said = [each for each in live.events if each["event"] in ("private_message", "group_message")]
    async with EventClient(server, bob, query="device_id=late") as late:
        await late.recv("synced")
        replayed = [each for each in late.events if each["event"] in ("private_message", "group_message")]
    own = [each for each in replayed if each["data"]["id"] == sent["message_id"]]
    assert own[0]["data"]["receiver_id"] == alice and own[0]["data"]["file_id"] == 5
    key = lambda each: (each["data"]["conversation_id"], each["data"]["seq"])
    assert sorted([each for each in replayed if each not in own], key=key) == sorted(said, key=key)


async def test_a_message_to_oneself(server):
    alice = unique("alice")
    async with EventClient(server, alice, query="device_id=a") as a, EventClient(server, alice, query="device_id=b") as b:
        await a.send("send_private_message", receiver_id=alice, content=text())
        await a.recv("message_sent")
        got = await b.recv("private_message")
        assert got["sender_id"] == got["receiver_id"] == alice


async def test_deleted_messages_have_no_content(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    said = await a.say(bob)
    await a.change("delete", said["conversation_id"], said["seq"])
    async with EventClient(server, bob) as b:
        got = await b.recv("private_message")
        assert got["deleted"] is True and "content" not in got and got["receiver_id"] == bob
        assert (await b.recv("message_deleted"))["target_seq"] == said["seq"]


async def test_one_broadcast_in_two_dialects(server):
    """Followers of both kinds, on every worker: each gets every message once, in order, in its own clothes."""
    owner, *users = uniques("owner", *["user"] * 8)
    group = make_group(server, owner, *users)
    native = [await server.connect(user) for user in users[:4]]
    others = [await EventClient(server, user).__aenter__() for user in users[4:]]
    o = await server.connect(owner)
    for each in others:
        await each.recv("synced")
    sent = await o.say_many(100, conversation_id=group)
    for client in native:
        await client.received(group, sent[-1]["seq"])
    for each in others:
        await each.recv("group_message", seq=sent[-1]["seq"])
        seqs = [one["data"]["seq"] for one in each.events if one["event"] == "group_message"]
        assert seqs == [answer["seq"] for answer in sent]
        await each.__aexit__()


async def test_confirms_for_clients_that_know_no_ack(server):
    """ack=auto is the default here, also with a device_id."""
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    async with EventClient(server, bob, query="device_id=phone") as b:
        said = await a.say(bob)
        await b.recv("private_message")
        await a.recv("delivered", user_id=bob, seq=said["seq"])
    later = await a.say(bob)
    async with EventClient(server, bob, query="device_id=phone") as b:
        await b.recv("synced")
        seqs = [one["data"]["seq"] for one in b.events if one["event"] == "private_message"]
        assert seqs == [later["seq"]]


async def test_a_slow_client_of_this_dialect_catches_up_from_the_log(own_server):
    server = own_server({"limits.queue": "64KiB", "limits.write_stall": "60s"})
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    async with EventClient(server, bob, max_queue=1) as b:
        await b.recv("synced")
        sent = await a.say_many(300, to=bob, content="x" * 20000)
        await b.recv("private_message", seq=sent[-1]["seq"])
        seqs = [one["data"]["seq"] for one in b.events if one["event"] == "private_message"]
        assert seqs == list(range(1, 301))


@pytest.mark.parametrize("frame,code,field", [
    ('{"data":{}}', "missing_field", "event"),
    ('{"event":null}', "missing_field", "event"),
    ('{"event":7}', "invalid_field", "event"),
    ('{"event":""}', "unknown_type", None),
    ('{"event":"no_such_event","data":{}}', "unknown_type", None),
    ('{"type":"ping"}', "missing_field", "event"),
    ('{"event":"ping","data":[]}', "invalid_field", "data"),
    ('{"event":"ping","data":"x"}', "invalid_field", "data"),
    ('{"event":"ping","data":null}', "invalid_field", "data"),
    ('[]', "invalid_frame", None),
    ('"event"', "invalid_frame", None),
    ('{"event":"ping"', "invalid_json", None),
    ('{"event":"send_private_message"}', "missing_field", "receiver_id"),
    ('{"event":"send_private_message","data":{"content":"x"}}', "missing_field", "receiver_id"),
    ('{"event":"send_private_message","data":{"receiver_id":null,"content":"x"}}', "missing_field", "receiver_id"),
    ('{"event":"send_private_message","data":{"receiver_id":"b"}}', "missing_field", "content"),
    ('{"event":"send_private_message","data":{"receiver_id":"","content":"x"}}', "invalid_field", "receiver_id"),
    ('{"event":"send_private_message","data":{"receiver_id":-1,"content":"x"}}', "invalid_field", "receiver_id"),
    ('{"event":"send_private_message","data":{"receiver_id":1.5,"content":"x"}}', "invalid_field", "receiver_id"),
    ('{"event":"send_private_message","data":{"receiver_id":["b"],"content":"x"}}', "invalid_field", "receiver_id"),
    ('{"event":"send_private_message","data":{"receiver_id":"b","receiver_id":"c","content":"x"}}', "invalid_field",
     "receiver_id"),
    ('{"event":"send_private_message","data":{"receiver_id":"b","content":5}}', "invalid_field", "content"),
    ('{"event":"send_private_message","data":{"receiver_id":"b","content":""}}', "invalid_field", "content"),
    ('{"event":"send_private_message","data":{"receiver_id":"b","content":"x","type":5}}', "invalid_field", "type"),
    ('{"event":"send_private_message","data":{"receiver_id":"b","content":"x","file_id":{}}}', "invalid_field", "file_id"),
    ('{"event":"send_private_message","data":{"receiver_id":"b","content":"x","file_id":""}}', "invalid_field", "file_id"),
    ('{"event":"send_private_message","data":{"receiver_id":"b","content":"x","id":""}}', "invalid_field", "id"),
    ('{"event":"send_group_message","data":{"content":"x"}}', "missing_field", "group_id"),
    ('{"event":"send_group_message","data":{"group_id":{},"content":"x"}}', "invalid_field", "group_id"),
    ('{"event":"send_group_message","data":{"group_id":"no such group","content":"x"}}', "not_found", None),
    ('{"event":"user_typing","data":{}}', "missing_field", "conversation_id"),
    ('{"event":"user_typing","data":{"receiver_id":"b","conversation_id":"c"}}', "invalid_field", "receiver_id"),
    ('{"event":"user_typing","data":{"conversation_id":"no such one"}}', "not_found", None),
    ('{"event":"user_typing","data":{"group_id":{}}}', "invalid_field", "group_id"),
    ('{"event":"user_typing","data":{"conversation_id":{}}}', "invalid_field", "conversation_id"),
    ('{"event":"user_typing","data":{"receiver_id":{}}}', "invalid_field", "receiver_id"),
    ('{"event":"history","data":{"id":1}}', "missing_field", "conversation_id"),
])
async def test_bad_events_are_answered_and_the_next_good_one_works(server, frame, code, field):
    async with EventClient(server, unique("alice")) as a:
        await a.recv("synced")
        await a.ws.send(frame)
        error = await a.recv("error")
        assert (error["code"], error.get("field")) == (code, field), error
        assert error["error"]
        await a.send("send_private_message", receiver_id="b", content="x")
        await a.recv("message_sent")


async def test_twenty_bad_events_close_with_4000(server):
    async with EventClient(server, unique("alice")) as a:
        await a.recv("synced")
        for _ in range(20):
            await a.ws.send('{"event":7}')
        await a.closed(4000)


async def test_ids_that_are_no_exact_numbers_stay_text(server):
    """Leading zeros would be another id, and more than 64 bits no number."""
    for alice in ("007", "18446744073709551616", "1e3"):
        alice += unique("")[1:] if alice == "1e3" else ""
        async with EventClient(server, alice) as a:
            assert (await a.recv("welcome"))["user_id"] == alice
    async with EventClient(server, "18446744073709551615") as a:
        assert (await a.recv("welcome"))["user_id"] == 18446744073709551615


async def test_groups_and_files_with_numbers(server):
    alice, bob = uniques("alice", "bob")
    number = int(unique("g")[2:], 16) % 10**12
    service = server.token("backend", roles=["service"])
    assert_success(server.api("POST", "/conversations", service, {"title": "x", "members": [bob],
                                                                 "conversation_id": str(number)},
                              {"Tidemark-User": alice}), 201)
    async with EventClient(server, bob) as b, EventClient(server, alice) as a:
        await a.send("send_group_message", group_id=number, content="x", file_id=12)
        sent = await a.recv("message_sent")
        assert sent["group_id"] == sent["conversation_id"] == number
        got = await b.recv("group_message")
        assert (got["group_id"], got["conversation_id"], got["file_id"]) == (number, number, 12)
        await b.send("user_typing", conversation_id=number)
        assert (await a.recv("user_typing"))["user_id"] == bob


async def test_contacts_come_and_go_with_the_conversations(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    async with EventClient(server, bob) as b:
        await b.recv("synced")
        a = await server.connect(alice)
        await a.say(bob)  # from now on they share one
        assert (await b.recv("user_online_status", user_id=alice))["is_online"] is True
        group = make_group(server, bob, alice)
        c = await server.connect(carol)
        assert_success(add_member(server, bob, group, carol), (200, 201))
        assert (await b.recv("user_online_status", user_id=carol))["is_online"] is True
        await c.close()
        await b.recv("user_online_status", user_id=carol, is_online=False)
        assert_success(remove_member(server, bob, group, carol))
        await b.recv("member_removed")
        # The watch ends soon after; then nothing comes any more.
        while True:
            seen = len(b.events)
            c = await server.connect(carol)
            await c.close()
            await a.say(bob, content="mark")
            await b.recv("private_message", content="mark")
            if not [each for each in b.events[seen:] if each["data"].get("user_id") == carol]:
                break


async def test_without_a_token_and_register(server):
    alice = unique("alice")
    async with websockets.connect(f"ws://127.0.0.1:{server.port}/ws?dialect=events", compression=None) as ws:
        assert json.loads(await ws.recv())["event"] == "welcome"
        await ws.send(json.dumps({"event": "send_private_message", "data": {"receiver_id": "b", "content": "x"}}))
        assert json.loads(await ws.recv())["data"]["code"] == "not_registered"
        await ws.send(json.dumps({"event": "register", "data": {"token": server.token(alice)}}))
        frame = json.loads(await ws.recv())
        assert frame["event"] == "registered" and frame["data"]["user_id"] == alice


@pytest.mark.parametrize("offered,query,status,answered", [
    ("tidemark.events.v1", "", 101, "tidemark.events.v1"),
    ("tidemark.v1, tidemark.events.v1", "", 101, "tidemark.events.v1"),
    ("tidemark.v1", "?dialect=events", 101, "tidemark.v1"),
    (None, "?dialect=events", 101, None),
    (None, "?dialect=klingon", 400, None),
    (None, "?dialect=", 400, None),
])
def test_how_the_dialect_is_chosen(server, offered, query, status, answered):
    headers = [("Authorization", f"Bearer {server.token(unique('alice'))}")]
    headers += [("Sec-WebSocket-Protocol", offered)] if offered else []
    with RawSocket(server.port) as socket:
        answer = socket.ask(upgrade_request("/api/v1/ws/connect" + query, server.port, headers))
        assert answer.status == status
        assert answer.headers.get("sec-websocket-protocol") == answered
