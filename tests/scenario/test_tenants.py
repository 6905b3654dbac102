"""The same user and device ids in two tenants never meet, on any door."""
from urllib.parse import urlencode

from support.chat import make_group
from support.names import new_id, text, unique, uniques
from support.rest import assert_refused, assert_success, only_list


async def test_messages_devices_and_presence_stay_apart(server):
    red, blue = uniques("red", "blue")
    alice, bob = uniques("alice", "bob")
    a_red, b_red = [await server.connect(user, "phone", tenant=red) for user in (alice, bob)]
    a_blue, b_blue = [await server.connect(user, "phone", tenant=blue) for user in (alice, bob)]
    identifier = new_id()
    in_red = await a_red.say(bob, id=identifier, content=text("red"))
    in_blue = await a_blue.say(bob, id=identifier, content=text("blue"))
    assert not in_blue.get("duplicate") and in_blue["seq"] == 1 and in_red["seq"] == 1
    for client, colour in ((b_red, "red"), (b_blue, "blue")):
        assert colour in (await client.recv("message"))["content"]
    for client, colour in ((b_red, "red"), (b_blue, "blue")):
        sent = await (a_red if colour == "red" else a_blue).say(bob, content=text(colour + " again"))
        await client.recv("message", seq=sent["seq"])
        assert [colour in frame["content"] for frame in client.frames if frame["type"] == "message"] == [True, True]
    for client in (a_red, a_blue, b_red, b_blue):
        await client.settle()  # nobody was replaced


async def test_presence_of_another_tenant_is_not_seen(server):
    red, blue = uniques("red", "blue")
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice, tenant=red)
    await a.send(type="watch", users=[bob])
    assert (await a.recv("presence"))["online"] is False
    await server.connect(bob, tenant=blue)
    assert (await server.connect(bob, tenant=red)).welcome["tenant_id"] == red
    await a.recv("presence", online=True)
    assert len([frame for frame in a.frames if frame["type"] == "presence"]) == 2
    rows = assert_success(server.api("GET", f"/presence?users={bob}", server.token(alice, tenant=unique("green"))))
    assert rows["presence"][0]["online"] is False


async def test_rest_shows_and_reaches_only_the_own_tenant(server):
    red, blue = uniques("red", "blue")
    alice, bob = uniques("alice", "bob")
    in_red, in_blue = server.token(alice, tenant=red), server.token(alice, tenant=blue)
    group = make_group(server, in_red, bob)
    posted = server.api("POST", "/messages", in_red, {"conversation_id": group, "content": text()})
    message = assert_success(posted, 201)["message"]
    session = assert_success(server.api("POST", "/sessions", in_red, {"device_id": "phone"}), 201)["session"]
    assert_success(server.api("POST", "/sync", in_red, {"event": "x", "data": {}}), (200, 201))

    assert only_list(assert_success(server.api("GET", "/sessions", in_blue))) == []
    assert assert_success(server.api("GET", "/conversations", in_blue))["conversations"] == []
    assert assert_success(server.api("GET", "/sync?after=0", in_blue))["events"] == []
    foreign = [
        ("GET", f"/conversations/{group}", None), ("PATCH", f"/conversations/{group}", {"title": "x"}),
        ("DELETE", f"/conversations/{group}", None),
        ("POST", f"/conversations/{group}/members", {"user_id": unique("x")}),
        ("GET", "/messages?" + urlencode({"conversation_id": group}), None),
        ("POST", "/messages", {"conversation_id": group, "content": text()}),
        ("GET", f"/messages/{message['message_id']}", None), ("DELETE", f"/messages/{message['message_id']}", None),
        ("GET", f"/sessions/{session['session_id']}", None), ("DELETE", f"/sessions/{session['session_id']}", None),
    ]
    for method, path, body in foreign:
        assert_refused(server.api(method, path, in_blue, body), 404, "not_found")
    service = server.token("backend", tenant=blue, roles=["service"])
    assert_refused(server.api("GET", f"/conversations/{group}", service), 404, "not_found")
    assert server.api("GET", f"/conversations/{group}", in_red).status == 200


async def test_websocket_commands_do_not_cross(server):
    red, blue = uniques("red", "blue")
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice, tenant=red)
    chat = (await a.say(bob))["conversation_id"]
    group = make_group(server, server.token(alice, tenant=red), bob)
    stranger = await server.connect(bob, tenant=blue)
    for command in ({"type": "message", "content": text()}, {"type": "history"}, {"type": "delete", "seq": 1}):
        await stranger.refused("not_found", conversation_id=group, **command)
    answer = await stranger.request(type="history", conversation_id=chat)
    assert answer.get("code") == "not_found" or answer["entries"] == [], answer


async def test_chosen_conversation_id_may_be_the_same_in_two_tenants(server):
    chosen = unique("room")
    owner = unique("owner")
    for colour in uniques("red", "blue"):
        service = server.token("backend", tenant=colour, roles=["service"])
        body = {"title": colour, "members": ["member"], "conversation_id": chosen}
        made = server.api("POST", "/conversations", service, body, {"Tidemark-User": owner})
        assert_success(made, 201)
        shown = server.api("GET", f"/conversations/{chosen}", server.token(owner, tenant=colour))
        assert assert_success(shown)["conversation"]["title"] == colour
