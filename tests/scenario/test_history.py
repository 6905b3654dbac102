"""History in both directions, on both doors, and search."""
from urllib.parse import quote

import pytest

from support.chat import all_entries, all_messages, messages
from support.names import new_id, text, unique, uniques
from support.rest import assert_refused, assert_success, is_duplicate


async def conversation_of(server, count):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    answers = await a.say_many(count, to=bob)
    return alice, bob, a, answers[0]["conversation_id"]


async def test_websocket_history_after(server):
    alice, bob, a, conversation = await conversation_of(server, 120)
    page = await a.request(type="history", conversation_id=conversation, after=10, limit=30)
    assert [entry["seq"] for entry in page["entries"]] == list(range(11, 41)) and page["has_more"] is True
    page = await a.request(type="history", conversation_id=conversation, after=100, limit=30)
    assert [entry["seq"] for entry in page["entries"]] == list(range(101, 121)) and page["has_more"] is False


async def test_websocket_history_before(server):
    alice, bob, a, conversation = await conversation_of(server, 120)
    page = await a.request(type="history", conversation_id=conversation, before=100, limit=30)
    assert sorted(entry["seq"] for entry in page["entries"]) == list(range(70, 100)) and page["has_more"] is True
    page = await a.request(type="history", conversation_id=conversation, before=11, limit=30)
    assert sorted(entry["seq"] for entry in page["entries"]) == list(range(1, 11)) and page["has_more"] is False


async def test_websocket_history_default_is_the_newest_fifty(server):
    alice, bob, a, conversation = await conversation_of(server, 120)
    page = await a.request(type="history", conversation_id=conversation)
    assert sorted(entry["seq"] for entry in page["entries"]) == list(range(71, 121)) and page["has_more"] is True


async def test_websocket_history_has_every_entry_as_in_a_replay(server):
    alice, bob, a, conversation = await conversation_of(server, 3)
    await a.change("react", conversation, 1, reaction="👍")
    await a.change("edit", conversation, 2, content=text())
    b = await server.connect(bob, "phone")
    await b.synced()
    replay = [frame for frame in b.frames if frame.get("conversation_id") == conversation and "seq" in frame]
    assert await all_entries(b, conversation) == replay
    assert [entry["type"] for entry in replay] == ["message"] * 3 + ["reaction", "message_edited"]


async def test_rest_history_pages_in_both_directions(server):
    alice, bob, a, conversation = await conversation_of(server, 120)
    await a.change("react", conversation, 1, reaction="👍")
    seqs = lambda page: [message["seq"] for message in page["messages"]]  # noqa: E731
    newest = messages(server, bob, conversation, limit=20)
    assert seqs(newest) == list(range(101, 121)) and newest["has_more"] is True
    older = messages(server, bob, conversation, before=101, limit=100)
    assert seqs(older) == list(range(1, 101)) and older["has_more"] is False
    newer = messages(server, bob, conversation, after=110, limit=100)
    assert seqs(newer) == list(range(111, 121)) and newer["has_more"] is False
    some = messages(server, bob, conversation, after=5, limit=5)
    assert seqs(some) == list(range(6, 11)) and some["has_more"] is True
    assert [message["seq"] for message in all_messages(server, bob, conversation, limit=50)] == list(range(1, 121))


async def test_limit_of_history_is_checked(server):
    alice, bob, a, conversation = await conversation_of(server, 1)
    for limit in (0, -1, 201):
        await a.refused("invalid_field", "limit", type="history", conversation_id=conversation, limit=limit)
    for limit in ("0", "-1", "x"):
        reply = server.api("GET", f"/messages?conversation_id={conversation}&limit={limit}", alice)
        assert_refused(reply, 400, "invalid_field")


async def test_rest_message_is_the_same_as_a_websocket_message(server):
    alice, bob = uniques("alice", "bob")
    b, own = await server.connect(bob), await server.connect(alice, "phone")
    body = {"to": bob, "content": text(), "content_type": "note", "data": {"a": 1}, "id": new_id()}
    made = server.api("POST", "/messages", alice, body)
    message = assert_success(made, 201)["message"]
    for client in (b, own):
        pushed = await client.recv("message")
        for field in ("conversation_id", "seq", "message_id", "from", "content", "content_type", "data", "timestamp"):
            assert pushed[field] == message[field], field
    again = server.api("POST", "/messages", alice, body)
    assert assert_success(again, 200)["message"]["seq"] == message["seq"] and is_duplicate(again)
    assert_refused(server.api("POST", "/messages", alice, {**body, "content": text()}), 409, "conflict")


async def test_key_is_shared_by_both_doors(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    body = {"to": bob, "content": text(), "id": new_id()}
    sent = await a.say(**body)
    reply = server.api("POST", "/messages", alice, body)
    assert assert_success(reply, 200)["message"]["seq"] == sent["seq"] and is_duplicate(reply)


async def test_search_finds_own_conversations_only(server):
    alice, bob, mallory = uniques("alice", "bob", "mallory")
    a = await server.connect(alice)
    word = "zebra" + unique("x").replace("-", "")
    sent = await a.say(bob, content=f"CANARY the {word} crosses the road")
    await a.say(bob, content=text("other"))
    found = assert_success(server.api("GET", f"/messages/search?q={word}", bob))["messages"]
    assert [message["message_id"] for message in found] == [sent["message_id"]]
    assert assert_success(server.api("GET", f"/messages/search?q={word}", mallory))["messages"] == []
    for hostile in ("'; DROP TABLE entries; --", '"unbalanced', "a* OR NEAR(", "%"):
        assert server.api("GET", f"/messages/search?q={quote(hostile)}", alice).status in (200, 400), hostile
    await a.change("delete", sent["conversation_id"], sent["seq"])
    assert assert_success(server.api("GET", f"/messages/search?q={word}", bob))["messages"] == []


async def test_pages_of_large_entries_end_early_and_say_so(server):
    alice, bob = uniques("alice", "bob")
    client = await server.connect(alice)
    sent = [await client.say(bob, content="CANARY " + "x" * 100_000) for _ in range(15)]
    chat = sent[0]["conversation_id"]
    first = await client.request(type="history", conversation_id=chat, after=0, limit=200)
    assert 5 < len(first["entries"]) < 15 and first["has_more"]
    newest = await client.request(type="history", conversation_id=chat, limit=200)
    assert [entry["seq"] for entry in newest["entries"]][-1] == 15 and len(newest["entries"]) < 15 and newest["has_more"]
    assert [entry["seq"] for entry in await all_entries(client, chat)] == list(range(1, 16))
    assert [message["seq"] for message in all_messages(server, alice, chat)] == list(range(1, 16))
