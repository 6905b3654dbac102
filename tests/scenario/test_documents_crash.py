"""kill -9 under editing load: no acknowledged operation is lost, versions have no gap.

TIDEMARK_TEST_DOCUMENT_KILLS   how many kills (default 5)
"""
import asyncio
import os

import pytest
import websockets

from support.documents import check_log, document, events, insert, make_document, operation, operations, subscribe
from support.names import uniques

KILLS = int(os.environ.get("TIDEMARK_TEST_DOCUMENT_KILLS", "5"))


class Writer:
    """Sends operations one after another, keeps those without an answer and sends them again."""

    def __init__(self, server, user, doc, letter):
        self.server, self.user, self.doc, self.letter = server, user, doc, letter
        self.acknowledged = {}  # id -> version
        self.unanswered = None

    async def run(self, client, stop):
        while not stop.is_set():
            one = self.unanswered or insert(0, self.letter)
            self.unanswered = one
            try:
                answer = await client.request(type="operation", document_id=self.doc, operation=one)
            except (ConnectionError, websockets.ConnectionClosed):
                return
            if answer["type"] == "operation_ack":
                self.acknowledged[one["id"]] = answer["version"]
                self.unanswered = None
            else:
                assert answer["code"] == "unavailable", answer


@pytest.mark.limit(max(120, KILLS * 20))
async def test_kill_under_editing_load(own_server):
    server = own_server({"statesync.snapshot_every": 50})
    users = uniques("alice", "bob", "carol")
    doc = make_document(server, users[0], "text", editors=users[1:])["id"]
    writers = [Writer(server, user, doc, letter) for user, letter in zip(users, "abc")]
    for number in range(KILLS + 1):
        clients = [await server.connect(user) for user in users]
        stop = asyncio.Event()
        tasks = [asyncio.ensure_future(writer.run(client, stop)) for writer, client in zip(writers, clients)]
        goal = sum(len(writer.acknowledged) for writer in writers) + 40 + 13 * number
        while sum(len(writer.acknowledged) for writer in writers) < goal:
            await asyncio.sleep(0.001)
        if number < KILLS:
            await asyncio.to_thread(server.kill)
            await asyncio.gather(*tasks)
            await asyncio.to_thread(server.restart)
        else:
            stop.set()
            await asyncio.gather(*tasks)
    log = []
    while len(page := operations(server, users[0], doc, from_version=log[-1]["version"] if log else 1)):
        log += page
    assert [one["version"] for one in log] == list(range(2, len(log) + 2))
    versions = {one["id"]: one["version"] for one in log}
    assert len(versions) == len(log), "none twice"
    for writer in writers:
        for name, version in writer.acknowledged.items():
            assert versions.get(name) == version
        assert writer.unanswered is None or writer.unanswered["id"] not in writer.acknowledged
    assert document(server, users[0], doc)["version"] == len(log) + 1
    assert len(document(server, users[0], doc)["content"]) == len(log)
