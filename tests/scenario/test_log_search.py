"""Nothing secret and no content in the logs and metrics, whatever is sent; and one event is one line."""
import json
import re
from urllib.parse import quote

import pytest

from support import tokens
from support.client import Client
from support.names import new_id, unique
from support.raw import RawSocket, upgrade_request
from support.server import rest_text

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info|warn|error) [a-z]+(\.[a-z_]+)?( [a-z_]+=(\"[^\"\\]*"
                  r"(\\.[^\"\\]*)*\"|-?[\d.]+|true|false))*")
# Control characters, DEL and C1, line and paragraph separators, bidi controls.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# Of people who write right to left, and of people who want to confuse.
NAMES = ["\u202egnp.exe", "a\u2028b", "\u2066x\u2069", "اسم", "a b\"c\\d", "x=1 y=2", "<script>", "%s%n", "'; DROP TABLE audit; --",
         "\u200bzero", "🦊" * 20]


class Marks:
    """Words to find again, each for one place."""

    def __init__(self):
        self.given = {}

    def __call__(self, place):
        word = f"CANARY{len(self.given):03d}x{new_id()[:8]}"
        self.given[word] = place
        return word

    def found_in(self, text):
        return sorted(place for word, place in self.given.items() if word in text)


async def chat(server, mark, tenant):
    """Every place where a client puts text of its own, where it is taken."""
    a = await server.connect(unique("alice"), "phone", tenant=tenant)
    b = await server.connect(unique("bob"), tenant=tenant, auth="query")
    said = await a.say(b.user, content=mark("content"), data={mark("data name"): mark("data")}, content_type=mark("type"))
    chat_id = said["conversation_id"]
    await a.change("edit", chat_id, said["seq"], content=mark("edit"))
    await b.change("react", chat_id, said["seq"], reaction=mark("reaction"))
    await a.request(type="sync", event=mark("sync event"), data={"x": mark("sync data")})
    await a.request(type="history", conversation_id=chat_id)
    group = server.api("POST", "/conversations", a.token, {"title": mark("title"), "members": [b.user],
                                                           "metadata": {"k": mark("metadata")}}).data
    group = group["conversation"]["conversation_id"]
    server.api("PATCH", f"/conversations/{group}", a.token, {"title": mark("new title")})
    message = server.api("POST", "/messages", a.token, {"conversation_id": group, "content": mark("content over REST")})
    message = message.data["message"]["message_id"]
    server.api("PATCH", f"/messages/{message}", a.token, {"content": mark("edit over REST")})
    server.api("GET", f"/messages?conversation_id={group}", a.token)
    server.api("DELETE", f"/messages/{message}", a.token)
    made = server.api("POST", "/sessions", a.token, {"metadata": {"k": mark("session metadata")}}).data
    mark.given[made["token"]] = "session token"
    c = await server.connect(a.user, "tablet", tenant=tenant, token=made["token"])
    server.api("DELETE", f"/sessions/{made['session']['session_id']}", a.token)
    await c.closed(4006)
    server.api("DELETE", f"/conversations/{group}", a.token)
    for client in (a, b):
        mark.given[client.token] = "token"
        await client.send(type="refresh", token=server.token(client.user, tenant=tenant))
        await client.recv("refreshed")
        await client.close()


async def mistakes(server, mark):
    """The same where it is refused."""
    a = await server.connect(unique("alice"))
    b = await server.connect(unique("bob"))
    for frame in ('{"type":"message","content":"%s"' % mark("broken JSON"), '["%s"]' % mark("no object"),
                  '{"type":"%s"}' % mark("unknown type"), '{"type":"message","to":7,"content":"%s"}' % mark("wrong field"),
                  '{"type":"message","to":"x","content":["%s"]}' % mark("wrong content"),
                  '{"type":"register","token":"%s"}' % mark("second register"), '{"%s":1}' % mark("unknown field"),
                  '{"type":"message","id":"%s","to":"x","content":""}' % mark("id"),
                  '{"type":"ack","cursors":{"%s":1}}' % mark("cursor name"), '{"type":"ack","epoch":"%s"}' % mark("epoch"),
                  '{"type":"message","conversation_id":"%s","content":"x"}' % mark("conversation"),
                  "\ud83d".encode("utf-16", "surrogatepass").decode("latin1") + mark("no UTF-8")):
        await a.ws.send(frame)
    await a.settle()
    await b.send(type="refresh", token=mark("refresh token"))
    await b.closed(4001)
    late = await Client(server, "late", auth=None, path="/ws").open()
    await late.send(type="register", token=tokens.token("late", secret=mark("secret") * 2, jti=mark("jti")))
    await late.closed(4001)
    for path, headers, body in (
            ("/nowhere/%s", {}, None), ("/nowhere?token=%s", {}, None), ("/api/v1/conversations?token=%s", {}, None),
            ("/api/v1/nowhere?token=%s", {}, None), ("/api/v1/messages/%s", {}, None), ("/ws?token=%s", {}, None),
            ("/api/v1/conversations", {"Authorization": "Bearer %s"}, None),
            ("/api/v1/conversations", {"Authorization": "Basic %s"}, None),
            ("/api/v1/conversations", {"Cookie": "session=%s"}, None), ("/api/v1/%%zz?x=%s", {}, None),
            ("/api/v1/messages", {}, '{"content":"%s"'), ("/api/v1/messages", {}, '{"to":7,"content":"%s"}'),
            ("/api/v1/conversations", {"Tidemark-User": "%s"}, None), ("/healthz?token=%s", {}, None),
            ("/metrics?token=%s", {}, None), ("/openapi.json?token=%s", {}, None)):
        word = mark(f"{path} {headers} {body}")
        filled = {name: value % word if "%s" in value else value for name, value in headers.items()}
        if body is not None or "Tidemark-User" in headers:
            filled.setdefault("Authorization", f"Bearer {tokens.token('alice')}")
        with RawSocket(server.port) as socket:
            content = (body or "") and body % word
            lines = [f"{'POST' if body else 'GET'} {path % word if '%s' in path else path} HTTP/1.1", "Host: 127.0.0.1",
                     f"Content-Length: {len(content)}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in filled.items()]
            socket.send(("\r\n".join(lines) + "\r\n\r\n" + content).encode())
            socket.answer()
    for headers, query in (([("Sec-WebSocket-Protocol", "tidemark.v1, bearer.%s")], ""), ([], "?token=%s"),
                           ([("Authorization", "Bearer %s")], ""), ([("Origin", "https://%s.example")], ""),
                           ([], "?token=x&device_id=%%0a%s"), ([], "?session_id=%s"), ([], "?ack=%s")):
        word = mark(f"upgrade {headers} {query}")
        with RawSocket(server.port) as socket:
            filled = [(name, value % word) for name, value in headers]
            socket.ask(upgrade_request("/api/v1/ws/connect" + (query % word if query else ""), server.port, filled))


async def names(server):
    """Ids that would break or disguise a line, as user, device, tenant, session and conversation."""
    for name in NAMES:
        user = name + unique("n")
        client = await server.connect(user, name, tenant=user)
        server.api("POST", "/admin/revocations", server.token(user, tenant=user, roles=["admin"]),
                   {"jti": name + "j"})
        server.api("POST", "/admin/revocations", server.token(user, tenant=user), {"jti": name})
        made = server.api("POST", "/conversations", client.token, {"title": "x", "members": [name]}).data["conversation"]
        server.api("DELETE", f"/conversations/{made['conversation_id']}", client.token)
        server.api("DELETE", f"/sessions/{client.welcome['session_id']}", client.token)
        await client.closed(4006)
    for bad in ("a\r\nfake.event x=1", "\x1b[31mred\x1b[0m", "\x9b31m", "a\0b", "\x7f"):
        for path in (f"/api/v1/ws/connect?device_id={quote(bad)}", f"/api/v1/ws/connect?session_id={quote(bad)}",
                     f"/api/v1/{quote(bad)}", f"/{quote(bad)}"):
            with RawSocket(server.port) as socket:
                socket.ask(upgrade_request(path, server.port, [("Authorization", f"Bearer {tokens.token('alice')}")]))
        assert server.get("/api/v1/conversations", {"Authorization": f"Bearer {tokens.token(bad)}"}).status == 401


@pytest.mark.limit(120)
async def test_no_secret_and_no_content_anywhere(own_server):
    mark = Marks()
    server = own_server({"log.level": "debug"})
    await chat(server, mark, "default")
    await chat(server, mark, unique("tenant"))
    await mistakes(server, mark)
    for text in (server.log_text(), rest_text(server.metrics_port, "/metrics")):
        assert len(text) > 1000
        assert mark.found_in(text) == []
        for word in (tokens.SECRET, "eyJ", "Bearer", "token="):
            assert word not in text, text[max(0, text.find(word) - 200):][:400]
    assert len(mark.given) > 60


@pytest.mark.limit(120)
@pytest.mark.parametrize("form", ["text", "json"])
async def test_one_event_is_one_line(own_server, form):
    server = own_server({"log.level": "debug", "log.format": form})
    await names(server)
    await mistakes(server, Marks())
    text = server.log_text()
    lines = text.splitlines() if form == "json" else text.split("\n")
    # The announcement of --dev is for people.
    lines = [line for line in lines if line and not line.startswith("  ")]
    assert len(lines) > 60
    assert not UNSAFE.search(text), UNSAFE.search(text)
    assert "fake.event" not in [line.split(" ")[0] for line in lines]
    for line in lines:
        if form == "text":
            assert LINE.fullmatch(line), line
        else:
            assert json.loads(line)["event"], line


async def test_answers_to_mistakes_tell_nothing_of_the_inside(server):
    seen = []
    for path in ("/api/v1/messages/x.1", "/api/v1/conversations/x", "/api/v1/sessions/x", "/api/v1/nowhere",
                 "/api/v1/conversations?cursor='", "/api/v1/messages?conversation_id=%27%3B--"):
        reply = server.get(path, {"Authorization": f"Bearer {tokens.token(unique('alice'))}"})
        seen.append(json.dumps(reply.json) + str(reply.headers))
    for text in seen:
        for word in ("SELECT", "sqlite", "SQL", ".cc", "/work", "/home", "tidemark/", "exception", "std::", "Server:"):
            assert word not in text, text
