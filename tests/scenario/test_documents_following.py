"""Following a document: every event once and in order, from where one left off; who else is there."""
import asyncio

from support.documents import (Text, check_log, document, edit, event, events, insert, make_document, operation, post,
                               reached, send, send_many, subscribe)
from support.names import unique, uniques
from support.rest import assert_success


async def test_a_follower_comes_back_where_it_left_off(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, "text", viewers=[bob])["id"]
    a, b = await server.connect(alice), await server.connect(bob)
    shown = await subscribe(b, doc)
    replica = Text(shown["document"]["content"], shown["version"])
    await send_many(a, doc, [insert(0, "x", 1) for _ in range(5)])
    await reached(b, doc, 6)
    for frame in events(b, doc, "operation_applied"):
        replica.apply(frame["operation"])
    await b.drop()
    await send_many(a, doc, [insert(0, "ä🙂", 6) for _ in range(30)])
    b = await server.connect(bob)
    shown = await subscribe(b, doc, since_version=replica.version)
    for one in shown["operations"]:
        replica.apply(one)
    assert shown["version"] == replica.version == 36
    await send(a, doc, insert(0, "z", 36))
    replica.apply((await event(b, "operation_applied", document_id=doc))["operation"])
    assert replica.content == document(server, bob, doc)["content"]


async def test_more_than_fits_the_answer_comes_as_events(server):
    alice = unique("alice")
    doc = make_document(server, alice, "text")["id"]
    a = await server.connect(alice)
    await send_many(a, doc, [insert(0, "x", 1) for _ in range(1200)])
    b = await server.connect(alice)
    shown = await subscribe(b, doc, since_version=1)
    replica = Text("", 1)
    for one in shown["operations"]:
        replica.apply(one)
    assert shown["version"] == replica.version == 1001
    await reached(b, doc, 1201)
    for frame in events(b, doc, "operation_applied"):
        replica.apply(frame["operation"])
    assert replica.content == document(server, alice, doc)["content"]


async def test_one_who_does_not_read_misses_nothing(own_server):
    server = own_server({"limits.queue": "16KiB"})
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, "text", viewers=[bob])["id"]
    a, b = await server.connect(alice), await server.connect(bob)
    await subscribe(b, doc)
    b.ws.transport.pause_reading()
    for _ in range(20):
        await send_many(a, doc, [insert(0, "x" * 1000, 1) for _ in range(50)])
    server.await_metrics(lambda now: now["tidemark_slow_consumers_total"] >= 1)
    b.ws.transport.resume_reading()
    await reached(b, doc, 1001)
    log = events(b, doc)
    check_log(log)
    replica = Text("", 1)
    for frame in log:
        replica.apply(frame["operation"])
    assert replica.content == document(server, alice, doc)["content"]


async def test_events_of_locks_and_operations_have_one_order(server):
    alice = unique("alice")
    doc = make_document(server, alice)["id"]
    a, b = await server.connect(alice), await server.connect(alice)
    await subscribe(b, doc)
    await a.request(type="lock", document_id=doc)
    await edit(a, doc, "create", {"id": "r"})
    await a.request(type="unlock", document_id=doc)
    assert_success(server.api("PATCH", f"/documents/{doc}", alice, {"name": "N"}))
    await event(b, "document_updated", document_id=doc)
    log = [frame for frame in events(b, doc) if "seq" in frame]
    assert [frame["event"] for frame in log] == ["lock_acquired", "operation_applied", "lock_released", "document_updated"]
    assert [frame["version"] for frame in log] == [1, 2, 2, 2]
    check_log(log)


async def test_unsubscribed_means_silence(server):
    alice = unique("alice")
    doc = make_document(server, alice)["id"]
    a, b = await server.connect(alice), await server.connect(alice)
    for client in (a, b):
        await subscribe(client, doc)
    assert (await b.request(type="unsubscribe", document_id=doc))["type"] == "unsubscribed"
    await edit(a, doc, "create", {"id": "r"})
    await event(a, "operation_applied", document_id=doc)
    await b.settle()
    assert not events(b, doc, "operation_applied")
    await b.refused("not_found", type="unsubscribe", document_id=doc)


