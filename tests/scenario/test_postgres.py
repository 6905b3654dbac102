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
from support.load import Load
from support.names import text, uniques
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

    @staticmethod
    def abort(pair):
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


@pytest.mark.limit(max(180, RESTARTS * 30))
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
async def test_postgres_restarts_under_load(postgres, own_server, how):
    server = own_server(settings(postgres.fresh_database()))
    async with Load(server, window=1) as load:
        for _ in range(RESTARTS):
            await load.progress(50)
            await asyncio.to_thread(postgres.stop, how)
            assert await answer_of(server, "/readyz", 503)
            await asyncio.to_thread(postgres.start)
            assert await answer_of(server, "/readyz", 200)
            await load.progress(50)
            await load.check()


async def answer_of(server, path, status):
    for _ in patiently(15):
        if (await asyncio.to_thread(server.get, path)).status == status:
            return True
        await asyncio.sleep(0.02)
    return False


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
    assert await answer_of(server, "/readyz", 200)
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
