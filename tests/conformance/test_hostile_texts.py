"""Texts and names from hell: stored and returned byte-equal through both doors, or refused by the field's name.

And ids: what is foreign, deleted, malformed or absent must not be told apart.
"""
import json

import pytest

from support.names import new_id, text, unique, uniques
from support.rest import assert_refused

HOSTILE = {
    "nul": "a\0b", "cr lf": "a\r\nb", "lf": "a\nb", "ansi": "\x1b[31mred\x1b]0;title\x07", "backspace": "a\b\b\x7f",
    "c1": "a\u0085b\u009b", "line separators": "a\u2028b\u2029c", "bidi": "\u202eevil\u202c \u2066x\u2069",
    "zero width": "a\u200b\u200d\u2060\ufeffb", "combining": "e" + "\u0301" * 50, "tags": "\U000e0041\U000e007f",
    "noncharacters": "\ufffe\uffff\U0010ffff", "replacement": "\ufffd", "private": "\ue000\uf8ff",
    "emoji": "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿", "not normal": "e\u0301 é Å Å", "turkish": "İıŞş", "sql": "'; DROP TABLE entries; --",
    "sql like": "%_\\", "path": "../../../../etc/passwd", "path windows": "..\\..\\C:\\", "format": "%s%n%x{0}{}%d",
    "html": "<script>alert(1)</script><img src=x onerror=y>", "template": "{{7*7}}${7*7}#{7*7}", "shell": "$(id)`id`;|&",
    "json": '{"type":"message"}\\u0000\\', "quotes": "\"'`´", "spaces": "  \t ", "log": 'x" level=error msg="y',
    "long word": "x" * 5000,
}
IDS = {name: value[:60] for name, value in HOSTILE.items()}


def is_control(text_):
    return any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in text_)


@pytest.fixture(scope="module")
def pair(shared_server):
    return uniques("alice", "bob")


@pytest.mark.parametrize("name", HOSTILE)
async def test_content_is_byte_equal(server, name):
    alice, bob = uniques("alice", "bob")
    sender, receiver = await server.connect(alice), await server.connect(bob)
    hostile = HOSTILE[name]
    data = {"x": hostile, hostile: [hostile]}
    answer = await sender.request(type="message", to=bob, content=hostile, data=data)
    assert answer["type"] == "sent", answer
    message = await receiver.recv("message")
    assert (message["content"], message["data"]) == (hostile, data)
    reply = server.api("GET", f"/messages/{answer['message_id']}", bob)
    assert (reply.data["message"]["content"], reply.data["message"]["data"]) == (hostile, data)
    await sender.change("edit", answer["conversation_id"], answer["seq"], content=hostile + "!")
    assert (await receiver.recv("message_edited"))["content"] == hostile + "!"


@pytest.mark.parametrize("name", HOSTILE)
async def test_short_texts_are_byte_equal_or_refused(server, name):
    """Fields with smaller limits: the kind of content, reactions, events, titles, metadata."""
    alice, bob = uniques("alice", "bob")
    sender, receiver = await server.connect(alice, "one"), await server.connect(bob)
    other = await server.connect(alice, "two")
    hostile = IDS[name]
    first = await sender.say(bob)
    answer = await sender.request(type="message", to=bob, content=text(), content_type=hostile)
    if answer["type"] == "sent":
        assert (await receiver.recv("message", seq=answer["seq"]))["content_type"] == hostile
    else:
        assert (answer["code"], answer["field"]) == ("invalid_field", "content_type")
    answer = await sender.request(type="react", conversation_id=first["conversation_id"], seq=first["seq"],
                                  reaction=hostile)
    if answer["type"] == "sent":
        assert (await receiver.recv("reaction"))["reaction"] == hostile
    else:
        assert (answer["code"], answer["field"]) == ("invalid_field", "reaction")
    answer = await sender.request(type="sync", event=hostile, data={hostile: hostile})
    if answer["type"] == "sent":
        event = await other.recv("sync")
        assert (event["event"], event["data"]) == (hostile, {hostile: hostile})
    else:
        assert (answer["code"], answer["field"]) == ("invalid_field", "event")
    reply = server.api("POST", "/conversations", alice, {"title": hostile, "metadata": {hostile: hostile}})
    if reply.status == 201:
        shown = server.api("GET", f"/conversations/{reply.data['conversation']['conversation_id']}", alice)
        assert shown.data["conversation"]["title"] == hostile
        assert shown.data["conversation"]["metadata"] == {hostile: hostile}
    else:
        assert_refused(reply, 400, "invalid_field")
    reply = server.api("POST", "/sessions", alice, {"metadata": {hostile: hostile}})
    assert reply.status == 201 and reply.data["session"]["metadata"] == {hostile: hostile}, reply


@pytest.mark.parametrize("name", IDS)
async def test_user_and_device_ids(server, name):
    """An id may hold everything but control characters."""
    hostile = IDS[name] + unique("")
    bob = unique("bob")
    receiver = await server.connect(bob)
    reply = server.api("POST", "/messages", server.token(hostile), {"to": bob, "content": text()})
    if is_control(hostile):
        assert reply.status == 401, reply
        answer = await receiver.request(type="message", to=hostile, content=text())
        assert (answer["code"], answer["field"]) == ("invalid_field", "to")
        return
    assert reply.status == 201, reply
    message = await receiver.recv("message")
    assert message["from"] == hostile
    conversation = message["conversation_id"]
    client = await server.connect(hostile, hostile)
    assert (client.welcome["user_id"], client.welcome["device_id"]) == (hostile, hostile)
    sent = await client.say(bob)
    message = await receiver.recv("message", seq=sent["seq"])
    assert (message["device_id"], message["conversation_id"]) == (hostile, conversation)


