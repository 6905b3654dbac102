"""Attacks on HTTP: pipelining with something bad in it, smuggling, splitting, traversal, rebinding, foreign origins."""
import json

import pytest

from support import tokens
from support.names import text, unique, uniques
from support.raw import TEXT, RawSocket, RawWebSocket, frame, upgrade_request
from support.server import Server


def request(server, method="GET", path="/api/v1/conversations", headers=(), body=b"", user="http-user", host=None):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host or f'127.0.0.1:{server.port}'}"]
    if user:
        lines.append(f"Authorization: Bearer {server.token(user)}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def post(server, user, to, content):
    body = json.dumps({"to": to, "content": content}).encode()
    return request(server, "POST", "/api/v1/messages", [("Content-Length", len(body))], body, user)


def answers(socket, methods):
    """One answer for each method; those that the server does not send any more are left out."""
    received = []
    for method in methods:
        try:
            received.append(socket.answer(head_only=method == "HEAD"))
        except EOFError:
            break
    return received


# -- pipelining --------------------------------------------------------------------------------------------------

BAD = {
    "a broken request line": b"NONSENSE\r\n\r\n",
    "a bare LF": b"GET /healthz HTTP/1.1\nHost: localhost\r\n\r\n",
    "two lengths": b"POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "TE and CL": b"POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                 b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "a broken chunk": b"POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a trailer": b"POST /api/v1/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                 b"0\r\nAuthorization: x\r\n\r\n",
    "too many headers": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X: 1\r\n" * 200 + b"\r\n",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_request_in_the_middle_ends_the_pipeline(server, name):
    """What stands before it is answered, what stands behind it is run by nobody."""
    alice, bob = uniques("alice", "bob")
    with RawSocket(server.port) as socket:
        socket.send(post(server, alice, bob, text()) + request(server, path="/healthz") + BAD[name]
                    + post(server, alice, bob, text()) + request(server, path="/healthz"))
        received = answers(socket, ["POST", "GET", "?", "POST", "GET"])
        assert [answer.status for answer in received[:2]] == [201, 200]
        assert len(received) == 3 and received[2].status in (400, 431), received[2:]
        assert received[2].headers["connection"] == "close"
        assert socket.at_end() and socket.buffer == b""
    chats = server.api("GET", "/conversations", bob).data["conversations"]
    assert [chat["last_seq"] for chat in chats] == [1], "the message behind the bad request must not be stored"


def test_refusal_behind_a_head_request_has_a_body(server):
    """Whether an answer has a body depends on its own request, not on the one before."""
    with RawSocket(server.port) as socket:
        socket.send(request(server, "HEAD", "/healthz") + b"NONSENSE\r\n\r\n")
        head = socket.answer(head_only=True)
        assert head.status == 200 and int(head.headers["content-length"]) > 0
        refused = socket.answer()
        assert refused.status == 400 and refused.json["error"] == "invalid_frame"
        assert socket.at_end()


def test_refusal_behind_an_allowed_origin_does_not_inherit_it(open_server):
    with RawSocket(open_server.port) as socket:
        socket.send(request(open_server, path="/healthz", headers=[("Origin", "https://app.example")])
                    + b"NONSENSE\r\n\r\n")
        assert socket.answer().headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-origin" not in socket.answer().headers


def test_long_pipelines_keep_their_order(server):
    paths = ["/healthz", "/api/v1/nowhere", "/api/v1/conversations", "/api/v1/sessions"] * 50
    with RawSocket(server.port) as socket:
        socket.send(b"".join(request(server, path=path) for path in paths))
        for path in paths:
            assert socket.answer().status == (404 if "nowhere" in path else 200), path


def test_connection_close_in_the_middle_is_obeyed(server):
    with RawSocket(server.port) as socket:
        socket.send(request(server, path="/healthz") + request(server, path="/healthz", headers=[("Connection", "close")])
                    + request(server, path="/healthz"))
        assert [answer.status for answer in answers(socket, ["GET"] * 3)] == [200, 200]
        assert socket.at_end() and socket.buffer == b""


def test_head_options_and_trace(server):
    alice = unique("alice")
    with RawSocket(server.port) as socket:
        socket.send(request(server, "HEAD", user=alice) + request(server, "OPTIONS", user=alice)
                    + request(server, "TRACE", headers=[("X-Secret", "CANARY")], user=alice)
                    + request(server, "CONNECT", user=alice) + request(server, user=alice))
        received = answers(socket, ["HEAD", "OPTIONS", "TRACE", "CONNECT", "GET"])
    assert [answer.status for answer in received] == [200, 405, 405, 405, 200], received
    assert all(b"CANARY" not in answer.body for answer in received)
    for answer in received[1:4]:
        assert {"GET", "HEAD", "POST"} <= set(answer.headers["allow"].split(", ")), answer


# -- between REST and the upgrade --------------------------------------------------------------------------------


def test_upgrade_on_another_path_is_no_upgrade(server):
    """A proxy that takes the upgrade for granted would pass on what stands behind."""
    for path in ("/healthz", "/api/v1/conversations", "/api/v1/nowhere"):
        with RawSocket(server.port) as socket:
            fields = [("Authorization", f"Bearer {server.token('http-user')}")]
            answer = socket.ask(upgrade_request(path, server.port, fields).encode() + request(server, path="/healthz"))
            assert answer.status in (200, 404) and answer.headers["connection"] == "close"
            assert socket.at_end() and socket.buffer == b""


def test_refused_upgrade_does_not_run_what_stands_behind(server):
    alice, bob = uniques("alice", "bob")
    for headers, status in (([], 401), ([("Sec-WebSocket-Version", "13")], 400)):
        with RawSocket(server.port) as socket:
            socket.send(upgrade_request("/api/v1/ws/connect", server.port, headers).encode()
                        + post(server, alice, bob, text()))
            assert socket.answer().status == status
            assert socket.at_end() and socket.buffer == b""
    assert server.api("GET", "/conversations", bob).data["conversations"] == []


def test_upgrade_behind_a_pipelined_request(server):
    alice = unique("alice")
    with RawWebSocket(server.port) as socket:
        fields = [("Authorization", f"Bearer {server.token(alice)}")]
        socket.send(request(server, user=alice) + upgrade_request("/ws", server.port, fields).encode()
                    + frame(TEXT, '{"type":"ping"}'))
        assert socket.answer().status == 200
        assert socket.answer().status == 101
        assert socket.read_json("welcome")["user_id"] == alice
        socket.read_json("pong")


def test_body_of_a_request_is_not_the_next_request(server):
    """GET and DELETE with a body: it belongs to them."""
    alice, bob = uniques("alice", "bob")
    hidden = post(server, alice, bob, text())
    with RawSocket(server.port) as socket:
        for method in ("GET", "DELETE", "HEAD", "OPTIONS"):
            socket.send(request(server, method, "/api/v1/nowhere", [("Content-Length", len(hidden))], hidden))
            assert socket.answer(head_only=method == "HEAD").status == 404
        assert socket.ask(request(server, path="/healthz")).status == 200
    assert server.api("GET", "/conversations", bob).data["conversations"] == []


@pytest.mark.parametrize("value", ["chunked ", " chunked", "Chunked", "CHUNKED"])
def test_spellings_of_chunked_are_read_as_chunked_or_refused(server, value):
    with RawSocket(server.port) as socket:
        socket.send(request(server, "POST", "/api/v1/messages", [("Transfer-Encoding", value)], b"0\r\n\r\n")
                    + request(server, path="/healthz"))
        assert [answer.status for answer in answers(socket, ["POST", "GET"])] in ([400, 200], [400])


@pytest.mark.parametrize("value", ["xchunked", "chunked, chunked", "chunked, identity", "identity", "\x0bchunked",
                                   '"chunked"', "chunked;x=1", "", "gzip", "chunked\x00"])
def test_other_transfer_encodings_are_refused(server, value):
    with RawSocket(server.port) as socket:
        socket.send(request(server, "POST", "/api/v1/messages", [("Transfer-Encoding", value)], b"0\r\n\r\n")
                    + request(server, path="/healthz"))
        received = answers(socket, ["POST", "GET"])
        assert [answer.status for answer in received] in ([400], [501]), received
        assert socket.at_end()


@pytest.mark.parametrize("body", [
    b"5;\r\n{\"a\":\r\n1\r\n1\r\n1\r\n}\r\n0\r\n\r\n", b"000000000000000007\r\n{\"a\":1}\r\n0\r\n\r\n",
    b"7;name=\"va\\\"lue\"\r\n{\"a\":1}\r\n0\r\n\r\n"])
def test_chunk_forms_are_read_or_refused_but_never_half(server, body):
    with RawSocket(server.port) as socket:
        socket.send(request(server, "POST", "/api/v1/messages", [("Transfer-Encoding", "chunked")], body)
                    + request(server, path="/healthz"))
        received = answers(socket, ["POST", "GET"])
        if len(received) == 2:
            assert received[0].json["error"] == "missing_field" and received[1].status == 200, received
        else:
            assert received[0].status == 400 and socket.at_end()


@pytest.mark.parametrize("body", [
    b"ffffffffffffffff\r\nx\r\n0\r\n\r\n", b"10000000000000000\r\nx\r\n0\r\n\r\n", b"-1\r\nx\r\n0\r\n\r\n",
    b"0x1\r\nx\r\n0\r\n\r\n", b"1\nx\n0\n\n", b"1\r\nxy\r\n0\r\n\r\n", b"\r\nx\r\n0\r\n\r\n", b" 1\r\nx\r\n0\r\n\r\n",
    b"1 \r\nx\r\n0\r\n\r\nZ", b"1\r\r\nx\r\n0\r\n\r\n", b"1\r\nx0\r\n\r\n", b"1;\nx\r\n0\r\n\r\n"])
def test_wrong_chunks_end_the_connection(server, body):
    with RawSocket(server.port) as socket:
        socket.send(request(server, "POST", "/api/v1/messages", [("Transfer-Encoding", "chunked")], body)
                    + request(server, path="/healthz"))
        received = answers(socket, ["POST", "GET"])
        assert len(received) == 1 and received[0].status in (400, 413), received
        assert socket.at_end() and socket.buffer == b""


# -- bodies and paths --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x",
                                  "application/x-www-form-urlencoded", "", "x" * 1000, "application/json; charset=utf-7"])
