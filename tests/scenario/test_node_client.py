"""Node's `ws` as a client: runs node_ws.test.mjs against the shared server."""
import os
import subprocess
from pathlib import Path

from support.names import uniques

TESTS = Path(__file__).resolve().parents[1]


def test_node_client(server):
    if not (TESTS / "node_modules" / "ws").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=TESTS, check=True, timeout=300)
    alice, bob = uniques("alice", "bob")
    environment = {**os.environ, "TIDEMARK_PORT": str(server.port), "ALICE": alice, "ALICE_TOKEN": server.token(alice),
                   "BOB": bob, "BOB_TOKEN": server.token(bob)}
    done = subprocess.run(["node", "--test", "scenario/node_ws.test.mjs"], cwd=TESTS, env=environment,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
