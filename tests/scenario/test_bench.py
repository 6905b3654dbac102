"""`tidemark bench`: every scenario against a real node, and what it says of servers that lose, repeat or reorder."""
import asyncio
import gzip
import json
import os
import subprocess

import pytest
import websockets

from support import tokens
from support.certificates import Certificate
from support.rpc import port_of
from support.server import FAST, Server, binary

@pytest.fixture(scope="module")
def node(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("bench"), {**FAST, "statesync.grpc_listen": "127.0.0.1:0"}).start()
    yield server
    server.stop()


async def bench(url, scenario, *options, pid=None):
    """The exit code and the report of a run."""
    command = [str(binary()), "bench", scenario, "--url", url, "--json", *map(str, options)]
    command += ["--pid", str(pid)] if pid else []
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TIDEMARK_AUTH_HS256_SECRET": tokens.SECRET})
    out, errors = await process.communicate()
    return process.returncode, json.loads(out) if out else {"failure": errors.decode()}


async def verified(node, scenario, *options):
    code, report = await bench(f"ws://127.0.0.1:{node.port}", scenario, *options, pid=node.process.pid)
    assert code == 0 and report["verified"], report
    assert report["server_rss_after_bytes"] > 0
    return report


async def test_fanout(node):
    report = await verified(node, "fanout", "--subscribers", 20, "--messages", 50, "--window", 4)
    assert report["messages"] == 50 and report["deliveries"] == 1000
    assert report["delivery_us"]["p50"] <= report["delivery_us"]["p99_9"]


async def test_direct(node):
    report = await verified(node, "direct", "--pairs", 5, "--messages", 100, "--threads", 2)
    assert report["messages"] == report["deliveries"] == 100


async def test_direct_with_signals(node):
    report = await verified(node, "direct", "--pairs", 5, "--messages", 100, "--ephemeral")
    assert report["messages"] == report["deliveries"] == 100


async def test_append_at_a_rate(node):
    report = await verified(node, "append", "--senders", 5, "--messages", 100, "--rate", 500)
    assert report["messages"] == 100 and "deliveries" not in report
    assert report["ack_us"]["p50"] > 0


async def test_storm(node):
    report = await verified(node, "storm", "--devices", 30, "--entries", 70, "--threads", 2)
    assert report["deliveries"] == 30 * 70
    assert report["synced_us"]["max"] > 0


@pytest.mark.parametrize("what", ["messages", "conversations", "session"])
async def test_history(node, what):
    sizes = {"messages": ["--stored", 80, "--readers", 3], "conversations": ["--conversations", 5], "session": []}
    report = await verified(node, "history", "--read", what, "--seconds", 0.2, *sizes[what])
    assert report["requests"] > 0 and report["answer_us"]["p99"] > 0


@pytest.mark.parametrize("kind", ["whiteboard", "text"])
async def test_document(node, kind):
    report = await verified(node, "document", "--kind", kind, "--documents", 3, "--writers", 2, "--subscribers", 2,
                            "--operations", 600, "--window", 5, "--threads", 2, "--length", 100)
    assert report["operations"] == 600 and report["deliveries"] == 600 * 4
    assert report["different_documents"] == 0 and report["delivery_us"]["p50"] > 0


async def test_document_with_operations_over_grpc(node):
    report = await verified(node, "document", "--documents", 2, "--writers", 5, "--subscribers", 2,
                            "--operations", 300, "--grpc", f"127.0.0.1:{port_of(node, 'statesync_grpc_port')}")
    assert report["operations"] == 300 and report["deliveries"] == 300 * 2


async def test_document_at_a_rate_with_writers_alone(node):
    report = await verified(node, "document", "--documents", 2, "--writers", 1, "--subscribers", 0,
                            "--operations", 100, "--rate", 500)
    assert report["operations"] == report["deliveries"] == 100
    assert "delivery_us" not in report and report["ack_us"]["p50"] > 0


async def test_idle_and_a_burst(node):
    report = await verified(node, "idle", "--connections", 40, "--group-size", 10, "--conversations", 2, "--burst", 5,
                            "--hold", 0.1)
    assert report["connections"] == 40
    assert report["server_rss_after_burst_percent"] > 0


async def test_a_refusal_ends_the_run_and_says_what_to_do(tmp_path):
    server = Server(tmp_path, {"limits.messages_per_second": 1, "limits.messages_burst": 2}).start()
    code, report = await bench(f"ws://127.0.0.1:{server.port}", "direct", "--pairs", 1, "--messages", 10)
    assert code == 1
    assert "limits.messages_per_second" in report["failure"]
    server.stop()


