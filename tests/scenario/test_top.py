"""tidemark top: what a node does, for people and for programs."""
import json
import os
import pty
import select
import signal
import subprocess
import time

import pytest

from support import commands
from support.names import text, uniques
from support.server import binary


async def test_once_as_json(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    process = commands.start(server, "top", "--once", "--json", "--every", "0.5", text=True)
    while process.poll() is None:
        await a.say(bob, content=text())
    out, err = process.communicate()
    assert process.returncode == 0, err
    figures = json.loads(out)
    assert figures["connections"] == 1 and figures["users"] == 1 and figures["ready"] is True
    assert figures["messages_per_second"] > 0 and figures["commits_per_second"] > 0
    assert 0 < figures["commit_p50_ms"] <= figures["commit_p99_ms"]
    assert figures["behind_connections"] == 0 and figures["resident_bytes"] > 1_000_000


async def test_slow_device_is_on_the_list(own_server):
    server = own_server({"limits.queue": "4KiB", "limits.write_stall": "5m"})
    alice, bob = uniques("alice", "bob")
    with server.raw(alice, query="?device_id=slow") as slow:
        assert slow
        b = await server.connect(bob)
        for _ in range(40):
            await b.say(alice, content="x" * 200_000)
        (one,) = json.loads(commands.run(server, "top", "--once", "--json", "--every", "0.1"))["slowest"]
        assert (one["user_id"], one["device_id"]) == (alice, "slow")
        assert one["behind"] > 0 and one["queue_bytes"] > 0
        plain = commands.run(server, "top", "--once", "--every", "0.1")
        assert alice in plain and "\x1b" not in plain


def test_plain_text(server):
    plain = commands.run(server, "top", "--once", "--every", "0.1")
    assert plain.startswith("tidemark ") and "connections 0" in plain and "p99" in plain and "\x1b" not in plain


def test_without_a_node(own_server):
    server = own_server()
    server.stop()
    assert "no node runs" in commands.run(server, "top", "--once", code=1)
    server.restart()
    for wrong in (["--every", "0"], ["--every", "x"], ["--nonsense"]):
        commands.run(server, "top", *wrong, code=2)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_terminal_is_given_back(server, how):
    ours, theirs = pty.openpty()
    process = subprocess.Popen([str(binary()), "top", "--every", "0.1", "--set",
                                f"storage.url={server.settings['storage.url']}"],
                               stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    shown = b""
    deadline = time.monotonic() + 20
    while shown.count(b"connections") < 2 and time.monotonic() < deadline:
        if select.select([ours], [], [], 1)[0]:
            shown += os.read(ours, 65536)
    process.send_signal(how)
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        shown += chunk
    assert process.wait(20) == 0, process.stderr.read()
    assert shown.startswith(b"\x1b[?1049h\x1b[?25l") and shown.endswith(b"\x1b[?25h\x1b[?1049l")
    os.close(ours)


def test_node_that_ends(own_server):
    server = own_server()
    process = commands.start(server, "top", "--json", "--every", "0.1", text=True)
    assert json.loads(process.stdout.readline())["ready"] is True
    server.stop()
    _, err = process.communicate(timeout=20)
    assert process.returncode == 1 and err.startswith("tidemark: ")
    server.restart()
