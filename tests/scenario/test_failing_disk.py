"""A disk that fails, fills up or is slow: honest answers, and never an acknowledgement that does not hold."""
import asyncio
import os
import subprocess
import time

import pytest

from support import rest
from support.chat import all_messages, connect_all, make_group
from support.load import Load
from support.names import new_id, text, uniques


async def post_many(client, count, **target):
    """Sends at once, waits for every answer: an error, `sent`, or the exception of a connection that ended."""
    return await asyncio.gather(*[client.request(type="message", content=text(), **target) for _ in range(count)],
                                return_exceptions=True)


async def test_failed_fsync_ends_the_node_and_nothing_is_acknowledged_after_it(faulty_server):
    server = faulty_server({"drain.grace": "5s", "drain.connections_per_second": 20})
    alice, bob = uniques("alice", "bob")
    await connect_all(server, 30)  # so that the drain takes long enough to be looked at
    a = await server.connect(alice, "phone")
    chat = (await a.say(bob))["conversation_id"]
    process = server.process
    ready = []

    def watch():
        while process.poll() is None:
            try:
                ready.append(rest.call(server.port, "GET", "/readyz", timeout=5))
            except OSError:
                pass
            time.sleep(0.01)

    watching = asyncio.create_task(asyncio.to_thread(watch))
    server.order("fail sync 1")
    answers = await post_many(a, 30, conversation_id=chat)
    # Each request ended: with its seq, with an honest error, or with the connection.
    sent = {answer["seq"] for answer in answers if isinstance(answer, dict) and answer["type"] == "sent"}
    for answer in answers:
        if isinstance(answer, dict) and answer["type"] != "sent":
            assert (answer["type"], answer["code"]) == ("error", "unavailable"), answer
        elif not isinstance(answer, dict):
            assert isinstance(answer, ConnectionError), answer
    assert len(sent) < 30
    bye = await a.closed(4200)
    assert bye["reconnect"] is True
    await watching
    code, server.process = process.wait(20), None
    assert code == 1, server.log_tail()
    assert any(answer.status == 503 for answer in ready), "/readyz told nobody"
    assert "storage.failed" in server.log_text()
    server.restart()
    seqs = [message["seq"] for message in all_messages(server, bob, chat)]
    assert {1} | sent <= set(seqs) and seqs == list(range(1, len(seqs) + 1))


async def test_failed_write_is_answered_and_over(faulty_server):
    server = faulty_server()
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    chat = (await a.say(bob))["conversation_id"]
    commands = [{"type": "message", "id": new_id(), "conversation_id": chat, "content": text()} for _ in range(60)]
    refused = 0
    for start in range(0, len(commands), 10):
        server.order(f"fail write {start % 7 + 1} 2")
        waiting = commands[start:start + 10]
        while waiting:
            answers = await asyncio.gather(*[a.request(**command) for command in waiting])
            assert all(answer["type"] == "sent" or answer["code"] == "unavailable" for answer in answers), answers
            waiting = [command for command, answer in zip(waiting, answers) if answer["type"] != "sent"]
            refused += len(waiting)
    assert refused > 0
    history = all_messages(server, bob, chat)
    assert [message["seq"] for message in history] == list(range(1, 62))
    assert {message["content"] for message in history[1:]} == {command["content"] for command in commands}
    await b.received(chat, 61)


async def test_cursors_are_kept_when_the_write_before_a_replay_fails(faulty_server):
    server = faulty_server({"cursors.store_every": "10m"})
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    chat = (await a.say_many(3, to=bob))[0]["conversation_id"]
    await b.received(chat, 3)
    await b.close()
    server.order("fail write 1 1000000")
    assert server.raw(bob, query="?device_id=phone").read_close().code == 4103
    server.order("clear")
    again = await b.reconnect()
    await again.synced()
    assert again.pushed(chat) == []


@pytest.mark.limit(120)
async def test_failed_fsync_under_load_costs_a_restart_and_nothing_else(faulty_server):
    server = faulty_server({"drain.grace": "2s"})
    async with Load(server) as load:
        await load.progress(50)
        server.order("fail sync 20")
        code = await asyncio.to_thread(server.process.wait, 30)
        assert code == 1, server.log_tail()
        server.process = None
        await asyncio.to_thread(server.restart)
        await load.reader.follow()
        await load.progress(200)
        await load.check()