def test_content_type_decides_nothing(server, kind):
    """The body is JSON, whatever it is called: a page cannot send a token of somebody else, so nothing is gained."""
    alice, bob = uniques("alice", "bob")
    body = json.dumps({"to": bob, "content": text()}).encode()
    reply = server.api("POST", "/messages", alice, body, {"Content-Type": kind})
    assert reply.status == 201, reply
    assert server.api("POST", "/messages", alice, b"a=1&b=2", {"Content-Type": kind}).json["error"] == "invalid_json"


@pytest.mark.parametrize("path", [
    "/api/v1/conversations%2f", "/api/v1%2fconversations", "/%61pi/v1/conversations", "/api/v1/conversation%73",
    "/api//v1/conversations", "//api/v1/conversations", "/api/v1/./conversations", "/api/v1/x/../conversations",
    "/api/v1/conversations/", "/api/v1/conversations//", "/api/v1/conversations/%", "/api/v1/conversations/%4",
    "/api/v1/conversations/%zz", "/api/v1/conversations/%00", "/api/v1/conversations/%c0%af", "/api/v1/conversations/%ff",
    "/api/v1/conversations/%u0041", "/api/v1/conversations/a%2fb", "/api/v1/conversations/..%2f..", "/api/v1/conversations;x",
    "/api/v1/messages/%2e%2e", "*", "api/v1/conversations", "\\api\\v1", "/api/v1/conversations/" + "x" * 5000,
    "/" + "a/" * 2000, "/api/v1/" + "%41" * 2000, "?", "/?", "/api/v1/conversations/\u00e9",
])
def test_odd_paths_find_nothing(server, path):
    with RawSocket(server.port) as socket:
        answer = socket.ask(request(server, path=path))
        # Beast takes the path as it is; those that are the demo's front door redirect to it.
        assert answer.status in (400, 404) or (path in ("?", "/?") and answer.status == 302), (path[:60], answer)
        assert b"passwd" not in answer.body and b"sqlite" not in answer.body.lower()


