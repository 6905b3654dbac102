"""kill -9 at random moments under editing load: nothing acknowledged is lost or doubled, versions have no gap, locks, fences
and conflicts are as they were, and every replica ends with the same bytes.

TIDEMARK_TEST_DOCUMENT_KILLS   how many kills (default 5)
TIDEMARK_TEST_SEED             the seed of the random moments; printed, so that a failing run can be repeated
"""
import asyncio
import os
import random

import pytest
import websockets

from support.documents import (check_log, document, events, insert, make_document, operation, operations,
                               subscribe)
from support.names import uniques
from support.replica import replica_of, same
from support.rest import assert_success

KILLS = int(os.environ.get("TIDEMARK_TEST_DOCUMENT_KILLS", "5"))
IN_FLIGHT = 4
LOST = (ConnectionError, websockets.ConnectionClosed)


class Author:
    """Sends operations, several at a time, keeps those without an answer and sends them again, as they were."""

    def __init__(self, doc, make):
        self.doc, self.make = doc, make
        self.acknowledged = {}  # id -> the first answer
        self.unanswered = []

    async def run(self, client, stop, replica):
        again, self.unanswered = self.unanswered, []
        flying = set()
        while not stop.is_set():
            while len(flying) < IN_FLIGHT:
                one = again.pop(0) if again else self.make(replica)
                self.unanswered.append(one)
                flying.add(asyncio.ensure_future(self.send(client, one)))
            done, flying = await asyncio.wait(flying, return_when=asyncio.FIRST_COMPLETED)
            if any(future.exception() or not future.result() for future in done):
                break
        self.unanswered += again
        await asyncio.gather(*flying, return_exceptions=True)

    async def send(self, client, one):
        """False: the connection has ended."""
        try:
            answer = await client.request(type="operation", document_id=self.doc, operation=one)
        except LOST:
            return False
        if answer["type"] == "operation_ack":
            self.unanswered.remove(one)
            self.acknowledged.setdefault(one["id"], answer)
        elif answer["code"] == "stale_version":  # of a chain whose beginning was parked
            self.unanswered.remove(one)
        else:
            assert answer["code"] == "unavailable", answer
        return True


class Locker:
    """Takes a lock again and again, writes under its fence, and gives it back or forgets to."""

    def __init__(self, doc, chance):
        self.doc, self.chance = doc, chance
        self.granted, self.written = [], {}  # locks; operation id -> the fence that it was written under
        self.held = None  # what it has not begun to give back

    async def run(self, client, stop, _):
        try:
            while not stop.is_set():
                answer = await client.request(type="lock", document_id=self.doc, wait_ms=5000)
                if answer["type"] != "locked":
                    assert answer["code"] in ("locked", "unavailable"), answer
                    continue
                self.held = answer["lock"]
                self.granted.append(self.held)
                for _ in range(self.chance.randrange(4)):
                    one = operation("text", {"ops": ["L"]}, fence=self.held["fence"])
                    ack = await client.request(type="operation", document_id=self.doc, operation=one)
                    if ack["type"] == "operation_ack":
                        self.written[one["id"]] = (ack["version"], self.held["fence"])
                self.held = None  # from here on it may have been given back
                answer = await client.request(type="unlock", document_id=self.doc)
                assert answer["type"] == "unlocked" or answer["code"] == "unavailable", answer
        except LOST:
            pass


class World:
    def __init__(self, server, chance):
        self.server, self.chance = server, chance
        self.users = uniques("alice", "bob", "carol")
        owner, *others = self.users
        self.text = make_document(server, owner, "text", "🙂", editors=others)["id"]
        self.board = make_document(server, owner, "whiteboard", {"r": {"x": 0}}, editors=others)["id"]
        self.locked = make_document(server, owner, "text", editors=others)["id"]
        self.decided = set()  # ids of operations that were parked
        self.lockers = [Locker(self.locked, chance) for _ in self.users]
        self.authors = [[Author(self.text, self.edit_text), Author(self.board, self.edit_board)] for _ in self.users]
        self.replicas = [{doc: replica_of(document(server, user, doc)) for doc in (self.text, self.board, self.locked)}
                         for user in self.users]

    def edit_text(self, replica):
        seen = replica[self.text]
        at = self.chance.randrange(len(seen.content) + 1)
        if at < len(seen.content) and self.chance.random() < 0.3:
            return operation("text", {"ops": ([at] if at else []) + [{"d": 1}]}, seen.version)
        return insert(at, self.chance.choice(["a", "é", "🙂", "ש"]), seen.version)

    def edit_board(self, replica):
        seen, kind = replica[self.board], self.chance.randrange(4)
        if kind == 0:
            return operation("create", {"x": self.chance.randrange(9)}, seen.version)
        data = {"id": "r", self.chance.choice("xyz"): self.chance.randrange(10**6)}
        policy = {"metadata": {"extra": {"conflict_policy": "manual"}}} if kind == 1 else {}
        return operation("update", data, seen.version, **policy)

    async def follow(self, client, number):
        """Keeps the replicas of a user at what has come, and gives it to those who write on it."""
        for doc, replica in self.replicas[number].items():
            try:
                shown = await subscribe(client, doc, since_version=replica.version)
            except LOST:
                return
            for one in shown["operations"]:
                replica.apply(one)
        applied = 0
        while True:
            frames = client.frames
            while applied < len(frames):
                frame = frames[applied]
                applied += 1
                if frame["type"] == "document_event" and frame["event"] == "operation_applied":
                    self.replicas[number][frame["document_id"]].apply(frame["operation"])
            if client.is_closed:
                return
            client._changed.clear()  # pylint: disable=protected-access
            await client._changed.wait()  # pylint: disable=protected-access

    def count(self):
        return sum(len(author.acknowledged) for authors in self.authors for author in authors)


