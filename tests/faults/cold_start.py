#!/usr/bin/env python3
"""How long a node with a big store takes from its start after kill -9 to /readyz. A measurement, not a test.

    TIDEMARK_BINARY=build/release/tidemark /usr/bin/python3 tests/faults/cold_start.py --messages 1000000 --content 850

Builds the store (the schema and the groups by the server, the messages by SQLite), then, --runs times: load for a
moment, kill -9, forget the page cache of the files, start, wait for /readyz, and look whether everything is there.
"""
import argparse
import asyncio
import os
import random
import shutil
import sqlite3
import string
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.chat import make_group, messages  # noqa: E402
from support.load import Load  # noqa: E402
from support.server import Server  # noqa: E402

GROUPS = 200


async def make_groups(server):
    groups = {}
    owner = await server.connect("owner", "phone", replay=0)
    for number in range(GROUPS):
        group = make_group(server, "owner", *[f"member{number}-{each}" for each in range(4)])
        await owner.say(conversation_id=group, content="first")
        groups[group] = None
    await owner.close()
    return list(groups)


def fill(path, count, size):
    """As many more messages like the first of each stream, with other ids and texts."""
    store = sqlite3.connect(path, isolation_level=None)
    store.execute("PRAGMA synchronous=OFF")
    store.execute("PRAGMA cache_size=-500000")
    words = "".join(random.Random(1).choices(string.ascii_letters + " ", k=size + 5000))
    store.execute("CREATE TEMP TABLE first AS SELECT * FROM entries WHERE content = 'first'")
    other = {"seq": "seq + n", "ordinal": "ordinal + n", "client_id": "lower(hex(randomblob(16)))",
             "content": "substr(:words, 1 + abs(random()) % 5000, :size)"}
    columns = [row[1] for row in store.execute("PRAGMA table_info(entries)")]
    values = ", ".join(other.get(column, column) for column in columns)
    each = {"each": count // GROUPS, "words": words, "size": size}
    store.execute(f"WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :each) "
                  f"INSERT INTO entries SELECT {values} FROM first, numbers", each)
    store.execute("UPDATE streams SET head = head + :each, counted = counted + :each "
                  "WHERE id IN (SELECT stream FROM first)", each)
    store.close()


def forget_cache(directory):
    for path in filter(Path.is_file, directory.iterdir()):  # not the control socket that a killed node left
        with open(path, "rb") as file:
            os.fsync(file.fileno())  # only what is on the disk can be forgotten
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


async def crash_under_load(server):
    load = await Load(server).__aenter__()
    await load.progress(random.randrange(1000, 3000))
    server.kill()
    await load.abandon()
    return load


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--content", type=int, default=850, help="bytes of each message")
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="tidemark-cold-", dir="/var/tmp"))
    try:
        server = Server(directory).start()
        groups = await make_groups(server)
        server.stop()
        fill(directory / "tidemark.db", options.messages, options.content)
        print(f"{options.messages} messages, {(directory / 'tidemark.db').stat().st_size / 1e6:.0f} MB")
        server.start()
        times = []
        for _ in range(options.runs):
            load = await crash_under_load(server)
            wal = (directory / "tidemark.db-wal").stat().st_size
            forget_cache(directory)
            start = time.monotonic()
            server.start()
            times.append(time.monotonic() - start)
            print(f"WAL {wal / 1e6:.1f} MB: ready after {times[-1] * 1000:.0f} ms")
            await load.check()
            page = messages(server, "owner", random.choice(groups), limit=200)
            assert len(page["messages"]) == 200 and page["has_more"]
        server.stop()
        print(f"worst of {len(times)}: {max(times) * 1000:.0f} ms")
    finally:
        shutil.rmtree(directory)


asyncio.run(main())
