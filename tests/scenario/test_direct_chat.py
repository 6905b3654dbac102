"""One user writes to another."""
from support.chat import all_messages
from support.client import assert_error
from support.names import new_id, text, unique, uniques


async def test_message_reaches_the_other_user_and_is_answered_with_sent(server):
    alice, bob = uniques("alice", "bob")
    sender, receiver = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    content = text("hello")
    identifier = new_id()
    sent = await sender.say(bob, content=content, id=identifier)
    assert sent["id"] == identifier and sent["seq"] == 1 and sent["message_id"] and sent["timestamp"] > 10**12
    assert "duplicate" not in sent or sent["duplicate"] is False
    message = await receiver.recv("message")
    assert message["conversation_id"] == sent["conversation_id"]
    assert (message["seq"], message["message_id"]) == (sent["seq"], sent["message_id"])
    assert (message["from"], message["device_id"]) == (alice, "phone")
    assert (message["content"], message["content_type"]) == (content, "text")
    assert message["timestamp"] == sent["timestamp"]


async def test_content_type_data_and_reply_travel_unchanged(server):
    alice, bob = uniques("alice", "bob")
    sender, receiver = await server.connect(alice), await server.connect(bob)
    first = await sender.say(bob)
    data = {"width": 3, "nested": {"list": [1, 2.5, None, True, "ü"]}}
    await sender.say(bob, content_type="image", data=data, reply_to=first["seq"])
    await receiver.recv("message", seq=first["seq"])
    second = await receiver.recv("message", seq=first["seq"] + 1)
    assert second["content_type"] == "image" and second["data"] == data and second["reply_to"] == first["seq"]


async def test_both_directions_are_one_conversation(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice), await server.connect(bob)
    there = await a.say(bob)
    back = await b.say(alice)
    assert back["conversation_id"] == there["conversation_id"] and back["seq"] == 2
    by_id = await a.say(conversation_id=there["conversation_id"])
    alias = await b.request(type="message", group_id=there["conversation_id"], content=text())
    assert (by_id["seq"], alias["seq"]) == (3, 4)


async def test_repeated_id_returns_the_first_result(server):
    alice, bob = uniques("alice", "bob")
    sender, receiver = await server.connect(alice), await server.connect(bob)
    identifier, content = new_id(), text("once")
    first = await sender.say(bob, content=content, id=identifier)
    again = await sender.say(bob, content=content, id=identifier)
    assert again["duplicate"] is True
    assert {key: again[key] for key in ("conversation_id", "message_id", "seq", "timestamp")} == \
        {key: first[key] for key in ("conversation_id", "message_id", "seq", "timestamp")}
    marker = await sender.say(bob)
    assert marker["seq"] == first["seq"] + 1
    await receiver.recv("message", seq=marker["seq"])
    assert receiver.pushed(first["conversation_id"]) == [first["seq"], marker["seq"]]


async def test_retry_from_another_device_of_the_user_is_the_same_send(server):
    alice, bob = uniques("alice", "bob")
    phone, laptop = await server.connect(alice, "phone"), await server.connect(alice, "laptop")
    identifier, content = new_id(), text()
    first = await phone.say(bob, content=content, id=identifier)
    again = await laptop.say(bob, content=content, id=identifier)
    assert again["duplicate"] is True and again["seq"] == first["seq"]


