"""Several devices of one user: replaced connections, coming and going, the user's own stream."""
from support.chat import add_member, make_group, remove_member
from support.client import Client
from support.names import new_id, text, unique, uniques
from support.rest import assert_success


async def test_second_connection_of_a_device_replaces_the_first(server):
    alice, bob = uniques("alice", "bob")
    first = await server.connect(alice, "phone")
    second = await server.connect(alice, "phone")
    await first.closed(4005)
    b = await server.connect(bob)
    sent = await b.say(alice)
    await second.recv("message", seq=sent["seq"])
    assert second.welcome["client_id"] != first.welcome["client_id"]


async def test_connections_without_a_device_id_do_not_replace_one_another(server):
    alice, bob = uniques("alice", "bob")
    clients = [await server.connect(alice) for _ in range(3)]
    b = await server.connect(bob)
    sent = await b.say(alice)
    for client in clients:
        await client.recv("message", seq=sent["seq"])


async def test_other_devices_are_told_who_comes_and_goes(server):
    alice = unique("alice")
    laptop = await server.connect(alice, "laptop")
    phone = await server.connect(alice, "phone")
    assert (await laptop.recv("device_online"))["device_id"] == "phone"
    await phone.close()
    gone = await laptop.recv("device_offline")
    assert gone["device_id"] == "phone" and gone["timestamp"] > 10**12
    assert not [frame for frame in phone.frames if frame.get("device_id") == "phone" and frame["type"] != "welcome"]


async def test_sync_reaches_the_other_devices_in_order_and_is_kept_for_those_away(server):
    alice = unique("alice")
    phone, laptop = await server.connect(alice, "phone"), await server.connect(alice, "laptop")
    data = {"theme": "dark", "list": [1, {"a": None}]}
    identifier = new_id()
    sent = await phone.request(type="sync", id=identifier, event="settings", data=data)
    assert (sent["type"], sent["conversation_id"], sent["seq"]) == ("sent", "@self", 1)
    event = await laptop.recv("sync")
    assert (event["event"], event["data"], event["seq"], event["timestamp"]) == ("settings", data, 1, sent["timestamp"])
    again = await phone.request(type="sync", id=identifier, event="settings", data=data)
    assert again["duplicate"] is True and again["seq"] == 1
    await phone.refused("conflict", type="sync", id=identifier, event="settings", data={})
    await phone.request(type="sync", event="second", data={})
    tablet = await server.connect(alice, "tablet")
    await tablet.synced()
    assert [frame["event"] for frame in tablet.find("sync")] == ["settings", "second"]
    assert [frame["type"] for frame in phone.frames].count("sync") == 0


async def test_sync_over_rest(server):
    alice, mallory = uniques("alice", "mallory")
    phone = await server.connect(alice, "phone")
    assert_success(server.api("POST", "/sync", alice, {"event": "one", "data": {"n": 1}}), (200, 201))
    assert (await phone.recv("sync"))["data"] == {"n": 1}
    await phone.request(type="sync", event="two", data={"n": 2})
    events = assert_success(server.api("GET", "/sync?after=0", alice))["events"]
    assert [(event["seq"], event["event"], event["data"]) for event in events] == \
        [(1, "one", {"n": 1}), (2, "two", {"n": 2})]
    later = assert_success(server.api("GET", "/sync?after=1", alice))["events"]
    assert [event["event"] for event in later] == ["two"]
    since = assert_success(server.api("GET", f"/sync?since_time={events[0]['timestamp'] - 1}", alice))["events"]
    assert [event["event"] for event in since] == ["one", "two"]
    assert len(assert_success(server.api("GET", "/sync?after=0&limit=1", alice))["events"]) == 1
    assert assert_success(server.api("GET", "/sync?after=0", mallory))["events"] == []


async def test_joining_and_leaving_a_group_is_known_on_all_own_devices(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    devices = [await server.connect(bob, "phone"), await server.connect(bob, "laptop")]
    group = make_group(server, alice, carol)
    assert_success(add_member(server, alice, group, bob), (200, 201))

    def told(frame, *words):
        """An entry of the group about bob, or an event of his own stream that names the group."""
        if frame["type"] == "sync":
            return frame["data"].get("conversation_id") == group and any(word in frame["event"] for word in words)
        return frame["type"] in ("member_added", "member_removed") and frame["user_id"] == bob and \
            any(word in frame["type"] for word in words)

    for device in devices:
        await device.until(lambda: any(told(frame, "join", "added") for frame in device.frames))
    assert_success(remove_member(server, bob, group, bob))
    for device in devices:
        await device.until(lambda: any(told(frame, "leave", "left", "removed") for frame in device.frames))


async def test_group_created_on_one_device_appears_on_the_other(server):
    alice, bob = uniques("alice", "bob")
    phone, laptop = await server.connect(alice, "phone"), await server.connect(alice, "laptop")
    group = make_group(server, alice, bob)
    for device in (phone, laptop):
        await device.recv("member_added", conversation_id=group)
    sent = await phone.say(conversation_id=group, content=text())
    await laptop.recv("message", seq=sent["seq"])


async def test_a_read_marker_is_no_hole_in_the_own_stream_of_who_moved_it(server):
    """`read` has no answer that would name the entry, so the entry comes."""
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice, "phone")
    b = await server.connect(bob)
    sent = await b.say(alice)
    await a.received(sent["conversation_id"], 1)
    await a.send(type="read", conversation_id=sent["conversation_id"], seq=1)
    marker = await a.recv("sync", event="conversation.read")
    assert marker["data"] == {"conversation_id": sent["conversation_id"], "seq": 1}
    draft = await a.request(type="sync", event="draft", data={"text": "hel"})
    assert draft["seq"] == marker["seq"] + 1
    assert a.streams.floor("@self") == draft["seq"]


async def test_an_own_message_confirms_nothing_that_has_not_come(server):
    """Without a device of its own a connection confirms by pongs. What it sends during its replay is answered before older
    entries have come; when it is lost then, they come again."""
    alice, bob = uniques("alice", "bob")
    b = await server.connect(bob)
    chat = (await b.say(alice))["conversation_id"]
    await b.say_many(300, to=alice)
    for _ in range(5):
        a = await server.connect(alice, ack="auto")
        await a.say(conversation_id=chat)
        await a.drop()
    a = await server.connect(alice, ack="auto")
    await a.synced()
    known = {frame["seq"] for client in Client.opened if client.user == alice for frame in client.frames
             if frame["type"] in ("message", "sent") and frame.get("conversation_id") == chat}
    assert known == set(range(1, max(known) + 1))
