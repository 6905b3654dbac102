"""RFC 6455 on the wire: what is wrong is closed with its code, what is unusual but right is understood."""
import json
import struct

import pytest

from support.names import text, unique
from support.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame

PING_COMMAND = json.dumps({"type": "ping"})
LIMIT = 512 << 10


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


VIOLATIONS = {
    "unmasked": (frame(TEXT, PING_COMMAND, mask=False), 1002),
    "reserved bit 1": (frame(TEXT, PING_COMMAND, rsv=4), 1002),
    "reserved bit 2": (frame(TEXT, PING_COMMAND, rsv=2), 1002),
    "reserved bit 3": (frame(TEXT, PING_COMMAND, rsv=1), 1002),
    "reserved bit on a ping": (frame(PING, b"", rsv=4), 1002),
    **{f"reserved opcode {code:x}": (frame(code, b"x"), 1002) for code in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "16 bits for a short length": (frame(TEXT, PING_COMMAND, width=16), 1002),
    "64 bits for a short length": (frame(TEXT, PING_COMMAND, width=64), 1002),
    "64 bits for a medium length": (frame(TEXT, b"x" * 300, width=64), 1002),
    "negative length": (frame(TEXT, b"", length=1 << 63, width=64), 1002),
    "fragmented ping": (frame(PING, b"", fin=False), 1002),
    "fragmented close": (frame(CLOSE, close_payload(1000), fin=False), 1002),
    "ping of 126 bytes": (frame(PING, b"x" * 126), 1002),
    "pong of 126 bytes": (frame(PONG, b"x" * 126), 1002),
    "close of 126 bytes": (frame(CLOSE, close_payload(1000, b"x" * 124)), 1002),
    "continuation of nothing": (frame(CONTINUATION, b"x", fin=False), 1002),
    "final continuation of nothing": (frame(CONTINUATION, b"x", fin=True), 1002),
    "text within a fragmented text": (frame(TEXT, b"x", fin=False) + frame(TEXT, PING_COMMAND), 1002),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
    **{f"close with {code}": (frame(CLOSE, close_payload(code)), 1002)
       for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)},
    "close with a reason that is no UTF-8": (frame(CLOSE, close_payload(1000, b"\xff")), (1002, 1007)),
    "binary": (frame(BINARY, PING_COMMAND), 1003),
    "fragmented binary": (frame(BINARY, b"x", fin=False), 1003),
    "overlong UTF-8": (frame(TEXT, b'{"type":"\xc0\xaf"}'), 1007),
    "surrogate in UTF-8": (frame(TEXT, b'{"type":"\xed\xa0\x80"}'), 1007),
    "beyond U+10FFFF": (frame(TEXT, b'{"type":"\xf4\x90\x80\x80"}'), 1007),
    "UTF-8 cut off": (frame(TEXT, b'{"type":"\xe2\x82'), 1007),
    "stray continuation byte": (frame(TEXT, b"\x80"), 1007),
    "0xff": (frame(TEXT, b"\xff"), 1007),
    "invalid UTF-8 in the second fragment": (
        frame(TEXT, b'{"a":"\xe2\x82', fin=False) + frame(CONTINUATION, b'x"}'), 1007),
    "65 fragments": (frame(TEXT, b" ", fin=False) + frame(CONTINUATION, b" ", fin=False) * 64, 1008),
    "endless empty fragments": (frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 200, 1008),
    "one byte too long": (frame(TEXT, b" " * (LIMIT + 1)), 1009),
    "announced 1 GB": (frame(TEXT, b"", length=1 << 30), 1009),
    "announced 2^62": (frame(TEXT, b"", length=1 << 62), 1009),
    "too long in two fragments": (frame(TEXT, b" " * LIMIT, fin=False) + frame(CONTINUATION, b" "), 1009),
}


@pytest.fixture
def socket(server):
    with server.raw(unique("alice")) as connected:
        connected.read_json("synced")
        yield connected


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation_is_closed_with_its_code(socket, name):
    data, expected = VIOLATIONS[name]
    socket.send(data)
    closed = socket.read_close()
    assert closed.code in (expected if isinstance(expected, tuple) else (expected,)), closed
    assert "bye" not in [each["type"] for each in closed.texts], "bye is for 4xxx only"


