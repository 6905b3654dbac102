"""The upgrade: what is refused, with which status, and by whom a page may be served."""
import base64

import pytest

from support import tokens
from support.names import unique
from support.raw import TEXT, RawSocket, RawWebSocket, frame, upgrade_request
from support.server import Server

PATH = "/api/v1/ws/connect"


def ask(server, headers=(), omit=(), path=PATH, token=True, **more):
    """One upgrade; gives the answer and checks that a refusal closes."""
    fields = list(headers)
    if token:
        fields.append(("Authorization", f"Bearer {tokens.token(unique('alice'))}"))
    with RawSocket(server.port) as socket:
        answer = socket.ask(upgrade_request(path, server.port, fields, omit=omit, **more))
        if answer.status != 101:
            assert answer.headers.get("connection", "").lower() == "close", answer
            assert socket.at_end()
        return answer


@pytest.mark.parametrize("path", [PATH, "/ws"])
def test_correct_handshake(server, path):
    answer = ask(server, path=path)
    assert answer.status == 101
    assert answer.headers["upgrade"].lower() == "websocket" and answer.headers["connection"].lower() == "upgrade"
    assert "sec-websocket-extensions" not in answer.headers and "sec-websocket-protocol" not in answer.headers


def test_header_names_and_tokens_are_case_insensitive(server):
    headers = [("UPGRADE", "WebSocket"), ("connection", "keep-alive, UPGRADE")]
    assert ask(server, headers, omit=["Upgrade", "Connection"]).status == 101


def test_extension_offers_are_declined_or_named(server):
    answer = ask(server, [("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits, x-unknown")])
    assert answer.status == 101
    assert "x-unknown" not in answer.headers.get("sec-websocket-extensions", "")


def test_unknown_subprotocol_is_not_chosen(server):
    answer = ask(server, [("Sec-WebSocket-Protocol", "chat.v9, tidemark.v1")])
    assert answer.status == 101 and answer.headers["sec-websocket-protocol"] == "tidemark.v1"
    assert "sec-websocket-protocol" not in ask(server, [("Sec-WebSocket-Protocol", "chat.v9")]).headers


KEY = "dGhlIHNhbXBsZSBub25jZQ=="
BAD = {
    "no key": (dict(omit=["Sec-WebSocket-Key"]), {400}),
    "empty key": (dict(omit=["Sec-WebSocket-Key"], headers=[("Sec-WebSocket-Key", "")]), {400}),
    "key of 15 bytes": (dict(key=base64.b64encode(b"x" * 15).decode()), {400}),
    "key of 17 bytes": (dict(key=base64.b64encode(b"x" * 17).decode()), {400}),
    "key that is no base64": (dict(key="!" * 24), {400}),
    "two keys": (dict(headers=[("Sec-WebSocket-Key", KEY)]), {400}),
    "version 8": (dict(omit=["Sec-WebSocket-Version"], headers=[("Sec-WebSocket-Version", "8")]), {426}),
    "version 14": (dict(omit=["Sec-WebSocket-Version"], headers=[("Sec-WebSocket-Version", "14")]), {426}),
    "no version": (dict(omit=["Sec-WebSocket-Version"]), {400, 426}),
    "two versions": (dict(headers=[("Sec-WebSocket-Version", "13")]), {400}),
    "no upgrade": (dict(omit=["Upgrade"]), {400, 426}),
    "other upgrade": (dict(omit=["Upgrade"], headers=[("Upgrade", "h2c")]), {400, 426}),
    "no connection": (dict(omit=["Connection"], headers=[("Connection", "close")]), {400, 426}),
    "HTTP/1.0": (dict(version="HTTP/1.0"), {400, 426, 505}),
    "POST": (dict(method="POST", headers=[("Content-Length", "0")]), {405}),
    "unknown path": (dict(path="/api/v1/ws/nowhere"), {404}),
    "no host": (dict(omit=["Host"]), {400}),
    "two hosts": (dict(headers=[("Host", "localhost")]), {400}),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_handshake_is_refused(server, name):
    arguments, allowed = BAD[name]
    answer = ask(server, **arguments)
    assert answer.status in allowed, answer
    if answer.status == 426:
        assert answer.headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize("query", ["device_id=", "device_id=" + "x" * 129, "device_id=a%0ab", "ack=maybe", "replay=2",
                                   "device_id=%ff", "device_id=%zz"])
def test_wrong_parameters_are_400(server, query):
    assert ask(server, path=f"{PATH}?{query}").status == 400


def test_refusals_are_json_in_the_form_of_rest(server):
    answer = ask(server, token=False)
    assert answer.status == 401 and answer.json["code"] == 401 and answer.json["error"] == "unauthorized"


def test_first_frame_may_come_with_the_request(server):
    with RawWebSocket(server.port) as socket:
        headers = [("Authorization", f"Bearer {tokens.token(unique('alice'))}")]
        socket.send(upgrade_request(PATH, server.port, headers).encode() + frame(TEXT, '{"type":"ping"}'))
        assert socket.answer().status == 101
        socket.read_json("pong")


# -- origin ------------------------------------------------------------------------------------------------------


def test_origin_must_be_the_same_host_by_default(server):
    assert ask(server, [("Origin", f"http://127.0.0.1:{server.port}")]).status == 101
    for origin in ("http://evil.example", "https://127.0.0.1.evil.example", "null",
                   f"http://127.0.0.1:{server.port}.evil.example"):
        assert ask(server, [("Origin", origin)]).status == 403, origin


@pytest.fixture(scope="module")
def open_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("origins"), {"http.allowed_origins": "https://app.example"}).start()
    yield server
    server.stop()


def test_allowed_origins_are_matched_exactly(open_server):
    assert ask(open_server, [("Origin", "https://app.example")]).status == 101
    for origin in ("http://app.example", "https://app.example.evil.com", "https://app.example:8443",
                   "https://evil.app.example", "https://app.exampl"):
        assert ask(open_server, [("Origin", origin)]).status == 403, origin


def preflight(server, origin):
    with RawSocket(server.port) as socket:
        return socket.ask(f"OPTIONS /api/v1/messages HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nOrigin: {origin}\r\n"
                          "Access-Control-Request-Method: POST\r\n"
                          "Access-Control-Request-Headers: authorization, content-type\r\nConnection: close\r\n\r\n")


def test_preflight_of_an_allowed_origin(open_server):
    answer = preflight(open_server, "https://app.example")
    assert answer.status in (200, 204)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed and "content-type" in allowed
    assert "origin" in answer.headers.get("vary", "").lower()


def test_preflight_of_a_foreign_origin(open_server):
    answer = preflight(open_server, "https://evil.example")
    assert "access-control-allow-origin" not in answer.headers


def test_answers_to_an_allowed_origin_may_be_read(open_server):
    token = open_server.token(unique("alice"))
    headers = {"Origin": "https://app.example", "Authorization": f"Bearer {token}"}
    reply = open_server.get("/api/v1/conversations", headers)
    assert reply.status == 200 and reply.headers["Access-Control-Allow-Origin"] == "https://app.example"
    reply = open_server.get("/api/v1/conversations", {**headers, "Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in reply.headers
