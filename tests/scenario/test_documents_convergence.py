"""Random histories over real sockets: three to five sessions, over WebSocket and gRPC, edit one document, each on what it has
seen so far; connections are lost, operations are sent again, the server is killed. At the end every replica that applied what
it was told is equal to the document, to a replay of its log, and to what the server reads again after a restart.

TIDEMARK_TEST_DOCUMENT_HISTORIES   how many histories (default 12)
TIDEMARK_TEST_SEED                 the seed of the first one; printed. The answers' order is the machine's
"""
import asyncio
import copy
import json
import os
import queue
import random

import grpc
import pytest
import websockets

from support.documents import check_log, document, events, make_document, operation, operations, send, subscribe
from support.names import unique
from support.replica import replica_of, same
from support.rpc import Port, port_of, statesync
from support.rpc_stream import Stream

HISTORIES = int(os.environ.get("TIDEMARK_TEST_DOCUMENT_HISTORIES", "12"))
KINDS = ["text", "whiteboard", "canvas", "sheet"]
LETTERS = ["a", "bc", "é", "e\u0301", "🙂", "👍🏽", "ש", "ب"]
IDS, KEYS = ["r", "s", "t", "u"], ["x", "y", "style.color", "style.width", "style", "text"]
LOST = (ConnectionError, websockets.ConnectionClosed)
# An operation that is no good where it arrives: its object is gone, or what it was made on was parked.
REFUSED = {"not_found", "invalid_field", "conflict", "stale_version"}


class Session:
    """One who edits: a replica of what was told, and a view: an older state of it with the own operations since."""

    def __init__(self, history, number):
        self.history, self.chance, self.user = history, history.chance, history.users[number]
        self.doc = history.doc
        self.replica = replica_of(document(history.server, self.user, self.doc))
        self.unanswered, self.answers = [], {}  # operations; id -> (the operation, the version that it made)
        self.look()

    def look(self):
        self.view, self.seen = copy.deepcopy(self.replica), self.replica.version

    def write(self):
        """The next operation, made on the view."""
        one = self.text("", "", self.view.content) if self.history.kind == "text" else self.edit()
        one["prev_version"] = self.seen
        try:  # what its author sees from now on
            self.view.apply({**one, "version": self.view.version + 1})
        except TypeError:
            pass
        if self.chance.random() < 0.1:
            one["metadata"] = {"extra": {"conflict_policy": self.chance.choice(["lww", "manual", "merge"])}}
        self.unanswered.append(one)
        return one

    def text(self, name, key, content):
        at = self.chance.randrange(len(content) + 1)
        gone = min(self.chance.choice([0, 0, 1, 2, 4]), len(content) - at)
        ops = ([at] if at else []) + [self.chance.choice(LETTERS)] + ([{"d": gone}] if gone else [])
        return operation("text", {"ops": ops, **({"id": name, "key": key} if name else {})})

    def edit(self):
        name, objects = self.chance.choice(IDS), self.view.content
        kind = self.chance.choice(["create", "update", "update", "delete", "move", "resize", "style", "text", "root"])
        if kind == "text":
            content = objects.get(name, {}).get("text")
            return self.text(name, "text", content if isinstance(content, str) else "")
        value = self.chance.choice([None, 1, 2.5, "w", [1, {"b": "c"}], True, "longer words"])
        data = {"create": {"id": name, "x": self.chance.randrange(3), "text": "abc"}, "delete": {"id": name},
                "move": {"id": name, "x": self.chance.randrange(9), "y": 1, "parent": self.chance.choice(IDS)},
                "resize": {"id": name, "w": self.chance.randrange(9), "h": 2},
                "style": {"id": name, "style": {"color": self.chance.choice(["red", "blue"])}},
                "root": {"id": "", "note": value}, "update": {"id": name, self.chance.choice(KEYS): value}}[kind]
        return operation("update" if kind == "root" else kind, data)

    def answered(self, one, version, refusal=None):
        assert refusal is None or refusal in REFUSED, (refusal, one)
        self.unanswered.remove(one)
        first = self.answers.setdefault(one["id"], (one, version))
        assert first[1] == version, "a retry gives the first answer"

    async def act(self):
        doing = self.chance.randrange(10)
        if doing < 6:
            for _ in range(self.chance.randrange(1, 5)):
                self.write()
            await self.deliver()
        elif doing < 8:
            await self.hear()
            self.look()
        elif doing == 8 and self.answers:
            one, version = self.chance.choice(list(self.answers.values()))
            if version is not None:
                self.unanswered.append(one)
                await self.deliver()
        else:
            await self.lose()
            await self.join()

    async def settle(self):
        """Everything is answered, and everything that is stored was heard."""
        while self.unanswered:
            await self.deliver()


class OverWebSocket(Session):
    client = None

    async def join(self):
        server = self.history.server
        self.client = await (self.client.reconnect() if self.client else server.connect(self.user, "laptop", replay=0))
        self.taken = 0
        shown = await subscribe(self.client, self.doc, since_version=self.replica.version)
        for one in shown["operations"]:
            self.replica.apply(one)

    async def deliver(self):
        """In flight all at once, in order; what has no answer stays."""
        async def one_of(one):
            answer = await self.client.request(type="operation", document_id=self.doc, operation=one)
            if answer["type"] == "operation_ack":
                self.answered(one, answer["version"])
            elif answer["code"] != "unavailable":
                self.answered(one, None, answer["code"])
        results = await asyncio.gather(*[one_of(one) for one in list(self.unanswered)], return_exceptions=True)
        await self.history.mend(self, [error for error in results if isinstance(error, Exception)])

    async def hear(self, version=0):
        if version:
            await self.client.until(lambda: self.take() >= version)
        self.take()

    def take(self):
        while self.taken < len(self.client.frames):
            frame = self.client.frames[self.taken]
            self.taken += 1
            if frame["type"] == "document_event" and frame["event"] == "operation_applied":
                self.replica.apply(frame["operation"])
        return self.replica.version

    async def lose(self):
        self.take()
        check_log(events(self.client, self.doc))
        await self.client.drop()


