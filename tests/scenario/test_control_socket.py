"""The socket over which subcommands reach a running node: private, robust, replaced after a crash."""
import fcntl
import json
import socket
import stat
import struct
import termios
import time

import pytest

from support import commands
from support.names import uniques
from support.server import Server


def control(server):
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(server.directory / "tidemark.sock"))
    return connection


def waiting(connection):
    """Bytes that have come and were not read."""
    return struct.unpack("i", fcntl.ioctl(connection, termios.FIONREAD, b"\0" * 4))[0]


def ask(server, request):
    with control(server) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer.decode()


def test_socket_is_private_and_goes_with_the_node(own_server):
    server = own_server()
    path = server.directory / "tidemark.sock"
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o600
    server.stop()
    assert not path.exists()
    server.restart()


def test_socket_of_a_killed_node_is_replaced(own_server):
    server = own_server()
    server.kill()
    assert (server.directory / "tidemark.sock").exists()
    assert "up to date" in commands.run(server, "migrate")  # nobody listens: done without a node
    server.restart()
    assert "running node" in commands.run(server, "migrate")


def test_migrate_makes_a_store_without_a_node(own_server, tmp_path):
    server = own_server()
    server.stop()
    server.settings["storage.url"] = f"sqlite:{tmp_path}/new/tidemark.db"
    assert "(0 migrations" not in commands.run(server, "migrate")
    assert "(0 migrations" in commands.run(server, "migrate")
    server.restart()


def test_long_paths(tmp_path):
    directory = tmp_path / ("long" * 20) / ("path" * 20)
    directory.mkdir(parents=True)
    server = Server(directory).start()
    try:
        assert "running node" in commands.run(server, "migrate")
    finally:
        server.stop()
    assert "up to date" in commands.run(server, "migrate")


@pytest.mark.parametrize("request_bytes", [
    b"\n", b"null\n", b"[]\n", b"{}\n", b"{\n", b"\x00\xff\n", b'{"command": 7}\n', b'{"command": "nothing"}\n',
    b'{"command": "backup"}\n', b'{"command": "backup", "file": "relative"}\n', b'{"command": "backup", "file": 1}\n',
    b'{"command": "backup", "file": "/tmp/x\\u0000y", "force": false}\n',
    b'{"command": "backup", "file": "/tmp/x", "force": "yes"}\n', b"[" * 5000 + b"\n", b"x" * 20000, b"x" * 20000 + b"\n",
])
def test_hostile_requests_are_refused(server, request_bytes):
    answer = ask(server, request_bytes)
    assert answer.startswith("!") and answer.count("\n") == 1 and len(answer) < 500, answer


def test_silent_and_many_clients(own_server):
    """Those who say nothing hold their places for a while only, and nobody else's traffic."""
    server = own_server()
    silent = [control(server) for _ in range(8)]
    assert "busy" in ask(server, b"")
    assert server.get("/readyz").status == 200
    answers = [one.recv(1000) for one in silent]  # after the time for a request
    assert all(answer.startswith(b"!") for answer in answers), answers
    for one in silent:
        one.close()
    assert ask(server, json.dumps({"command": "migrate"}).encode() + b"\n").endswith(".\n")


def test_node_stops_while_a_client_is_silent(own_server):
    server = own_server()
    with control(server):
        server.stop()
    server.restart()


@pytest.mark.limit(90)
def test_node_stops_while_nobody_reads_what_an_export_says(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    for _ in range(40):
        server.api("POST", "/messages", alice, {"to": bob, "content": "CANARY " + "x" * 60_000})
    with control(server) as connection:
        request = {"command": "export-user", "user": alice, "tenant": "default"}
        connection.sendall(json.dumps(request).encode() + b"\n")
        looks = [0]
        while looks[-1] < 100_000 or len(set(looks[-5:])) > 1:  # the socket holds no more
            time.sleep(0.05)
            looks.append(waiting(connection))
        server.stop()
    server.restart()


def test_wrong_usage(server):
    for arguments in (["backup"], ["restore"], ["backup", "--to"], ["migrate", "--nonsense"], ["nothing"]):
        commands.run(server, *arguments, code=2)


def test_memory_store_has_nothing_to_back_up(server, tmp_path):
    class Memory:
        settings, directory = {"storage.url": "memory:"}, tmp_path

    assert "sqlite:PATH" in commands.run(Memory, "backup", "--to", tmp_path / "x", code=1)
    assert "sqlite:PATH" in commands.run(Memory, "migrate", code=1)
