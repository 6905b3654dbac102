"""nginx and HAProxy with the shipped files: TLS ends there, and the node and its clients notice nothing of it."""
import asyncio
import re
import subprocess

import pytest

from support import rest
from support.certificates import Certificate
from support.client import Client
from support.front_proxy import FrontProxy
from support.names import text, unique, uniques
from support.patience import patiently
from support.raw import PING, PONG, RawSocket, RawWebSocket, frame
from support.server import ROOT, Server, binary

KINDS = ["nginx", "haproxy"]
SETTINGS = {"http.trusted_proxies": "127.0.0.1", "heartbeat.interval": "1s", "heartbeat.timeout": "30s"}
IDLE = "4s"      # what the proxies allow: four heartbeats, as in the shipped files
HEARTBEATS = 6   # more than that


class Doors:
    """Makes a node with a proxy before it; ends what it made."""

    def __init__(self, tmp_path_factory):
        self.directory = tmp_path_factory.mktemp("fronts")
        self.certificate = Certificate(self.directory)
        self.started = []

    def open(self, kind):
        number = len(self.started)
        (directory := self.directory / str(number)).mkdir()
        server = Server(directory, SETTINGS)
        (proxy_directory := directory / kind).mkdir()
        front = FrontProxy(kind, server, self.certificate, proxy_directory, IDLE)
        for each in (server, front):
            self.started.append(each)
            each.start()
        return front

    def close(self):
        for each in reversed(self.started):
            each.stop()


@pytest.fixture(scope="module")
def doors(tmp_path_factory):
    doors = Doors(tmp_path_factory)
    yield doors
    doors.close()


@pytest.fixture(scope="module")
def fronts(doors):
    return {kind: doors.open(kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def front(request, fronts):
    yield fronts[request.param]
    fronts[request.param].server.check_alive()


async def connect(front, user, device=None, **options):
    return await Client(front, user, device, **options).open()


def api(front, method, path, user, body=None, **options):
    return rest.call(front.port, method, "/api/v1" + path, front.server.token(user), body, tls=front.tls, **options)


async def test_a_client_is_who_it_is_over_websocket(front):
    alice, bob = uniques("alice", "bob")
    forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    await connect(front, alice, address="127.0.0.2")
    await connect(front, bob, address="127.0.0.3", headers=forged)
    for user, address in ((alice, "127.0.0.2"), (bob, "127.0.0.3")):
        sessions = rest.assert_success(api(front, "GET", "/sessions", user))["sessions"]
        assert [session["client_ip"] for session in sessions] == [address]


def test_a_client_is_who_it_is_over_rest(front):
    for number in range(2, 8):  # connections to the node are used again, by others too
        reply = api(front, "POST", "/sessions", unique("alice"), {}, address=f"127.0.0.{number}",
                    headers={"X-Forwarded-For": "203.0.113.9"})
        assert reply.data["session"]["client_ip"] == f"127.0.0.{number}"


async def test_messages_of_the_largest_size_go_through(front):
    alice, bob = uniques("alice", "bob")
    a, b = await connect(front, alice, "phone"), await connect(front, bob, "phone")
    content = text() + "ä" * (40 * 1024)  # the client writes six bytes for each, and a frame has 512 KiB
    content += "x" * (256 * 1024 - len(content.encode()))
    sent = await a.request(type="message", to=bob, content=content)
    received = await b.recv("message")
    assert received["content"] == content
    history = api(front, "GET", f"/messages?conversation_id={sent['conversation_id']}", bob)
    assert [message["content"] for message in rest.assert_success(history)["messages"]] == [content]


def test_a_body_of_the_largest_size_goes_through(front):
    # 170 KiB of text are nearly 1 MiB (limits.http_body) where each letter is escaped.
    letters = ((1 << 20) - 200) // 6
    body = b'{"to": "%s", "content": "%s"}' % (unique("bob").encode(), b"\\u0041" * letters)
    assert (1 << 20) - 300 < len(body) < 1 << 20
    message = rest.assert_success(api(front, "POST", "/messages", unique("alice"), body), 201)["message"]
    assert message["content"] == "A" * letters
    assert api(front, "POST", "/messages", unique("alice"), body + b" " * 1024).status == 413


@pytest.mark.limit(90)
async def test_an_idle_connection_is_kept_by_heartbeats(fronts):
    def stay(front):
        with RawWebSocket(front.port, timeout=20, tls=front.tls) as socket:
            socket.handshake("/api/v1/ws/connect", [("Authorization", f"Bearer {front.server.token(unique('alice'))}")])
            socket.read_json("synced")
            for _ in range(HEARTBEATS):
                while (received := socket.read_frame()).opcode != PING:
                    pass
                socket.send(frame(PONG, received.payload))
            return socket.ping_works()

    assert await asyncio.gather(*[asyncio.to_thread(stay, front) for front in fronts.values()]) == [True, True]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_drain_says_goodbye_through_the_proxy_and_the_next_node_is_found(doors, kind):
    front = doors.open(kind)
    alice, bob = uniques("alice", "bob")
    a, b = await connect(front, alice, "phone"), await connect(front, bob, "phone")
    chat = (await a.say(bob))["conversation_id"]
    await b.received(chat, 1)
    front.server.terminate()
    await a.closed(4200)
    await b.closed(4200)
    assert await asyncio.to_thread(front.server.wait) == 0
    front.server.restart()
    await asyncio.to_thread(front.wait_ready)
    a, b = await a.reconnect(), await b.reconnect()
    await a.say(bob)
    await b.received(chat, 2)


async def test_tokens_in_the_query_are_not_logged(front):
    alice = unique("alice")
    client = await connect(front, alice, auth="query")
    await client.close()
    assert api(front, "GET", f"/sessions?token={front.server.token(alice)}", alice).status == 200
    for _ in patiently(20):
        logged = front.everything_logged()
        if "/api/v1/ws/connect" in logged and "/api/v1/sessions" in logged:
            break
    assert "/api/v1/ws/connect" in logged and "eyJ" not in logged


def test_plain_http_is_sent_to_tls(front):
    with RawSocket(front.plain_port) as socket:
        answer = socket.ask("GET /demo?a=b HTTP/1.1\r\nHost: chat.example.com\r\n\r\n")
    assert (answer.status, answer.headers["location"]) == (308, "https://chat.example.com/demo?a=b")


def test_what_is_shipped_fits_the_defaults():
    """A proxy gives up later than the node does, and takes bodies as large as the node does."""
    reference = subprocess.run([binary(), "check-config", "--reference"], capture_output=True, text=True, check=True).stdout
    defaults = dict(re.findall(r"^\| `([\w.]+)` \| `\w+` \| (\S+)", reference, re.MULTILINE))
    timeout = int(defaults["heartbeat.timeout"].removesuffix("s"))
    nginx, haproxy = ((ROOT / "packaging" / name).read_text() for name in ("nginx/tidemark.conf", "haproxy/haproxy.cfg"))
    allowed = re.findall(r"proxy_(?:read|send)_timeout (\d+)s;|timeout tunnel (\d+)s", nginx + haproxy)
    assert len(allowed) == 3 and all(int(a or b) > timeout for a, b in allowed)
    assert defaults["limits.http_body"] == "1MiB" and "client_max_body_size 1m;" in nginx
