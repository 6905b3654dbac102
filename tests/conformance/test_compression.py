"""permessage-deflate (RFC 7692): agreed on without context, shared by all who have it, bounded in what it may become."""
import json
import subprocess
import zlib
from pathlib import Path

import pytest

from support import tokens
from support.chat import make_group
from support.client import Client
from support.names import unique, uniques
from support.raw import CONTINUATION, PING, TEXT, RawWebSocket, frame
from support.server import Server

CONNECT = "/api/v1/ws/connect"
ACCEPTED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12"
RSV1 = 4
LIMIT = 512 << 10
TAIL = b"\x00\x00\xff\xff"


@pytest.fixture(scope="module")
def compressing_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("compressing"), {"http.compression": "deflate"}).start()
    yield server
    server.stop()


@pytest.fixture
def server(compressing_server):
    if not compressing_server.alive:
        compressing_server.restart()
    yield compressing_server
    compressing_server.check_alive()


class Compressing(Client):
    """A client whose library compresses."""

    compression = "deflate"


def raw(server, user, offer="permessage-deflate", query=""):
    headers = [("Authorization", f"Bearer {tokens.token(user)}")] + [("Sec-WebSocket-Extensions", offer)] * bool(offer)
    return RawWebSocket(server.port, 20).handshake(CONNECT + query, headers)


def synced(server, user, offer="permessage-deflate", query=""):
    connected = raw(server, user, offer, query)
    while read(connected)["type"] != "synced":
        pass
    return connected


def deflated(data, level=6):
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    data = data.encode() if isinstance(data, str) else data
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(received):
    """The text of a frame, by a window of 2^12 that is new for each."""
    if not received.rsv:
        return received.payload
    assert received.rsv == RSV1 and received.opcode == TEXT
    return zlib.decompressobj(-12).decompress(received.payload + TAIL)


def read(connected):
    return json.loads(inflated(connected.read_frame()))


def read_until(connected, kind):
    """The next JSON frame of that type, with the frame it came in."""
    while True:
        received = connected.read_frame()
        if received.opcode == TEXT:
            value = json.loads(inflated(received))
            if value["type"] == kind:
                return value, received


def ping(**more):
    return json.dumps({"type": "ping", **more})


# -- agreeing ------------------------------------------------------------------------------------------------------


def test_it_is_off_by_default(shared_server):
    connected = raw(shared_server, unique("alice"))
    assert "sec-websocket-extensions" not in connected.upgraded.headers
    connected.send(frame(TEXT, deflated(ping()), rsv=RSV1))
    assert connected.read_close().code == 1002


@pytest.mark.parametrize("offer", [
    "permessage-deflate", "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
    "permessage-deflate; server_max_window_bits=8, permessage-deflate"])
def test_offer_is_accepted(server, offer):
    connected = raw(server, unique("alice"), offer)
    assert connected.upgraded.headers["sec-websocket-extensions"] == ACCEPTED
    connected.send(frame(TEXT, deflated(ping()), rsv=RSV1))
    assert read_until(connected, "pong")


