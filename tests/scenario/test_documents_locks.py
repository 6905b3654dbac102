"""Locks of documents: one holder, fences that never come back, waiters in order, ends of all kinds."""
import asyncio

import pytest

from support.documents import (check_log, document, edit, event, events, heard, make_document, operation, operations, post,
                               send, subscribe)
from support.names import new_id, unique, uniques
from support.rest import assert_refused, assert_success


def acquire(server, user, doc, session, **more):
    return server.api("POST", f"/documents/{doc}/lock", user, {"session_id": session, **more})


def acquired(server, user, doc, session, **more):
    return assert_success(acquire(server, user, doc, session, **more))["lock"]


def release(server, user, doc, **query):
    text = "&".join(f"{name}={value}" for name, value in query.items())
    return server.api("DELETE", f"/documents/{doc}/lock?{text}", user)


def lock_of(server, user, doc):
    return assert_success(server.api("GET", f"/documents/{doc}/lock", user))


def shared(server):
    alice, bob = uniques("alice", "bob")
    return alice, bob, make_document(server, alice, "text", editors=[bob])["id"]


def test_one_holder_and_renewal(server):
    alice, bob, doc = shared(server)
    lock = acquired(server, alice, doc, "s1", ttl_ms=60_000)
    assert lock["user_id"] == alice and lock["session_id"] == "s1" and lock["active"] is True
    assert lock["expires_at"] - lock["acquired_at"] == 60_000
    again = acquired(server, alice, doc, "s1", ttl_ms=120_000)
    assert again["fence"] == lock["fence"] and again["id"] == lock["id"] and again["expires_at"] > lock["expires_at"]
    for user, session in ((bob, "s2"), (alice, "s2"), (bob, "s1")):
        reply = acquire(server, user, doc, session)
        assert_refused(reply, 409, "locked")
        assert alice in reply.json["message"], "it names the holder"
    assert lock_of(server, bob, doc)["lock"]["id"] == lock["id"]
    assert_success(release(server, alice, doc, session_id="s1"))
    assert lock_of(server, bob, doc) == {"locked": False}
    assert acquired(server, bob, doc, "s2")["fence"] > lock["fence"]


def test_release_checks_session_id_or_user(server):
    alice, bob, doc = shared(server)
    lock = acquired(server, alice, doc, "s1")
    assert_refused(release(server, bob, doc), 409, "locked")
    assert_refused(release(server, alice, doc, session_id="other"), 409, "locked")
    assert_refused(release(server, alice, doc, lock_id=new_id()), 409, "locked")
    assert_success(release(server, alice, doc, lock_id=lock["id"]))
    acquired(server, alice, doc, "s1")
    assert_success(release(server, alice, doc))
    assert_refused(release(server, alice, doc), 404, "not_found")


def test_writes_of_others_are_refused_while_it_is_held(server):
    alice, bob, doc = shared(server)
    acquired(server, alice, doc, "s1")
    assert_refused(post(server, bob, doc, "text", {"ops": ["b"]}), 409, "locked")
    assert_refused(post(server, alice, doc, "text", {"ops": ["b"]}, session_id="s2"), 409, "locked")
    for body in ({"content": "b"}, {"name": "b"}, {"state": "archived"}):
        assert_refused(server.api("PATCH", f"/documents/{doc}", bob, body), 409, "locked")
    assert_refused(server.api("DELETE", f"/documents/{doc}", alice), 409, "locked")
    assert_success(post(server, alice, doc, "text", {"ops": ["a"]}, session_id="s1"), 201)
    assert document(server, bob, doc)["content"] == "a", "reading is never blocked"
    permissions = {"metadata": {"permissions": {"editors": [bob], "public": True}}}
    assert_success(server.api("PATCH", f"/documents/{doc}", alice, permissions))


def test_a_stale_fence_is_refused_also_when_the_lock_is_free(server):
    alice, bob, doc = shared(server)
    old = acquired(server, alice, doc, "s1")["fence"]
    assert_success(post(server, alice, doc, "text", {"ops": ["1"]}, session_id="s1", fence=old), 201)
    assert_success(release(server, alice, doc, session_id="s1"))
    for fence in (old, old + 1):
        assert_refused(post(server, alice, doc, "text", {"ops": ["x"]}, session_id="s1", fence=fence), 409, "stale_lock")
    new = acquired(server, bob, doc, "s2")["fence"]
    assert_refused(post(server, alice, doc, "text", {"ops": ["x"]}, session_id="s1", fence=old), 409, "stale_lock")
    reply = server.api("PATCH", f"/documents/{doc}", bob, {"content": "x", "session_id": "s2", "fence": old})
    assert_refused(reply, 409, "stale_lock")
    assert_success(post(server, bob, doc, "text", {"ops": ["2"]}, session_id="s2", fence=new), 201)
    assert document(server, alice, doc)["content"] == "21"


