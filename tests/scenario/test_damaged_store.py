"""A store that cannot be served: the program ends with 1 and says which file it is and what to do."""
import os
import pwd
import sqlite3
import subprocess

import pytest

from support import tokens
from support.chat import all_messages
from support.faulty import program
from support.names import uniques
from support.server import Server, binary, free_port


def serve(path, user=None):
    """Starts the server on that database and waits for its end; gives (exit code, what it said)."""
    command = [str(binary()), "serve", "--set", f"storage.url=sqlite:{path}", "--set", f"auth.hs256_secret={tokens.SECRET}",
               "--set", f"http.listen=127.0.0.1:{free_port()}", "--set", "session.metrics_listen=off",
               "--set", "session.grpc_listen=off", "--set", "statesync.metrics_listen=off", "--set", "statesync.grpc_listen=off"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=environment, cwd="/", user=user)
    return done.returncode, done.stderr


def assert_refused(path, *words, user=None):
    code, said = serve(path, user)
    last = said.strip().splitlines()[-1]
    assert code == 1 and last.startswith("tidemark: "), (code, said)
    assert str(path) in last, f"which file? {last}"
    for word in words:
        assert word in last, last


@pytest.fixture
def start():
    """start(directory): a server there; it does not outlive a test that fails."""
    servers = []

    def start(directory):
        servers.append(Server(directory).start())
        return servers[-1]

    yield start
    for server in servers:
        if server.alive:
            server.kill()


async def make_store(directory, messages=300):
    """A store with a conversation, cleanly closed; gives (path of the database, a member, the conversation)."""
    server = Server(directory).start()
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice, "phone")
    answers = await a.say_many(messages, to=bob, content="CANARY " + "x" * 500)
    server.stop()
    assert sorted(os.listdir(directory)) == ["stderr.log", "tidemark.db", "tidemark.lock"]
    return directory / "tidemark.db", bob, answers[0]["conversation_id"]


async def test_text_file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database at all\n" * 500)
    assert_refused(path, "damaged", "restore a backup")
    assert path.read_text().startswith("no database at all"), "what was there is still there"


async def test_truncated_file(tmp_path):
    path, _, _ = await make_store(tmp_path)
    whole = path.read_bytes()
    for size in (len(whole) // 2, 4096 * 3 + 100, 600, 99):
        path.write_bytes(whole[:size])
        assert_refused(path, "damaged", "restore a backup")
        assert path.read_bytes() == whole[:size], "what is left is left alone"


async def test_garbage_in_the_schema(tmp_path):
    path, _, _ = await make_store(tmp_path)
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"\xa5" * 3996)
    assert_refused(path, "damaged", "restore a backup")


async def test_garbage_where_it_is_found_only_later(tmp_path, start):
    """Starts, because nobody reads a whole store at start; what cannot be read is `unavailable`, and the log names the file."""
    path, bob, chat = await make_store(tmp_path)
    with sqlite3.connect(path) as store:
        (root,) = store.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'entries'").fetchone()
    store.close()
    with open(path, "r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xa5" * 4096)
    server = start(tmp_path)
    reply = server.api("GET", f"/messages?conversation_id={chat}", bob)
    assert (reply.status, reply.json["error"]) == (503, "unavailable")
    assert "storage.damaged" in server.log_text() and str(path) in server.log_text()
    server.stop()


async def test_newer_schema(tmp_path):
    path, _, _ = await make_store(tmp_path)
    with sqlite3.connect(path) as store:
        store.execute("INSERT INTO schema_migrations (number, name) VALUES (9999, 'from the future')")
    store.close()
    assert_refused(path, "newer version", "9999", "use that version")