async def begin(world, stop):
    clients = [await world.server.connect(user) for user in world.users]
    follows = [asyncio.ensure_future(world.follow(client, number)) for number, client in enumerate(clients)]
    writes = [asyncio.ensure_future(one.run(client, stop, world.replicas[number]))
              for number, client in enumerate(clients) for one in [*world.authors[number], world.lockers[number]]]
    return clients, follows, writes


def check_lock_after(world):
    """A lock that nobody gave back is held, or somebody has it by a higher fence; no fence ever came back."""
    ids = {}
    for locker in world.lockers:
        for one in locker.granted:  # a session that came back has what it had
            assert ids.setdefault(one["fence"], one["id"]) == one["id"], "a fence came back"
        fences = [one["fence"] for one in locker.granted]
        assert fences == sorted(fences)
    lock = assert_success(world.server.api("GET", f"/documents/{world.locked}/lock", world.users[0])).get("lock")
    for one in (locker.held for locker in world.lockers if locker.held):
        assert lock and (lock["id"] == one["id"] or lock["fence"] > one["fence"]), (lock, one)
    assert lock is None or lock["fence"] >= max(ids, default=0)


def check_end(world):
    server, user = world.server, world.users[0]
    for doc in (world.text, world.board, world.locked):
        log = []
        while page := operations(server, user, doc, from_version=log[-1]["version"] if log else 1):
            log += page
        assert [one["version"] for one in log] == list(range(2, len(log) + 2))
        versions = {one["id"]: one["version"] for one in log}
        assert len(versions) == len(log), "none twice"
        shown = document(server, user, doc)
        assert shown["version"] == len(log) + 1
        for replica in world.replicas:
            assert same(replica[doc], shown)
        for author in (author for authors in world.authors for author in authors if author.doc == doc):
            for name, answer in author.acknowledged.items():
                assert versions.get(name, 0) == answer["version"], answer
                assert answer["status"] == log[answer["version"] - 2]["status"] if answer["version"] else "conflict"
            assert not {one["id"] for one in author.unanswered} & set(author.acknowledged)
        if doc == world.locked:
            for locker in world.lockers:
                for name, (version, fence) in locker.written.items():
                    assert versions[name] == version and log[version - 2]["fence"] == fence


def check_conflicts(world):
    """What was parked is there, open, once; what was decided stays so. Decides all of them."""
    found = {}
    for one in assert_success(world.server.api(
            "GET", f"/documents/{world.board}/conflicts?open_only=true&limit=200", world.users[0]))["conflicts"]:
        assert found.setdefault(one["ops"][-1]["id"], one) is one
    assert len(found) < 200 and not world.decided & set(found)
    parked = {name for authors in world.authors for author in authors for name, answer in author.acknowledged.items()
              if answer["status"] == "conflict"}
    assert parked - world.decided <= set(found), "a parked operation is lost"
    for name, one in found.items():
        body = {"conflict_id": one["id"], "take": "ours"}
        assert_success(world.server.api("POST", f"/documents/{world.board}/conflicts", world.users[0], body), (200, 201))
        world.decided.add(name)


@pytest.mark.limit(max(180, KILLS * 20))
async def test_kill_under_editing_load(own_server):
    seed = int(os.environ.get("TIDEMARK_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"TIDEMARK_TEST_SEED={seed}")
    chance = random.Random(seed)
    server = own_server({"statesync.snapshot_every": 50, "limits.operations_per_second": 100000,
                         "limits.operations_burst": 100000})
    world = World(server, chance)
    for number in range(KILLS + 1):
        stop = asyncio.Event()
        clients, follows, writes = await begin(world, stop)
        goal = world.count() + chance.randrange(20, 150)
        while world.count() < goal:
            failed = [task.exception() for task in follows + writes if task.done() and task.exception()]
            assert not failed, failed
            await asyncio.sleep(0.001)
        await asyncio.sleep(chance.random() * 0.01)  # the random moment itself
        if number < KILLS:
            await asyncio.to_thread(server.kill)
        else:
            stop.set()
            await asyncio.gather(*writes)
            for doc in (world.text, world.board, world.locked):
                version = document(server, world.users[0], doc)["version"]
                for client, replica in zip(clients, world.replicas):
                    await client.until(lambda: replica[doc].version >= version)  # pylint: disable=cell-var-from-loop
            for client in clients:
                for doc in (world.text, world.board, world.locked):
                    check_log(events(client, doc))
                await client.drop()
        await asyncio.gather(*writes, *follows)
        if number < KILLS:
            await asyncio.to_thread(server.restart)
            await asyncio.to_thread(check_lock_after, world)
            await asyncio.to_thread(check_conflicts, world)
    assert world.decided or KILLS < 5
    await asyncio.to_thread(check_end, world)
