"""The opening handshake, generated: each method, version and header, missing, doubled and wrong, on both paths."""
import base64

import pytest

from support import tokens
from support.names import unique
from support.raw import RawSocket, upgrade_request

PATHS = ["/api/v1/ws/connect", "/ws"]
HEADERS = ["Host", "Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key"]
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def refused(server, request, statuses):
    """Sends bytes; the answer must be one of the statuses, say that it closes, and close."""
    with RawSocket(server.port) as socket:
        answer = socket.ask(request)
        assert answer.status in statuses, (request[:200], answer)
        assert answer.headers.get("connection", "").lower() == "close", (request[:200], answer)
        if answer.status == 426:
            assert answer.headers["sec-websocket-version"] == "13"
            assert answer.headers["upgrade"] == "websocket"
        if answer.status == 405:
            assert answer.headers["allow"] == "GET"
        assert socket.at_end() and socket.buffer == b"", socket.buffer[:200]


def request(server, path, headers=(), **more):
    token = [("Authorization", f"Bearer {tokens.token(unique('alice'))}")]
    return upgrade_request(path, server.port, [*token, *headers], **more)


@pytest.fixture(params=PATHS, ids=["connect", "ws"])
def path(request):
    return request.param


def test_every_method_but_get(server, path):
    for method in ("HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get", "GETS"):
        with RawSocket(server.port) as socket:
            socket.send(request(server, path, method=method))
            answer = socket.answer(head_only=method == "HEAD")
            assert answer.status == 405, (method, answer)
            assert answer.headers["connection"].lower() == "close" and "GET" in answer.headers["allow"]
            socket.at_end()
    refused(server, request(server, path, method="CONNECT").replace(path, "localhost:80", 1), {400, 404, 405})


def test_every_version_but_1_1(server, path):
    for version in ("HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3", "http/1.1", "HTTP/1.1.1", "HTTPS/1.1",
                    "HTTP/1.", "HTTP/", "ICY", ""):
        refused(server, request(server, path, version=version), {400, 505})


def test_every_header_missing_doubled_and_empty(server, path):
    good = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": KEY}
    for name in HEADERS:
        refused(server, request(server, path, omit=[name]), {400, 426})
        refused(server, request(server, path, [(name, "")], omit=[name]), {400, 403, 426})
        refused(server, request(server, path, [(name, "nonsense")], omit=[name]), {400, 403, 426})
        if name != "Connection":  # a list, which may come in several lines
            refused(server, request(server, path, [(name, good[name])]), {400})


def test_every_length_of_a_key_but_16_bytes(server, path):
    for size in [*range(0, 16), *range(17, 34), 64, 1000]:
        key = base64.b64encode(bytes(size)).decode()
        refused(server, request(server, path, [("Sec-WebSocket-Key", key)], omit=["Sec-WebSocket-Key"]), {400})


@pytest.mark.parametrize("key", ["dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
                                 "dGhlIHNhbXBsZSBub25jZQ=x", "=GhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j-_==",
                                 "dGhl HNhbXBsZSBub25jZQ==", "\u00e9GhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ==,x"])
def test_keys_that_are_not_base64(server, path, key):
    refused(server, request(server, path, [("Sec-WebSocket-Key", key)], omit=["Sec-WebSocket-Key"]).encode("latin-1"),
            {400})


def test_every_version_of_the_protocol_but_13(server, path):
    for version in [*range(0, 13), *range(14, 30), 255, "013", "13, 8", "13.0", "+13", "0x0d", "1 3"]:
        refused(server, request(server, path, [("Sec-WebSocket-Version", version)], omit=["Sec-WebSocket-Version"]), {426})


