"""Who a client is, when a proxy stands in between: only what a trusted proxy says counts."""
from socket import IPPROTO_TCP, SHUT_WR, TCP_NODELAY

import pytest

from support.certificates import Certificate
from support.names import unique
from support.proxy_protocol import local, version_1, version_2
from support.raw import RawSocket, RawWebSocket, upgrade_request
from support.server import Server

TRUST_LOOPBACK = {"http.trusted_proxies": "10.0.0.0/8, 127.0.0.1"}
TRUST_OTHERS = {"http.trusted_proxies": "192.0.2.0/24"}


@pytest.fixture(scope="module")
def trusting(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("trusting"), TRUST_LOOPBACK).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def wary(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("wary"), TRUST_OTHERS).start()
    yield server
    server.stop()


def connect(server, user, header=b"", headers=(), pieces=1):
    """The status of an upgrade behind a PROXY header, sent in so many pieces; 0: closed without an answer."""
    with RawWebSocket(server.port) as socket:
        authorization = [("Authorization", f"Bearer {server.token(user)}")]
        request = header + upgrade_request("/api/v1/ws/connect", server.port, [*authorization, *headers]).encode()
        size = len(request) if pieces == 1 else len(header) // pieces
        socket.sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        try:
            for start in range(0, size * pieces, size):
                socket.send(request[start:start + size])
            if pieces > 1:
                socket.send(request[size * pieces:])
            status = socket.answer().status
        except (EOFError, ConnectionError):
            return 0
        if status == 101:
            socket.read_json("welcome")  # the session is stored
        return status


def seen(server, user):
    """(client_ip, client_port) of the user's session."""
    session = server.api("GET", "/sessions", user).data["sessions"][0]
    return session["client_ip"], session["client_port"]


@pytest.mark.parametrize("header", [version_1("203.0.113.7", 40001), version_2("203.0.113.7", 40001),
                                    version_2("203.0.113.7", 40001, b"\x04\x00\x02xy")], ids=["1", "2", "2 extended"])
@pytest.mark.parametrize("pieces", [1, 5])
def test_proxy_header_says_who_the_client_is(trusting, header, pieces):
    user = unique("alice")
    assert connect(trusting, user, header, pieces=pieces) == 101
    assert seen(trusting, user) == ("203.0.113.7", 40001)


def test_proxy_header_of_ipv6(trusting):
    user = unique("alice")
    assert connect(trusting, user, version_2("2001:db8::7", 7)) == 101
    assert seen(trusting, user) == ("2001:db8::7", 7)


def test_the_proxys_own_connection_and_none_at_all_are_its_own_address(trusting):
    for header in (local(), b"PROXY UNKNOWN\r\n", b""):
        user = unique("alice")
        assert connect(trusting, user, header) == 101
        assert seen(trusting, user)[0] == "127.0.0.1"


