"""backup and restore: nothing acknowledged before a backup is missing after its restore, and a crash in the middle of
either leaves a usable store.

TIDEMARK_TEST_RESTORE_KILLS   how many kills of each kind (default 6)
TIDEMARK_TEST_SEED            the seed of the random moments
"""
import asyncio
import os
import random
import shutil
import sqlite3
import stat
import time

import pytest

from support import commands
from support.chat import all_messages, make_group
from support.names import text, unique, uniques
from support.rest import assert_success

KILLS = int(os.environ.get("TIDEMARK_TEST_RESTORE_KILLS", "6"))


async def keep_sending(server, user, group, acknowledged, stop):
    client = await server.connect(user)
    while not stop.is_set():
        sent = await client.say(conversation_id=group, content=text())
        acknowledged.append(sent["seq"])
    await client.close()


def fill(server, megabytes):
    """Messages of 64 KiB; gives the conversation and the newest seq."""
    alice, bob = uniques("alice", "bob")
    for _ in range(megabytes * 16):
        reply = server.api("POST", "/messages", alice, {"to": bob, "content": random.randbytes(24 * 1024).hex()[:65536]})
        message = assert_success(reply, 201)["message"]
    return alice, message["conversation_id"], message["seq"]


def store_of(server):
    return server.directory / "tidemark.db"


