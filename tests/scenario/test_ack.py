"""Confirmation: what the cursor is moved by, and what a wrong one is answered with."""
import json

from support.names import unique, uniques
from support.raw import PING, PONG, TEXT, frame


def read_until_ping(socket):
    """The JSON frames up to the next WebSocket ping, and its payload."""
    texts = []
    while True:
        received = socket.read_frame()
        if received.opcode == PING:
            return texts, received.payload
        assert received.opcode == TEXT
        texts.append(json.loads(received.payload))


async def test_ack_client_moves_only_by_ack(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone", auto_ack=False)
    chat = (await a.say_many(5, to=bob))[0]["conversation_id"]
    await b.received(chat, 5)
    await b.close()
    b = await b.reconnect()
    await b.synced()
    assert b.pushed(chat) == [1, 2, 3, 4, 5]
    await b.send(type="ack", cursors={chat: 3})
    await b.close()
    b = await b.reconnect()
    await b.synced()
    assert b.pushed(chat) == [4, 5]


async def test_ack_auto_moves_by_the_pong(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    socket = server.raw(bob, query="?device_id=phone&ack=auto")
    socket.read_json("synced")
    chat = (await a.say_many(3, to=bob))[0]["conversation_id"]
    seen = []
    while [each["seq"] for each in seen] != [1, 2, 3]:
        texts, payload = read_until_ping(socket)
        seen += [each for each in texts if each["type"] == "message"]
        socket.send(frame(PONG, payload))
    assert socket.ping_works()
    socket.close()
    b = await server.connect(bob, "phone")
    await b.synced()
    assert b.pushed(chat) == []


async def test_ack_auto_without_a_pong_confirms_nothing(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    socket = server.raw(bob, query="?device_id=phone&ack=auto")
    socket.read_json("synced")
    chat = (await a.say_many(3, to=bob))[0]["conversation_id"]
    read_until_ping(socket)
    assert socket.ping_works()  # a command is no confirmation
    socket.close()
    b = await server.connect(bob, "phone")
    await b.synced()
    assert b.pushed(chat) == [1, 2, 3]


async def test_ack_auto_is_the_default_without_a_device_id(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    socket = server.raw(bob)
    socket.read_json("synced")
    chat = (await a.say(bob))["conversation_id"]
    socket.read_json("message")
    _, payload = read_until_ping(socket)
    socket.send(frame(PONG, payload))
    assert socket.ping_works()
    socket.close()
    b = await server.connect(bob)
    await b.synced()
    assert b.pushed(chat) == []


async def test_replay_stops_at_256_unconfirmed_entries_and_goes_on_with_the_ack(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    chat = (await a.say_many(700, to=bob))[0]["conversation_id"]
    b = await server.connect(bob, "phone", auto_ack=False)
    await b.received(chat, 256)
    for _ in range(3):
        await b.settle()
    assert len(b.pushed(chat)) == 256 and not b.find("synced")
    await b.send(type="ack", cursors={chat: 100})
    await b.received(chat, 356)
    for _ in range(3):
        await b.settle()
    assert len(b.pushed(chat)) == 356
    await b.send(type="ack", cursors={chat: 356})
    await b.received(chat, 612)
    await b.send(type="ack", cursors={chat: 612})
    await b.synced()
    assert b.pushed(chat) == list(range(1, 701))


async def test_ack_beyond_the_head_is_refused_and_moves_nothing(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone", auto_ack=False)
    chat = (await a.say_many(3, to=bob))[0]["conversation_id"]
    await b.received(chat, 3)
    await b.send(type="ack", cursors={chat: 4})
    refused = await b.recv("error")
    assert refused["code"] == "invalid_field" and refused["field"].startswith("cursors"), refused
    await b.close()
    b = await b.reconnect()
    await b.synced()
    assert b.pushed(chat) == [1, 2, 3]


async def test_lower_ack_is_ignored(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone", auto_ack=False)
    chat = (await a.say_many(3, to=bob))[0]["conversation_id"]
    await b.received(chat, 3)
    await b.send(type="ack", cursors={chat: 3})
    await b.send(type="ack", cursors={chat: 1})
    await b.expect_none("error")
    await b.close()
    b = await b.reconnect()
    await b.synced()
    assert b.pushed(chat) == []


async def test_ack_of_another_epoch_is_a_conflict(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone", auto_ack=False)
    chat = (await a.say(bob))["conversation_id"]
    await b.received(chat, 1)
    await b.send(type="ack", cursors={chat: 1}, epoch="another epoch")
    assert (await b.recv("error"))["code"] == "conflict"
    await b.send(type="ack", cursors={chat: 1}, epoch=b.welcome["epoch"])
    await b.expect_none("error")


async def test_own_stream_is_confirmed_by_its_key(server):
    alice = unique("alice")
    phone = await server.connect(alice, "phone")
    laptop = await server.connect(alice, "laptop", auto_ack=False)
    for number in range(3):
        await phone.request(type="sync", event="settings", data={"n": number})
    await laptop.received("@self", 3)
    await laptop.send(type="ack", cursors={"@self": 2})
    await laptop.close()
    laptop = await laptop.reconnect()
    await laptop.synced()
    assert laptop.pushed("@self") == [3]


async def test_ack_of_a_conversation_one_is_not_in_changes_nothing(server):
    alice, bob, mallory = uniques("alice", "bob", "mallory")
    a, m = await server.connect(alice), await server.connect(mallory, "phone")
    chat = (await a.say(bob))["conversation_id"]
    await m.send(type="ack", cursors={chat: 1})
    await m.settle()
    errors = [frame["code"] for frame in m.find("error")]
    assert all(code in ("not_found", "invalid_field") for code in errors), errors
    b = await server.connect(bob, "phone")
    await b.synced()
    assert b.pushed(chat) == [1]
