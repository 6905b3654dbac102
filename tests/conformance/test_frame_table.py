"""Frames, generated: every first byte, every length form, every cut of wrong UTF-8, and what a message may cost."""
import os
import struct
import time

import pytest

from support.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawSocket, frame

LIMIT = 512 << 10
PING_COMMAND = '{"type":"ping"}'


@pytest.fixture
def connect(server):
    """Opens connections on which nobody has registered: frames are checked before anything else."""
    return lambda: server.raw(path="/ws")


def close_code(connect, data):
    with connect() as socket:
        socket.read_json("welcome")
        socket.send(data)
        closed = socket.read_close()
        assert not [each for each in closed.texts if each["type"] == "bye"]
        return closed.code


def first_byte_code(first):
    """What a connection that sends a frame with this first byte and one byte of payload is closed with; None: not."""
    fin, rsv, opcode = first >> 7, first >> 4 & 7, first & 15
    if rsv or opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15) or opcode == CONTINUATION:
        return 1002
    if opcode == BINARY:
        return 1003
    if opcode == CLOSE:
        return 1002  # a payload of one byte
    return 1002 if opcode in (PING, PONG) and not fin else None


def test_every_first_byte(connect):
    for first in range(256):
        data = frame(first & 15, b"7", fin=bool(first & 0x80), rsv=first >> 4 & 7)
        expected = first_byte_code(first)
        if expected is None:
            with connect() as socket:
                socket.send(data)
                if first & 0x80 == 0:
                    socket.send(frame(CONTINUATION, b" "))
                assert socket.ping_works(), hex(first)
        else:
            assert close_code(connect, data) == expected, hex(first)


def test_every_opcode_unmasked(connect):
    for opcode in (TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG):
        payload = struct.pack("!H", 1000) if opcode == CLOSE else b"7"
        assert close_code(connect, frame(opcode, payload, mask=False)) in ((1002, 1003) if opcode == BINARY else (1002,))


def test_every_length_form_that_is_longer_than_needed(connect):
    for length in (0, 1, 125):
        for width in (16, 64):
            assert close_code(connect, frame(TEXT, b" " * length, width=width)) == 1002, (length, width)
    for length in (126, 127, 65535):
        assert close_code(connect, frame(TEXT, b" " * length, width=64)) == 1002, length


def test_lengths_with_high_bits(connect):
    for bit in range(20, 63):
        assert close_code(connect, frame(TEXT, b"", length=1 << bit)) == 1009, bit
    for length in (1 << 63, (1 << 64) - 1, (1 << 63) + 5):
        assert close_code(connect, frame(TEXT, b"", length=length, width=64)) == 1002, hex(length)


def test_control_frames_longer_than_125_in_every_form(connect):
    for opcode in (CLOSE, PING, PONG):
        for length in (126, 127, 1000, 65536):
            assert close_code(connect, frame(opcode, b"x" * length)) == 1002, (opcode, length)


def may_be_sent(code):
    return 1000 <= code <= 1014 and code not in (1004, 1005, 1006) or 3000 <= code <= 4999


def test_every_close_code_of_the_registry_and_around(connect):
    for code in [*range(0, 20), *range(990, 1030), *range(1990, 2010), *range(2990, 3010), *range(3990, 4010),
                 *range(4990, 5010), 9999, 32768, 65535]:
        expected = code if may_be_sent(code) else 1002
        assert close_code(connect, frame(CLOSE, struct.pack("!H", code))) == expected, code


def test_close_reasons_that_are_not_utf8(connect):
    for reason in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"ok\xe2\x82", b"\x80"):
        assert close_code(connect, frame(CLOSE, struct.pack("!H", 1000) + reason)) in (1002, 1007), reason


# -- UTF-8 -------------------------------------------------------------------------------------------------------

WRONG_UTF8 = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc2", b"\xc2\x20", b"\xe0\x80\x80", b"\xe0\x9f\xbf",
              b"\xe2\x82", b"\xe2\x28\xa1", b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf",
              b"\xf0\x9f\x91", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",
              b"\xfe", b"\xff"]


def test_wrong_utf8_at_every_split_into_fragments(connect):
    for wrong in WRONG_UTF8:
        payload = '{"é":"'.encode() + wrong + b'"}'
        for cut in range(1, len(payload)):
            data = frame(TEXT, payload[:cut], fin=False) + frame(CONTINUATION, payload[cut:])
            assert close_code(connect, data) == 1007, (wrong, cut)


