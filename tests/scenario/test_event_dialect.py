"""Clients of the {"event": …, "data": …} style: other clothes, the same rules."""
import asyncio
import json

import pytest
import websockets

from support import tokens
from support.chat import all_messages, make_group
from support.names import text, unique, uniques

pytestmark = pytest.mark.skip(reason="this version has no event dialect")


class EventClient:
    """A small client of that dialect."""

    def __init__(self, server, user, by="subprotocol"):
        self.server, self.user, self.by, self.events = server, user, by, []

    async def __aenter__(self):
        token = tokens.token(self.user)
        base = f"ws://127.0.0.1:{self.server.port}/api/v1/ws/connect"
        if self.by == "subprotocol":
            connecting = websockets.connect(base, subprotocols=["tidemark.events.v1", f"bearer.{token}"],
                                            compression=None, ping_interval=None)
        else:
            connecting = websockets.connect(base + "?dialect=events", compression=None, ping_interval=None,
                                            extra_headers={"Authorization": f"Bearer {token}"})
        self.ws = await connecting
        assert self.ws.subprotocol == ("tidemark.events.v1" if self.by == "subprotocol" else None)
        return self

    async def __aexit__(self, *_):
        await self.ws.close()

    async def send(self, event, **data):
        await self.ws.send(json.dumps({"event": event, "data": data}))

    async def recv(self, event, **fields):
        """The data of the next such event; others are kept in `events` only."""
        while True:
            frame = json.loads(await asyncio.wait_for(self.ws.recv(), 10))
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


async def test_typing_and_errors(server):
    alice, bob = uniques("alice", "bob")
    native = await server.connect(alice)
    chat = (await native.say(bob))["conversation_id"]
    async with EventClient(server, alice) as a, EventClient(server, bob) as b:
        await a.send("user_typing", conversation_id=chat)
        await b.recv("user_typing")
        await a.send("no_such_event")
        assert (await a.recv("error"))["code"] == "unknown_type"
        await a.send("send_private_message", content=text(), type="text")
        assert (await a.recv("error"))["code"] == "missing_field"
        await a.send("send_private_message", receiver_id=bob, content=text(), type="text")
        await a.recv("message_sent")