def test_violation_of_one_leaves_others_alone(server):
    one, other = server.raw(unique("alice")), server.raw(unique("bob"))
    one.send(frame(BINARY, b"x"))
    assert one.read_close().code == 1003
    assert other.ping_works()


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_close_is_answered(socket, code):
    socket.send(frame(CLOSE, close_payload(code, "done ✓".encode())))
    assert socket.read_close().code == code


def test_close_without_a_code_is_answered(socket):
    socket.send(frame(CLOSE))
    assert socket.read_close().code in (1000, 1005)


def test_nothing_is_answered_after_a_close(socket):
    socket.send(frame(CLOSE, close_payload(1000)) + frame(TEXT, PING_COMMAND))
    assert [each["type"] for each in socket.read_close().texts] == []


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(125))])
def test_ping_is_answered_with_its_payload(socket, payload):
    socket.send(frame(PING, payload))
    received = socket.read_frame()
    assert (received.opcode, received.payload, received.fin) == (PONG, payload, True)


def test_unasked_pong_is_ignored(socket):
    socket.send(frame(PONG, b"nobody asked"))
    assert socket.ping_works()


def test_message_in_64_fragments_with_pings_between(socket):
    parts = [PING_COMMAND[:3], PING_COMMAND[3:5], *[""] * 61, PING_COMMAND[5:]]
    data = frame(TEXT, parts[0], fin=False)
    for part in parts[1:-1]:
        data += frame(CONTINUATION, part, fin=False)
    data += frame(PING, b"in between") + frame(CONTINUATION, parts[-1])
    socket.send(data)
    received = socket.read_frame()
    assert (received.opcode, received.payload) == (PONG, b"in between")
    assert socket.read_json()["type"] == "pong"


def test_utf8_may_be_split_between_fragments(socket):
    payload = json.dumps({"type": "message", "id": "utf", "to": unique("bob"), "content": "CANARY €👍"},
                         ensure_ascii=False).encode()
    cut = payload.index("👍".encode()) + 2
    socket.send(frame(TEXT, payload[:cut], fin=False) + frame(CONTINUATION, payload[cut:]))
    assert socket.read_json()["type"] == "sent"


def test_frames_may_arrive_byte_by_byte_and_many_at_once(socket):
    for byte in frame(TEXT, PING_COMMAND):
        socket.send(bytes([byte]))
    assert socket.read_json()["type"] == "pong"
    socket.send(frame(TEXT, PING_COMMAND) * 100)
    for _ in range(100):
        assert socket.read_json()["type"] == "pong"


@pytest.mark.parametrize("length", [125, 126, 127, 65535, 65536, LIMIT])
def test_every_length_form_is_read(socket, length):
    padding = length - len(json.dumps({"type": "ping", "x": ""}))
    payload = json.dumps({"type": "ping", "x": "x" * padding})
    assert len(payload) == length
    socket.send(frame(TEXT, payload))
    assert socket.read_json()["type"] == "pong"


def test_server_frames_use_the_shortest_length(server):
    alice = unique("alice")
    sender, receiver = server.raw(alice), server.raw(alice)
    for length in (1, 200, 70_000):
        sender.send_json({"type": "message", "to": alice, "content": "CANARY" + "x" * length})
        while True:
            first, second = receiver.take(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", receiver.take(2))
                assert size >= 126
            elif size == 127:
                (size,) = struct.unpack("!Q", receiver.take(8))
                assert size >= 1 << 16
            payload = receiver.take(size)
            assert first & 0x70 == 0 and second & 0x80 == 0
            if first & 0x0F == TEXT and json.loads(payload)["type"] == "message":
                break


def test_lost_connections_do_no_harm(server):
    """Cut in the middle of a header, of a payload, of a fragmented message."""
    whole = frame(TEXT, json.dumps({"type": "message", "to": "x", "content": text()}))
    for cut in (1, 2, 5, len(whole) - 1):
        socket = server.raw(unique("alice"))
        socket.send(whole[:cut])
        socket.close()
    socket = server.raw(unique("alice"))
    socket.send(frame(TEXT, b"{", fin=False))
    socket.close()
    assert server.raw(unique("alice")).ping_works()