async def test_database_of_another_program(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as store:
        store.execute("CREATE TABLE schema_migrations (version TEXT)")
    store.close()
    assert_refused(path, "not Tidemark's")


async def test_empty_file_is_a_new_store(tmp_path, start):
    (tmp_path / "tidemark.db").touch()
    server = start(tmp_path)
    a = await server.connect(*uniques("alice", "phone"))
    await a.say(to="bob")
    server.stop()


async def test_missing_wal_is_the_store_of_the_last_checkpoint(tmp_path, start):
    """SQLite cannot notice it: so docs/operating.md calls the WAL a part of the data."""
    server = start(tmp_path)
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice, "phone")
    await a.say(bob)
    server.kill()
    os.unlink(tmp_path / "tidemark.db-wal")
    server.restart()
    a = await server.connect(alice, "phone")
    assert (await a.say(bob))["seq"] == 1
    server.stop()


async def test_second_process_on_the_same_directory(tmp_path, start):
    server = start(tmp_path)
    code, said = serve(tmp_path / "tidemark.db")
    assert code == 1 and f"another tidemark uses {tmp_path}" in said and "storage.url" in said
    server.check_alive()
    server.stop()


@pytest.fixture
def somebody():
    """A user without rights, as whom a process can be started."""
    if os.geteuid() != 0:
        pytest.skip("only root can start a process as somebody else")
    return pwd.getpwnam("nobody").pw_uid


def open_to(user, directory):
    """Lets the user reach the directory of a test and own it."""
    for parent in directory.parents:
        if parent.stat().st_uid == os.geteuid() and str(parent) not in ("/", "/tmp"):
            parent.chmod(0o755)
    os.chown(directory, user, -1)


async def test_file_of_somebody_else(tmp_path, somebody):
    path, _, _ = await make_store(tmp_path)
    open_to(somebody, tmp_path)
    os.chown(tmp_path / "tidemark.lock", somebody, -1)
    path.chmod(0o600)
    assert_refused(path, "Permission denied", "user", user=somebody)
    path.chmod(0o644)
    assert_refused(path, "Permission denied", "user", user=somebody)


async def test_read_only_directory(tmp_path, somebody):
    open_to(somebody, tmp_path)
    tmp_path.chmod(0o555)
    code, said = serve(tmp_path / "tidemark.db", somebody)
    assert code == 1 and str(tmp_path) in said and "Permission denied" in said, said
    directory = tmp_path / "below" / "data"
    code, said = serve(directory / "tidemark.db", somebody)
    assert code == 1 and str(directory) in said and "Permission denied" in said, said
    tmp_path.chmod(0o755)


def schema_of(path):
    with sqlite3.connect(path) as store:
        rows = store.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()
        numbers = store.execute("SELECT number, name FROM schema_migrations ORDER BY number").fetchall()
        assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store.close()
    return rows, numbers


def migrate(path, command=None):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    if command:
        environment["FAULTY_VFS_COMMAND"] = command
    return subprocess.run([str(program()), "migrate", "--set", f"storage.url=sqlite:{path}"], capture_output=True, text=True,
                          timeout=20, env=environment).returncode


def test_migration_killed_at_each_step_is_completed_by_the_next_start(tmp_path):
    """TIDEMARK_TEST_MIGRATION_STEP: every how many-th write is the one that is not done any more (default 7)."""
    step = int(os.environ.get("TIDEMARK_TEST_MIGRATION_STEP", "7"))
    assert migrate(tmp_path / "whole" / "t.db") == 0
    wanted = schema_of(tmp_path / "whole" / "t.db")
    killed = 0
    for effect in ("crash write", "cut 5 write", "crash sync", "cut 5 sync"):
        stride = 1 if effect.endswith("sync") else step
        for number in range(1, 1000, stride):
            path = tmp_path / f"{effect.replace(' ', '-')}-{number}" / "t.db"
            code = migrate(path, f"{effect} {number}")
            if code == 0:
                break
            assert code == -9
            killed += 1
            assert migrate(path) == 0
            assert schema_of(path) == wanted
    assert killed > 10
    print(f"killed {killed} times")
