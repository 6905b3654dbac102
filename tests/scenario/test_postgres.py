"""A node on PostgreSQL whose server fails: nothing acknowledged is lost or doubled, and every request has an answer.

TIDEMARK_TEST_CUTS       how many COMMITs lose their answer (default 20)
TIDEMARK_TEST_RESTARTS   how often PostgreSQL is stopped in each way (default 3)
"""
import asyncio
import contextlib
import os
import signal
import threading
import time

import pytest

from support import commands
from support.chat import all_messages, make_group
from support.load import Load
from support.names import new_id, text, uniques
from support.patience import patiently
from support.postgres import PostgresServer
from support.proxy import Proxy
from support.server import Server, free_port

CUTS = int(os.environ.get("TIDEMARK_TEST_CUTS", "20"))
RESTARTS = int(os.environ.get("TIDEMARK_TEST_RESTARTS", "3"))
ANSWER_LIMIT = 5  # seconds


@pytest.fixture
def postgres():
    """A server of the test's own, which it may stop, freeze and kill."""
    server = PostgresServer(free_port()).start()
    yield server
    server.remove()


def settings(database_url):
    return {"storage.url": database_url, "presence.grace": "300ms"}


class CommitCutter(Proxy):
    """Between node and server: cuts a connection whose COMMIT it has seen, before or after the server has it."""

    tls = None

    def __init__(self, server):
        server.tls = None
        super().__init__(server)
        self.plan = []        # "lost" or "answer lost": what happens to the next COMMITs
        self.doomed = set()   # writers to the node whose next data is not handed on
        self.done = []
        self.refusing = False  # nobody new is let through
        self.then_refuse = False  # from the next cut on

    def url(self, database_url):
        return database_url.replace(f":{self.server.port}/", f":{self.port}/")

    async def hand_on(self, reader, writer):
        to_server = next((pair for pair in self.pairs if pair[1] is writer), None)
        while data := await reader.read(1 << 16):
            if to_server and b"COMMIT\0" in data and self.plan:
                fate = self.plan.pop(0)
                self.done.append(fate)
                if fate == "lost":
                    self.abort(to_server)
                    return
                self.doomed.add(to_server[0])
            elif not to_server and writer in self.doomed:
                self.abort(next(pair for pair in self.pairs if pair[0] is writer))
                return
            writer.write(data)
            await writer.drain()

    async def accept(self, reader, writer):
        if self.refusing:
            writer.transport.abort()
            return
        await super().accept(reader, writer)

    def abort(self, pair):
        self.refusing = self.refusing or self.then_refuse
        for each in pair:
            each.transport.abort()

    @contextlib.contextmanager
    def in_a_thread(self):
        """Works while the test itself waits for an answer of the node."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result(10)
        try:
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self.__aexit__(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


class BlackHole(CommitCutter):
    """Connections that are swallowed stay open on both sides, and nothing goes through them any more."""

    def __init__(self, server):
        super().__init__(server)
        self.swallowed = set()

    def swallow(self):
        self.swallowed.update(writer for pair in self.pairs for writer in pair)

    async def hand_on(self, reader, writer):
        while (data := await reader.read(1 << 16)) and writer not in self.swallowed:
            writer.write(data)
            await writer.drain()
        if writer in self.swallowed:
            await asyncio.Event().wait()


def until_answered(server, path, status):
    return any(server.get(path).status == status for _ in patiently(25, 0.02))


@pytest.mark.limit(max(120, CUTS * 5))
async def test_a_commit_whose_answer_is_lost_is_found_out(postgres, own_server):
    database = postgres.fresh_database()
    with CommitCutter(postgres).in_a_thread() as cutter:
        server = own_server(settings(cutter.url(database)))
        async with Load(server, window=1) as load:
            for number in range(CUTS):
                cutter.plan.append(("answer lost", "lost")[number % 2])
                await load.progress(20)
            await load.check()
        assert cutter.done.count("answer lost") >= CUTS // 2 - 1, cutter.done
        server.stop()
    assert "storage.commit_resolved" in server.log_text()


@pytest.mark.parametrize("fate", ["answer lost", "lost"])
def test_a_commit_that_cannot_be_found_out_in_time(postgres, own_server, fate):
    """What was stored although its sender was told otherwise is unknown to the node's memory: that node ends."""
    alice, bob = uniques("alice", "bob")
    with CommitCutter(postgres).in_a_thread() as cutter:
        server = own_server(settings(cutter.url(postgres.fresh_database())))
        chat = make_group(server, alice, bob)
        message = {"conversation_id": chat, "content": text(), "id": new_id()}
        cutter.then_refuse = True
        cutter.plan.append(fate)
        begin = time.monotonic()
        assert server.api("POST", "/messages", alice, message).status == 503
        assert time.monotonic() - begin < ANSWER_LIMIT + 1
        cutter.then_refuse = cutter.refusing = False
        if fate == "answer lost":
            assert server.wait() == 1
            assert "storage.given_up" in server.log_text()
            server.process = None
            server.restart()
        else:
            assert until_answered(server, "/readyz", 200)
        assert server.api("POST", "/messages", alice, message).status in (200, 201)
        assert [one["content"] for one in all_messages(server, bob, chat)].count(message["content"]) == 1
        server.stop()


