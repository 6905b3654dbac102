"""kill -9 at random moments under load: nothing acknowledged is lost, nothing is doubled, no order changes.

TIDEMARK_TEST_KILLS   how many kills (default 20)
TIDEMARK_TEST_SEED    the seed of the random moments; printed, so that a failing run can be repeated
"""
import asyncio
import os
import random

import pytest
import websockets

from support.chat import all_entries, all_messages, make_group
from support.names import new_id, uniques

KILLS = int(os.environ.get("TIDEMARK_TEST_KILLS", "20"))
WINDOW = 8  # unanswered messages of one sender


class Sender:
    """Sends numbered messages to one group, and each again with its id until it is acknowledged."""

    def __init__(self, server, user, group):
        self.server, self.user, self.group = server, user, group
        self.unanswered = {}     # id -> content, in the order of sending
        self.acknowledged = {}   # content -> seq
        self.count = 0
        self.stopping = False

    async def run(self):
        while not (self.stopping and not self.unanswered):
            try:
                await self.session()
            except (OSError, websockets.WebSocketException, asyncio.TimeoutError):
                await asyncio.sleep(0.01)  # the server is being killed or started again

    async def session(self):
        client = await self.server.connect(self.user, "sender", replay=0, auto_ack=False)
        try:
            for identifier, content in list(self.unanswered.items()):
                await self.transmit(client, identifier, content)
            while self.unanswered or not self.stopping:
                while len(self.unanswered) < WINDOW and not self.stopping:
                    self.count += 1
                    identifier, content = new_id(), f"CANARY {self.user} {self.count}"
                    self.unanswered[identifier] = content
                    await self.transmit(client, identifier, content)
                self.note(await self.next_answer(client))
        finally:
            if not client.is_closed:
                await client.drop()

    async def transmit(self, client, identifier, content):
        await client.send(type="message", id=identifier, conversation_id=self.group, content=content)

    async def next_answer(self, client):
        while True:
            await client.until(lambda: client.is_closed or client.find("sent") or client.find("error"), 10)
            for frame in client.find("sent") + client.find("error"):
                client.inbox.remove(frame)
                if frame.get("code") == "unavailable":
                    continue
                assert frame["type"] == "sent", frame
                return frame
            if client.is_closed:
                raise ConnectionError("closed")

    def note(self, sent):
        content = self.unanswered.pop(sent["id"], None)
        if content is not None:
            self.acknowledged[content] = sent["seq"]


class Reader:
    """A device that follows through every crash."""

    def __init__(self, server, user):
        self.server, self.user = server, user
        self.client, self.streams = None, None

    async def follow(self):
        self.client = await self.server.connect(self.user, "reader", memory=self.streams)
        self.streams = self.client.streams

    async def complete(self, group, head):
        """Waits for the head, then reads what was announced as a gap from the history. Gives [(seq, content)]."""
        await self.client.received(group, head, timeout=60)
        assert not self.streams.holes(group), "something is missing that no gap announced"
        known = self.streams[group].entries
        missing = [seq for seq in range(min(known), head) if seq not in known]
        if missing:
            for entry in await all_entries(self.client, group, after=missing[0] - 1):
                known.setdefault(entry["seq"], entry)
        return self.client.applied(group)


def check(server, group, senders, reader):
    """The history against what every sender knows."""
    acknowledged = [dict(sender.acknowledged) for sender in senders]  # before the history is read: it may only grow
    history = all_messages(server, reader, group)
    seqs = [message["seq"] for message in history]
    first = seqs[0] if seqs else 0
    assert seqs == list(range(first, first + len(seqs))), "seq has holes"
    by_content = {message["content"]: message["seq"] for message in history}
    assert len(by_content) == len(history), "a message is stored twice"
    for sender, known in zip(senders, acknowledged):
        for content, seq in known.items():
            assert by_content.get(content) == seq, f"{content} was acknowledged as {seq}, is {by_content.get(content)}"
        numbers = [int(content.split()[-1]) for content in by_content if content.split()[1] == sender.user]
        assert numbers == sorted(numbers), f"the order of {sender.user} changed"
        assert numbers == list(range(1, len(numbers) + 1)), f"a message of {sender.user} was skipped"
    return history


@pytest.mark.limit(600)
async def test_kill_at_random_moments(own_server):
    seed = int(os.environ.get("TIDEMARK_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"TIDEMARK_TEST_SEED={seed}")
    chance = random.Random(seed)
    server = own_server()
    owner, *users = uniques("owner", "sender1", "sender2", "sender3", "sender4")
    groups = [make_group(server, owner, *users) for _ in range(2)]
    senders = [Sender(server, user, groups[number % 2]) for number, user in enumerate(users)]
    reader = Reader(server, owner)
    await reader.follow()
    tasks = [asyncio.create_task(sender.run()) for sender in senders]
    try:
        for _ in range(KILLS):
            goal = sum(len(sender.acknowledged) for sender in senders) + chance.randrange(1, 200)
            while sum(len(sender.acknowledged) for sender in senders) < goal:
                assert not any(task.done() for task in tasks), "a sender failed"
                await asyncio.sleep(0.001)
            await asyncio.sleep(chance.random() * 0.01)  # the random moment itself
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.restart)
            await reader.follow()
            for number, group in enumerate(groups):
                await asyncio.to_thread(check, server, group, senders[number::2], owner)
    finally:
        for sender in senders:
            sender.stopping = True
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
    assert results == [None] * len(senders), results
    for number, group in enumerate(groups):
        history = check(server, group, senders[number::2], owner)
        total = sum(sender.count for sender in senders[number::2])
        assert len(history) == total, "every message was acknowledged in the end"
        applied = await reader.complete(group, history[-1]["seq"])
        assert applied == [(message["seq"], message["content"]) for message in history]
