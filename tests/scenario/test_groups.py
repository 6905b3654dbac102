"""Groups: who is in, who may do what, and what everybody is told."""
import pytest

from support.chat import (add_member, all_entries, all_messages, conversation, make_group, remove_member, roles,
                          set_role)
from support.names import new_id, text, unique, uniques
from support.rest import assert_refused, assert_success, is_duplicate


async def test_new_group_has_an_entry_for_each_member_but_the_creator(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    clients = [await server.connect(user) for user in (alice, bob, carol)]
    group = make_group(server, alice, bob, carol, title="The team", metadata={"colour": "blue"})
    for client in clients:
        await client.recv("member_added", conversation_id=group, user_id=carol)
    entries = await all_entries(clients[0], group)
    assert [(entry["type"], entry["seq"]) for entry in entries] == [("member_added", 1), ("member_added", 2)]
    assert {entry["user_id"] for entry in entries} == {bob, carol}
    assert {entry["from"] for entry in entries} == {alice}
    shown = conversation(server, bob, group)
    assert (shown["kind"], shown["title"], shown["metadata"]) == ("group", "The team", {"colour": "blue"})
    assert shown["last_seq"] == 2
    assert roles(server, carol, group) == {alice: "owner", bob: "member", carol: "member"}


async def test_group_message_reaches_every_member_and_nobody_else(server):
    alice, bob, carol, mallory = uniques("alice", "bob", "carol", "mallory")
    a, b, c, m = [await server.connect(user) for user in (alice, bob, carol, mallory)]
    group = make_group(server, alice, bob, carol)
    sent = await a.say(conversation_id=group)
    for client in (b, c):
        assert (await client.recv("message"))["seq"] == sent["seq"]
    await a.say(mallory)
    await m.recv("message")
    assert not [frame for frame in m.frames if frame.get("conversation_id") == group]


async def test_creating_twice_with_one_id_gives_one_group(server):
    alice, bob = uniques("alice", "bob")
    body = {"title": "Once", "members": [bob], "id": new_id()}
    first = server.api("POST", "/conversations", alice, body)
    again = server.api("POST", "/conversations", alice, body)
    made = assert_success(first, 201)["conversation"]["conversation_id"]
    assert assert_success(again, 200)["conversation"]["conversation_id"] == made and is_duplicate(again)


async def test_member_added_later_starts_with_the_own_entry_and_may_read_everything(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    a = await server.connect(alice)
    group = make_group(server, alice, bob)
    early = await a.say(conversation_id=group)
    assert_success(add_member(server, alice, group, carol), (200, 201))
    await a.recv("member_added", user_id=carol)
    late = await a.say(conversation_id=group)
    c = await server.connect(carol, "phone")
    await c.synced()
    assert c.pushed(group) == [late["seq"] - 1, late["seq"]]
    assert [message["seq"] for message in all_messages(server, carol, group)] == [early["seq"], late["seq"]]
    assert [entry["seq"] for entry in await all_entries(c, group)] == list(range(1, late["seq"] + 1))


async def test_adding_a_member_is_told_to_members_and_to_the_new_one_at_once(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    b, c = await server.connect(bob), await server.connect(carol)
    group = make_group(server, alice, bob)
    add_member(server, alice, group, carol)
    entry = await b.recv("member_added", user_id=carol)
    assert entry["from"] == alice and entry["conversation_id"] == group
    assert (await c.recv("member_added", user_id=carol))["seq"] == entry["seq"]
    sent = await b.say(conversation_id=group)
    await c.recv("message", seq=sent["seq"])


async def test_removed_member_gets_nothing_more(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    a, b, c = [await server.connect(user) for user in (alice, bob, carol)]
    group = make_group(server, alice, bob, carol)
    await a.say(conversation_id=group)
    await b.recv("message", conversation_id=group)
    assert_success(remove_member(server, alice, group, bob))
    assert (await c.recv("member_removed"))["user_id"] == bob
    last = await a.say(conversation_id=group)
    await c.recv("message", seq=last["seq"])
    await a.say(bob)
    await b.recv("message", **{"from": alice, "seq": 1})
    of_group = [frame for frame in b.frames if frame.get("conversation_id") == group]
    assert not [frame for frame in of_group if frame.get("seq", 0) >= last["seq"]], of_group
    for command in ({"type": "message", "content": text()}, {"type": "history"}):
        await b.refused("not_found", conversation_id=group, **command)
    assert_refused(server.api("GET", f"/conversations/{group}", bob), 404, "not_found")


async def test_member_removed_while_away_does_not_get_what_was_unread(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    group = make_group(server, alice, bob)
    b = await server.connect(bob, "phone")
    await b.synced()
    await b.close()
    await a.say(conversation_id=group)
    assert_success(remove_member(server, alice, group, bob))
    b = await b.reconnect()
    await b.synced()
    assert not [frame for frame in b.frames if frame["type"] == "message"], b.frames


async def test_member_leaves(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    group = make_group(server, alice, bob)
    assert_success(remove_member(server, bob, group, bob))
    assert (await a.recv("member_removed"))["user_id"] == bob
    assert roles(server, alice, group) == {alice: "owner"}
    assert_refused(server.api("GET", f"/conversations/{group}", bob), 404, "not_found")


async def test_role_change_is_an_entry_and_takes_effect(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    b = await server.connect(bob)
    group = make_group(server, alice, bob)
    assert_refused(add_member(server, bob, group, carol), 403, "forbidden")
    assert_success(set_role(server, alice, group, bob, "admin"))
    entry = await b.recv("member_role")
    assert (entry["user_id"], entry["role"], entry["from"]) == (bob, "admin", alice)
    assert_success(add_member(server, bob, group, carol), (200, 201))
    assert roles(server, alice, group)[carol] == "member"


async def test_last_owner_leaves_and_the_oldest_admin_follows(server):
    alice, bob, carol, dave = uniques("alice", "bob", "carol", "dave")
    c = await server.connect(carol)
    group = make_group(server, alice, bob)
    for user in (carol, dave):
        add_member(server, alice, group, user)
    for user in (dave, carol):
        assert_success(set_role(server, alice, group, user, "admin"))
    assert_success(remove_member(server, alice, group, alice))
    await c.recv("member_role", user_id=carol, role="owner")
    assert roles(server, bob, group) == {bob: "member", carol: "owner", dave: "admin"}


async def test_without_admins_the_oldest_member_becomes_owner(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    group = make_group(server, alice, carol)
    add_member(server, alice, group, bob)
    assert_success(remove_member(server, alice, group, alice))
    assert roles(server, bob, group) == {bob: "member", carol: "owner"}


async def test_a_second_owner_stays_when_the_first_leaves(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    group = make_group(server, alice, bob, carol)
    assert_success(set_role(server, alice, group, carol, "owner"))
    assert_success(remove_member(server, alice, group, alice))
    assert roles(server, bob, group) == {bob: "member", carol: "owner"}


async def test_rename_is_an_entry(server):
    alice, bob = uniques("alice", "bob")
    b = await server.connect(bob)
    group = make_group(server, alice, bob, title="Before")
    assert_success(server.api("PATCH", f"/conversations/{group}", alice, {"title": "After"}))
    entry = await b.recv("conversation_updated")
    assert (entry["conversation_id"], entry["from"], entry["title"]) == (group, alice, "After")
    assert conversation(server, bob, group)["title"] == "After"


async def test_deleted_conversation_is_gone_for_everybody(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob)
    group = make_group(server, alice, bob)
    sent = await a.say(conversation_id=group)
    assert_success(server.api("DELETE", f"/conversations/{group}", alice))
    await b.recv("conversation_deleted", conversation_id=group)
    for user, client in ((alice, a), (bob, b)):
        assert_refused(server.api("GET", f"/conversations/{group}", user), 404, "not_found")
        assert_refused(server.api("GET", f"/messages?conversation_id={group}", user), 404, "not_found")
        assert_refused(server.api("GET", f"/messages/{sent['message_id']}", user), 404, "not_found")
        await client.refused("not_found", type="message", conversation_id=group, content=text())
        listed = assert_success(server.api("GET", "/conversations", user))["conversations"]
        assert group not in [each["conversation_id"] for each in listed]


# Who may do what: action -> roles that may. Each case has an own group with one user of every role.
MATRIX = {
    "send": {"owner", "admin", "member"},
    "add": {"owner", "admin"},
    "remove": {"owner", "admin"},
    "rename": {"owner", "admin"},
    "set role": {"owner"},
    "delete others' message": {"owner", "admin"},
    "edit others' message": set(),
    "delete conversation": {"owner"},
}


@pytest.mark.parametrize("role", ["owner", "admin", "member", "outsider"])
@pytest.mark.parametrize("action", MATRIX)
def test_role_decides_what_is_allowed(server, action, role):
    users = {name: unique(name) for name in ("owner", "admin", "member", "outsider", "target")}
    group = make_group(server, users["owner"], users["admin"], users["member"], users["target"])
    assert_success(set_role(server, users["owner"], group, users["admin"], "admin"))
    posted = server.api("POST", "/messages", users["target"], {"conversation_id": group, "content": text()})
    message = f"/messages/{assert_success(posted, 201)['message']['message_id']}"
    me = users[role]
    reply = {
        "send": lambda: server.api("POST", "/messages", me, {"conversation_id": group, "content": text()}),
        "add": lambda: add_member(server, me, group, unique("new")),
        "remove": lambda: remove_member(server, me, group, users["target"]),
        "rename": lambda: server.api("PATCH", f"/conversations/{group}", me, {"title": "New"}),
        "set role": lambda: set_role(server, me, group, users["target"], "admin"),
        "delete others' message": lambda: server.api("DELETE", message, me),
        "edit others' message": lambda: server.api("PATCH", message, me, {"content": text()}),
        "delete conversation": lambda: server.api("DELETE", f"/conversations/{group}", me),
    }[action]()
    if role in MATRIX[action]:
        assert reply.status in (200, 201), reply
    elif role == "outsider":
        assert_refused(reply, 404, "not_found")
    else:
        assert_refused(reply, 403, "forbidden")


async def test_named_user_who_is_no_member_is_said_to_be_none(server):
    alice, bob, nobody = uniques("alice", "bob", "nobody")
    group = make_group(server, alice, bob)
    assert_refused(remove_member(server, alice, group, nobody), 404, "not_a_member")
    assert_refused(set_role(server, alice, group, nobody, "admin"), 404, "not_a_member")


async def test_unknown_and_foreign_conversations_look_the_same(server):
    alice, bob, mallory = uniques("alice", "bob", "mallory")
    a, m = await server.connect(alice), await server.connect(mallory)
    group = make_group(server, alice, bob)
    direct = (await a.say(bob))["conversation_id"]
    commands = [
        {"type": "message", "content": text()}, {"type": "edit", "seq": 1, "content": text()},
        {"type": "delete", "seq": 1}, {"type": "react", "seq": 1, "reaction": "+1"}, {"type": "history"},
    ]
    for command in commands:
        answers = [await m.refused("not_found", conversation_id=each, **command) for each in (group, direct, new_id())]
        assert len({answer["error"] for answer in answers}) == 1, answers
    for command in ({"type": "typing", "is_typing": True}, {"type": "read", "seq": 1}):
        for each in (group, direct, new_id()):
            await m.send(conversation_id=each, **command)
            assert (await m.recv("error"))["code"] == "not_found", command
    for each in (group, direct, new_id()):
        for method, path, body in [("GET", "", None), ("PATCH", "", {"title": "x"}), ("DELETE", "", None),
                                   ("POST", "/members", {"user_id": mallory}), ("POST", "/read", {"seq": 1}),
                                   ("DELETE", f"/members/{alice}", None),
                                   ("PATCH", f"/members/{mallory}", {"role": "owner"})]:
            assert_refused(server.api(method, f"/conversations/{each}{path}", mallory, body), 404, "not_found")
        assert_refused(server.api("GET", f"/messages?conversation_id={each}", mallory), 404, "not_found")


async def test_chosen_conversation_id_is_for_services_only(server):
    alice, bob = uniques("alice", "bob")
    chosen = unique("room")
    body = {"title": "Chosen", "members": [bob], "conversation_id": chosen}
    assert_refused(server.api("POST", "/conversations", alice, body), 403, "forbidden")
    service = server.token(unique("backend"), roles=["service"])
    reply = server.api("POST", "/conversations", service, body, {"Tidemark-User": alice})
    assert assert_success(reply, 201)["conversation"]["conversation_id"] == chosen
    assert roles(server, alice, chosen) == {alice: "owner", bob: "member"}