async def test_expiry_is_told_and_frees(server):
    alice, bob, doc = shared(server)
    b = await server.connect(bob)
    await subscribe(b, doc)
    lock = acquired(server, alice, doc, "s1", ttl_ms=100)
    await event(b, "lock_acquired", document_id=doc)
    released = await event(b, "lock_released", document_id=doc)
    assert released["reason"] == "expired" and released["lock"]["id"] == lock["id"] and released["lock"]["active"] is False
    await edit(b, doc, "text", {"ops": ["b"]})
    late = post(server, alice, doc, "text", {"ops": ["a"]}, session_id="s1", fence=lock["fence"])
    assert_refused(late, 409, "stale_lock")
    check_log(events(b, doc))


async def test_the_owner_may_force_it_and_the_fence_rises(server):
    alice, bob, doc = shared(server)
    b = await server.connect(bob)
    lock = (await b.request(type="lock", document_id=doc))["lock"]
    assert_refused(release(server, bob, doc, force="true"), 403, "forbidden")
    await subscribe(b, doc)
    assert_success(release(server, alice, doc, force="true"))
    assert (await event(b, "lock_released", document_id=doc))["reason"] == "forced"
    answer = await b.request(type="operation", document_id=doc,
                             operation=operation("text", {"ops": ["b"]}, fence=lock["fence"]))
    assert answer["code"] == "stale_lock"
    assert acquired(server, alice, doc, "s")["fence"] >= lock["fence"] + 2


async def test_waiters_get_it_in_order(server):
    alice = unique("alice")
    doc = make_document(server, alice)["id"]
    clients = [await server.connect(alice, f"device-{number}") for number in range(5)]
    await subscribe(clients[0], doc)
    assert (await clients[0].request(type="lock", document_id=doc))["type"] == "locked"
    waiting = []
    for client in clients[1:]:
        waiting.append(asyncio.ensure_future(client.request(type="lock", document_id=doc, wait_ms=20_000)))
        await heard(client, doc)  # whoever comes next is behind it
    fences = []
    for number, future in enumerate(waiting):
        assert not future.done()
        await clients[number].request(type="unlock", document_id=doc)
        answer = await future
        assert answer["type"] == "locked", answer
        fences.append(answer["lock"]["fence"])
    assert fences == sorted(set(fences))


async def test_a_waiter_that_waits_in_vain_or_left_gets_nothing(server):
    alice, bob, doc = shared(server)
    a, b, c = [await server.connect(*who) for who in ((alice,), (bob, "phone"), (bob, "laptop"))]
    await a.request(type="lock", document_id=doc)
    answer = await b.request(type="lock", document_id=doc, wait_ms=50)
    assert (answer["type"], answer["code"]) == ("error", "locked")
    await b.send(type="lock", id=new_id(), document_id=doc, wait_ms=20_000)
    await b.settle()
    later = asyncio.ensure_future(c.request(type="lock", document_id=doc, wait_ms=20_000))
    await c.settle()
    await b.drop()
    await a.request(type="unlock", document_id=doc)
    assert (await later)["lock"]["session_id"] == c.welcome["session_id"]
    assert lock_of(server, alice, doc)["lock"]["user_id"] == bob


async def test_a_clean_end_of_the_session_frees_at_once(server):
    alice, bob, doc = shared(server)
    a, b = await server.connect(alice), await server.connect(bob)
    await subscribe(b, doc)
    await a.request(type="lock", document_id=doc)
    assert_success(server.api("DELETE", f"/sessions/{a.welcome['session_id']}", alice))
    assert (await event(b, "lock_released", document_id=doc))["reason"] == "session_closed"
    await a.closed(4006)


async def test_a_holder_that_comes_back_within_the_grace_keeps_it(server):
    alice, bob, doc = shared(server)
    a, b = await server.connect(alice, "laptop"), await server.connect(bob)
    await subscribe(b, doc)
    lock = (await a.request(type="lock", document_id=doc))["lock"]
    await a.drop()
    a = await a.reconnect()
    assert a.welcome["session_id"] == lock["session_id"]
    again = await a.request(type="lock", document_id=doc)
    assert again["lock"]["id"] == lock["id"] and again["lock"]["fence"] == lock["fence"]
    ack = await edit(a, doc, "text", {"ops": ["a"]}, fence=lock["fence"])
    assert ack["status"] == "applied"
    assert not events(b, doc, "lock_released")