async def test_over_tls(tmp_path):
    certificate = Certificate(tmp_path)
    server = Server(tmp_path, FAST, certificate=certificate).start()
    url = f"wss://127.0.0.1:{server.port}"
    options = ["--subscribers", 20, "--messages", 50, "--window", 4, "--payload", 20000]
    for trust in (["--ca", certificate.path], ["--insecure"]):
        code, report = await bench(url, "fanout", *options, *trust)
        assert code == 0 and report["deliveries"] == 1000, report
    code, report = await bench(url, "direct", "--pairs", 1, "--messages", 1)
    assert code == 1 and "certificate" in report["failure"], report
    code, report = await bench(url, "direct", "--pairs", 1, "--messages", 1, "--ca", tmp_path / "none")
    assert code == 2 and "--ca" in report["failure"], report
    server.stop()


async def test_a_refused_operation_ends_the_run_and_says_what_to_do(tmp_path):
    server = Server(tmp_path, {"limits.operations_per_second": 1, "limits.operations_burst": 2}).start()
    code, report = await bench(f"ws://127.0.0.1:{server.port}", "document", "--documents", 1, "--operations", 10)
    assert code == 1
    assert "limits.operations_per_second" in report["failure"]
    server.stop()


class Broadcaster:
    """A server that knows nothing of Tidemark: what one client sends goes to all, after `spoil` has had its way."""

    def __init__(self, spoil=lambda number: [number]):
        self.spoil, self.clients, self.sent = spoil, set(), []

    async def serve(self, socket):
        self.clients.add(socket)
        try:
            async for text in socket:
                self.sent.append(text)
                for number in self.spoil(len(self.sent) - 1):
                    for client in self.clients:
                        await client.send(self.sent[number])
        finally:
            self.clients.discard(socket)

    async def run(self, scenario, *options):
        async with websockets.serve(self.serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await bench(f"ws://127.0.0.1:{port}/any", scenario, "--dialect", "raw", *options)


async def test_any_broadcasting_server():
    code, report = await Broadcaster().run("fanout", "--subscribers", 5, "--messages", 20, "--window", 3)
    assert code == 0, report
    assert report["deliveries"] == 100


async def test_any_echoing_server():
    code, report = await Broadcaster().run("direct", "--pairs", 1, "--messages", 20)
    assert code == 0, report
    assert report["messages"] == report["deliveries"] == 20


async def test_idle_connections_of_any_server():
    code, report = await Broadcaster().run("idle", "--connections", 5, "--hold", 0.1)
    assert code == 0, report


async def test_what_comes_twice_is_reported():
    code, report = await Broadcaster(lambda n: [n, n] if n == 3 else [n]).run(
        "fanout", "--subscribers", 2, "--messages", 10)
    assert code == 1 and report["doubled"] == 2 and report["lost"] == 0, report


async def test_what_comes_late_is_reported():
    order = {3: [], 4: [4, 3]}
    code, report = await Broadcaster(lambda n: order.get(n, [n])).run(
        "fanout", "--subscribers", 2, "--messages", 10, "--window", 4)
    assert code == 1 and report["out_of_order"] == 2, report


async def test_what_never_comes_is_reported():
    code, report = await Broadcaster(lambda n: [] if n == 9 else [n]).run(
        "fanout", "--subscribers", 2, "--messages", 10, "--window", 4)
    assert code == 1 and report["lost"] == 2, report


def write_trace(path, end):
    """Two writers at the same time, in texts of one to four bytes a character, with combining marks and right to left."""
    transactions = [
        {"agent": 0, "parents": [], "patches": [[0, 0, "e\u0301\U0001f600\u05e9"]]},
        {"agent": 1, "parents": [0], "patches": [[4, 0, "\u0639"]]},
        {"agent": 0, "parents": [0], "patches": [[2, 1, "\U0001f469\u200d\U0001f4bb"]]},
        {"agent": 1, "parents": [1], "patches": [[5, 0, "!"]]},
        {"agent": 0, "parents": [2, 3], "patches": [[0, 0, "\u6f22"]]},
    ]
    with gzip.open(path, "wt", encoding="utf-8") as file:
        json.dump({"endContent": end, "txns": transactions}, file)


def test_text_replays_a_recorded_session(tmp_path):
    trace = tmp_path / "trace.json.gz"
    write_trace(trace, "\u6f22e\u0301\U0001f469\u200d\U0001f4bb\u05e9\u0639!")
    done = subprocess.run([binary(), "bench", "text", trace, "--json", "--rounds", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["operations"] == 5


def test_text_says_when_the_end_is_another(tmp_path):
    trace = tmp_path / "trace.json.gz"
    write_trace(trace, "something else")
    done = subprocess.run([binary(), "bench", "text", trace], capture_output=True, text=True)
    assert done.returncode == 1 and "not the recorded one" in done.stderr
    assert subprocess.run([binary(), "bench", "text", tmp_path / "none"], capture_output=True).returncode == 2