def test_absolute_target_and_fragment_are_understood(server):
    for target in (f"http://127.0.0.1:{server.port}/healthz", "http://localhost/healthz?x=1", "/healthz#x", "/healthz?#"):
        with RawSocket(server.port) as socket:
            assert socket.ask(request(server, path=target)).status == 200, target


@pytest.mark.parametrize("path", [
    "/demo/../../../etc/passwd", "/demo/..%2f..%2f..%2fetc%2fpasswd", "/demo/%2e%2e/%2e%2e/etc/passwd",
    "/demo/....//....//etc/passwd", "/demo/..\\..\\etc\\passwd", "/demo//etc/passwd", "/demo/%00index.html",
    "/demo/index.html%00", "/demo/index.html/", "/demo/.", "/demo/index.HTML", "/demo/../demo/index.html", "/demo%2findex.htm",
    "/demo/index.html.bak", "/demo/.git/config", "/demo/CON", "/demo/~root", "/demo/file:///etc/passwd"])
def test_demo_serves_its_files_and_nothing_else(server, path):
    with RawSocket(server.port) as socket:
        answer = socket.ask(request(server, path=path))
        assert answer.status in (400, 404), answer
        assert b"root:" not in answer.body


# -- headers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x=1", "a\nb", "a\rb", "a\0b", "\x1b[31m", "\x7f"])
def test_control_characters_in_tidemark_user_are_refused(server, value):
    token = tokens.token(unique("backend"), roles=["service"])
    with RawSocket(server.port) as socket:
        answer = socket.ask(request(server, headers=[("Tidemark-User", value), ("Authorization", f"Bearer {token}")],
                                    user=None))
        # A line break makes another header of the rest, and that is a service that acts for "a".
        assert answer.status == (200 if value.startswith("a\r\n") else 400), answer
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("value", ["", " ", "x" * 129, "\u00ff\u00fe", "\u0080"])
def test_strange_values_of_tidemark_user(server, value):
    token = tokens.token(unique("backend"), roles=["service"])
    with RawSocket(server.port) as socket:
        headers = [("Tidemark-User", value), ("Authorization", f"Bearer {token}")]
        answer = socket.ask(request(server, headers=headers, user=None))
        assert (answer.status, answer.json["error"]) == (400, "invalid_field"), answer


