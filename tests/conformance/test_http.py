"""HTTP itself: limits, smuggling, keep-alive, and the errors of REST."""
import json

import pytest

from support.names import text, unique
from support.raw import RawSocket
from support.rest import assert_refused


def request(server, method="GET", path="/api/v1/conversations", headers=(), body=b"", host=True, token=True):
    lines = [f"{method} {path} HTTP/1.1"]
    if host:
        lines.append(f"Host: 127.0.0.1:{server.port}")
    if token:
        lines.append(f"Authorization: Bearer {server.token('http-user')}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def ask(server, data):
    with RawSocket(server.port) as socket:
        return socket.ask(data)


# -- limits and broken requests ----------------------------------------------------------------------------------

CHUNKED = ("Transfer-Encoding", "chunked")
BROKEN = {
    "TE and CL": (dict(method="POST", path="/api/v1/messages", headers=[CHUNKED, ("Content-Length", "5")],
                       body=b"0\r\n\r\n"), {400}),
    "two CL": (dict(method="POST", path="/api/v1/messages",
                    headers=[("Content-Length", "2"), ("Content-Length", "3")], body=b"{}"), {400}),
    "CL list": (dict(method="POST", path="/api/v1/messages", headers=[("Content-Length", "2, 3")], body=b"{}"), {400}),
    "negative CL": (dict(method="POST", path="/api/v1/messages", headers=[("Content-Length", "-1")]), {400}),
    "CL that is no number": (dict(method="POST", path="/api/v1/messages", headers=[("Content-Length", "0x2")]), {400}),
    "huge CL": (dict(method="POST", path="/api/v1/messages", headers=[("Content-Length", "9" * 30)]), {400, 413}),
    "unknown TE": (dict(method="POST", path="/api/v1/messages", headers=[("Transfer-Encoding", "gzip, x")]),
                   {400, 501}),
    "broken chunk": (dict(method="POST", path="/api/v1/messages", headers=[CHUNKED], body=b"zz\r\n\r\n"), {400}),
    "space before the colon": (dict(headers=[("X-Test ", "1")]), {400}),
    "NUL in a header": (dict(headers=[("X-Test", "a\0b")]), {400}),
    "header without a name": (dict(headers=[("", "1")]), {400}),
    "no host": (dict(host=False), {400}),
    "line 9 KiB long": (dict(headers=[("X-Long", "x" * 9000)]), {431}),
    "101 headers more": (dict(headers=[(f"X-{number}", "1") for number in range(101)]), {431}),
    "endless target": (dict(path="/api/v1/" + "x" * 20_000), {414, 431, 400}),
    "body of 64 MiB announced": (dict(method="POST", path="/api/v1/messages",
                                      headers=[("Content-Length", str(64 << 20))]), {413}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_request_is_refused(server, name):
    arguments, allowed = BROKEN[name]
    with RawSocket(server.port) as socket:
        answer = socket.ask(request(server, **arguments))
        assert answer.status in allowed, answer
        assert socket.at_end(), "a broken request ends the connection"


@pytest.mark.parametrize("name, data", [
    ("bare LF", b"GET /healthz HTTP/1.1\nHost: localhost\n\n"),
    ("bare LF in the headers", b"GET /healthz HTTP/1.1\r\nHost: localhost\nX-A: 1\r\n\r\n"),
    ("no version", b"GET /healthz\r\n\r\n"), ("version 3", b"GET /healthz HTTP/3.0\r\nHost: localhost\r\n\r\n"),
    ("binary", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n"),
    ("folded header", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\n 2\r\n\r\n"),
    ("bad method", b"G\x01T /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"),
])
def test_broken_bytes_are_400(server, name, data):
    with RawSocket(server.port) as socket:
        answer = socket.ask(data)
        assert answer.status == 400 or (name == "version 3" and answer.status == 505), answer
        assert socket.at_end()


def test_smuggled_request_is_never_run(server):
    """Behind a proxy that believes the other length, the rest would be somebody else's request."""
    hidden = request(server, path="/api/v1/sessions")
    data = request(server, "POST", "/api/v1/messages", [CHUNKED, ("Content-Length", str(5 + len(hidden)))],
                   b"0\r\n\r\n" + hidden)
    with RawSocket(server.port) as socket:
        assert socket.ask(data).status == 400
        assert socket.at_end() and socket.buffer == b""


def test_body_over_the_limit_is_413(server):
    body = json.dumps({"to": "x", "content": "x" * (5 << 20)}).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    with RawSocket(server.port) as socket:
        socket.send(request(server, "POST", "/api/v1/messages", headers))
        try:
            socket.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the refusal may come before everything was sent
        answer = socket.answer()
        assert answer.status == 413 and answer.json["error"] == "too_large"


def test_chunked_body_is_read(server):
    body = json.dumps({"to": unique("bob"), "content": text()}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    headers = [CHUNKED, ("Content-Type", "application/json")]
    assert ask(server, request(server, "POST", "/api/v1/messages", headers, chunks)).status == 201


# -- connections -------------------------------------------------------------------------------------------------


def test_connection_is_kept_alive(server):
    with RawSocket(server.port) as socket:
        for path in ("/healthz", "/api/v1/conversations", "/api/v1/nowhere", "/healthz"):
            answer = socket.ask(request(server, path=path))
            assert answer.status == (404 if "nowhere" in path else 200)


def test_pipelined_requests_are_answered_in_order(server):
    with RawSocket(server.port) as socket:
        paths = ["/api/v1/nowhere", "/healthz", "/api/v1/conversations", "/healthz", "/api/v1/nowhere"]
        socket.send(b"".join(request(server, path=path) for path in paths))
        assert [socket.answer().status for _ in paths] == [404, 200, 200, 200, 404]


def test_connection_close_is_obeyed(server):
    with RawSocket(server.port) as socket:
        assert socket.ask(request(server, headers=[("Connection", "close")])).status == 200
        assert socket.at_end()


def test_request_may_arrive_byte_by_byte(server):
    with RawSocket(server.port) as socket:
        for byte in request(server, path="/healthz", token=False):
            socket.send(bytes([byte]))
        assert socket.answer().status == 200


def test_slow_or_absent_handshake_is_closed(impatient_server):
    silent, slow, cut = [RawSocket(impatient_server.port) for _ in range(3)]
    slow.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\n")
    cut.send(b"GE")
    for socket in (silent, slow, cut):
        assert socket.at_end()
        assert socket.buffer == b"" or socket.buffer.startswith(b"HTTP/1.1 408"), socket.buffer[:100]
        socket.close()
    assert impatient_server.get("/healthz").status == 200


def test_500_silent_connections_do_not_stop_others(impatient_server):
    sockets = [RawSocket(impatient_server.port) for _ in range(500)]
    assert impatient_server.get("/healthz").status == 200
    assert all(socket.at_end() for socket in sockets)


# -- the errors of REST ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b'{"to":"x",}', b"\xff\xfe", b'{"to":"\xc3"}'])
def test_bad_json_is_400(server, body):
    reply = server.api("POST", "/messages", unique("alice"), body, {"Content-Type": "application/json"})
    assert reply.status == 400 and reply.json["error"] in ("invalid_json", "missing_field"), reply
    if body:
        assert_refused(reply, 400, "invalid_json")


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null"])
def test_json_that_is_no_object_is_400(server, body):
    reply = server.api("POST", "/messages", unique("alice"), body, {"Content-Type": "application/json"})
    assert_refused(reply, 400, "invalid_frame")


@pytest.mark.parametrize("path", [
    "/api/v1/nowhere", "/api/v1/", "/api/v2/messages", "/nowhere", "/api/v1/conversations/x/y",
    "/api/v1/conversationsx", "/api/v1/messages/x/y/z", "/api/v1/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%00",
])
def test_unknown_path_is_404(server, path):
    answer = ask(server, request(server, path=path))
    assert answer.status in ((400, 404) if "%" in path or ".." in path else (404,)), answer
    assert b"root:" not in answer.body


@pytest.mark.parametrize("method, path, some_allowed", [
    ("PUT", "/messages", "POST"), ("DELETE", "/conversations", "GET"), ("POST", "/conversations/x", "PATCH"),
    ("PATCH", "/sessions", "POST"), ("GET", "/conversations/x/read", "POST"), ("POST", "/ws/connect", "GET"),
    ("POST", "/ws/online", "GET"), ("PUT", "/sync", "GET"),
])
def test_wrong_method_is_405_and_says_which_are_right(server, method, path, some_allowed):
    reply = server.api(method, path, unique("alice"), {})
    assert_refused(reply, 405, "method_not_allowed")
    assert some_allowed in [each.strip() for each in reply.headers["Allow"].split(",")]


@pytest.mark.parametrize("method, path", [
    ("GET", "/conversations"), ("POST", "/messages"), ("GET", "/messages?conversation_id=x"), ("GET", "/sessions"),
    ("POST", "/sessions"), ("GET", "/sync"), ("GET", "/presence?users=x"), ("GET", "/ws/online"),
    ("DELETE", "/sessions/x"), ("POST", "/conversations"), ("GET", "/messages/search?q=x"),
])
def test_everything_else_needs_a_token(server, method, path):
    reply = server.api(method, path, None, {} if method == "POST" else None)
    assert_refused(reply, 401, "unauthorized")


def test_admin_calls_are_for_admins(server):
    for path in ("/admin/nodes", "/admin/connections", "/admin/config", "/admin/audit"):
        reply = server.api("GET", path, unique("alice"))
        assert reply.status in (403, 404), (path, reply)


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=99999999999999999999"])
def test_wrong_query_parameters_are_400(server, query):
    assert_refused(server.api("GET", f"/conversations?{query}", unique("alice")), 400, "invalid_field")


def test_answers_are_json_and_say_so(server):
    for path in ("/api/v1/conversations", "/api/v1/nowhere", "/healthz"):
        answer = ask(server, request(server, path=path))
        assert answer.headers["content-type"].split(";")[0] == "application/json"
        json.loads(answer.body)


@pytest.mark.parametrize("hostile", ["'; DROP TABLE entries; --", "../../etc/passwd", "%00", "x%2Fy", "%F0%9F%91%8D",
                                     "x" * 500, "%0d%0aSet-Cookie:%20x=1"], ids=lambda hostile: ascii(hostile[:20]))
def test_hostile_ids_in_paths_are_just_not_found(server, hostile):
    path = hostile.replace(" ", "%20")
    for prefix in ("/conversations/", "/messages/", "/sessions/"):
        answer = ask(server, request(server, path=f"/api/v1{prefix}{path}"))
        assert answer.status in (400, 404), answer
        assert "set-cookie" not in answer.headers
        assert b"SQL" not in answer.body and b"sqlite" not in answer.body.lower()