@pytest.mark.parametrize("offer", [
    None, "permessage-deflate; server_max_window_bits=11", "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; unknown", "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "x-webkit-deflate-frame", ";;", "permessage-deflate; client_max_window_bits=7"])
def test_offer_is_declined_and_all_goes_on_without(server, offer):
    connected = raw(server, unique("alice"), offer)
    assert "sec-websocket-extensions" not in connected.upgraded.headers
    assert connected.ping_works()
    connected.send(frame(TEXT, deflated(ping()), rsv=RSV1))
    assert connected.read_close().code == 1002


# -- what is sent --------------------------------------------------------------------------------------------------


async def test_subscribers_with_and_without_compression_get_the_same(server):
    alice, bob, carol, dave = uniques("alice", "bob", "carol", "dave")
    a = await server.connect(alice)
    group = make_group(server, alice, bob, carol, dave)
    with_it, plain = synced(server, bob), synced(server, carol, None)
    d = await Compressing(server, dave, "phone").open()
    for size in (1, 200, 2000, 20_000, 200_000):
        content = "CANARY " + ("some words that repeat " * (size // 20 + 1))[:size]
        await a.say(conversation_id=group, content=content)
        one, one_frame = read_until(with_it, "message")
        other, other_frame = read_until(plain, "message")
        assert one == other and one["content"] == content
        assert not other_frame.rsv
        assert bool(one_frame.rsv) is (len(other_frame.payload) >= 256)
        if size >= 2000:
            assert len(one_frame.payload) < len(other_frame.payload) / 4
        assert (await d.recv("message"))["content"] == content


async def test_replay_and_history_are_compressed(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    contents = ["CANARY " + f"message {i} " * 50 for i in range(100)]
    for content in contents:
        chat = (await a.say(bob, content=content))["conversation_id"]
    connected = raw(server, bob, query="?device_id=phone")
    replayed = [read_until(connected, "message") for _ in range(100)]
    assert [message["content"] for message, _ in replayed] == contents
    assert all(received.rsv == RSV1 for _, received in replayed)
    connected.send(frame(TEXT, deflated(json.dumps(
        {"type": "history", "id": "h", "conversation_id": chat, "limit": 100})), rsv=RSV1))
    history, received = read_until(connected, "history")
    assert [entry["content"] for entry in history["entries"]] == contents and received.rsv == RSV1


async def test_what_cannot_get_smaller_goes_as_it_is(server):
    alice = unique("alice")
    connected = synced(server, alice)
    connected.send(frame(PING, "a control frame " * 7))
    received = connected.read_frame()
    assert received.rsv == 0 and received.payload == b"a control frame " * 7


async def test_a_library_talks_compressed_in_both_directions(server):
    alice, bob = uniques("alice", "bob")
    a, b = await Compressing(server, alice, "phone").open(), await Compressing(server, bob, "phone").open()
    assert [extension.name for extension in a.ws.extensions] == ["permessage-deflate"]
    for size in (0, 300, 70_000, 250_000):
        content = "CANARY " + ("größe " * size)[:size // 2]
        sent = await a.say(bob, content=content)
        assert (await b.recv("message"))["content"] == content
    await b.received(sent["conversation_id"], 4)


# -- what comes ----------------------------------------------------------------------------------------------------


def test_compressed_fragments_with_control_frames_between(server):
    connected = synced(server, unique("alice"))
    body = deflated(ping(pad="x" * 1000))
    connected.send(frame(TEXT, body[:5], fin=False, rsv=RSV1) + frame(PING, "p") +
                   frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, body[5:]))
    assert connected.read_frame().payload == b"p"
    assert read(connected)["type"] == "pong"


@pytest.mark.parametrize("level", [0, 1, 9])
def test_the_largest_message(server, level):
    connected = synced(server, unique("alice"))
    text = ping(pad="")
    text = ping(pad="x" * (LIMIT - len(text) - 200))
    connected.send(frame(TEXT, deflated(text, level), rsv=RSV1))
    assert read_until(connected, "pong")


VIOLATIONS = {
    "compressed continuation": (
        frame(TEXT, deflated(ping())[:5], fin=False, rsv=RSV1) + frame(CONTINUATION, deflated(ping())[5:], rsv=RSV1), 1002),
    "compression that starts in the middle": (
        frame(TEXT, "{", fin=False) + frame(CONTINUATION, deflated("}"), rsv=RSV1), 1002),
    "compressed ping": (frame(PING, deflated("x"), rsv=RSV1), 1002),
    "reserved bit 2 beside it": (frame(TEXT, deflated(ping()), rsv=RSV1 | 2), 1002),
    "no deflate": (frame(TEXT, "hello, world", rsv=RSV1), 1007),
    "nothing": (frame(TEXT, "", rsv=RSV1), 1007),
    "cut off": (frame(TEXT, deflated(ping(pad="0123456789abcdef" * 20))[:-6], rsv=RSV1), 1007),
    "reaches before its beginning": (
        frame(TEXT, (lambda c: c.compress(ping().encode() * 9) + c.flush(zlib.Z_SYNC_FLUSH) and
                     c.compress(ping().encode() * 9) + c.flush(zlib.Z_SYNC_FLUSH))(zlib.compressobj(9, 8, -15))[:-4],
              rsv=RSV1), 1007),
    "no UTF-8": (frame(TEXT, deflated(b'"\xff"'), rsv=RSV1), 1007),
    "one byte too long": (frame(TEXT, deflated(" " * (LIMIT + 1)), rsv=RSV1), 1009),
    "too long on the wire": (frame(TEXT, b"", rsv=RSV1, length=LIMIT + 1, width=64), 1009),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation_is_closed_with_its_code(server, name):
    data, code = VIOLATIONS[name]
    connected = synced(server, unique("alice"))
    connected.send(data)
    assert connected.read_close().code == code


@pytest.mark.memory
def test_bomb_is_refused_before_it_costs_memory(server):
    """Half a megabyte that would become half a gigabyte, whole and in fragments."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(1 << 20)
    bomb = b"".join(compressor.compress(zeros) for _ in range(500)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    bomb = bomb[:-4]
    assert len(bomb) < LIMIT
    before = server.metrics()["process_resident_memory_bytes"]
    for _ in range(20):
        connected = synced(server, unique("alice"))
        connected.send(frame(TEXT, bomb, rsv=RSV1))
        assert connected.read_close().code == 1009
    connected = synced(server, unique("alice"))
    connected.send(frame(TEXT, bomb[:1000], rsv=RSV1, fin=False) + frame(CONTINUATION, bomb[1000:]))
    assert connected.read_close().code == 1009
    assert server.metrics()["process_resident_memory_bytes"] - before < 50 << 20


def test_node_client_with_compression(server):
    modules = Path(__file__).resolve().parents[1] / "node_modules" / "ws"
    if not modules.is_dir():
        pytest.skip("npm ci first")
    script = """
      const {WebSocket} = await import(process.argv[1] + '/wrapper.mjs');
      const socket = new WebSocket(process.argv[2], {perMessageDeflate: {threshold: 0}});
      const content = 'CANARY ' + 'words that repeat '.repeat(5000);
      socket.on('message', data => {
        const frame = JSON.parse(data);
        if (frame.type === 'synced') {
          socket.send(JSON.stringify({type: 'message', id: 'm', to: 'self-' + process.pid, content}));
        } else if (frame.type === 'sent') {
          socket.send(JSON.stringify({type: 'history', id: 'h', conversation_id: frame.conversation_id}));
        } else if (frame.type === 'history') {
          console.log(socket.extensions, frame.entries[0].content === content);
          socket.close();
        }
      });
    """
    uri = f"ws://127.0.0.1:{server.port}{CONNECT}?token={tokens.token(unique('alice'))}"
    done = subprocess.run(["node", "--input-type=module", "-e", script, str(modules), uri], capture_output=True,
                          text=True, timeout=30)
    assert done.stdout.split() == ["permessage-deflate", "true"], done