def test_doubled_tidemark_user_and_authorization(server):
    token = tokens.token(unique("backend"), roles=["service"])
    bearer = ("Authorization", f"Bearer {token}")
    with RawSocket(server.port) as socket:
        twice = [("Tidemark-User", "a"), ("tidemark-user", "b"), bearer]
        assert socket.ask(request(server, headers=twice, user=None)).json["error"] == "invalid_field"
        assert socket.ask(request(server, headers=[bearer, bearer], user=None)).status == 401
        other = ("Authorization", f"Bearer {server.token('somebody')}")
        assert socket.ask(request(server, headers=[bearer, other], user=None)).status == 401


@pytest.fixture(scope="module")
def open_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("attacks"), {
        "http.allowed_origins": "https://app.example,https://other.example:8443"}).start()
    yield server
    server.stop()


FOREIGN = ["null", "https://app.example:443", "https://app.example:8443", "http://app.example", "https://APP.example",
           "HTTPS://app.example", "https://app.example/", "https://app.example.evil.com", "https://evil-app.example",
           "https://x.app.example", "https://app.example@evil.com", "https://other.example", "https://other.example:84430",
           "https://app.example https://evil.com", "https://app.example, https://evil.com", "app.example", "*", "",
           "https://app.example\t", "https://app.exampl\u00e9", "https://app.example%00", "file://", "https://"]


@pytest.mark.parametrize("origin", FOREIGN)
def test_foreign_origins(open_server, origin):
    """Exactly the listed ones: no prefix, no port, no case, no list. Surrounding blanks are no part of a value."""
    with RawSocket(open_server.port) as socket:
        answer = socket.ask(request(open_server, path="/healthz", headers=[("Origin", origin)]))
        allowed = origin.strip() == "https://app.example"
        assert ("access-control-allow-origin" in answer.headers) is allowed
    with RawSocket(open_server.port) as socket:
        headers = [("Authorization", f"Bearer {open_server.token(unique('alice'))}"), ("Origin", origin)]
        answer = socket.ask(upgrade_request("/ws", open_server.port, headers).encode("latin-1"))
        # Without an origin it is no browser.
        assert answer.status == (101 if allowed or not origin else 403), answer


