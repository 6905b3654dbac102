"""Load that must survive: senders that repeat until they are answered, a reader that follows, and the comparison."""
import asyncio

import websockets

from support.chat import all_entries, all_messages, make_group
from support.names import new_id, uniques
from support.patience import within

WINDOW = 8      # unanswered messages of one sender, mostly
OVERLAP = 1000  # messages that are looked at again


class Sender:
    """Sends numbered messages to one group, and each again with its id until it is acknowledged."""

    def __init__(self, server, user, group, patience, window):
        self.server, self.user, self.group, self.patience, self.window = server, user, group, patience, window
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
                while len(self.unanswered) < self.window and not self.stopping:
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
            await client.until(lambda: client.is_closed or client.find("sent") or client.find("error"), self.patience)
            client.inbox[:] = client.find("sent") + client.find("error")  # what others say is the reader's business
            for frame in list(client.inbox):
                client.inbox.remove(frame)
                if frame.get("code") == "unavailable":
                    if self.window == 1:  # nothing behind it can overtake it
                        await asyncio.sleep(0.05)
                        await self.transmit(client, frame["id"], self.unanswered[frame["id"]])
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


def check(server, group, senders, reader, after=0):
    """The history, or what stands behind `after` in it, against what every sender knows."""
    acknowledged = [dict(sender.acknowledged) for sender in senders]  # before the history is read: it may only grow
    history = all_messages(server, reader, group, after=after)
    seqs = [message["seq"] for message in history]
    first = after + 1 if after else seqs[0] if seqs else 0
    assert seqs == list(range(first, first + len(seqs))), "seq has holes"
    by_content = {message["content"]: message["seq"] for message in history}
    assert len(by_content) == len(history), "a message is stored twice"
    for sender, known in zip(senders, acknowledged):
        for content, seq in known.items():
            assert seq <= after or by_content.get(content) == seq, f"{content} was acknowledged as {seq}, is {by_content.get(content)}"
        numbers = [int(content.split()[-1]) for content in by_content if content.split()[1] == sender.user]
        assert numbers == sorted(numbers), f"the order of {sender.user} changed"
        first = numbers[0] if after and numbers else 1
        assert numbers == list(range(first, first + len(numbers))), f"a message of {sender.user} was skipped"
    return history


class Load:
    """Four senders in two groups, and a reader of both.

    async with Load(server) as load: … faults …, load.check() when the server is up again …
    At the end everything has been acknowledged and the reader has all of it. `door` is what they connect through;
    a connection without an answer for `patience` seconds is a failure. `window` messages of a sender are under way at
    once; with 1, a message that was answered with `unavailable` is sent again at once, before any other.
    """

    def __init__(self, server, door=None, patience=10, window=WINDOW):
        self.server, self.door, self.patience, self.window = server, door or server, patience, window
        self.checked = {}  # group -> the seq behind which check() begins

    async def __aenter__(self):
        self.owner, *users = uniques("owner", "sender1", "sender2", "sender3", "sender4")
        self.groups = [make_group(self.server, self.owner, *users) for _ in range(2)]
        self.senders = [Sender(self.door, user, self.groups[number % 2], self.patience, self.window)
                        for number, user in enumerate(users)]
        self.reader = Reader(self.door, self.owner)
        await self.reader.follow()
        self.tasks = [asyncio.create_task(sender.run()) for sender in self.senders]
        return self

    def acknowledged(self):
        return sum(len(sender.acknowledged) for sender in self.senders)

    async def progress(self, count, timeout=60):
        """Waits until so many more are acknowledged."""
        goal = self.acknowledged() + count

        async def wait():
            while self.acknowledged() < goal:
                for task in self.tasks:
                    assert not task.done(), f"a sender failed: {task.exception()!r}"
                await asyncio.sleep(0.001)

        await within(timeout, wait())

    async def check(self):
        """What was stored since the last time, and the OVERLAP before it. All of it is looked at in the end."""
        for number, group in enumerate(self.groups):
            history = await asyncio.to_thread(check, self.server, group, self.senders[number::2], self.owner,
                                              self.checked.get(group, 0))
            # Before the first message there are the members, which are no messages: up to there it begins at the beginning.
            if history and history[-1]["seq"] - OVERLAP >= history[0]["seq"]:
                self.checked[group] = history[-1]["seq"] - OVERLAP

    async def finish(self):
        for sender in self.senders:
            sender.stopping = True
        return await within(60, asyncio.gather(*self.tasks, return_exceptions=True))

    async def abandon(self):
        """The server is gone and stays so: what was not acknowledged never will be."""
        for sender in self.senders:
            sender.stopping = True
            sender.unanswered.clear()
        await asyncio.wait(self.tasks, timeout=60)

    async def __aexit__(self, kind, *_):
        if kind is not None:
            for task in self.tasks:
                task.cancel()
            return
        results = await self.finish()
        assert results == [None] * len(self.senders), results
        if self.reader.client.is_closed:
            await self.reader.follow()
        for number, group in enumerate(self.groups):
            history = check(self.server, group, self.senders[number::2], self.owner)
            total = sum(sender.count for sender in self.senders[number::2])
            assert len(history) == total, "every message was acknowledged in the end"
            if not history:  # its senders had no turn
                continue
            applied = await self.reader.complete(group, history[-1]["seq"])
            assert applied == [(message["seq"], message["content"]) for message in history]