async def test_same_id_of_another_user_or_conversation_is_another_send(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    a, b = await server.connect(alice), await server.connect(bob)
    identifier = new_id()
    answers = [await a.say(bob, id=identifier), await b.say(alice, id=identifier), await a.say(carol, id=identifier)]
    assert [answer["seq"] for answer in answers] == [1, 2, 1]
    assert not any(answer.get("duplicate") for answer in answers)


async def test_changed_retry_is_a_conflict(server):
    alice, bob = uniques("alice", "bob")
    sender = await server.connect(alice)
    identifier, content = new_id(), text("original")
    first = await sender.say(bob, content=content, id=identifier, data={"a": 1})
    target = {"type": "message", "to": bob, "id": identifier}
    await sender.refused("conflict", **target, content=text("changed"), data={"a": 1})
    await sender.refused("conflict", **target, content=content, data={"a": 2})
    await sender.refused("conflict", **target, content=content)
    await sender.refused("conflict", **target, content=content, data={"a": 1}, content_type="html")
    history = all_messages(server, alice, first["conversation_id"])
    assert [message["content"] for message in history] == [content]


async def test_edit_does_not_change_the_answer_to_a_retry(server):
    alice, bob = uniques("alice", "bob")
    sender = await server.connect(alice)
    identifier, content, edited = new_id(), text("original"), text("edited")
    first = await sender.say(bob, content=content, id=identifier)
    await sender.change("edit", first["conversation_id"], first["seq"], content=edited)
    again = await sender.say(bob, content=content, id=identifier)
    assert again["duplicate"] is True and again["seq"] == first["seq"]
    await sender.refused("conflict", type="message", to=bob, content=edited, id=identifier)


async def test_message_without_id_is_accepted_and_not_deduplicated(server):
    alice, bob = uniques("alice", "bob")
    sender, receiver = await server.connect(alice), await server.connect(bob)
    content = text()
    for expected in (1, 2):
        await sender.send(type="message", to=bob, content=content)
        answer = await sender.recv("sent")
        assert answer["seq"] == expected and "duplicate" not in answer
        assert (await receiver.recv("message"))["content"] == content


async def test_sender_gets_no_echo_but_its_other_device_gets_the_message(server):
    alice, bob = uniques("alice", "bob")
    phone, laptop, other = [await server.connect(alice, "phone"), await server.connect(alice, "laptop"),
                            await server.connect(bob)]
    sent = await phone.say(bob)
    mirrored = await laptop.recv("message")
    assert (mirrored["from"], mirrored["device_id"], mirrored["seq"]) == (alice, "phone", sent["seq"])
    await other.say(alice)
    await phone.recv("message", **{"from": bob})
    assert phone.pushed(sent["conversation_id"]) == [2]


async def test_message_to_oneself_reaches_the_other_devices(server):
    alice = unique("alice")
    phone, laptop = await server.connect(alice, "phone"), await server.connect(alice, "laptop")
    content = text("note")
    sent = await phone.say(alice, content=content)
    assert (await laptop.recv("message"))["content"] == content
    back = await laptop.say(alice)
    assert back["conversation_id"] == sent["conversation_id"]
    await phone.recv("message", seq=back["seq"])
    assert phone.pushed(sent["conversation_id"]) == [back["seq"]]


async def test_sends_of_one_connection_keep_their_order(server):
    alice, bob = uniques("alice", "bob")
    sender, receiver = await server.connect(alice), await server.connect(bob)
    answers = await sender.say_many(500, to=bob)
    assert [answer["seq"] for answer in answers] == list(range(1, 501))
    conversation = answers[0]["conversation_id"]
    await receiver.received(conversation, 500)
    assert receiver.applied(conversation) == sender.applied(conversation)


async def test_two_senders_are_seen_in_one_order_by_everybody(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    watchers = [await server.connect(alice, "laptop"), await server.connect(bob, "laptop")]
    first = await a.say(bob)
    conversation = first["conversation_id"]
    posts = []
    for _ in range(100):
        posts.append(a.post(type="message", to=bob, content=text("a")))
        posts.append(b.post(type="message", to=alice, content=text("b")))
    for post in posts:
        assert (await post)["type"] == "sent"
    for client in (a, b, *watchers):
        await client.received(conversation, 201)
    expected = [(message["seq"], message["content"]) for message in all_messages(server, alice, conversation)]
    assert [seq for seq, _ in expected] == list(range(1, 202))
    assert all(client.applied(conversation) == expected for client in (a, b, *watchers))


async def test_more_commands_than_may_be_in_flight_are_all_answered(server):
    alice, bob = uniques("alice", "bob")
    sender = await server.connect(alice)
    posts = [sender.post(type="message", to=bob, content=text()) for _ in range(1000)]
    for number, post in enumerate(posts, 1):
        assert (await post)["seq"] == number


async def test_message_for_a_user_who_was_never_here_is_kept(server):
    alice, bob = uniques("alice", "newcomer")
    sender = await server.connect(alice)
    sent = await sender.say(bob)
    receiver = await server.connect(bob, "first-device")
    message = await receiver.recv("message")
    assert (message["seq"], message["from"]) == (sent["seq"], alice)


async def test_strange_texts_and_names_come_back_as_they_were(server):
    strange = ["\u0000 nul", "line\r\nbreak", "\x1b[31mred", "\u202eright to left", "zero\u200bwidth",
               "'; DROP TABLE x", "../../etc/passwd", "%s%n{0}", "<script>alert(1)</script>", "👩‍👩‍👧‍👦 𝔘𝔫𝔦",
               "\ud7ff\ue000\uffff", " ", "\\\"/"]
    alice, bob = unique("ali ce/%41?#&=é👍"), unique("bob'\"<>\\;")
    sender, receiver = await server.connect(alice, "my phone %/"), await server.connect(bob, "✓")
    for content in strange:
        answer = await sender.request(type="message", to=bob, content=content)
        if answer["type"] == "error":
            assert_error(answer, "invalid_field", "content")
            continue
        message = await receiver.recv("message")
        assert message["content"] == content and message["from"] == alice and message["device_id"] == "my phone %/"