def epoch_in(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return db.execute("SELECT value FROM store WHERE name = 'epoch'").fetchone()[0]


async def test_backup_under_load_and_restore(own_server, tmp_path):
    server = own_server()
    owner, *users = uniques("owner", "one", "two", "three")
    group = make_group(server, owner, *users)
    device = await server.connect(owner, "phone")
    old_epoch = device.welcome["epoch"]
    stop, acknowledged = asyncio.Event(), []
    senders = [asyncio.create_task(keep_sending(server, user, group, acknowledged, stop)) for user in users]
    while len(acknowledged) < 200:
        await asyncio.sleep(0.01)
    before = set(acknowledged)
    await asyncio.to_thread(commands.run, server, "backup", "--to", tmp_path / "copy.db")
    during = len(acknowledged)
    while len(acknowledged) < during + 50:
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.gather(*senders)
    await device.received(group, max(acknowledged))
    await device.close()
    server.stop()
    assert "is there" in commands.run(server, "restore", "--from", tmp_path / "copy.db", code=1)
    out = commands.run(server, "restore", "--from", tmp_path / "copy.db", "--force")
    assert "before-restore" in out
    server.restart()
    restored = [message["seq"] for message in all_messages(server, owner, group)]
    assert before <= set(restored) and restored == list(range(restored[0], restored[0] + len(restored)))
    # The device sees another store: its cursor is gone, and it gets everything from the beginning.
    again = await server.connect(owner, "phone")
    assert again.welcome["epoch"] not in ("", old_epoch)
    await again.received(group, restored[-1])
    assert again.frames[1]["seq"] == 1, again.frames[1]
    sent = await again.say(conversation_id=group, content=text())
    assert sent["seq"] == restored[-1] + 1


async def test_backup_is_one_private_file_and_replaces_nothing_unasked(own_server, tmp_path):
    server = own_server()
    target = tmp_path / "copy.db"
    out = commands.run(server, "backup", "--to", "copy.db", cwd=tmp_path)
    assert str(target) in out
    assert stat.S_IMODE(target.stat().st_mode) == 0o600 and [each.name for each in tmp_path.iterdir()] == ["copy.db"]
    first = target.read_bytes()
    assert "--force" in commands.run(server, "backup", "--to", target, code=1)
    assert target.read_bytes() == first
    server.api("POST", "/messages", "alice", {"to": "bob", "content": text()})
    commands.run(server, "backup", "--to", target, "--force")
    assert target.read_bytes() != first
    for wrong in (tmp_path, tmp_path / "absent" / "copy.db", store_of(server)):
        commands.run(server, "backup", "--to", wrong, "--force", code=1)
    assert epoch_in(store_of(server)) == epoch_in(target)
    server.stop()
    commands.run(server, "backup", "--to", tmp_path / "offline.db")
    assert epoch_in(tmp_path / "offline.db") == epoch_in(target)
    server.restart()
    commands.run(server, "backup", code=2)


async def test_restore_refuses_while_a_node_runs(own_server, tmp_path):
    server = own_server()
    commands.run(server, "backup", "--to", tmp_path / "copy.db")
    epoch = epoch_in(store_of(server))
    assert "stop it" in commands.run(server, "restore", "--from", tmp_path / "copy.db", "--force", code=1)
    assert epoch_in(store_of(server)) == epoch


async def test_restore_makes_a_store_where_there_is_none(own_server, tmp_path):
    server, other = own_server(), own_server()
    sent = assert_success(server.api("POST", "/messages", "alice", {"to": "bob", "content": text()}), 201)["message"]
    commands.run(server, "backup", "--to", tmp_path / "copy.db")
    other.stop()
    other.settings["storage.url"] = f"sqlite:{tmp_path}/fresh/tidemark.db"
    commands.run(other, "restore", "--from", tmp_path / "copy.db")
    other.restart()
    found = assert_success(other.api("GET", f"/messages/{sent['message_id']}", "bob"))["message"]
    assert found["content"] == sent["content"]


def damage(path):
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 2, len(data) // 2 + 4096):
        data[place] ^= 0x5a
    path.write_bytes(data)


def make_newer(path):
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO schema_migrations (number, name) VALUES (9999, 'of the future')")


def forget_tables(path):
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE store (name TEXT, value TEXT)")


@pytest.mark.parametrize("spoil, says", [
    (damage, "damaged"), (make_newer, "newer version"), (forget_tables, "not one of Tidemark"),
    (lambda path: path.write_text("no database\n" * 1000), "no database"),
    (lambda path: path.write_bytes(path.read_bytes()[:-4096]), "damaged"),
    (lambda path: path.write_bytes(b""), "not one of Tidemark"),
    (lambda path: path.unlink(), "not a file"),
    (lambda path: path.with_name(path.name + "-wal").write_bytes(b"x"), "copy of a store in use"),
], ids=["damaged", "newer", "other", "text", "short", "empty", "absent", "in use"])
async def test_restore_refuses_what_is_no_good_backup(own_server, tmp_path, spoil, says):
    server = own_server()
    fill(server, 1)
    copy = tmp_path / "copy.db"
    commands.run(server, "backup", "--to", copy)
    spoil(copy)
    server.stop()
    epoch = epoch_in(store_of(server))
    assert says in commands.run(server, "restore", "--from", copy, "--force", code=1)
    assert epoch_in(store_of(server)) == epoch
    assert not list(server.directory.glob("*restor*"))
    server.restart()


@pytest.mark.limit(180)
async def test_kill_in_the_middle_of_a_backup(own_server, tmp_path):
    server = own_server()
    alice, conversation, head = fill(server, 8)
    chance = random.Random(os.environ.get("TIDEMARK_TEST_SEED"))
    copy = tmp_path / "copy.db"
    commands.run(server, "backup", "--to", copy)
    good = epoch_in(copy)
    hits = 0
    for _ in range(KILLS):
        process = commands.start(server, "backup", "--to", copy, "--force")
        partial = tmp_path / "copy.db.partial"
        while process.poll() is None and not (partial.exists() and partial.stat().st_size):
            time.sleep(0.0005)
        time.sleep(chance.random() * 0.01)
        server.kill()
        _, errors = process.communicate(timeout=20)
        hits += process.returncode == 1 and b"ended" in errors
        assert epoch_in(copy) == good, "what was there is untouched or replaced by a whole one"
        server.restart()
        assert all_messages(server, alice, conversation)[-1]["seq"] == head
    assert hits, "no kill came in the middle"
    commands.run(server, "backup", "--to", copy, "--force")
    assert [each.name for each in tmp_path.iterdir()] == ["copy.db"]


@pytest.mark.limit(180)
async def test_cancelled_backup_leaves_nothing(own_server, tmp_path):
    server = own_server()
    fill(server, 8)
    process = commands.start(server, "backup", "--to", tmp_path / "copy.db")
    while process.poll() is None and not (tmp_path / "copy.db.partial").exists():
        time.sleep(0.0005)
    process.kill()
    process.communicate()
    deadline = time.monotonic() + 10
    while (tmp_path / "copy.db.partial").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not (tmp_path / "copy.db.partial").exists()


def test_restores_in_one_second_keep_every_store(own_server, tmp_path):
    server = own_server()
    fill(server, 4)
    commands.run(server, "backup", "--to", tmp_path / "copy.db")
    server.kill()
    for _ in range(3):
        commands.run(server, "restore", "--from", tmp_path / "copy.db", "--force")
    kept = [path for path in server.directory.iterdir() if ".before-restore-" in path.name]
    assert len(kept) == 3, kept


@pytest.mark.limit(180)
async def test_kill_in_the_middle_of_a_restore(own_server, tmp_path):
    server = own_server()
    alice, conversation, head = fill(server, 4)
    commands.run(server, "backup", "--to", tmp_path / "copy.db")
    server.api("POST", "/messages", alice, {"conversation_id": conversation, "content": text()})
    server.kill()  # the newest message is in the write-ahead log only
    chance = random.Random(os.environ.get("TIDEMARK_TEST_SEED"))
    begin = time.monotonic()
    shutil.copytree(server.directory, tmp_path / "kept", ignore=shutil.ignore_patterns("*.sock"))
    commands.run(server, "restore", "--from", tmp_path / "copy.db", "--force")
    whole = time.monotonic() - begin
    for _ in range(KILLS):
        shutil.rmtree(server.directory)
        shutil.copytree(tmp_path / "kept", server.directory)
        process = commands.start(server, "restore", "--from", tmp_path / "copy.db", "--force")
        time.sleep(chance.random() * whole)
        process.kill()
        process.communicate()
        server.restart()
        newest = all_messages(server, alice, conversation)[-1]["seq"]
        assert newest == head + 1 or (newest == head and process.returncode in (0, -9)), newest
        device = await server.connect(alice)
        assert device.welcome["epoch"]
        await device.close()
        server.kill()
    commands.run(server, "restore", "--from", tmp_path / "copy.db", "--force")
    server.restart()
    assert all_messages(server, alice, conversation)[-1]["seq"] == head