async def test_a_late_close_of_an_old_connection_releases_nothing(server):
    alice, bob, doc = shared(server)
    old, b = await server.connect(alice, "laptop"), await server.connect(bob)
    await subscribe(b, doc)
    lock = (await old.request(type="lock", document_id=doc))["lock"]
    new = await server.connect(alice, "laptop")
    await old.closed(4005)
    assert (await new.request(type="lock", document_id=doc))["lock"]["id"] == lock["id"]
    assert_refused(post(server, bob, doc, "text", {"ops": ["b"]}), 409, "locked")
    assert not events(b, doc, "lock_released")


async def test_a_holder_that_stays_away_loses_it(server):
    alice, bob, doc = shared(server)
    a, b = await server.connect(alice), await server.connect(bob)
    await subscribe(b, doc)
    await a.request(type="lock", document_id=doc)
    await a.drop()
    released = await b.recv("document_event", timeout=20, event="lock_released", document_id=doc)
    assert released["reason"] == "session_closed"


async def test_operations_wait_for_the_lock_on_request_and_run_in_order(own_server):
    server = own_server()
    alice, bob, doc = shared(server)
    acquired(server, alice, doc, "s1")
    b = await server.connect(bob)
    waiting = {"extra": {"on_lock": "wait"}}
    pending = [operation("text", {"ops": [letter]}, metadata=waiting) for letter in "abc"]
    for one in pending:
        answer = await send(b, doc, one)
        assert answer["status"] == "pending" and answer["version"] == 0
    assert (await send(b, doc, pending[0]))["status"] == "pending", "a retry is the same one"
    assert document(server, alice, doc)["content"] == ""
    server.kill()
    server.restart()
    b = await server.connect(bob)
    await subscribe(b, doc)
    assert_success(release(server, alice, doc, session_id="s1"))
    for version in (2, 3, 4):
        await event(b, "operation_applied", document_id=doc, version=version)
    assert document(server, alice, doc)["content"] == "cba"
    assert [one["id"] for one in operations(server, bob, doc)] == [one["id"] for one in pending]
    assert (await send(b, doc, pending[1]))["version"] == 3


async def test_at_most_so_many_operations_wait(server):
    alice, bob, doc = shared(server)
    acquired(server, alice, doc, "s1")
    b = await server.connect(bob)
    answers = await asyncio.gather(*[
        b.request(type="operation", document_id=doc,
                  operation=operation("text", {"ops": ["x"]}, metadata={"extra": {"on_lock": "wait"}}))
        for _ in range(257)])
    assert [answer.get("status", answer.get("code")) for answer in answers] == ["pending"] * 256 + ["locked"]
    assert_success(release(server, alice, doc))
    assert document(server, alice, doc)["content"] == "x" * 256


def test_fences_and_locks_survive_a_crash(own_server):
    server = own_server()
    alice, bob, doc = shared(server)
    fences = []
    for session in ("s1", "s2", "s3"):
        fences.append(acquired(server, alice, doc, session)["fence"])
        server.kill()
        server.restart()
        lock = lock_of(server, bob, doc)["lock"]
        assert lock["session_id"] == session and lock["fence"] == fences[-1]
        assert_refused(post(server, bob, doc, "text", {"ops": ["b"]}), 409, "locked")
        assert_success(release(server, alice, doc, session_id=session))
        server.kill()
        server.restart()
        assert lock_of(server, bob, doc) == {"locked": False}
    assert fences == sorted(set(fences))


async def test_a_lock_runs_out_after_a_restart_though_nobody_asks_for_the_document(own_server):
    server = own_server()
    alice, bob, doc = shared(server)
    acquired(server, alice, doc, "s1", ttl_ms=300)
    server.kill()
    server.restart()
    server.await_metrics(lambda _: assert_success(
        server.api("GET", "/documents/stats", alice))["stats"]["active_locks"] == 0)
    assert acquired(server, bob, doc, "s2")["fence"] == 2


