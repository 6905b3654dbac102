"""Edits, deletions and reactions: live, folded into history, and while a device was away."""
from support.chat import all_entries, all_messages, make_group
from support.names import text, uniques
from support.rest import assert_refused, assert_success


async def chat_of_two(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    sent = await a.say(bob, content=text("original"))
    await b.recv("message")
    return alice, bob, a, b, sent


async def test_edit_is_pushed_and_folded(server):
    alice, bob, a, b, sent = await chat_of_two(server)
    edited = text("edited")
    answer = await a.change("edit", sent["conversation_id"], sent["seq"], content=edited)
    assert (answer["message_id"], answer["seq"]) == (sent["message_id"], 2)
    entry = await b.recv("message_edited")
    assert (entry["seq"], entry["target_seq"], entry["content"], entry["from"]) == (2, 1, edited, alice)
    (message,) = all_messages(server, bob, sent["conversation_id"])
    assert (message["seq"], message["content"]) == (1, edited) and message["edited_at"] >= message["timestamp"]


async def test_delete_removes_the_content_everywhere(server):
    alice, bob, a, b, sent = await chat_of_two(server)
    answer = await a.change("delete", sent["conversation_id"], sent["seq"])
    assert answer["message_id"] == sent["message_id"]
    entry = await b.recv("message_deleted")
    assert (entry["target_seq"], entry["from"]) == (1, alice)
    shown = [await all_entries(b, sent["conversation_id"]), all_messages(server, bob, sent["conversation_id"])]
    for entries in shown:
        assert entries[0]["deleted"] is True and not entries[0].get("content"), entries[0]


async def test_reactions_count_and_say_what_is_mine(server):
    alice, bob, a, b, sent = await chat_of_two(server)
    conversation = sent["conversation_id"]
    for client, reaction in ((a, "👍"), (b, "👍"), (b, "heart")):
        await client.change("react", conversation, 1, reaction=reaction)
    entry = await b.recv("reaction")
    assert (entry["target_seq"], entry["reaction"], entry["from"]) == (1, "👍", alice) and not entry.get("remove")
    (message,) = all_messages(server, alice, conversation)
    assert message["reactions"] == {"👍": {"count": 2, "mine": True}, "heart": {"count": 1, "mine": False}}
    await b.change("react", conversation, 1, reaction="👍", remove=True)
    entry = await a.recv("reaction", remove=True)
    assert (entry["reaction"], entry["from"]) == ("👍", bob)
    (message,) = all_messages(server, bob, conversation)
    assert message["reactions"] == {"👍": {"count": 1, "mine": False}, "heart": {"count": 1, "mine": True}}


async def test_changes_while_away_are_folded_into_the_replay_and_come_as_entries(server):
    alice, bob, a, b, first = await chat_of_two(server)
    conversation = first["conversation_id"]
    await b.received(conversation, 1)
    await b.close()
    contents = [text("stays"), text("is edited"), text("is deleted"), text("is liked")]
    seqs = [(await a.say(bob, content=content))["seq"] for content in contents]
    edited = text("edited")
    await a.change("edit", conversation, seqs[1], content=edited)
    await a.change("delete", conversation, seqs[2])
    await a.change("react", conversation, seqs[3], reaction="👍")
    b = await b.reconnect(ack="client", auto_ack=False)
    await b.synced()
    entries = [frame for frame in b.frames if frame.get("conversation_id") == conversation and "seq" in frame]
    replay = {frame["seq"]: frame for frame in entries}
    assert b.pushed(conversation) == list(range(2, 9))
    assert replay[2]["content"] == contents[0] and "edited_at" not in replay[2]
    assert replay[3]["content"] == edited and replay[3]["edited_at"]
    assert replay[4]["deleted"] is True and not replay[4].get("content")
    assert replay[5]["reactions"] == {"👍": {"count": 1, "mine": False}}
    assert [replay[seq]["type"] for seq in (6, 7, 8)] == ["message_edited", "message_deleted", "reaction"]
    assert [replay[seq]["target_seq"] for seq in (6, 7, 8)] == [3, 4, 5]


async def test_changes_of_what_was_seen_before_come_as_entries(server):
    alice, bob, a, b, sent = await chat_of_two(server)
    conversation = sent["conversation_id"]
    await b.received(conversation, 1)
    await b.close()
    edited = text("edited")
    await a.change("edit", conversation, 1, content=edited)
    b = await b.reconnect()
    entry = await b.recv("message_edited")
    assert (entry["target_seq"], entry["content"]) == (1, edited)
    await b.synced()
    assert b.pushed(conversation) == [2]


async def test_repeated_change_is_a_duplicate(server):
    alice, bob, a, b, sent = await chat_of_two(server)
    conversation, edited = sent["conversation_id"], text("edited")
    for kind, more in (("edit", {"content": edited}), ("react", {"reaction": "👍"}), ("delete", {})):
        first = await a.change(kind, conversation, 1, **more)
        command = a.streams[conversation].entries[first["seq"]]
        again = await a.change(kind, conversation, 1, id=command["id"], **more)
        assert again["duplicate"] is True and again["seq"] == first["seq"], again
    assert [entry["seq"] for entry in await all_entries(b, conversation)] == [1, 2, 3, 4]


async def test_only_the_author_edits_and_deletes_in_a_direct_chat(server):
    alice, bob, a, b, sent = await chat_of_two(server)
    target = {"conversation_id": sent["conversation_id"], "seq": 1}
    await b.refused("forbidden", type="edit", content=text(), **target)
    await b.refused("forbidden", type="delete", **target)
    (message,) = all_messages(server, bob, sent["conversation_id"])
    assert message["content"] and "edited_at" not in message


async def test_change_of_what_is_no_message_is_refused(server):
    alice, bob, a, b, sent = await chat_of_two(server)
    conversation = sent["conversation_id"]
    edit = await a.change("edit", conversation, 1, content=text())
    for seq in (edit["seq"], 99):
        answer = await a.request(type="edit", conversation_id=conversation, seq=seq, content=text())
        assert answer["type"] == "error" and answer["code"] in ("not_found", "invalid_field"), answer


async def test_rest_reads_edits_and_deletes_one_message(server):
    alice, bob, a, b, sent = await chat_of_two(server)
    path = f"/messages/{sent['message_id']}"
    shown = assert_success(server.api("GET", path, bob))["message"]
    assert (shown["message_id"], shown["seq"], shown["from"]) == (sent["message_id"], 1, alice)
    edited = text("edited over REST")
    assert_success(server.api("PATCH", path, alice, {"content": edited}))
    assert (await b.recv("message_edited"))["content"] == edited
    assert (await a.recv("message_edited"))["target_seq"] == 1
    assert assert_success(server.api("GET", path, alice))["message"]["content"] == edited
    assert_refused(server.api("PATCH", path, bob, {"content": text()}), 403, "forbidden")
    assert_refused(server.api("DELETE", path, bob), 403, "forbidden")
    assert_success(server.api("DELETE", path, alice))
    assert (await b.recv("message_deleted"))["target_seq"] == 1
    for method, body in (("GET", None), ("PATCH", {"content": text()}), ("DELETE", None)):
        assert_refused(server.api(method, path, uniques("mallory")[0], body), 404, "not_found")
        assert_refused(server.api(method, "/messages/none", alice, body), 404, "not_found")


async def test_admin_of_a_group_deletes_any_message(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob)
    group = make_group(server, alice, bob)
    sent = await b.say(conversation_id=group)
    await a.refused("forbidden", type="edit", conversation_id=group, seq=sent["seq"], content=text())
    await a.change("delete", group, sent["seq"])
    assert (await b.recv("message_deleted"))["from"] == alice
