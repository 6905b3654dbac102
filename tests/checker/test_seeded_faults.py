"""The checker on real servers: one that keeps its promises, and one for each of ten ways to break them on purpose.

`tidemark_seeded` is the same program with src/core/seeded_fault.h switched on; $TIDEMARK_FAULT chooses the fault there.

TIDEMARK_TEST_ROUNDS   rounds of the honest run (default 6)
TIDEMARK_TEST_HISTORY  a directory that keeps the histories
"""
import asyncio
import os
from pathlib import Path

import pytest

from checker import Recorder, check
from checker.history import connections_of, usage_of
from checker.workload import Team
from support.client import Client
from support.faulty import FaultyServer
from support.patience import within
from support.server import binary, sanitizer

ROUNDS = int(os.environ.get("TIDEMARK_TEST_ROUNDS", "6"))
FAST_PRESENCE = {"presence.grace": "0s"}

# fault -> the invariant that has to be named, settings, kills
FAULTS = {
    "drop_after_ack": ("I1", {}, 0),
    # Seen as a message that a kill loses, if it comes in time, or as a cursor that was confirmed and is not stored yet.
    "ack_before_commit/1": (("I1", "I4"), {}, 6),
    # Often: a closure that failed runs once more, and is then stored after all, unless it fails again.
    "fan_out_before_commit/3": ("I", {}, 0),
    "deliver_twice/50": ("I2", {}, 0),
    "swap_two_seqs/1": ("I3", {}, 0),
    "cursor_off_by_one/2": ("I4", {}, 0),
    "silent_gap/1": ("I4", {"limits.replay_entries": "5"}, 0),
    "ghost_presence/2": ("I8", {}, 0),
    "event_to_removed_member/1": ("I10", {}, 0),
}


def seeded():
    program = binary().parent / "tidemark_seeded"
    if not program.exists():
        pytest.skip("no tidemark_seeded beside the binary")
    return program


def recorder_for(name):
    directory = os.environ.get("TIDEMARK_TEST_HISTORY")
    return Recorder(Path(directory) / f"{name.replace('/', '-')}.jsonl" if directory else None)


def seeded_server(directory, fault, settings):
    """The disk under it forgets at a power cut what was not synced (tests/faults)."""
    server = FaultyServer(directory, {**FAST_PRESENCE, **settings}, {"TIDEMARK_FAULT": fault})
    server.program, server.recorder = seeded(), recorder_for(fault)
    return server


@pytest.mark.limit(60 + ROUNDS * 30)
async def test_an_honest_server_is_not_blamed(own_server):
    server = own_server(FAST_PRESENCE)
    server.recorder = recorder_for("honest")
    await Team(server, rounds=ROUNDS, kills=ROUNDS // 2).live()
    kinds = {event["ev"] for event in server.recorder.events}
    assert kinds == {"open", "send", "recv", "close", "rest", "fault", "calm", "final", "online"}
    await close_all()
    assert check(server.recorder.events) == []


@pytest.mark.limit(60 + ROUNDS * 30)
async def test_an_honest_server_gives_back_what_it_took(own_server):
    """Memory, descriptors and threads, after a first team has shown what the server needs."""
    server = own_server(FAST_PRESENCE)
    server.recorder = Recorder()
    for moment, rounds in (("before", 2), ("after", ROUNDS)):
        await Team(server, rounds=rounds).live()
        await close_all()
        usage = await settled_usage(server.process.pid)
        if sanitizer() is not None:
            usage["rss"] = 0  # is mostly the sanitizer's
        server.recorder.resources(moment, usage)
    assert check(server.recorder.events) == []


async def settled_usage(pid):
    """When the server has closed its ends, those too that it accepts only after their clients have gone."""
    descriptors = None
    while True:
        while connections_of(pid):
            await asyncio.sleep(0.01)
        usage = usage_of(pid)
        if usage["descriptors"] == descriptors:
            return usage
        descriptors = usage["descriptors"]
        await asyncio.sleep(0.2)


async def close_all():
    """The checker is the judge here, not the harness, which knows nothing of members that leave and return."""
    await asyncio.gather(*[client.close() for client in Client.opened if not client.is_closed],
                         return_exceptions=True)  # some of the servers are gone
    Client.opened.clear()


@pytest.mark.limit(180)
async def test_a_skipped_fsync_is_reported(tmp_path):
    """Only a power cut shows it. What was stored before a clean end is on the disk."""
    server = seeded_server(tmp_path, "skipped_fsync/1", {})
    server.start()

    def restart():
        server.stop()
        server.start()

    def cut():
        server.order("cut 3")
        server.wait_dead()

    try:
        try:
            await within(60, Team(server, rounds=4, kills=3, end=cut, before=restart).live())
        except (AssertionError, ConnectionError, asyncio.TimeoutError):
            pass
        found = check(server.recorder.events)
        assert any(violation.startswith(("I1", "I4 the epoch")) for violation in found), found
    finally:
        if server.alive:
            server.kill()
        await close_all()


@pytest.mark.limit(180)
@pytest.mark.parametrize("fault", FAULTS)
async def test_a_seeded_fault_is_reported(tmp_path, fault):
    invariant, settings, kills = FAULTS[fault]
    server = seeded_server(tmp_path, fault, settings)
    server.start()
    try:
        try:
            await within(60, Team(server, rounds=max(4, kills), kills=kills).live())
        except (AssertionError, ConnectionError, asyncio.TimeoutError):
            pass  # a broken server may also fail the workload; what was recorded has to show it
        found = check(server.recorder.events)
        assert any(violation.startswith(invariant) for violation in found), found
    finally:
        if server.alive:
            server.kill()
        await close_all()
