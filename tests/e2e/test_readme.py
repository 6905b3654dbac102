"""The first conversation of README.md, run as it stands there against a real server.

A block that is marked with MARK is run; a ```text block right behind it is what it prints, line by line, where `…`
stands for anything. All blocks share one shell, as they do for a reader who copies them one after another.
"""
import os
import re
import subprocess
import sys

import pytest

from support.server import ROOT, Server, binary

MARK = "<!-- tried by tests/e2e/test_readme.py -->"
SEPARATOR = "=== end of block ==="
BLOCK = re.compile(re.escape(MARK) + r"\n```sh\n(?P<code>.*?)\n```\n(?:```text\n(?P<output>.*?)\n```\n)?", re.DOTALL)
ESCAPES = re.compile(r"\x1b(?:\[[0-9;]*[A-Za-z]|[78])")  # of the interactive WebSocket client


def matches(wanted, line):
    return re.fullmatch(".*".join(re.escape(part) for part in wanted.split("…")), line) is not None


def blocks():
    text = (ROOT / "README.md").read_text()
    found = list(BLOCK.finditer(text))
    assert len(found) == text.count(MARK) >= 5, "every mark stands before a ```sh block"
    return found


@pytest.fixture
def checkout(tmp_path):
    """What a reader has: the built binary at its place, and a development node with its default data directory."""
    (tmp_path / "build" / "release").mkdir(parents=True)
    (tmp_path / "build" / "release" / "tidemark").symlink_to(binary())
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    # A second that is enough for a reader may be too short for a busy machine.
    (tmp_path / "bin" / "sleep").write_text('#!/bin/sh\nexec /bin/sleep $(($1 * 4))\n')
    (tmp_path / "bin" / "sleep").chmod(0o755)
    server = Server(tmp_path)
    del server.settings["storage.url"], server.settings["auth.hs256_secret"]
    server.start()
    yield server
    server.stop()


def test_first_conversation(checkout):
    found = blocks()
    script = f"\necho '{SEPARATOR}'\n".join(block["code"] for block in found)
    script = script.replace("localhost:8080", f"localhost:{checkout.port}")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    environment["PATH"] = f"{checkout.directory}/bin:{environment['PATH']}"
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=checkout.directory, env=environment,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    printed = ESCAPES.sub("", done.stdout).split(SEPARATOR)
    assert len(printed) == len(found)
    for block, text in zip(found, printed):
        lines = iter(line.strip() for line in text.splitlines())
        for wanted in (block["output"] or "").splitlines():
            assert any(matches(wanted, line) for line in lines), f"not printed (in this order): {wanted}\n\n{text}"


def test_other_output_is_noticed():
    assert matches('{"seq":1,…}', '{"seq":1,"a":2}')
    assert not matches('{"seq":1,…}', '{"seq":2,"a":1}')
    assert not matches('{"seq":1,…}', '{"seq":1,"a":2} and more')