def test_origin_is_not_reflected(open_server):
    """What is echoed is the configured text; a line break cannot come back."""
    with RawSocket(open_server.port) as socket:
        data = request(open_server, path="/healthz", headers=[("Origin", "https://app.example\r\nX-Evil: 1")])
        answer = socket.ask(data)
        assert answer.headers["access-control-allow-origin"] == "https://app.example" and "x-evil" not in answer.headers
        assert "origin" in answer.headers["vary"].lower()
        assert "access-control-allow-credentials" not in answer.headers


def test_two_origins_are_not_allowed_by_the_good_one(open_server):
    for origins in (["https://evil.example", "https://app.example"], ["https://app.example", "https://evil.example"]):
        with RawSocket(open_server.port) as socket:
            headers = [("Authorization", f"Bearer {open_server.token(unique('alice'))}")]
            headers += [("Origin", origin) for origin in origins]
            answer = socket.ask(upgrade_request("/ws", open_server.port, headers))
            assert answer.status in (400, 403), (origins, answer)


SAME_HOST = ["null", "http://localhost:{port}.evil.example", "http://127.0.0.1", "http://127.0.0.1:{other}",
             "http://127.0.0.1:{port}/", "http://x@127.0.0.1:{port}", "ftp://127.0.0.1:{port}", "HTTP://127.0.0.1:{port}",
             "http://127.0.0.1:0{port}", "http://[::ffff:127.0.0.1]:{port}", "http://2130706433:{port}"]


@pytest.mark.parametrize("origin", SAME_HOST)
def test_origins_that_only_look_like_the_same_host(server, origin):
    with RawSocket(server.port) as socket:
        shown = origin.format(port=server.port, other=server.port + 1)
        headers = [("Authorization", f"Bearer {server.token(unique('alice'))}"), ("Origin", shown)]
        assert socket.ask(upgrade_request("/ws", server.port, headers)).status == 403, shown


# -- DNS rebinding -----------------------------------------------------------------------------------------------

HOSTS = ["evil.example", "evil.example:{port}", "localhost.evil.example", "127.0.0.1.evil.example", "evil.localhost",
         "localhost:{port}@evil.example", "localhost:x", "localhost:80:80", "127.0.0.2", "0.0.0.0", "[::2]", "[::1", "[::1]x",
         "localhost.", "127.1", "2130706433", "0x7f000001", "localhost, evil.example", "", "localhost\t.evil.example"]


@pytest.mark.parametrize("host", HOSTS)
def test_development_mode_answers_to_this_machine_only(server, host):
    name = host.format(port=server.port)
    for path in ("/healthz", "/api/v1/conversations", "/demo", "/openapi.json", "/ws"):
        with RawSocket(server.port) as socket:
            answer = socket.ask(f"GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n")
            assert answer.status in (400, 403), (host, path, answer)
    with RawSocket(server.port) as socket:
        headers = [("Host", name), ("Authorization", f"Bearer {server.token(unique('alice'))}")]
        answer = socket.ask(upgrade_request("/ws", server.port, headers, omit=["Host"]))
        assert answer.status in (400, 403), (host, answer)
    with RawSocket(server.port) as socket:
        answer = socket.ask(f"GET http://{name or 'x'}/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.status in (400, 403), (host, answer)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]",
                                  "[::1]:{port}", "localhost:"])
def test_names_of_this_machine_are_answered(server, host):
    with RawSocket(server.port) as socket:
        answer = socket.ask(f"GET /healthz HTTP/1.1\r\nHost: {host.format(port=server.port)}\r\n\r\n")
        assert answer.status == 200, answer


def test_http_1_0_without_a_host_is_refused_in_development_mode(server):
    with RawSocket(server.port) as socket:
        assert socket.ask("GET /healthz HTTP/1.0\r\n\r\n").status == 403
