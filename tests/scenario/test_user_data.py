"""export-user and erase-user: everything of one user, and nothing of them afterwards."""
import asyncio
import json

import pytest

from support import commands
from support.chat import all_entries, all_messages, conversation, make_group, roles, set_role
from support.names import text, unique, uniques
from support.rest import assert_refused, assert_success, only_list
from support.store_files import files_hold


def export(server, user, *more):
    return json.loads(commands.run(server, "export-user", user, *more))


def erase(server, user, *more):
    return json.loads(commands.run(server, "erase-user", user, *more))


def word():
    return "w" + unique("x").replace("-", "")


class World:
    """alice with everything a user can have, beside bob and carol."""

    def __init__(self, server):
        self.server = server
        self.alice, self.bob, self.carol = uniques("alice", "bob", "carol")
        self.secret, self.old, self.reaction = word(), word(), word()

    async def make(self):
        server, alice, bob = self.server, self.alice, self.bob
        self.group = make_group(server, alice, bob, self.carol, title="Team")
        assert_success(set_role(server, alice, self.group, bob, "admin"))
        self.phone = await server.connect(alice, "phone")
        self.tablet = await server.connect(alice, "tablet")
        self.watcher = await server.connect(bob, "desk")
        self.said = [await self.phone.say(conversation_id=self.group, content=f"{self.secret} {number}",
                                          data={"file": self.secret}) for number in range(5)]
        edited = await self.phone.say(conversation_id=self.group, content=self.old)
        await self.phone.change("edit", self.group, edited["seq"], content=f"{self.secret} edited")
        self.said.append(edited)
        theirs = await self.watcher.say(conversation_id=self.group, content="kept words")
        self.kept = theirs["seq"]
        await self.phone.change("react", self.group, theirs["seq"], reaction=self.reaction)
        self.direct = (await self.phone.say(bob, content=f"{self.secret} direct"))["conversation_id"]
        await self.watcher.say(alice, content="kept answer")
        assert_success(server.api("POST", "/sync", alice, {"event": self.secret, "data": {"draft": self.secret}}), 201)
        made = server.api("POST", "/sessions", alice, {"device_id": "tv", "metadata": {"name": self.secret}})
        assert_success(made, 201)
        await self.phone.until(lambda: self.phone.find("sync", event=self.secret))
        return self


async def test_export_holds_everything_of_the_user(own_server):
    server = own_server({"cursors.store_every": "20ms"})
    world = await World(server).make()
    await world.phone.close()
    # What the phone confirmed is stored with the next batch, soon after it has gone.
    for _ in range(200):
        data = export(server, world.alice)
        if {world.group, "@self"} <= {one["stream"] for one in data["cursors"] if one["device_id"] == "phone"}:
            break
    assert data["user_id"] == world.alice and data["tenant_id"] == "default" and data["epoch"]
    assert {one["device_id"] for one in data["sessions"]} == {"phone", "tablet", "tv"}
    assert any(one["metadata"] == {"name": world.secret} for one in data["sessions"])
    assert {"phone", "tablet"} <= {one["device_id"] for one in data["devices"]}
    assert any(one["device_id"] == "phone" and one["stream"] == world.group for one in data["cursors"])
    assert any(one["stream"] == "@self" for one in data["cursors"])
    assert any(one["event"] == world.secret and one["data"] == {"draft": world.secret} for one in data["events"])
    kinds = {one["conversation_id"]: (one["kind"], one["role"]) for one in data["conversations"]}
    assert kinds == {world.group: ("group", "owner"), world.direct: ("direct", "member")}
    messages = [one for one in data["entries"] if one["type"] == "message"]
    assert len(messages) == 7 and all(world.secret in one["content"] for one in messages)
    assert any(one["type"] == "reaction" and one["reaction"] == world.reaction for one in data["entries"])
    assert "kept" not in json.dumps(data["entries"]), "what others wrote is theirs"
    server.stop()
    offline = export(server, world.alice)
    assert offline["entries"] == data["entries"]
    # What waited for its batch (cursors, delivered markers) was stored when the node ended.
    assert [one["conversation_id"] for one in offline["conversations"]] == [
        one["conversation_id"] for one in data["conversations"]]
    server.restart()


async def test_export_of_nobody_and_of_another_tenant(server):
    (alice,) = uniques("alice")
    a = await server.connect(alice, tenant="red")
    await a.say("bob", content=text())
    data = export(server, alice)
    assert all(value == [] for value in data.values() if isinstance(value, list))
    assert len(export(server, alice, "--tenant", "red")["entries"]) == 1


