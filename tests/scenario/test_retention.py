"""Old messages go in small steps while others send.

TIDEMARK_TEST_OLD   how many old messages (default 20000)
"""
import os
import re
import sqlite3
import time

import pytest

from support.chat import all_messages, make_group
from support.names import text, uniques
from support.rest import assert_success
from support.server import rest_text

OLD = int(os.environ.get("TIDEMARK_TEST_OLD", "20000"))


def grow_old(server, conversation_id, count):
    """Messages of long ago, put under the conversation's newest ones while no node runs. Gives the new head."""
    with sqlite3.connect(server.directory / "tidemark.db") as db:
        stream, head = db.execute("SELECT id, head FROM streams WHERE name = ?", [conversation_id]).fetchone()
        db.execute("UPDATE entries SET time = 1000 WHERE stream = ?", [stream])
        db.executemany(
            "INSERT INTO entries (stream, seq, kind, ordinal, author, device, client_id, hash, time, body, content)"
            " VALUES (?, ?, 0, ?, 'ghost', '', NULL, 0, 1000, '\"content_type\":\"text\"', 'bygone words')",
            ((stream, head + i, head + i) for i in range(1, count + 1)))
        db.execute("UPDATE streams SET head = head + ?, counted = counted + ? WHERE id = ?", [count, count, stream])
    return head + count


def step_sizes(server):
    """Upper bound -> steps with at most as many entries."""
    page = rest_text(server.metrics_port, "/metrics")
    found = re.findall(r'^tidemark_retention_step_entries_bucket{le="([^"]+)"} (\d+)', page, re.MULTILINE)
    return {bound: int(count) for bound, count in found}


@pytest.mark.limit(180)
async def test_old_messages_go_while_others_send(own_server):
    server = own_server({"retention.messages": "1h"})
    owner, member = uniques("owner", "member")
    group = make_group(server, owner, member)
    assert_success(server.api("POST", "/messages", owner, {"conversation_id": group, "content": text()}), 201)
    server.stop()
    head = grow_old(server, group, OLD)
    server.restart()
    client = await server.connect(owner, replay=0)
    sent = []
    deadline = time.monotonic() + 150
    while server.metrics()["tidemark_retention_removed_total"] < head:
        assert time.monotonic() < deadline
        for _ in range(100):  # each is answered, step after step
            sent.append((await client.say(conversation_id=group, content=text()))["seq"])
    assert sent == list(range(head + 1, head + 1 + len(sent)))
    sizes = step_sizes(server)
    assert sizes["100"] == sizes["+Inf"] >= head // 100, sizes
    assert [message["seq"] for message in all_messages(server, member, group)] == sent
    found = assert_success(server.api("GET", "/messages/search?q=bygone", member))["messages"]
    assert found == []