def test_log_lines_stay_lines(own_server):
    """Nothing that a client names starts a line of its own or speaks to a terminal."""
    server = own_server({"log.level": "debug"})
    for hostile in HOSTILE.values():
        token = server.token(hostile)
        server.api("GET", "/conversations", token)
        server.api("POST", "/messages", unique("alice"), {"to": hostile, "content": hostile, "id": hostile})
        with server.socket() as socket:
            path = hostile.encode().replace(b"\0", b"").replace(b"\r", b"").replace(b"\n", b"").replace(b" ", b"")
            socket.send(b"GET /ws?device_id=" + path + b" HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + path +
                        b"\r\nOrigin: " + path + b"\r\n\r\n")
            socket.at_end()
    server.stop()
    for line in server.log.read_bytes().splitlines():
        assert all(byte >= 32 and byte != 127 for byte in line), line[:200]
        assert b"DROP TABLE" not in line.split(b"=")[0], line[:200]
        assert line[:2] == b"20" or line[:1] in b"{[t " or b" " in line, line[:200]


# -- ids ---------------------------------------------------------------------------------------------------------


async def test_objects_of_others_deleted_malformed_and_absent_look_the_same(server):
    alice, bob, mallory = uniques("alice", "bob", "mallory")
    a, m = await server.connect(alice), await server.connect(mallory)
    sent = await a.say(bob)
    group = server.api("POST", "/conversations", alice, {"title": "t", "members": [bob]}).data["conversation"]
    deleted = server.api("POST", "/conversations", mallory, {"title": "t"}).data["conversation"]["conversation_id"]
    assert server.api("DELETE", f"/conversations/{deleted}", mallory).status == 200
    session = server.api("POST", "/sessions", alice, {}).data["session"]["session_id"]

    def answers(method, path, bodies=(None,)):
        conversations = [sent["conversation_id"], group["conversation_id"], deleted, new_id(), "x", "d:", "g:x",
                         "x" * 128, "%2e%2e", "a%20b", "-1", "0", "%F0%9F%91%8D"]
        for conversation in conversations:
            for body in bodies:
                reply = server.api(method, path.format(conversation), mallory, body)
                assert_refused(reply, 404, "not_found")
                yield json.dumps(reply.json, sort_keys=True)

    for method, path, body in [("GET", "/conversations/{}", None), ("PATCH", "/conversations/{}", {"title": "x"}),
                               ("DELETE", "/conversations/{}", None), ("POST", "/conversations/{}/read", {"seq": 1}),
                               ("POST", "/conversations/{}/members", {"user_id": bob}),
                               ("PATCH", f"/conversations/{{}}/members/{bob}", {"role": "admin"}),
                               ("DELETE", f"/conversations/{{}}/members/{bob}", None),
                               ("GET", "/messages?conversation_id={}", None)]:
        assert len(set(answers(method, path, (body,)))) == 1, (method, path)

    messages = [sent["message_id"], sent["message_id"] + "0", sent["message_id"].rpartition(".")[0], new_id(), "x", ".",
                "x.", "x.1", ".1", "x.-1", "x.99999999999999999999", "@self.1", "x" * 160]
    for method, body in (("GET", None), ("PATCH", {"content": "x"}), ("DELETE", None)):
        replies = [server.api(method, f"/messages/{each}", mallory, body) for each in messages]
        assert {reply.status for reply in replies} == {404}, [(each, reply.status) for each, reply in zip(messages, replies)]
        assert len({json.dumps(reply.json, sort_keys=True) for reply in replies}) == 1, method

    for method, path, body in (("GET", "", None), ("PATCH", "", {"metadata": {}}), ("DELETE", "", None),
                               ("POST", "/heartbeat", None)):
        replies = [server.api(method, f"/sessions/{each}{path}", mallory, body)
                   for each in (session, session[:-1], new_id(), "x", "..", "x" * 128, "%F0%9F%91%8D")]
        assert {reply.status for reply in replies} == {404}, (method, path, [reply.status for reply in replies])
        assert len({json.dumps(reply.json, sort_keys=True) for reply in replies}) == 1, (method, path)

    for kind, more in (("message", {"content": text()}), ("edit", {"seq": 1, "content": text()}), ("history", {}),
                       ("delete", {"seq": 1}), ("react", {"seq": 1, "reaction": "+1"})):
        errors = [await m.refused("not_found", type=kind, conversation_id=each, **more)
                  for each in (sent["conversation_id"], group["conversation_id"], deleted, new_id(), "x", "d:", "g:x")]
        assert len({error["error"] for error in errors}) == 1, errors


# -- order -------------------------------------------------------------------------------------------------------


def test_every_command_before_register_is_not_registered(server):
    commands = server.get("/openapi.json").json["x-websocket-commands"]
    names = [*commands, "ack", "refresh"]
    assert len(names) >= 12
    with server.raw(path="/ws") as socket:
        for name in names:
            socket.send_json({"type": name})
            assert socket.read_json("error")["code"] == "not_registered", name
        assert socket.ping_works()


def test_session_of_somebody_else_opens_nothing(server):
    alice, mallory = uniques("alice", "mallory")
    session = server.api("POST", "/sessions", alice, {}).data["session"]["session_id"]
    for query in (f"?session_id={session}", "?session_id=x", f"?session_id={new_id()}"):
        with pytest.raises(AssertionError, match="status=404"):
            server.raw(mallory, query=query)
