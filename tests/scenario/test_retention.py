"""Old messages go in small steps while others send.

TIDEMARK_TEST_OLD   how many old messages (default 20000)
"""
import contextlib
import os
import re
import sqlite3
import time

import pytest

from support.chat import all_messages, make_group
from support.names import text, uniques
from support.postgres import shared_postgres
from support.rest import assert_success
from support.server import embedded, rest_text

OLD = int(os.environ.get("TIDEMARK_TEST_OLD", "20000"))


def grow_old(server, conversation_id, count):
    """Messages of long ago, put under the conversation's newest ones while no node runs. Gives the new head."""
    aged = "UPDATE entries SET time = 1000 WHERE stream = {0}"
    added = ("INSERT INTO entries (stream, seq, kind, ordinal, author, device, client_id, hash, time, body, content)"
             " {with_numbers} SELECT {0}, {1} + n, 0, {1} + n, 'ghost', '', NULL, 0, 1000, '\"content_type\":\"text\"',"
             " 'bygone words' FROM {numbers}")
    grown = "UPDATE streams SET head = head + {2}, counted = counted + {2} WHERE id = {0}"
    find = f"SELECT id, head FROM streams WHERE name = '{conversation_id}'"
    if embedded():
        with contextlib.closing(sqlite3.connect(server.directory / "tidemark.db")) as db, db:
            stream, head = db.execute(find).fetchone()
            numbers = f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})"
            for sql in (aged, added, grown):
                db.execute(sql.format(stream, head, count, with_numbers=numbers, numbers="numbers"))
    else:
        database = server.settings["storage.url"]
        stream, head = map(int, shared_postgres().query(database, find).split("|"))
        for sql in (aged, added, grown):
            shared_postgres().query(database, sql.format(stream, head, count, with_numbers="",
                                                         numbers=f"generate_series(1, {count}) AS n"))
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
