"""HTTPS and WSS on the listener: what works in the clear works here, and what is no TLS harms nobody."""
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from support import rest, tokens
from support.certificates import Certificate
from support.chat import make_group
from support.names import unique, uniques
from support.raw import PING, PONG, TEXT, RawSocket, RawWebSocket, frame, upgrade_request
from support.server import Server, binary
from support.tls import APPLICATION_DATA, CutTls

HEALTH = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
CONNECT = "/api/v1/ws/connect"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def tls_server_of_module(tmp_path_factory, certificate):
    server = Server(tmp_path_factory.mktemp("tls"), {"limits.handshake_timeout": "1s"},
                    certificate=certificate).start()
    yield server
    server.stop()


@pytest.fixture
def server(tls_server_of_module):
    if not tls_server_of_module.alive:
        tls_server_of_module.restart()
    yield tls_server_of_module
    tls_server_of_module.check_alive()


def bearer(user):
    return [("Authorization", f"Bearer {tokens.token(user)}")]


def strict(server, timeout=10):
    """A RawWebSocket on which an end without close_notify is an error."""
    raw = RawWebSocket(server.port, timeout)
    raw.sock = server.tls.wrap_socket(raw.sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
    return raw


def peer(server, context):
    with context.wrap_socket(RawSocket(server.port).sock, server_hostname="127.0.0.1") as connected:
        return connected.getpeercert()["subject"][0][0][1]


def wait_until(server, condition, timeout=20):
    deadline = time.monotonic() + timeout
    while not condition():
        assert server.alive and time.monotonic() < deadline, server.log_tail()
        time.sleep(0.01)


def wait_for_log(server, text, count=1):
    wait_until(server, lambda: server.log_text().count(text) >= count)


def hello(context):
    """The bytes of a ClientHello."""
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


# -- the same as in the clear ------------------------------------------------------------------------------------


async def test_chat_over_wss(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    sent = [await a.say(bob, content=f"CANARY {i}") for i in range(20)]
    await b.received(sent[0]["conversation_id"], 20)
    await b.drop()
    await a.say(bob, content="CANARY while away")
    b = await b.reconnect()
    await b.received(sent[0]["conversation_id"], 21)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_rest_over_https(server, certificate, version):
    alice, bob = uniques("alice", "bob")
    context = certificate.context()
    context.minimum_version = context.maximum_version = version
    reply = rest.call(server.port, "POST", "/api/v1/conversations", tokens.token(alice),
                      {"title": "Team", "members": [bob], "metadata": {"x": "y" * 10_000}}, tls=context)
    group = rest.assert_success(reply, 201)["conversation"]["conversation_id"]
    reply = rest.call(server.port, "GET", f"/api/v1/conversations/{group}", tokens.token(bob), tls=context)
    assert len(rest.assert_success(reply)["conversation"]["metadata"]["x"]) == 10_000


async def test_largest_message_both_ways(server):
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    content = "CANARY " + "x" * (256 * 1024 - 7)
    sent = await a.say(bob, content=content)
    assert (await b.recv("message"))["content"] == content
    await b.received(sent["conversation_id"], 1)


async def test_slow_reader_gets_everything_in_order(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    slow = RawWebSocket(server.port, 20, receive_buffer=4096, tls=server.tls)
    slow.handshake(CONNECT + "?device_id=slow", bearer(bob))
    slow.read_json("synced")
    content = "CANARY " + "y" * 20_000
    chat = [await a.say(bob, content=content) for _ in range(150)][0]["conversation_id"]
    seqs = []
    while len(seqs) < 150:
        message = slow.read_json("message")
        assert message["content"] == content
        seqs.append(message["seq"])
        if len(seqs) % 50 == 0:
            slow.send_json({"type": "ack", "cursors": {chat: seqs[-1]}})
    assert seqs == list(range(1, 151))
    assert slow.ping_works()


@pytest.mark.limit(90)
async def test_reader_that_stops_is_closed(own_server, certificate):
    server = own_server({"limits.write_stall": "1s", "limits.queue": "64KiB", "presence.grace": "100ms"},
                        certificate=certificate)
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    group = make_group(server, alice, bob)
    stopped = RawWebSocket(server.port, 20, receive_buffer=4096, tls=server.tls)
    stopped.handshake(CONNECT, bearer(bob))
    stopped.read_json("synced")
    for _ in range(200):
        await a.say(conversation_id=group, content="CANARY " + "x" * 60_000)
    await a.send(type="watch", users=[bob])
    await a.recv("presence", online=False, timeout=30)


def test_pipelined_requests_and_a_large_body(server):
    body = json.dumps({"id": "large", "to": "bob", "content": "CANARY " + "z" * 100_000})
    request = (f"POST /api/v1/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
               f"Authorization: Bearer {tokens.token(unique('alice'))}\r\nContent-Length: {len(body)}\r\n\r\n{body}")
    with server.socket() as raw:
        raw.send(HEALTH * 20 + request + HEALTH * 20)
        statuses = [raw.answer().status for _ in range(41)]
    assert statuses == [200] * 20 + [201] + [200] * 20


def test_continue_is_sent_over_tls(server):
    with server.socket() as raw:
        raw.send("POST /api/v1/conversations HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                 f"Authorization: Bearer {tokens.token(unique('alice'))}\r\nExpect: 100-continue\r\n"
                 "Content-Length: 2\r\n\r\n")
        assert raw.take_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue"
        assert raw.ask("{}").status in (201, 400, 422)


def test_metrics_stay_in_the_clear(server):
    assert server.metrics()["process_open_fds"] > 0


# -- how bytes are cut ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("largest", [1, 7, 1000])
def test_records_cut_anywhere(server, certificate, largest):
    with CutTls(server.port, certificate.context(), largest, seed=largest) as raw:
        raw.handshake(CONNECT, bearer(unique("alice")))
        raw.read_json("synced")
        for _ in range(10):
            assert raw.ping_works()


def test_frames_cut_across_records_and_records_across_segments(server, certificate):
    with CutTls(server.port, certificate.context(), 1 << 20) as raw:
        raw.handshake(CONNECT, bearer(unique("alice")))
        raw.read_json("synced")
        command = frame(TEXT, json.dumps({"type": "ping", "pad": "x" * 300_000}))
        wire = b"".join(raw.encrypted(command[start:start + 3000]) for start in range(0, len(command), 3000))
        raw.sock.sendall(wire[:5000])
        raw.sock.sendall(wire[5000:5001])
        raw.sock.sendall(wire[5001:])
        raw.read_json("pong")
        # Many records in one segment: none may be left behind inside the library.
        raw.sock.sendall(b"".join(raw.encrypted(frame(PING, str(i))) for i in range(500)))
        for i in range(500):
            received = raw.read_frame()
            assert (received.opcode, received.payload) == (PONG, str(i).encode())


async def test_many_frames_are_one_record(server, certificate):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    for _ in range(60):
        await a.say(bob, content="CANARY short")
    with CutTls(server.port, certificate.context(), 1 << 20) as raw:
        raw.handshake(CONNECT + "?device_id=phone", bearer(bob))
        before = raw.records.count(APPLICATION_DATA)
        for _ in range(60):
            raw.read_json("message")
        raw.read_json("synced")
        assert raw.records.count(APPLICATION_DATA) - before < 20


# -- what is not right ---------------------------------------------------------------------------------------------


def test_old_versions_are_refused(server, certificate):
    context = certificate.context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(ssl.SSLError, match="(?i)alert.protocol.version"):
        peer(server, context)


def test_weak_ciphers_are_refused(server, certificate):
    context = certificate.context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA")
    with pytest.raises(ssl.SSLError, match="(?i)handshake.failure"):
        peer(server, context)


@pytest.mark.parametrize("offered, chosen", [(["h2", "http/1.1"], "http/1.1"), ([], None)])
def test_alpn(server, certificate, offered, chosen):
    context = certificate.context()
    context.set_alpn_protocols(offered)
    with context.wrap_socket(RawSocket(server.port).sock, server_hostname="127.0.0.1") as connected:
        assert connected.selected_alpn_protocol() == chosen


def test_alpn_without_http11_is_refused(server, certificate):
    context = certificate.context()
    context.set_alpn_protocols(["h2"])
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        peer(server, context)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_plain_http_is_told_in_the_clear(server, method):
    with RawSocket(server.port) as raw:
        raw.send(f"{method} /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + "x" * 20_000)
        answer = raw.answer(head_only=method == "HEAD")
        assert answer.status == 400 and answer.headers["connection"] == "close"
        assert method == "HEAD" or "TLS" in answer.json["message"]
        assert raw.at_end()


GARBAGE = {
    "zeros": bytes(5000),
    "random": os.urandom(5000),
    "a WebSocket frame": frame(TEXT, "hello"),
    "SSLv2 hello": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(40),
    "an empty record": b"\x16\x03\x01\x00\x00",
    "a record of 64 KiB": b"\x16\x03\x01\xff\xff" + bytes(70_000),
    "data before the handshake": b"\x17\x03\x03\x00\x10" + bytes(16),
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "TRACE": b"TRACE / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_closed(server, name):
    with RawSocket(server.port) as raw:
        raw.send(GARBAGE[name])
        assert raw.at_end()


def test_garbage_within_a_connection_is_closed(server):
    raw = strict(server)
    raw.handshake(CONNECT, bearer(unique("alice")))
    raw.read_json("synced")
    with socket.socket(fileno=os.dup(raw.sock.fileno())) as below:
        below.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLError, match="(?i)bad.record.mac"):
            while raw.fill():
                pass


@pytest.mark.parametrize("part", ["nothing", "half", "all but the request"])
def test_unfinished_handshake_ends(server, certificate, part):
    with RawSocket(server.port) as raw:
        if part == "half":
            data = hello(certificate.context())
            raw.send(data[:len(data) // 2])
        elif part == "all but the request":
            raw.sock = certificate.context().wrap_socket(raw.sock, server_hostname="127.0.0.1")
            raw.send("GET /healthz HTTP/1.1\r\n")
        assert raw.at_end()


# -- the end -------------------------------------------------------------------------------------------------------


def test_answer_and_close_notify_arrive_before_the_end(server):
    with strict(server) as raw:
        answer = raw.ask("GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" + "x" * 50_000)
        assert answer.status == 200
        assert raw.at_end()


def test_refused_upgrade_arrives_before_the_end(server):
    with strict(server) as raw:
        raw.send(upgrade_request(CONNECT, server.port) + "x" * 50_000)
        assert raw.answer().status == 401
        assert raw.at_end()


def test_close_frame_and_close_notify_arrive_before_the_end(server):
    with strict(server) as raw:
        raw.handshake(CONNECT, bearer(unique("alice")))
        raw.read_json("synced")
        raw.send(frame(TEXT, "x" * 2000, mask=False) + b"y" * 100_000)
        assert raw.read_close().code == 1002


def test_sudden_end_of_the_client_is_seen(server):
    active = server.metrics()["websocket_connections_active"]
    raw = strict(server)
    raw.handshake(CONNECT, bearer(unique("alice")))
    raw.read_json("synced")
    socket.socket(fileno=raw.sock.detach()).close()
    wait_until(server, lambda: server.metrics()["websocket_connections_active"] <= active)


# -- what the library does by itself -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(server, certificate, version):
    context = certificate.context()
    context.minimum_version = context.maximum_version = version
    session = None
    for resumed in (False, True, True):
        raw = RawSocket(server.port)
        raw.sock = context.wrap_socket(raw.sock, server_hostname="127.0.0.1", session=session)
        with raw:
            assert raw.ask(HEALTH).status == 200
            assert raw.sock.session_reused is resumed
            session = raw.sock.session


class SClient:
    """openssl s_client; a line with K or R alone is its command for a key update or a renegotiation."""

    def __init__(self, server, certificate, *options):
        self.process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", certificate.path, *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        self.seen = b""

    def say(self, text):
        self.process.stdin.write(text.encode())

    def until(self, mark):
        while mark not in self.seen:
            data = self.process.stdout.read(1 << 16)
            assert data, self.seen[-500:]
            self.seen += data
        self.seen = self.seen.partition(mark)[2]

    def end(self):
        self.process.kill()
        self.process.wait()


def test_keys_may_be_updated(server, certificate):
    client = SClient(server, certificate, "-tls1_3")
    try:
        for _ in range(3):
            client.say(HEALTH)
            client.until(b"200 OK")
            client.say("K\n")
            client.until(b"KEYUPDATE")
        client.say(HEALTH)
        client.until(b"200 OK")
    finally:
        client.end()


def test_renegotiation_is_refused(server, certificate):
    client = SClient(server, certificate, "-tls1_2")
    try:
        client.say(HEALTH)
        client.until(b"200 OK")
        client.say("R\n")
        client.until(b"no renegotiation")
    finally:
        client.end()


# -- the operator --------------------------------------------------------------------------------------------------


def test_reload_changes_the_certificate_for_new_connections(own_server, tmp_path):
    one, two = Certificate(tmp_path, "one"), Certificate(tmp_path, "two", "rsa")
    used = Certificate(tmp_path, "used")

    def install(certificate):
        shutil.copy(certificate.path, used.path)
        shutil.copy(certificate.key, used.key)

    install(one)
    server = own_server(certificate=used)
    server.tls = one.context()
    old = server.raw(unique("alice"))
    assert peer(server, one.context()) == "one"
    install(two)
    server.process.send_signal(signal.SIGHUP)
    wait_for_log(server, "node.reloaded")
    server.tls = two.context()
    assert peer(server, two.context()) == "two"
    with pytest.raises(ssl.SSLCertVerificationError):
        peer(server, one.context())
    assert old.ping_works()
    for broken in (lambda: used.path.write_text("no certificate"), lambda: shutil.copy(one.path, used.path),
                   used.key.unlink):
        broken()
        failures = server.log_text().count("node.reload_failed")
        server.process.send_signal(signal.SIGHUP)
        wait_for_log(server, "node.reload_failed", failures + 1)
        assert peer(server, two.context()) == "two"
    assert old.ping_works()


def refusal_to_start(directory, **settings):
    command = [binary(), "serve", "--dev"]
    for name, value in {"http.listen": "127.0.0.1:0", "session.metrics_listen": "off", "session.grpc_listen": "off",
                        "statesync.grpc_listen": "off", "statesync.metrics_listen": "off", "storage.url": "memory:",
                        **{f"http.tls.{name}": value for name, value in settings.items()}}.items():
        command += ["--set", f"{name}={value}"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1, done
    return done.stderr


def test_wrong_files_prevent_the_start(tmp_path, certificate):
    other = Certificate(tmp_path, "other")
    rsa = Certificate(tmp_path, "rsa", "rsa")
    empty, encrypted = tmp_path / "empty.pem", tmp_path / "encrypted.pem"
    empty.touch()
    subprocess.run(["openssl", "pkcs8", "-topk8", "-in", certificate.key, "-passout", "pass:x", "-out", encrypted],
                   check=True)
    cert, key = certificate.path, certificate.key

    def refusal(**settings):
        return refusal_to_start(tmp_path, **settings)

    assert "http.tls.key: TLS needs http.tls.cert and http.tls.key" in refusal(cert=cert)
    assert "http.tls.cert: TLS needs http.tls.cert and http.tls.key" in refusal(key=key)
    assert "certificate /nowhere cannot be read: No such file" in refusal(cert="/nowhere", key=key)
    assert "key /nowhere cannot be read: No such file" in refusal(cert=cert, key="/nowhere")
    assert f"certificate {empty} cannot be read" in refusal(cert=empty, key=key)
    assert f"certificate {tmp_path} cannot be read" in refusal(cert=tmp_path, key=key)
    assert f"certificate {key} cannot be used: no start line" in refusal(cert=key, key=key)
    assert f"key {cert} cannot be used: " in refusal(cert=cert, key=cert)
    assert f"key {encrypted} cannot be used: " in refusal(cert=cert, key=encrypted)
    for wrong in (other, rsa):
        assert f"key {wrong.key} does not fit the certificate {cert}" in refusal(cert=cert, key=wrong.key)
