"""The list of conversations: unread counts, last message, newest first; read and delivered markers."""
from support.chat import conversation, make_group
from support.names import text, uniques
from support.rest import assert_success


def listed(server, user):
    """conversation id -> row, in the order of the list."""
    rows = assert_success(server.api("GET", "/conversations", user))["conversations"]
    return {row["conversation_id"]: row for row in rows}


async def test_list_counts_unread_and_shows_the_last_message(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    last_content = text("last")
    for content in (text(), text(), last_content):
        sent = await a.say(bob, content=content)
    row = listed(server, bob)[sent["conversation_id"]]
    assert (row["last_seq"], row["read_seq"], row["unread"]) == (3, 0, 3)
    assert row["last_message"]["content"] == last_content and row["last_message"]["seq"] == 3
    b = await server.connect(bob)
    await b.synced()
    await b.send(type="read", conversation_id=sent["conversation_id"], seq=2)
    await a.recv("read", seq=2)
    row = listed(server, bob)[sent["conversation_id"]]
    assert (row["read_seq"], row["unread"]) == (2, 1)


async def test_entries_that_are_no_messages_are_not_unread(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    group = make_group(server, alice, bob)
    sent = await a.say(conversation_id=group)
    await a.change("react", group, sent["seq"], reaction="👍")
    await a.change("edit", group, sent["seq"], content=text())
    assert listed(server, bob)[group]["unread"] == 1


async def test_newest_conversation_is_first(server):
    alice, bob, carol, dave = uniques("alice", "bob", "carol", "dave")
    a = await server.connect(alice)
    chats = {(await a.say(user))["conversation_id"] for user in (bob, carol, dave)}

    def times():
        return [row["last_message"]["timestamp"] for row in listed(server, alice).values()]

    assert set(listed(server, alice)) == chats and times() == sorted(times(), reverse=True)
    again = await a.say(bob)
    assert times()[0] == again["timestamp"] and times() == sorted(times(), reverse=True)


async def test_list_is_paged_without_loss(server):
    alice, *others = uniques("alice", *["other"] * 25)
    a = await server.connect(alice)
    expected = [(await a.say(user))["conversation_id"] for user in others]
    found, cursor = [], ""
    for _ in range(10):
        page = assert_success(server.api("GET", f"/conversations?limit=10{cursor}", alice))
        found += [row["conversation_id"] for row in page["conversations"]]
        if not page["has_more"]:
            break
        following = page.get("next_cursor") or page.get("cursor")
        assert following, f"has_more without a cursor: {sorted(page)}"
        cursor = f"&cursor={following}"
    assert sorted(found) == sorted(expected)


async def test_read_marker_is_told_kept_and_never_moves_back(server):
    alice, bob = uniques("alice", "bob")
    a, b, laptop = await server.connect(alice), await server.connect(bob, "phone"), await server.connect(bob, "laptop")
    for _ in range(3):
        sent = await a.say(bob)
    chat = sent["conversation_id"]
    await b.received(chat, 3)
    await b.send(type="read", conversation_id=chat, seq=3)
    told = await a.recv("read", seq=3)
    assert (told["conversation_id"], told["user_id"]) == (chat, bob)
    await b.send(type="read", conversation_id=chat, seq=1)
    await b.settle()
    shown = {member["user_id"]: member for member in conversation(server, alice, chat)["members"]}
    assert shown[bob]["read_seq"] == 3

    def learned(frame):
        """The user's other device is told too, by the marker or by an event of the own stream."""
        if frame["type"] == "sync":
            return frame["data"].get("conversation_id") == chat and frame["data"].get("seq") == 3
        return frame["type"] == "read" and frame["user_id"] == bob and frame["seq"] == 3

    await laptop.until(lambda: any(learned(frame) for frame in laptop.frames))


async def test_read_marker_over_rest(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    chat = [(await a.say(bob))["conversation_id"] for _ in range(2)][0]
    assert_success(server.api("POST", f"/conversations/{chat}/read", bob, {"seq": 2}))
    await a.recv("read", seq=2, user_id=bob)
    assert listed(server, bob)[chat]["unread"] == 0
    reply = server.api("POST", f"/conversations/{chat}/read", bob, {"seq": 3})
    assert (reply.status, reply.json["error"]) == (400, "invalid_field")


async def test_delivered_marker_follows_the_ack(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob, "phone", ack="client", auto_ack=False)
    for _ in range(3):
        sent = await a.say(bob)
    chat = sent["conversation_id"]
    await b.received(chat, 3)
    await b.send(type="ack", cursors={chat: 3})
    told = await a.recv("delivered", seq=3)
    assert (told["conversation_id"], told["user_id"]) == (chat, bob)
    shown = {member["user_id"]: member for member in conversation(server, alice, chat)["members"]}
    assert shown[bob]["delivered_seq"] == 3


async def test_read_beyond_the_head_is_refused(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    sent = await a.say(bob)
    await a.send(type="read", conversation_id=sent["conversation_id"], seq=2)
    refused = await a.recv("error")
    assert (refused["code"], refused["field"]) == ("invalid_field", "seq")
    await a.settle()


async def test_two_devices_reading_show_one_marker(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    phone, laptop = await server.connect(bob, "phone"), await server.connect(bob, "laptop")
    for _ in range(5):
        sent = await a.say(bob)
    chat = sent["conversation_id"]
    await phone.received(chat, 5)
    await laptop.received(chat, 5)
    await phone.send(type="read", conversation_id=chat, seq=4)
    await a.recv("read", seq=4)
    await laptop.send(type="read", conversation_id=chat, seq=2)
    await laptop.settle()
    assert listed(server, bob)[chat]["unread"] == 1