async def test_erased_user_is_gone(own_server):
    server = own_server({"cursors.store_every": "20ms"})
    world = await World(server).make()
    alice, bob, group = world.alice, world.bob, world.group
    report = erase(server, alice)
    assert report["messages_removed"] == 7 and report["conversations_left"] == 2
    await world.phone.closed(4006)
    await world.tablet.closed(4006)
    pseudonym = report["erased_as"]
    # The others are told while they are connected …
    await world.watcher.until(lambda: len(world.watcher.find("message_deleted", conversation_id=group)) == 6)
    told = world.watcher.find("message_deleted", conversation_id=group)
    assert {frame["target_seq"] for frame in told} == {sent["seq"] for sent in world.said}
    assert {frame["from"] for frame in told} == {pseudonym}
    assert world.watcher.find("reaction", conversation_id=group, remove=True)
    # … the group has another owner, and no number is missing.
    assert roles(server, bob, group) == {bob: "owner", world.carol: "member"}
    entries = await all_entries(world.watcher, group)
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert alice not in json.dumps(entries) and world.secret not in json.dumps(entries)
    messages = {message["seq"]: message for message in all_messages(server, bob, group)}
    assert messages[world.kept]["content"] == "kept words" and not messages[world.kept].get("reactions")
    assert all(messages[sent["seq"]]["deleted"] and "content" not in messages[sent["seq"]] for sent in world.said)
    assert conversation(server, bob, group)["created_by"] == pseudonym
    assert [one.get("content") for one in all_messages(server, bob, world.direct)] == [None, "kept answer"]
    assert assert_success(server.api("GET", f"/messages/search?q={world.secret}", bob))["messages"] == []
    data = export(server, alice)
    assert all(value == [] for value in data.values() if isinstance(value, list)), data
    # Not a byte of it is left in the files, although the node still runs.
    assert files_hold(server, "kept words")
    for needle in (world.secret, world.old, alice):
        assert files_hold(server, needle) == [], needle
    # A device that was away replays what is there now.
    later = await server.connect(bob, "another")
    await later.received(group, entries[-1]["seq"])
    assert alice not in json.dumps(later.frames) and world.secret not in json.dumps(later.frames)


async def test_erased_id_begins_anew(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    b = await server.connect(bob)
    first = await b.say(alice, content=text())
    erase(server, alice)
    sent = await b.say(alice, content=text("welcome back"))
    assert sent["conversation_id"] == first["conversation_id"] and sent["seq"] == first["seq"] + 1
    a = await server.connect(alice, "phone")
    await a.received(sent["conversation_id"], sent["seq"])
    assert [frame["seq"] for frame in a.frames if frame["type"] == "message"] == [sent["seq"]]
    answer = await a.say(bob, content=text())
    await b.received(answer["conversation_id"], answer["seq"])
    # Both gone: the conversation waits for whoever comes.
    erase(server, alice)
    erase(server, bob)
    a = await server.connect(alice)
    again = await a.say(bob, content=text())
    assert again["conversation_id"] == first["conversation_id"]


async def test_erase_without_a_node(own_server):
    server = own_server()
    world = await World(server).make()
    server.stop()
    assert erase(server, world.alice)["messages_removed"] == 7
    for needle in (world.secret, world.alice):
        assert files_hold(server, needle) == [], needle
    server.restart()
    assert roles(server, world.bob, world.group)[world.bob] == "owner"
    assert len(all_messages(server, world.bob, world.group)) == 7


async def test_erase_leaves_others_and_other_tenants_alone(server):
    alice, alice_too, bob = unique("alice"), unique("alice"), unique("bob")
    kept = []
    for tenant, user in (("default", alice_too), ("red", alice)):
        client = await server.connect(user, tenant=tenant)
        sent = await client.say(bob, content=text())
        kept.append((client, sent))
    a = await server.connect(alice)
    await a.say(bob, content=text())
    assert erase(server, alice)["messages_removed"] == 1
    for client, sent in kept:
        token = server.token(client.user, tenant=client.tenant)
        message = assert_success(server.api("GET", f"/messages/{sent['message_id']}", token))["message"]
        assert "deleted" not in message and message["from"] == client.user
        assert not client.is_closed


async def test_revoke_refuses_the_tokens_as_well(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    old = server.token(alice)
    a = await server.connect(alice, token=old)
    await a.say(bob, content=text())
    erase(server, alice, "--revoke")
    await a.closed(4006)
    assert_refused(server.api("GET", "/conversations", old), 401, "unauthorized")
    server.kill()
    server.restart()
    assert_refused(server.api("GET", "/conversations", old), 401, "unauthorized")
    assert_success(server.api("GET", "/conversations", bob))


async def test_erasure_is_in_the_audit_log_without_the_id(own_server):
    server = own_server()
    (alice,) = uniques("alice")
    report = erase(server, alice)
    page = server.api("GET", "/admin/audit", server.token("root", roles=["admin"]))
    (record,) = only_list(assert_success(page))
    assert record["action"] == "user.erase" and record["target"] == f"user {report['erased_as']}"
    assert alice not in json.dumps(record)


async def test_erase_of_nobody(server):
    report = erase(server, unique("nobody"))
    assert report["entries_changed"] == report["messages_removed"] == report["rows_removed"] == 0
    commands.run(server, "erase-user", code=2)
    commands.run(server, "erase-user", "x" * 129, code=2)
    commands.run(server, "export-user", "a\x07b", code=2)


@pytest.mark.limit(120)
async def test_erase_while_others_talk_and_again_after_an_interruption(own_server):
    server = own_server()
    alice, bob, carol = uniques("alice", "bob", "carol")
    group = make_group(server, bob, alice, carol)
    a = await server.connect(alice)
    for _ in range(60):
        await asyncio.gather(*[a.request(type="message", conversation_id=group, content=text()) for _ in range(20)])
    b, c = await server.connect(bob, "desk", replay=0), await server.connect(carol, "desk", replay=0)
    process = commands.start(server, "erase-user", alice)
    await b.until(lambda: b.find("message_deleted"))
    process.kill()  # the node goes on to the end of a step and no further
    process.communicate()
    eraser = asyncio.create_task(asyncio.to_thread(erase, server, alice))
    sent = 0
    while not eraser.done():
        await b.say(conversation_id=group, content=text())
        await c.say(conversation_id=group, content=text())
        sent += 2
    await eraser
    messages = all_messages(server, bob, group)
    assert len(messages) == 1200 + sent
    assert sum(message.get("deleted", False) for message in messages) == 1200
    assert alice not in json.dumps(messages)