def test_proxy_header_goes_before_rest_too(trusting):
    with RawSocket(trusting.port) as socket:
        answer = socket.ask(version_1("203.0.113.7", 1) + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer.status == 200


@pytest.mark.parametrize("header", [b"PROXY TCP4 nonsense\r\n", b"PROXY TCP4 1.1.1.1 1.1.1.1 1 99999\r\n",
                                    b"PROXY " + b"x" * 200, version_2("203.0.113.7", 1)[:12] + b"\x21\x11\xff\xff" + b"x" * 100,
                                    version_2("203.0.113.7", 1)[:12] + b"\x31\x11\x00\x0c" + b"x" * 12],
                         ids=["text", "port", "endless", "64 KiB", "version"])
def test_a_broken_proxy_header_ends_the_connection(trusting, header):
    assert connect(trusting, unique("alice"), header) == 0


@pytest.mark.parametrize("header", [version_1("203.0.113.7", 40001), version_2("203.0.113.7", 40001)], ids=["1", "2"])
def test_proxy_header_from_anybody_else_is_a_bad_request(wary, header):
    assert connect(wary, unique("alice"), header) == 400


def test_half_a_proxy_header_is_not_waited_for_longer_than_a_handshake(own_server):
    server = own_server({**TRUST_LOOPBACK, "limits.handshake_timeout": "300ms"})
    with RawSocket(server.port) as socket:
        socket.send(b"PROXY TCP4 203.0")
        assert socket.at_end()


@pytest.mark.parametrize("half", [b"P", b"PROXY TCP4 203.0", version_2("203.0.113.7", 1)[:14]], ids=["1", "16", "binary"])
def test_half_a_proxy_header_with_an_end_behind_it_is_not_waited_for(own_server, half):
    server = own_server({**TRUST_LOOPBACK, "limits.handshake_timeout": "5m"})
    with RawSocket(server.port) as socket:
        socket.send(half)
        socket.sock.shutdown(SHUT_WR)
        assert socket.at_end() and socket.buffer == b""


def test_forwarded_for_counts_from_a_trusted_proxy(trusting):
    user = unique("alice")
    assert connect(trusting, user, headers=[("X-Forwarded-For", "1.1.1.1, 203.0.113.8, 10.1.2.3")]) == 101
    assert seen(trusting, user)[0] == "203.0.113.8"
    user = unique("alice")
    assert connect(trusting, user, headers=[("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "203.0.113.9")]) == 101
    assert seen(trusting, user)[0] == "203.0.113.9"


def test_forwarded_for_counts_for_rest_calls(trusting):
    user = unique("alice")
    reply = trusting.api("POST", "/sessions", user, {}, {"X-Forwarded-For": "203.0.113.10"})
    assert reply.data["session"]["client_ip"] == "203.0.113.10"


def test_forwarded_for_behind_a_proxy_header_counts_only_from_a_proxy(trusting):
    user = unique("alice")
    header = version_1("203.0.113.7", 1)
    assert connect(trusting, user, header, headers=[("X-Forwarded-For", "1.1.1.1")]) == 101
    assert seen(trusting, user)[0] == "203.0.113.7", "the client wrote it, for no proxy stands between"
    user = unique("alice")
    header = version_1("10.9.9.9", 1)
    assert connect(trusting, user, header, headers=[("X-Forwarded-For", "203.0.113.11")]) == 101
    assert seen(trusting, user)[0] == "203.0.113.11", "10.9.9.9 is a proxy behind the first one"


def test_forwarded_for_from_anybody_else_is_ignored(wary):
    user = unique("alice")
    assert connect(wary, user, headers=[("X-Forwarded-For", "203.0.113.8")]) == 101
    assert seen(wary, user)[0] == "127.0.0.1"


def test_refusals_log_the_clients_address(trusting):
    with RawSocket(trusting.port) as socket:
        answer = socket.ask(version_1("203.0.113.77", 1) + upgrade_request("/api/v1/ws/connect", trusting.port).encode())
        assert answer.status == 401
    assert 'address="203.0.113.77"' in trusting.log_text()


def test_limit_per_address_sees_through_the_proxy(own_server):
    server = own_server({**TRUST_LOOPBACK, "limits.connections_per_ip": 1})
    held = []

    def upgrade(source):
        socket = RawSocket(server.port)
        held.append(socket)
        headers = [("Authorization", f"Bearer {server.token(unique('u'))}"), ("X-Forwarded-For", source)]
        return socket.ask(upgrade_request("/api/v1/ws/connect", server.port, headers))

    assert upgrade("203.0.113.1").status == 101
    refused = upgrade("203.0.113.1")
    assert refused.status == 503 and int(refused.headers["retry-after"]) >= 1
    assert upgrade("203.0.113.2").status == 101
    assert upgrade("2001:db8:0:1::1").status == 101
    assert upgrade("2001:db8:0:1:ffff::2").status == 503, "one /64 is one address"
    assert upgrade("2001:db8:0:2::1").status == 101
    for socket in held:
        socket.close()


def test_proxy_header_comes_in_the_clear_before_tls(own_server, tmp_path):
    certificate = Certificate(tmp_path)
    server = own_server(TRUST_LOOPBACK, certificate=certificate)
    for header in (version_1("203.0.113.7", 40001), version_2("203.0.113.7", 40001), b""):
        user = unique("alice")
        with RawWebSocket(server.port) as socket:
            socket.send(header)
            socket.sock = certificate.context().wrap_socket(socket.sock, server_hostname="127.0.0.1")
            socket.handshake("/api/v1/ws/connect", [("Authorization", f"Bearer {server.token(user)}")])
            socket.read_json("welcome")
        assert seen(server, user) == ("203.0.113.7", 40001) or (not header and seen(server, user)[0] == "127.0.0.1")
