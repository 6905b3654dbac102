"""The server finds out that a connection is dead, and a living one stays."""
import pytest

from support.names import unique
from support.raw import CLOSE, PING, PONG, frame
from support.server import Server

TIMES = {"heartbeat.interval": "300ms", "heartbeat.timeout": "1s"}


@pytest.fixture(scope="module")
def nervous_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("nervous"), TIMES).start()
    yield server
    server.stop()


def next_control(socket):
    while True:
        received = socket.read_frame()
        if received.opcode in (PING, CLOSE):
            return received


def test_silent_connection_is_pinged_and_then_closed_with_4202(nervous_server):
    socket = nervous_server.raw(unique("alice"))
    assert socket.read_json("welcome")["heartbeat"] == {"interval_ms": 300, "timeout_ms": 1000}
    assert next_control(socket).opcode == PING
    closed = socket.read_close()
    assert closed.code == 4202
    assert (closed.texts[-1]["type"], closed.texts[-1]["code"], closed.texts[-1]["reconnect"]) == ("bye", 4202, True)


def test_any_frame_counts_as_life(nervous_server):
    silent, ponging, pinging = [nervous_server.raw(unique("alice")) for _ in range(3)]
    for _ in range(6):  # 6 intervals of 300 ms are longer than the timeout
        received = next_control(ponging)
        assert received.opcode == PING
        ponging.send(frame(PONG, received.payload))
        pinging.send_json({"type": "ping"})
    assert silent.read_close().code == 4202
    assert ponging.ping_works() and pinging.ping_works()
