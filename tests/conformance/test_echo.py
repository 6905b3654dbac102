"""The transport alone (examples/echo): what comes in goes out, for every size, cut and order of frames.

A sweep of its own in the manner of the public suites, with frames of every length around the changes of their form.
"""
import os
import socket as sockets
import struct
import subprocess
import time
from pathlib import Path

import pytest

from support.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket, frame
from support.server import binary, free_port

SIZES = [0, 1, 2, 7, 124, 125, 126, 127, 128, 129, 255, 256, 1000, 4095, 4096, 16384, 65534, 65535, 65536, 65537, 70000]
EVERY_SIZE = range(0, 300)


@pytest.fixture(scope="module")
def echo():
    program = Path(binary()).parent / "examples" / "echo"
    if not program.exists():
        pytest.skip("no echo: build it")
    port = free_port()
    process = subprocess.Popen([program, "--port", str(port), "--max-message", str(1 << 20), "--max-fragments", "1000"])
    deadline = time.monotonic() + 10
    while True:
        try:
            sockets.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline, "echo does not start"
            time.sleep(0.01)
    yield port
    process.terminate()
    assert process.wait(10) == 0


@pytest.fixture
def socket(echo):
    with RawWebSocket(echo, timeout=20).handshake("/") as connected:
        yield connected


def payload(opcode, size):
    return (b"*" if opcode == TEXT else os.urandom(1)) * size


def is_echo(received, opcode, data):
    return (received.opcode, received.payload, received.fin, received.rsv) == (opcode, data, True, 0)


def send_in_pieces(socket, data, size):
    socket.sock.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
    for start in range(0, len(data), size):
        socket.send(data[start:start + size])


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_every_size(socket, opcode):
    for size in [*EVERY_SIZE, *SIZES]:
        data = payload(opcode, size)
        socket.send(frame(opcode, data))
        assert is_echo(socket.read_frame(), opcode, data), size


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_sizes_in_pieces_of_one_byte(socket, opcode):
    for size in [0, 1, 2, 124, 125, 126, 127, 128, 300, 2000]:
        data = payload(opcode, size)
        send_in_pieces(socket, frame(opcode, data), 1)
        assert is_echo(socket.read_frame(), opcode, data), size


@pytest.mark.parametrize("piece", [2, 3, 5, 7, 13, 997, 1460, 65536])
def test_sizes_in_pieces(socket, piece):
    for size in SIZES:
        if size / piece > 3000:
            continue
        data = payload(BINARY, size)
        send_in_pieces(socket, frame(BINARY, data), piece)
        assert is_echo(socket.read_frame(), BINARY, data), (size, piece)


def test_every_cut_of_two_frames(socket):
    """The end of one frame and the start of the next in one read, at every place."""
    first, second = b"a" * 130, "é€👍".encode()
    whole = frame(TEXT, first) + frame(TEXT, second)
    for cut in range(1, len(whole)):
        send_in_pieces(socket, whole[:cut], cut)
        socket.send(whole[cut:])
        assert is_echo(socket.read_frame(), TEXT, first) and is_echo(socket.read_frame(), TEXT, second), cut


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 70000])
@pytest.mark.parametrize("fragment", [1, 64, 1000, 65536])
def test_fragments_with_pings_between(socket, size, fragment):
    if size > 0 and size / fragment > 1000:
        pytest.skip("more fragments than the limit")
    data = payload(BINARY, size)
    pieces = [data[start:start + fragment] for start in range(0, size, fragment)] or [b""]
    wire = b""
    for number, piece in enumerate(pieces):
        wire += frame(CONTINUATION if number else BINARY, piece, fin=number + 1 == len(pieces))
        if number + 1 < len(pieces):
            wire += frame(PING, struct.pack("!I", number))
    socket.send(wire)
    for number in range(len(pieces) - 1):
        assert is_echo(socket.read_frame(), PONG, struct.pack("!I", number))
    assert is_echo(socket.read_frame(), BINARY, data)


def test_every_size_of_a_ping(socket):
    for size in range(126):
        data = bytes(range(size))
        socket.send(frame(PING, data))
        assert is_echo(socket.read_frame(), PONG, data), size


def test_pings_in_pieces_of_one_byte(socket):
    for size in (0, 1, 125):
        send_in_pieces(socket, frame(PING, b"p" * size), 1)
        assert is_echo(socket.read_frame(), PONG, b"p" * size)


def test_many_messages_at_once_come_back_in_order(socket):
    data = [b"%d" % number for number in range(5000)]
    socket.send(b"".join(frame(TEXT, each) for each in data))
    for each in data:
        assert is_echo(socket.read_frame(), TEXT, each)


def test_empty_fragments(socket):
    socket.send(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 5 + frame(CONTINUATION, b""))
    assert is_echo(socket.read_frame(), TEXT, b"")
    socket.send(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"x", fin=False) + frame(CONTINUATION, b""))
    assert is_echo(socket.read_frame(), TEXT, b"x")


def test_every_character_boundary_over_fragments(socket):
    text = "κόσμε߿ࠀ￿𐀀\U0010ffff".encode()
    for cut in range(len(text) + 1):
        socket.send(frame(TEXT, text[:cut], fin=False) + frame(CONTINUATION, text[cut:]))
        assert is_echo(socket.read_frame(), TEXT, text), cut


CODES = [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999]
BAD_CODES = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 65535]


@pytest.mark.parametrize("codes, answer", [(CODES, None), (BAD_CODES, 1002)], ids=["good", "bad"])
def test_every_close_code(echo, codes, answer):
    for code in codes:
        for reason in (b"", b"x" * 123, "é€👍".encode()):
            with RawWebSocket(echo).handshake("/") as socket:
                socket.send(frame(CLOSE, struct.pack("!H", code) + reason))
                assert socket.read_close().code == (answer or code), code


def test_message_before_and_after_a_close(echo):
    with RawWebSocket(echo).handshake("/") as socket:
        socket.send(frame(TEXT, b"before") + frame(CLOSE, struct.pack("!H", 1000)) + frame(TEXT, b"after"))
        assert is_echo(socket.read_frame(), TEXT, b"before")
        assert socket.read_frame().opcode == CLOSE
        assert socket.at_end() and socket.buffer == b""


def test_message_one_past_the_limit(echo):
    with RawWebSocket(echo).handshake("/") as socket:
        socket.send(frame(BINARY, bytes(1 << 20)))
        assert len(socket.read_frame().payload) == 1 << 20
        socket.send(frame(BINARY, b"", length=(1 << 20) + 1))
        assert socket.read_frame().payload[:2] == struct.pack("!H", 1009)