async def test_users_come_and_go(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, viewers=[bob])["id"]
    a = await server.connect(alice)
    await subscribe(a, doc)
    b, c = await server.connect(bob), await server.connect(bob)
    await subscribe(b, doc)
    await event(a, "user_joined", document_id=doc, user_id=bob)
    assert sorted((await subscribe(c, doc))["users"]) == sorted([alice, bob])
    assert document(server, alice, doc)["active_users"] == sorted([alice, bob])
    await b.close()
    await edit(a, doc, "create", {"id": "r"})
    await event(c, "operation_applied", document_id=doc)
    assert not a.find("document_event", event="user_left"), "another connection of the user is still there"
    await c.drop()
    await event(a, "user_left", document_id=doc, user_id=bob)
    assert document(server, alice, doc)["active_users"] == [alice]


async def test_awareness_reaches_the_others_and_goes_with_its_sender(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, viewers=[bob])["id"]
    a, b = await server.connect(alice), await server.connect(bob)
    await a.send(type="awareness", id="not-yet", document_id=doc, state={"cursor": 0})
    assert (await a.recv("error"))["code"] == "forbidden"
    for client in (a, b):
        await subscribe(client, doc)
    await b.send(type="awareness", document_id=doc, state={"cursor": 3})
    told = await a.recv("awareness", document_id=doc)
    assert told["user_id"] == bob and told["state"] == {"cursor": 3} and told["session_id"] == b.welcome["session_id"]
    await b.drop()
    gone = await a.recv("awareness", document_id=doc)
    assert gone["state"] is None and gone["subscriber_id"] == told["subscriber_id"]
    assert not b.find("awareness")


async def test_a_bookmark_comes_after_a_silence(own_server):
    server = own_server({"statesync.bookmark": "100ms"})
    alice = unique("alice")
    doc = make_document(server, alice)["id"]
    a = await server.connect(alice)
    await subscribe(a, doc)
    ack = await edit(a, doc, "create", {"id": "r"})
    mark = await event(a, "bookmark", document_id=doc, version=2)
    assert mark["seq"] == ack["seq"] and "operation" not in mark
    await event(a, "bookmark", document_id=doc, version=2)


async def test_several_writers_and_every_replica_ends_the_same(server):
    users = uniques("alice", "bob", "carol")
    doc = make_document(server, users[0], "text", "start", editors=users[1:])["id"]
    clients = [await server.connect(user) for user in users]
    shown = [await subscribe(client, doc) for client in clients]

    async def write(client, letter):
        for number in range(20):
            seen = max([1] + [frame["version"] for frame in events(client, doc, "operation_applied")])
            await send_many(client, doc, [insert(0, letter + str(number), seen), operation("text", {"ops": [{"d": 1}]}, seen)])

    await asyncio.gather(*[write(client, letter) for client, letter in zip(clients, "abc")])
    final = document(server, users[0], doc)
    assert final["version"] == 1 + 3 * 20 * 2
    for client, first in zip(clients, shown):
        await reached(client, doc, final["version"])
        replica = Text(first["document"]["content"], first["version"])
        for frame in events(client, doc, "operation_applied"):
            replica.apply(frame["operation"])
        assert replica.content == final["content"]


async def test_at_most_so_many_documents_per_connection(server):
    alice = unique("alice")
    docs = [one["id"] for one in await asyncio.gather(*[asyncio.to_thread(make_document, server, alice)
                                                       for _ in range(257)])]
    a = await server.connect(alice)
    for doc in docs[:256]:
        await subscribe(a, doc)
    await a.refused("too_large", type="subscribe", document_id=docs[256])
    assert (await subscribe(a, docs[0]))["version"] == 1, "again is not one more"
    await a.request(type="unsubscribe", document_id=docs[1])
    await subscribe(a, docs[256])
