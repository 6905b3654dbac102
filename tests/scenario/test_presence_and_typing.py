"""Ephemeral things: who is online, who is typing."""
import pytest

from support.chat import make_group
from support.names import unique, uniques
from support.rest import assert_success


def presence_of(server, asker, *users):
    reply = server.api("GET", f"/presence?users={','.join(users)}", asker)
    return {row["user_id"]: row for row in assert_success(reply)["presence"]}


async def test_watch_tells_now_and_on_change(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    await a.send(type="watch", users=[bob])
    now = await a.recv("presence")
    assert (now["user_id"], now["online"]) == (bob, False)
    phone = await server.connect(bob, "phone")
    assert (await a.recv("presence", user_id=bob))["online"] is True
    await phone.close()
    gone = await a.recv("presence", user_id=bob, online=False)
    assert gone["last_seen"] > 10**12


async def test_user_is_online_as_long_as_one_device_is(server):
    alice, bob = uniques("alice", "bob")
    phone, laptop = await server.connect(bob, "phone"), await server.connect(bob, "laptop")
    a = await server.connect(alice)
    await a.send(type="watch", users=[bob])
    assert (await a.recv("presence"))["online"] is True
    await phone.close()
    await laptop.recv("device_offline")
    assert presence_of(server, alice, bob)[bob]["online"] is True
    assert not a.find("presence", online=False)
    await laptop.close()
    await a.recv("presence", online=False)
    assert presence_of(server, alice, bob)[bob]["online"] is False


async def test_unwatch_ends_it(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    a = await server.connect(alice)
    await a.send(type="watch", users=[bob, carol])
    await a.recv("presence", user_id=bob)
    await a.recv("presence", user_id=carol)
    await a.send(type="unwatch", users=[bob])
    await a.settle()
    await server.connect(bob)
    await server.connect(carol)
    await a.recv("presence", user_id=carol, online=True)
    assert not a.find("presence", user_id=bob)


async def test_presence_over_rest(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    await server.connect(bob, "phone")
    rows = presence_of(server, alice, bob, carol)
    assert rows[bob]["online"] is True and rows[carol]["online"] is False
    assert set(rows) == {bob, carol}


async def test_lost_connection_goes_offline_after_the_grace(impatient_server):
    server = impatient_server
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone")
    await a.send(type="watch", users=[bob])
    assert (await a.recv("presence"))["online"] is True
    await b.drop()
    assert (await a.recv("presence", user_id=bob))["online"] is False


async def test_return_within_the_grace_shows_no_offline(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone")
    await a.send(type="watch", users=[bob])
    assert (await a.recv("presence"))["online"] is True
    await b.drop()
    b = await b.reconnect()
    await b.say(alice)
    await a.recv("message")
    await a.expect_none("presence", online=False)


async def test_online_counts_of_a_tenant(server):
    tenant = unique("tenant")
    alice, bob = uniques("alice", "bob")
    for user in (alice, alice, bob):
        await server.connect(user, tenant=tenant)
    data = assert_success(server.api("GET", "/ws/online", server.token(alice, tenant=tenant)))
    assert (data["online_users"], data["connections"]) == (2, 3)


async def test_typing_reaches_the_other_and_not_oneself(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob)
    chat = (await a.say(bob))["conversation_id"]
    await b.recv("message")  # ephemeral frames go to those who already follow
    for typing in (True, False):
        await a.send(type="typing", to=bob, is_typing=typing)
        told = await b.recv("typing")
        assert (told["conversation_id"], told["user_id"], told["device_id"], told["is_typing"]) == \
            (chat, alice, "phone", typing)
    await a.send(type="typing", conversation_id=chat, data={"is_typing": True})
    assert (await b.recv("typing"))["is_typing"] is True
    await a.expect_none("typing")
    await a.expect_none("error")


async def test_typing_is_seen_before_the_first_message(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob)
    await a.send(type="typing", to=bob, is_typing=True)
    told = await b.recv("typing")
    assert (told["user_id"], told["is_typing"]) == (alice, True)
    chat = (await a.say(bob))["conversation_id"]
    assert told["conversation_id"] == chat


async def test_typing_in_a_group(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    clients = [await server.connect(user) for user in (alice, bob, carol)]
    group = make_group(server, alice, bob, carol)
    for client in clients:
        await client.recv("member_added", user_id=carol)  # ephemeral frames go to those who are already in
    await clients[0].send(type="typing", conversation_id=group, is_typing=True)
    for client in clients[1:]:
        assert (await client.recv("typing"))["user_id"] == alice


@pytest.mark.limit(30)
async def test_typing_is_ended_by_the_server_after_ten_seconds(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob)
    await a.say(bob)
    await b.recv("message")
    await a.send(type="typing", to=bob, is_typing=True)
    assert (await b.recv("typing"))["is_typing"] is True
    assert (await b.recv("typing", timeout=15))["is_typing"] is False


async def test_typing_is_not_kept_for_later(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    chat = (await a.say(bob))["conversation_id"]
    await a.send(type="typing", conversation_id=chat, is_typing=True)
    await a.settle()
    b = await server.connect(bob, "phone")
    await b.synced()
    await b.expect_none("typing")
    assert b.pushed(chat) == [1]