def test_a_node_locked_out_by_its_own_old_connection_ends_that(postgres, own_server):
    """Something between keeps the old connections open on PostgreSQL's side and lets nothing through."""
    alice, bob = uniques("alice", "bob")
    with BlackHole(postgres).in_a_thread() as hole:
        server = own_server(settings(hole.url(postgres.fresh_database())))
        assert server.api("POST", "/messages", alice, {"to": bob, "content": text()}).status == 201
        hole.swallow()
        assert until_answered(server, "/readyz", 503)
        assert until_answered(server, "/readyz", 200)
        assert server.api("POST", "/messages", alice, {"to": bob, "content": text()}).status == 201
        server.stop()


@pytest.mark.limit(120)
async def test_a_node_that_was_taken_over_ends(postgres, own_server):
    database = postgres.fresh_database()
    first, second = own_server(settings(database)), None
    alice, bob, carol = uniques("alice", "bob", "carol")
    group = make_group(first, alice, bob, carol)
    first.process.send_signal(signal.SIGSTOP)
    try:
        postgres.query("postgres", "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                   " WHERE application_name = 'tidemark'")
        second = own_server(settings(database) | {"node.id": "second"})
        assert second.api("DELETE", f"/conversations/{group}/members/{carol}", alice).status == 200
    finally:
        first.process.send_signal(signal.SIGCONT)
    late = {"conversation_id": group, "content": text()}
    with contextlib.suppress(OSError):  # it may have ended already
        assert first.api("POST", "/messages", carol, late).status >= 400
    assert first.wait() == 1
    assert "another node has taken the database" in first.log_text()
    first.process = None
    assert late["content"] not in [one["content"] for one in all_messages(second, alice, group)]


async def test_devices_start_again_from_a_restored_dump(postgres, own_server):
    server = own_server(settings(postgres.fresh_database()))
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    chat = (await a.say_many(3, to=bob))[0]["conversation_id"]
    await b.received(chat, 3)
    await b.close()
    await a.close()
    await asyncio.to_thread(server.stop)
    postgres.query(server.settings["storage.url"], "DELETE FROM store WHERE name = 'epoch'")
    await asyncio.to_thread(server.restart)
    again = await server.connect(bob, "phone")
    await again.received(chat, 3)


@pytest.mark.limit(max(180, RESTARTS * 30))
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
async def test_postgres_restarts_under_load(postgres, own_server, how):
    server = own_server(settings(postgres.fresh_database()))
    async with Load(server, window=1) as load:
        for _ in range(RESTARTS):
            await load.progress(50)
            await asyncio.to_thread(postgres.stop, how)
            assert await asyncio.to_thread(until_answered, server, "/readyz", 503)
            await asyncio.to_thread(postgres.start)
            assert await asyncio.to_thread(until_answered, server, "/readyz", 200)
            await load.progress(50)
            await load.check()


@pytest.mark.limit(120)
async def test_a_frozen_postgres_leaves_no_request_without_an_answer(postgres, own_server):
    server = own_server(settings(postgres.fresh_database()))
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice, "phone")
    chat = (await a.say(bob))["conversation_id"]
    postgres.signal_all(signal.SIGSTOP)
    try:
        begin = time.monotonic()
        answers = await asyncio.gather(*[
            a.request(type="message", conversation_id=chat, content=text()) for _ in range(5)])
        assert [answer["code"] for answer in answers] == ["unavailable"] * 5
        assert time.monotonic() - begin < ANSWER_LIMIT + 1
        await a.send(type="ping")
        await a.recv("pong")
        assert (await asyncio.to_thread(server.get, "/readyz")).status == 503
    finally:
        postgres.signal_all(signal.SIGCONT)
    assert await asyncio.to_thread(until_answered, server, "/readyz", 200)
    async with Load(server, window=1) as load:
        await load.progress(50)
        postgres.signal_all(signal.SIGSTOP)
        await asyncio.sleep(1)  # shorter than a statement may take: nobody notices
        postgres.signal_all(signal.SIGCONT)
        await load.progress(50)


@pytest.mark.limit(120)
async def test_connections_that_an_administrator_ends_are_made_again(postgres, own_server):
    database = postgres.fresh_database()
    server = own_server(settings(database))
    async with Load(server, window=1) as load:
        for _ in range(5):
            await load.progress(20)
            await asyncio.to_thread(postgres.query, "postgres",
                                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                                    " WHERE application_name = 'tidemark'")
        await load.check()


def test_a_second_node_on_the_same_database_is_refused(postgres, own_server, tmp_path):
    database = postgres.fresh_database()
    own_server(settings(database))
    second = Server(tmp_path, settings(database) | {"node.id": "second"})
    with pytest.raises(AssertionError, match="the server ended with 1"):
        second.start()
    assert "another node uses this database" in second.log_text()


def test_subcommands_find_the_node(postgres, own_server):
    server = own_server(settings(postgres.fresh_database()))
    assert "running node" in commands.run(server, "migrate")
    refused = commands.run(server, "backup", "--to", server.directory / "copy.db", code=1)
    assert "pg_dump" in refused