SMUGGLING = {
    "TE": [("Transfer-Encoding", "chunked")],
    "TE and CL": [("Transfer-Encoding", "chunked"), ("Content-Length", "5")],
    "CL and TE": [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
    "two CL": [("Content-Length", "0"), ("Content-Length", "5")],
    "two CL alike": [("Content-Length", "0"), ("Content-Length", "0")],
    "CL": [("Content-Length", "5")],
    "TE identity": [("Transfer-Encoding", "identity")],
    "TE with a tab": [("Transfer-Encoding", "\tchunked")],
    "TE twice": [("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "identity")],
    "TE list": [("Transfer-Encoding", "gzip, chunked")],
    "TE with a space before the colon": [("Transfer-Encoding ", "chunked")],
    "CL with a plus": [("Content-Length", "+0")],
    "CL with spaces": [("Content-Length", "0 0")],
    "NUL": [("X-A", "a\0b")],
    "CR": [("X-A", "a\rb")],
    "LF": [("X-A", "a\nX-B: b")],
    "folded": [("X-A", "a\r\n b")],
    "vertical tab": [("X-A", "a\x0bb")],
    "DEL": [("X-A", "a\x7fb")],
    "no name": [("", "x")],
    "name with a space": [("X A", "x")],
    "name with a NUL": [("X\0A", "x")],
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_two_readings_of_an_upgrade(server, path, name):
    """What stands behind must be run by nobody: neither as a request nor as frames."""
    hidden = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n\r\n"
    refused(server, request(server, path, SMUGGLING[name]) + "0\r\n\r\n" + hidden, {400, 501})


def test_bare_line_ends(server, path):
    whole = request(server, path)
    refused(server, whole.replace("\r\n", "\n"), {400})
    lines = whole.split("\r\n")
    for number in range(1, len(lines) - 1):
        for end in ("\n", "\r", "\n\r", "\r\r\n"):
            cut = "\r\n".join(lines[:number]) + end + "\r\n".join(lines[number:])
            refused(server, cut, {400})


def test_heads_that_are_too_large(server, path):
    refused(server, request(server, path, [("X-Long", "x" * 8192)]), {431})
    refused(server, request(server, path, [(f"X-{number}", "x" * 80) for number in range(95)]), {431})
    refused(server, request(server, path, [(f"X-{number}", "1") for number in range(101)]), {431})
    refused(server, request(server, path + "?x=" + "y" * 8192), {414, 431})
    refused(server, ("\r\n" * 5000) + request(server, path), {400, 431})


def test_head_of_exactly_the_limits_is_taken(server, path):
    bare = len(request(server, path, [("X-Long", "")]))
    for size, taken in ((8192, True), (8193, False)):
        with RawSocket(server.port) as socket:
            whole = request(server, path, [("X-Long", "x" * (size - bare))])
            # A token's length depends on the name in it, so the padding is measured again.
            whole = whole.replace("X-Long: ", "X-Long: " + "x" * (size - len(whole)))
            assert len(whole) == size
            assert (socket.ask(whole).status == 101) is taken
    count = request(server, path).count("\r\n") - 2
    for headers, taken in ((100, True), (101, False)):
        with RawSocket(server.port) as socket:
            more = [(f"X-{number}", "1") for number in range(headers - count)]
            assert (socket.ask(request(server, path, more)).status == 101) is taken


def test_unknown_paths(server):
    for path in ("/", "/ws/", "/WS", "/ws/connect", "/api/v1/ws", "/api/v1/ws/connect/", "/api/v1/ws/connect2", "//ws",
                 "/api/v1//ws/connect", "/api/v2/ws/connect", "/ws%2f", "/ws%00", "/./ws", "/x/../ws", "/ws;x=1"):
        with RawSocket(server.port) as socket:
            answer = socket.ask(request(server, path))
            assert answer.status in (302, 404, 405) or (answer.status == 400 and "%" in path), (path, answer)
            assert answer.headers["connection"].lower() == "close", (path, answer)
            assert socket.at_end() and socket.buffer == b""


@pytest.mark.parametrize("protocols", ["tidemark.v1,,x", ",", "a b", '"tidemark.v1"', "tidemark.v1;q=1", "é", "x\ty",
                                       "bearer.", "bearer.a.b.c", "bearer.x, bearer.y"])
def test_strange_subprotocols(server, protocols):
    with RawSocket(server.port) as socket:
        fields = [("Sec-WebSocket-Protocol", protocols)]
        answer = socket.ask(upgrade_request(PATHS[0], server.port, fields).encode())
        assert answer.status in (400, 401), answer
        assert socket.at_end()