def test_wrong_utf8_at_every_split_of_the_stream(connect):
    for wrong in WRONG_UTF8[::4]:
        data = frame(TEXT, b'{"' + wrong + b'"}')
        for cut in range(1, len(data)):
            with connect() as socket:
                socket.send(data[:cut])
                socket.send(data[cut:])
                assert socket.read_close().code == 1007, (wrong, cut)


def test_wrong_utf8_is_refused_before_the_message_is_complete(connect):
    assert close_code(connect, frame(TEXT, b'{"\xff', fin=False)) == 1007
    whole = frame(TEXT, b"\xff" + b" " * 1000)
    assert close_code(connect, whole[:20]) == 1007


def test_good_utf8_at_every_split(connect):
    payload = '{"type":"ping","x":"é€👍\u0000\ud7ff\uffff\U0010ffff"}'.replace("\u0000", "\\u0000").encode()
    with connect() as socket:
        for cut in range(1, len(payload)):
            socket.send(frame(TEXT, payload[:cut], fin=False) + frame(CONTINUATION, payload[cut:]))
            socket.read_json("pong")


# -- size --------------------------------------------------------------------------------------------------------


def test_fragments_one_past_the_limit(connect):
    pieces = [frame(CONTINUATION, b" ", fin=False)] * 62
    with connect() as socket:
        socket.send(frame(TEXT, b"7", fin=False) + b"".join(pieces) + frame(CONTINUATION, b" "))
        assert socket.ping_works()
    assert close_code(connect, frame(TEXT, b"7", fin=False) + b"".join(pieces) + frame(CONTINUATION, b" ", fin=False)
                      + frame(CONTINUATION, b" ")) == 1008


def test_message_one_past_the_limit_however_it_is_cut(connect):
    for first in (0, 1, 125, 65536, LIMIT - 1, LIMIT):
        data = frame(TEXT, b" " * first, fin=False) + frame(CONTINUATION, b"", length=LIMIT + 1 - first)
        assert close_code(connect, data) == 1009, first


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def settled(condition, seconds=10):
    """Waits until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.mark.memory
def test_announced_sizes_cost_nothing_until_they_arrive(own_server):
    """A hundred connections announce the largest message there may be and send a kilobyte of it."""
    server = own_server()
    sockets = [server.raw(path="/ws") for _ in range(100)]
    before = resident_bytes(server)
    for socket in sockets:
        socket.send(frame(TEXT, b" " * 1024, length=LIMIT, fin=False))
        socket.send(b"")
    assert all(socket.read_json("welcome") for socket in sockets)
    assert server.raw(path="/ws").ping_works()
    grown = resident_bytes(server) - before
    assert grown < 100 * 16384, f"{grown} bytes for 100 KiB received"
    for socket in sockets:
        socket.close()


@pytest.mark.memory
def test_whole_messages_cost_less_than_twice_their_limit(own_server):
    """Twenty connections send all of the largest message but its last byte, in 64 fragments."""
    server = own_server()
    sockets = [server.raw(path="/ws") for _ in range(20)]
    before = resident_bytes(server)
    piece = b" " * (LIMIT // 64)
    for socket in sockets:
        data = frame(TEXT, piece, fin=False) + frame(CONTINUATION, piece, fin=False) * 62 + frame(CONTINUATION, piece)[:-1]
        socket.send(data + b"")
    # Everything has been read when the kernel holds nothing of it any more.
    assert server.raw(path="/ws").ping_works()
    assert settled(lambda: resident_bytes(server) - before > 20 * LIMIT // 2), "what was sent is not there"
    grown = resident_bytes(server) - before
    assert grown < 2 * 20 * LIMIT, f"{grown} bytes for {20 * LIMIT}"
    for socket in sockets:
        socket.close()


@pytest.mark.memory
def test_500_silent_connections_cost_less_than_20_mb(own_server):
    server = own_server()
    before = resident_bytes(server)
    sockets = [RawSocket(server.port) for _ in range(500)]
    for socket in sockets[::2]:
        socket.send(b"GET /ws HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 4000)
    assert server.get("/healthz").status == 200
    grown = resident_bytes(server) - before
    assert grown < 20_000_000, grown
    for socket in sockets:
        socket.close()


def test_endless_fragments_end_with_1008(connect):
    """A sender that never stops: empty fragments, and fragments of one byte with pings between."""
    for piece in (frame(CONTINUATION, b"", fin=False), frame(CONTINUATION, b" ", fin=False) + frame(PING, b"")):
        with connect() as socket:
            socket.send(frame(TEXT, b"", fin=False))
            try:
                for _ in range(200):
                    socket.send(piece * 100)
            except (BrokenPipeError, ConnectionResetError):
                pass
            code = socket.read_close().code
            assert code == 1008, code