async def test_slow_fsync_does_not_hold_up_pings(faulty_server):
    server = faulty_server()
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice, "phone")
    chat = (await a.say(bob))["conversation_id"]
    server.order("delay 500")
    answer = asyncio.ensure_future(a.post(type="message", conversation_id=chat, content=text()))
    await asyncio.sleep(0)
    await a.send(type="ping")
    await a.recv("pong")
    assert not answer.done(), "the pong came before the commit was over"
    assert (await answer)["type"] == "sent"

    server.order("delay 20")
    waits = []
    async with Load(server) as load:
        goal = load.acknowledged() + 1000
        while load.acknowledged() < goal:
            start = time.monotonic()
            await a.send(type="ping")
            await a.recv("pong")
            waits.append(time.monotonic() - start)
            await asyncio.sleep(0.002)
        server.order("delay 0")
    waits.sort()
    print(f"fsync 20 ms, {len(waits)} pings under load: "
          f"p50 {waits[len(waits) // 2] * 1000:.1f} ms, max {waits[-1] * 1000:.1f} ms")


class FullByOrder:
    """The simulated disk refuses to grow files."""

    def __init__(self, faulty_server, _):
        self.server = faulty_server()

    def fill(self):
        self.server.order("full on")

    def free(self):
        self.server.order("full off")


class FullFileSystem:
    """A real file system of 8 MiB that a big file fills."""

    def __init__(self, faulty_server, directory):
        mounted = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8m", "tidemark-test", directory], capture_output=True).returncode == 0
        if not mounted:
            pytest.skip("cannot mount a file system here")
        self.directory = directory
        self.server = faulty_server({"storage.url": f"sqlite:{directory}/tidemark.db"})

    def fill(self):
        with open(self.directory / "ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(b"x" * 4096)
            except OSError:
                pass

    def free(self):
        os.unlink(self.directory / "ballast")


@pytest.fixture(params=[FullByOrder, FullFileSystem])
def small_disk(request, faulty_server, tmp_path):
    disk = request.param(faulty_server, tmp_path)
    yield disk
    if hasattr(disk, "directory"):
        disk.server.stop()
        subprocess.run(["umount", disk.directory], check=True)


async def until_refused(client, **target):
    """Sends until the disk is full; gives the seqs that were acknowledged."""
    seqs = []
    while True:
        answer = await client.request(type="message", content=text() + "x" * 4000, **target)
        if answer["type"] == "error":
            assert answer["code"] == "unavailable", answer
            return seqs
        seqs.append(answer["seq"])


async def test_full_disk_refuses_writes_and_recovers_when_there_is_room(small_disk):
    server = small_disk.server
    alice, bob = uniques("alice", "bob")
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    group = make_group(server, alice, bob)
    first = await a.say(conversation_id=group)
    small_disk.fill()
    sent = [first["seq"], *await until_refused(a, conversation_id=group)]
    for _ in range(3):
        await a.refused("unavailable", type="message", conversation_id=group, content=text() + "x" * 4000)
    # Reads go on: history, conversations, pings, what is live.
    assert {message["seq"] for message in all_messages(server, bob, group)} >= set(sent)
    assert server.get("/readyz").status == 200
    await b.settle()
    refused = {"type": "message", "id": new_id(), "conversation_id": group, "content": text() + "x" * 4000}
    assert (await a.request(**refused))["code"] == "unavailable"

    small_disk.free()
    start = time.monotonic()
    deadline = start + 20
    answer = await a.request(**refused)
    while answer["type"] != "sent":
        assert answer["code"] == "unavailable" and time.monotonic() < deadline, answer
        answer = await a.request(**refused)
    print(f"room again: stored after {(time.monotonic() - start) * 1000:.0f} ms")
    sent.append(answer["seq"])
    sent += [(await a.say(conversation_id=group))["seq"] for _ in range(20)]
    history = all_messages(server, bob, group)
    seqs = [message["seq"] for message in history]
    assert set(sent) <= set(seqs) and seqs == list(range(seqs[0], seqs[0] + len(seqs)))
    assert [message["content"] for message in history].count(refused["content"]) == 1
    await b.received(group, seqs[-1])