class OverGrpc(Session):
    async def join(self):
        self.port = Port(port_of(self.history.server, "statesync_grpc_port"))
        self.caller = self.port.documents(self.user)
        self.stream = Stream(self.caller, doc_id=self.doc, from_version=self.replica.version)

    async def deliver(self):
        for one in list(self.unanswered):
            wire = {**one, "data": json.dumps(one["data"]).encode(), "doc_id": self.doc, "session_id": self.user + " tab"}
            if "metadata" in one:
                wire["metadata"] = statesync.OpMetadata(**one["metadata"])
            try:
                answer = await asyncio.to_thread(self.caller.ApplyOperation, operation=statesync.Operation(**wire))
            except grpc.RpcError as error:
                await self.history.mend(self, [error])
                return
            if answer.success:
                self.answered(one, answer.applied_operation.version)
            else:
                self.answered(one, None, answer.error)

    async def hear(self, version=0):
        while True:
            try:
                event = await asyncio.to_thread(self.stream.events.get, True, 20) if self.replica.version < version else \
                    self.stream.events.get_nowait()
            except queue.Empty:
                assert self.replica.version >= version, "the events stopped coming"
                return
            if event is None:
                assert version == 0, self.stream.ended
                return
            if event.type == "operation_applied":
                one = event.operation
                self.replica.apply({"id": one.id, "type": one.type, "version": one.version, "data": json.loads(one.data)})

    async def lose(self):
        await self.hear()
        await asyncio.to_thread(self.stream.cancel)
        await self.hear()
        self.port.close()


class History:
    def __init__(self, server, seed):
        self.server, self.chance = server, random.Random(seed)
        self.kind = KINDS[seed % len(KINDS)]
        self.users = [unique(f"user{number}") for number in range(3 + self.chance.randrange(3))]
        content = "start 🙂" if self.kind == "text" else {"r": {"x": 0, "text": "abc"}, "s": {"style": {"color": "red"}}, "note": 1}
        self.doc = make_document(server, self.users[0], self.kind, content, editors=self.users[1:])["id"]
        self.kills = self.chance.random() < 0.15
        self.sessions = [(OverWebSocket if number % 2 else OverGrpc)(self, number) for number in range(len(self.users))]

    async def mend(self, session, errors):
        """After a lost connection: another one."""
        for error in errors:
            lost = isinstance(error, LOST) or isinstance(error, grpc.RpcError) and error.code() in (
                grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            if not lost:
                raise error
        if errors:
            await session.lose()
            await session.join()

    async def run(self):
        for session in self.sessions:
            await session.join()
        for number in range(6):
            await asyncio.gather(*[self.several(session) for session in self.sessions])
            if self.kills and number == 3:
                for session in self.sessions:
                    session.write()
                sent = [asyncio.ensure_future(session.client.request(
                    type="operation", document_id=self.doc, operation=session.unanswered[-1]))
                    for session in self.sessions if isinstance(session, OverWebSocket)]
                await asyncio.sleep(self.chance.random() * 0.003)
                await asyncio.to_thread(self.server.kill)
                await asyncio.gather(*sent, return_exceptions=True)
                await asyncio.to_thread(self.server.restart)
                for session in self.sessions:
                    await session.lose()
                    await session.join()
        for session in self.sessions:
            await session.settle()
        await self.check()

    @staticmethod
    async def several(session):
        for _ in range(session.chance.randrange(1, 4)):
            await session.act()

    async def check(self):
        owner = self.users[0]
        shown = await asyncio.to_thread(document, self.server, owner, self.doc)
        for session in self.sessions:
            await session.hear(shown["version"])
            assert same(session.replica, shown), (type(session).__name__, session.replica.content, shown["content"])
            await session.lose()
        replay = replica_of(document(self.server, owner, self.doc, version=1))
        log = operations(self.server, owner, self.doc, from_version=1)
        for one in log:
            replay.apply(one)
        assert same(replay, shown)
        made = {one["id"]: one["version"] for one in log}
        assert len(made) == len(log), "none twice"
        answers = [answer for session in self.sessions for answer in session.answers.values()]
        for one, version in answers:
            assert made.get(one["id"]) == (version or None), (one, version)
        assert len(log) > len(answers) / 4, "hardly anything took effect"
        self.end = shown


@pytest.mark.limit(max(240, HISTORIES * 20))
async def test_random_histories(own_server):
    first = int(os.environ.get("TIDEMARK_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    server = own_server({"statesync.grpc_listen": "127.0.0.1:0", "statesync.snapshot_every": 20})
    done = []
    for seed in range(first, first + HISTORIES):
        print(f"TIDEMARK_TEST_SEED={seed}", flush=True)
        history = History(server, seed)
        await history.run()
        done.append((history.users[0], history.end))
    server.stop()
    server.restart()
    for user, end in done:
        again = await asyncio.to_thread(document, server, user, end["id"])
        assert {**again, "active_users": []} == {**end, "active_users": []}