async def test_two_holders_never_both_write(server):
    """Many sessions fight for one lock and write with its fence; the log shows one writer per fence."""
    alice = unique("alice")
    doc = make_document(server, alice, "text")["id"]
    watcher = await server.connect(alice)
    await subscribe(watcher, doc)
    clients = [await server.connect(alice, f"device-{number}") for number in range(8)]

    async def fight(number, client):
        written = 0
        while written < 10:
            answer = await client.request(type="lock", document_id=doc, ttl_ms=50, wait_ms=10_000)
            if answer["type"] == "error":
                assert answer["code"] == "locked", answer
                continue
            fence = answer["lock"]["fence"]
            if number % 3 == 0:
                await asyncio.sleep(0.06)  # a holder that was paused until after its time
            for _ in range(3):
                ack = await client.request(type="operation", document_id=doc,
                                           operation=operation("text", {"ops": ["x"]}, fence=fence))
                assert ack["type"] == "operation_ack" or ack["code"] in ("stale_lock", "locked"), ack
            written += 1
            await client.request(type="unlock", document_id=doc)

    await asyncio.gather(*[fight(number, client) for number, client in enumerate(clients)])
    final = document(server, alice, doc)
    await watcher.until(lambda: final["version"] == 1 or any(
        frame["version"] >= final["version"] for frame in events(watcher, doc)))
    log = [frame for frame in events(watcher, doc) if "seq" in frame and frame["event"] != "bookmark"]
    check_log(log)
    holder, fence = None, 0
    for frame in log:
        if frame["event"] == "lock_acquired":
            assert holder is None and frame["lock"]["fence"] > fence
            holder, fence = frame["lock"]["session_id"], frame["lock"]["fence"]
        elif frame["event"] == "lock_released":
            assert frame["lock"]["session_id"] == holder
            holder = None
        elif frame["event"] == "operation_applied":
            one = frame["operation"]
            assert one["session_id"] == holder and one["fence"] == fence, (one, holder, fence)


async def test_a_thousand_sessions_wait_and_get_it_in_order(own_server):
    """250 sessions wait for each of four documents; the recorded history shows that nobody was overtaken."""
    server = own_server()
    owner = unique("owner")
    users = [unique("user") for _ in range(250)]
    docs = [make_document(server, owner, "text", editors=users)["id"] for _ in range(4)]
    watcher = await server.connect(owner)
    for doc in docs:
        await subscribe(watcher, doc)
        assert (await watcher.request(type="lock", document_id=doc))["type"] == "locked"
    crowd, requests = [], []
    for user in users:
        client = await server.connect(user)
        crowd.append(client)
        for doc in docs:
            requests.append((client, doc, new_id()))
            await client.send(type="lock", id=requests[-1][2], document_id=doc, wait_ms=3_000_000)
            await heard(client, doc)  # whoever comes next is behind it
    for doc in docs:
        await watcher.request(type="unlock", document_id=doc)

    async def take(client, doc, name):
        answer = await client.recv(timeout=50, id=name)
        assert answer["type"] == "locked", answer
        assert (await client.request(type="unlock", document_id=doc))["type"] == "unlocked"

    await asyncio.gather(*[take(*one) for one in requests])
    order = [client.welcome["session_id"] for client in (watcher, *crowd)]
    for doc in docs:
        await watcher.until(lambda: len(events(watcher, doc, "lock_released")) == 251)  # pylint: disable=cell-var-from-loop
        log = [frame for frame in events(watcher, doc) if frame["event"] in ("lock_acquired", "lock_released")]
        check_log(log)
        assert [frame["event"] for frame in log] == ["lock_acquired", "lock_released"] * 251
        assert [frame["lock"]["session_id"] for frame in log[::2]] == order
        assert [frame["lock"]["session_id"] for frame in log[1::2]] == order
        assert [frame["lock"]["fence"] for frame in log[::2]] == list(range(1, 252))


def test_a_heartbeat_of_its_session_renews_a_lock(server):
    alice, bob, doc = shared(server)
    session = assert_success(server.api("POST", "/sessions", alice, {"device_id": "d"}), 201)["session"]["session_id"]
    named = make_document(server, alice)["id"]
    before = [acquired(server, alice, doc, session), acquired(server, alice, named, "no session of ours")]
    other = assert_success(server.api("POST", "/sessions", bob, {"device_id": "d"}), 201)["session"]["session_id"]

    def expiry(of):
        return lock_of(server, alice, of)["lock"]["expires_at"]

    def renewed():
        assert_success(server.api("POST", f"/sessions/{session}/heartbeat", alice))
        return expiry(doc) > before[0]["expires_at"] + 5

    server.await_metrics(lambda _: renewed())
    lock = lock_of(server, bob, doc)["lock"]
    assert (lock["id"], lock["fence"], lock["active"]) == (before[0]["id"], before[0]["fence"], True)
    # Nobody else's does, and a lock under another name is not renewed by it.
    assert expiry(named) <= before[1]["expires_at"] + 1
    last = expiry(doc)
    assert_success(server.api("POST", f"/sessions/{other}/heartbeat", bob))
    assert_refused(server.api("POST", f"/sessions/{session}/heartbeat", bob), 404, "not_found")
    assert expiry(doc) <= last + 1
