"""A device comes back and receives exactly what it has not confirmed, in order, then what is live."""
import asyncio

import pytest

from support.chat import all_entries, all_messages, make_group
from support.names import text, uniques


async def away(client):
    """Leaves cleanly once everything that was applied is confirmed."""
    await client.settle()
    await client.close()


async def test_returning_device_gets_what_it_missed_in_order(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone")
    first = await a.say(bob)
    chat = first["conversation_id"]
    await b.received(chat, 1)
    await away(b)
    await a.say_many(50, to=bob)
    b = await b.reconnect()
    await b.synced()
    assert b.pushed(chat) == list(range(2, 52))
    live = await a.say(bob)
    await b.received(chat, live["seq"])
    assert b.applied(chat) == a.applied(chat)


async def test_synced_comes_once_also_when_there_was_nothing(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone")
    await b.synced()
    await a.say(bob)
    await b.recv("message")
    await b.expect_none("synced")


async def test_lost_connection_resumes_like_a_clean_close(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone")
    chat = (await a.say(bob))["conversation_id"]
    await b.received(chat, 1)
    await b.settle()
    await b.drop()
    await a.say_many(3, to=bob)
    b = await b.reconnect()
    await b.received(chat, 4)
    assert b.pushed(chat) == [2, 3, 4]


async def test_device_that_left_before_anything_was_sent_gets_everything(server):
    alice, bob = uniques("alice", "bob")
    socket = server.raw(bob, query="?device_id=phone")  # gone before it reads its welcome
    socket.close()
    a = await server.connect(alice)
    sent = (await a.say_many(3, to=bob))[-1]
    b = await server.connect(bob, "phone")
    await b.synced()
    assert b.pushed(sent["conversation_id"]) == [1, 2, 3]


async def test_device_of_a_user_without_conversations_gets_the_first_one(server):
    alice, bob = uniques("alice", "bob")
    b = await server.connect(bob, "phone")
    await b.synced()
    await b.close()
    a = await server.connect(alice)
    sent = await a.say(bob)
    b = await b.reconnect()
    await b.synced()
    assert b.pushed(sent["conversation_id"]) == [1]


async def test_several_conversations_resume_at_once(server):
    bob, *others = uniques("bob", *["friend"] * 8)
    friends = [await server.connect(user, "phone") for user in others]
    b = await server.connect(bob, "phone")
    group = make_group(server, bob, *others)
    chats = [(await friend.say(bob))["conversation_id"] for friend in friends]
    for chat in chats:
        await b.received(chat, 1)
    await b.received(group, len(others))
    await away(b)
    for number, friend in enumerate(friends):
        await friend.say_many(5 + number, to=bob)
        await friend.say(conversation_id=group)
    b = await b.reconnect()
    assert b.welcome["resume"]["streams"] >= len(chats) + 1
    assert b.welcome["resume"]["entries"] >= sum(5 + number for number in range(8)) + 8
    await b.synced()
    for number, chat in enumerate(chats):
        assert b.pushed(chat) == list(range(2, 7 + number))
    assert b.pushed(group) == list(range(len(others) + 1, 2 * len(others) + 1))


async def test_resume_while_messages_keep_coming(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone")
    chat = (await a.say(bob))["conversation_id"]
    running = True

    async def keep_sending():
        while running:
            await a.say_many(20, to=bob)
            while running and a.streams.floor(chat) - b.streams.floor(chat) > 400:
                await asyncio.sleep(0.001)  # more than limits.replay_entries behind would be a gap

    sending = asyncio.create_task(keep_sending())
    await b.received(chat, 1)
    for round_ in range(10):
        wanted = b.streams.floor(chat) + 40
        await (b.drop() if round_ % 2 else b.close())
        b = await b.reconnect()
        await b.synced()
        await b.received(chat, wanted)
    running = False
    await sending
    await b.received(chat, max(seq for seq, _ in a.applied(chat)))
    assert b.applied(chat) == a.applied(chat)
    assert [seq for seq, _ in b.applied(chat)] == list(range(1, len(b.applied(chat)) + 1))


async def test_other_streams_stay_live_during_a_long_replay(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    a, c, b = await server.connect(alice), await server.connect(carol), await server.connect(bob, "phone")
    quiet = (await c.say(bob))["conversation_id"]
    await b.received(quiet, 1)
    await away(b)
    await a.say_many(600, to=bob)
    b = await b.reconnect(auto_ack=False)  # the replay stands still at its window
    await b.until(lambda: len(b.find("message")) >= 100)
    await c.say(bob)
    await b.recv("message", conversation_id=quiet)
    assert not b.find("synced")


async def test_replay_contains_what_the_device_sent_itself(server):
    alice, bob = uniques("alice", "bob")
    phone = await server.connect(alice, "phone", ack="client", auto_ack=False)
    chat = [(await phone.say(bob))["conversation_id"] for _ in range(3)][0]
    await phone.close()
    phone = await phone.reconnect()
    await phone.synced()
    assert phone.pushed(chat) == [1, 2, 3]


async def test_each_device_has_its_own_cursor(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    phone, laptop = await server.connect(bob, "phone"), await server.connect(bob, "laptop")
    chat = (await a.say(bob))["conversation_id"]
    await phone.received(chat, 1)
    await laptop.received(chat, 1)
    await away(phone)
    await a.say_many(3, to=bob)
    await laptop.received(chat, 4)
    await away(laptop)
    await a.say_many(2, to=bob)
    phone, laptop = await phone.reconnect(), await laptop.reconnect()
    await phone.synced()
    await laptop.synced()
    assert phone.pushed(chat) == [2, 3, 4, 5, 6]
    assert laptop.pushed(chat) == [5, 6]
    tablet = await server.connect(bob, "tablet")
    await tablet.synced()
    assert tablet.pushed(chat) == [1, 2, 3, 4, 5, 6]


async def test_replay_0_starts_at_the_heads_and_leaves_the_cursor(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone")
    chat = (await a.say(bob))["conversation_id"]
    await b.received(chat, 1)
    await away(b)
    await a.say_many(3, to=bob)
    live_only = await server.connect(bob, "phone", replay=0, auto_ack=False)
    await live_only.synced()
    sent = await a.say(bob)
    await live_only.recv("message", seq=sent["seq"])
    assert live_only.pushed(chat) == [5]
    await live_only.close()
    b = await b.reconnect()
    await b.synced()
    assert b.pushed(chat) == [2, 3, 4, 5]


async def test_conversation_filter(server):
    alice, bob, carol, dave = uniques("alice", "bob", "carol", "dave")
    a, c, d = [await server.connect(user) for user in (alice, carol, dave)]
    wanted, also, other = [(await client.say(bob))["conversation_id"] for client in (a, c, d)]
    b = await server.connect(bob, "phone", conversation_ids=[wanted, also])
    await b.synced()
    for client in (d, c, a):
        await client.say(bob)
    await b.received(wanted, 2)
    await b.received(also, 2)
    assert (b.pushed(wanted), b.pushed(also), b.pushed(other)) == ([1, 2], [1, 2], [])
    await away(b)
    whole = await server.connect(bob, "phone")
    await whole.synced()
    assert (whole.pushed(wanted), whole.pushed(also), whole.pushed(other)) == ([], [], [1, 2])


@pytest.mark.limit(120)
async def test_offline_for_5000_messages_is_announced_and_history_fills_the_rest(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone")
    chat = (await a.say(bob))["conversation_id"]
    await b.received(chat, 1)
    await away(b)
    await a.say_many(5000, to=bob)
    b = await b.reconnect()
    gap = await b.recv("gap", conversation_id=chat)
    await b.synced()
    assert (gap["after_seq"], gap["next_seq"]) == (1, 4002)
    assert b.pushed(chat) == list(range(4002, 5002))
    missing = [entry for entry in await all_entries(b, chat, after=gap["after_seq"]) if entry["seq"] < gap["next_seq"]]
    together = b.applied(chat) + [(entry["seq"], entry["content"]) for entry in missing]
    assert sorted(together) == a.applied(chat)
    live = await a.say(bob)
    await b.received(chat, live["seq"])


async def test_exactly_replay_entries_need_no_gap(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    chat = (await a.say_many(1000, to=bob))[0]["conversation_id"]
    b = await server.connect(bob, "phone")
    await b.synced()
    assert b.pushed(chat) == list(range(1, 1001)) and not b.find("gap")
    await a.say(bob)
    late = await server.connect(bob, "laptop")
    gap = await late.recv("gap")
    await late.synced()
    assert (gap["after_seq"], gap["next_seq"]) == (0, 2) and late.pushed(chat) == list(range(2, 1002))


async def test_default_device_follows_its_furthest_connection(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    one, two = await server.connect(bob, ack="client", auto_ack=True), await server.connect(bob, ack="client")
    assert one.welcome["device_id"] == two.welcome["device_id"] == "default"
    sent = (await a.say_many(3, to=bob))[-1]
    chat = sent["conversation_id"]
    await one.received(chat, 3)
    await two.received(chat, 3)
    await away(one)
    await away(two)
    await a.say(bob)
    back = await server.connect(bob)
    await back.synced()
    assert back.pushed(chat) == [4]


async def test_everything_of_a_group_arrives_on_every_device_through_reconnects(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    group = make_group(server, alice, bob, carol)
    writers = [await server.connect(user, "writer") for user in (alice, bob, carol)]
    readers = [await server.connect(user, "reader") for user in (alice, bob, carol)]
    for _ in range(5):
        posts = [writer.post(type="message", conversation_id=group, content=text()) for writer in writers * 10]
        readers = [await reader.reconnect() for reader in readers]  # closes the old one with 4005
        for post in posts:
            assert (await post)["type"] == "sent"
    expected = [(message["seq"], message["content"]) for message in all_messages(server, alice, group)]
    assert len(expected) == 150
    for reader in readers:
        await reader.received(group, expected[-1][0])
        assert reader.applied(group) == expected
