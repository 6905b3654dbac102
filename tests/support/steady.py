"""Somebody who chats while something else happens: a process of its own, so that what the test does is not measured.

    python3 -m support.steady PORT TOKEN USER    one message to oneself every 20 ms; at the end of its input it prints
                                                 how long `sent` took: {"count", "p50", "p99", "max"} in milliseconds
"""
import json
import select
import statistics
import subprocess
import sys
import time
from pathlib import Path

from support.raw import RawWebSocket

EVERY = 0.02


def run(port, token, user):
    socket = RawWebSocket(port, timeout=60).handshake("/api/v1/ws/connect", [("Authorization", f"Bearer {token}")])
    socket.read_json("synced")
    print("ready", flush=True)
    delays, next_at = [], time.monotonic()
    while not select.select([sys.stdin], [], [], max(0, next_at - time.monotonic()))[0]:
        start = time.monotonic()
        socket.send_json({"type": "message", "to": user, "content": "CANARY steady"})
        socket.read_json("sent")
        delays.append((time.monotonic() - start) * 1000)
        next_at = max(next_at + EVERY, time.monotonic())
    cuts = statistics.quantiles(delays, n=100)
    print(json.dumps({"count": len(delays), "p50": round(cuts[49], 2), "p99": round(cuts[98], 2),
                      "max": round(max(delays), 2)}), flush=True)


class Steady:
    """`with Steady(server, user) as chat: …`; afterwards chat.figures."""

    def __init__(self, server, user):
        self.command = [sys.executable, "-m", "support.steady", str(server.port), server.token(user), user]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        cwd=Path(__file__).resolve().parents[1])
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        output, _ = self.process.communicate(timeout=90)
        self.figures = json.loads(output) if self.process.returncode == 0 else None


if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2], sys.argv[3])
