"""A client that does not know whether its message arrived sends it again with the same id."""
from support.chat import all_messages, conversation, make_group, roles
from support.names import new_id, text, uniques
from support.rest import assert_success


async def test_unacknowledged_send_is_stored_once(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice, "phone")
    chat = (await a.say(bob))["conversation_id"]
    command = {"type": "message", "id": new_id(), "to": bob, "content": text()}
    await a.send(**command)  # nobody waits for the answer
    server.kill()
    server.restart()
    a = await a.reconnect()
    answer = await a.request(**command)
    assert (answer["type"], answer["seq"]) == ("sent", 2)
    again = await a.request(**command)
    assert again["duplicate"] is True and again["seq"] == 2
    history = all_messages(server, bob, chat)
    assert [message["content"] for message in history].count(command["content"]) == 1 and len(history) == 2


async def test_acknowledged_send_is_recognised_after_a_crash(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    command = {"type": "message", "id": new_id(), "to": bob, "content": text()}
    first = await a.request(**command)
    server.kill()
    server.restart()
    a, b = await a.reconnect(), await b.reconnect()
    again = await a.request(**command)
    assert again["duplicate"] is True
    assert (again["seq"], again["message_id"], again["timestamp"]) == \
        (first["seq"], first["message_id"], first["timestamp"])
    await a.refused("conflict", **{**command, "content": text("changed")})
    await b.synced()
    assert b.applied(first["conversation_id"]) == [(1, command["content"])]


async def test_groups_markers_edits_and_own_events_survive_a_crash(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice, "phone")
    group = make_group(server, alice, bob, title="Kept")
    sent = await a.say(conversation_id=group)
    edited = text("edited")
    await a.change("edit", group, sent["seq"], content=edited)
    await a.change("react", group, sent["seq"], reaction="👍")
    await a.request(type="sync", event="kept", data={"n": 1})
    assert_success(server.api("POST", f"/conversations/{group}/read", bob, {"seq": sent["seq"]}))
    server.kill()
    server.restart()
    assert roles(server, bob, group) == {alice: "owner", bob: "member"}
    shown = conversation(server, bob, group)
    assert shown["title"] == "Kept" and shown["last_seq"] == 4
    assert {member["user_id"]: member["read_seq"] for member in shown["members"]}[bob] == sent["seq"]
    (message,) = all_messages(server, bob, group)
    assert message["content"] == edited and message["reactions"]["👍"]["count"] == 1
    events = assert_success(server.api("GET", "/sync?after=0", alice))["events"]
    assert "kept" in [event["event"] for event in events]
