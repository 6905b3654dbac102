"""One past each limit of documents: refused with the documented code, and nothing changes."""
import asyncio
import json
import time

import grpc
import pytest

from support import documents
from support.documents import document, insert, make_document, operation, operations, post, send, subscribe
from support.names import new_id, unique, uniques
from support.rest import assert_refused, assert_success
from support.rpc import Port, UNAVAILABLE, port_of, refusal_of
from support.rpc_stream import Stream

KEY = "k" * 256  # the longest path of a register


@pytest.mark.parametrize("metadata, code", [
    ({"tags": ["t"] * 10_001}, "invalid_field"),
    ({"tags": ["t" * 1025]}, "invalid_field"),
    ({"description": "d" * 16_385}, "invalid_field"),
    ({"properties": {str(number): "" for number in range(1001)}}, "invalid_field"),
    ({"properties": {"k": "v" * 66_000}}, "invalid_field"),
    ({"properties": {f"k{number}": "v" * 1000 for number in range(70)}}, "invalid_field"),
    ({"permissions": {"editors": ["e"] * 10_001}}, "invalid_field"),
    ({"permissions": {"viewers": ["v"] * 10_001}}, "invalid_field"),
    ({"permissions": {"owner": "o" * 129}}, "invalid_field"),
    ({"permissions": {"editors": ["e" * 129]}}, "invalid_field"),
])
def test_metadata(server, metadata, code):
    alice = unique("alice")
    doc = make_document(server, alice)
    for method, path, body in (("POST", "/documents", {"name": "n", "type": "text", "metadata": metadata}),
                               ("PATCH", f"/documents/{doc['id']}", {"metadata": metadata})):
        reply = server.api(method, path, alice, body)
        assert reply.status in (400, 413) and reply.json["error"] in (code, "too_large"), reply.json
    assert document(server, alice, doc["id"]) == doc
    assert assert_success(server.api("GET", f"/documents?created_by={alice}", alice))["total"] == 1


@pytest.mark.parametrize("data, code", [
    ({"id": "r", KEY: 1}, None),
    ({"id": "r", KEY + "k": 1}, "invalid_field"),
    ({"id": "r", "k" * 128: {"l" * 128: 1}}, "invalid_field"),  # with its dot a byte too long
    ({"id": "r" * 129, "x": 1}, "invalid_field"),
    ({"id": "r", "x": json.loads("[" * 30 + "]" * 30)}, None),
    ({"id": "r", "x": json.loads("[" * 32 + "]" * 32)}, "invalid_field"),
])
def test_keys_ids_and_nesting(server, data, code):
    alice = unique("alice")
    doc = make_document(server, alice, content={"r": {"x": 0}})
    reply = post(server, alice, doc["id"], "update", data)
    if code is None:
        assert_success(reply, 201)
        return
    assert reply.status == 400 and reply.json["error"] in (code, "invalid_json"), reply.json
    assert document(server, alice, doc["id"]) == doc


@pytest.mark.parametrize("more", [
    {"client_id": "c" * 129}, {"session_id": "s" * 129}, {"id": "i" * 65},
    {"metadata": {"extra": {str(number): "" for number in range(33)}}},
    {"metadata": {"extra": {f"k{number}": "v" * 1000 for number in range(5)}}},
    {"metadata": {"user_agent": "u" * 1025}},
])
def test_what_is_around_an_operation(server, more):
    alice = unique("alice")
    doc = make_document(server, alice, "text")["id"]
    body = {"type": "text", "data": {"ops": ["x"]}, **more}
    assert_refused(server.api("POST", f"/documents/{doc}/operations", alice, body), 400, "invalid_field")
    assert document(server, alice, doc)["version"] == 1


def test_an_operation_of_the_largest_size(server):
    alice = unique("alice")
    doc = make_document(server, alice, "text")["id"]
    around = len(json.dumps({"ops": [""]}, separators=(",", ":")))
    assert_success(post(server, alice, doc, "text", {"ops": ["x" * (256 * 1024 - around)]}), 201)
    assert_refused(post(server, alice, doc, "text", {"ops": ["x" * (256 * 1024 - around + 1)]}), 413, "too_large")
    assert document(server, alice, doc)["version"] == 2


def test_content_grows_up_to_its_limit(own_server):
    server = own_server({"statesync.content": "1KiB"})
    alice = unique("alice")
    for kind, first, more in (("text", "x" * 1024, {"ops": ["y"]}), ("whiteboard", {"r": {"x": "x" * 1000}}, None)):
        doc = make_document(server, alice, kind, first)["id"]
        more = more or {"id": "r", "y": "y" * 100}
        reply = post(server, alice, doc, "text" if kind == "text" else "update", more)
        assert_refused(reply, 413, "too_large")
        assert document(server, alice, doc)["content"] == first
        body = {"name": "n", "type": kind, "content": first + "y" if kind == "text" else {"r": {"x": "x" * 1024}}}
        assert server.api("POST", "/documents", alice, body).json["error"] == "too_large"


@pytest.mark.parametrize("call", [
    "documents?limit=201", "documents?offset=-1", "documents/{}/operations?limit=1001", "documents/{}/conflicts?limit=201",
])
def test_pages(server, call):
    alice = unique("alice")
    doc = make_document(server, alice)["id"]
    assert_refused(server.api("GET", "/" + call.format(doc), alice), 400, "invalid_field")


async def test_locks_and_awareness(server):
    alice = unique("alice")
    doc = make_document(server, alice)["id"]
    a = await server.connect(alice)
    await subscribe(a, doc)
    await a.refused("invalid_field", "ttl_ms", type="lock", document_id=doc, ttl_ms=3_600_001)
    await a.refused("invalid_field", "wait_ms", type="lock", document_id=doc, wait_ms=3_600_001)
    await a.send(type="awareness", document_id=doc, state={"s": "x" * (16 * 1024)})
    assert (await a.recv("error"))["code"] in ("invalid_field", "too_large")


async def test_at_most_a_thousand_missed_operations_at_once(server):
    alice = unique("alice")
    doc = make_document(server, alice, "text")["id"]
    fast = await server.connect(alice)
    for start in range(1, 1002, 91):
        await documents.send_many(fast, doc, [insert(0, "x", start) for _ in range(91)])
    late = await server.connect(alice)
    shown = await subscribe(late, doc, since_version=1)
    assert len(shown["operations"]) == 1000 and shown["version"] == 1001
    assert (await documents.event(late, "operation_applied", document_id=doc))["version"] == 1002
    assert len(operations(server, alice, doc, from_version=1, limit=1000)) == 1000


async def test_at_most_1024_wait_for_one_lock(own_server):
    """One past it is told at once who has the lock; whoever waits goes on waiting."""
    server = own_server({"limits.inflight": 2000, "limits.operations_per_second": 100000, "limits.operations_burst": 100000})
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, editors=[bob])["id"]
    assert_success(server.api("POST", f"/documents/{doc}/lock", alice, {"session_id": "s", "ttl_ms": 600_000}))
    b = await server.connect(bob)
    names = [new_id() for _ in range(1025)]
    for name in names:
        await b.send(type="lock", id=name, document_id=doc, wait_ms=600_000)
    refused = await b.recv("error", timeout=30)
    assert (refused["id"], refused["code"]) == (names[-1], "locked")
    await b.settle()
    assert not b.find("locked")
    assert_success(server.api("DELETE", f"/documents/{doc}/lock?session_id=s", alice))
    await b.until(lambda: len(b.find("locked")) == 1024, timeout=30)
    assert len({frame["lock"]["fence"] for frame in b.find("locked")}) == 1, "one session: one grant"


def test_subscriptions_over_grpc(own_server):
    server = own_server({"statesync.grpc_listen": "127.0.0.1:0", "grpc.subscriptions": 3})
    port = Port(port_of(server, "statesync_grpc_port"))
    caller = port.documents(unique("alice"))
    doc = caller.CreateDocument(name="n", type="text").document.id
    streams = [Stream(caller, doc_id=doc) for _ in range(3)]
    for stream in streams:
        stream.started()
    assert Stream(caller, doc_id=doc).end()[:2] == (UNAVAILABLE, "unavailable")
    # Whoever waits for a lock is one of them; who does not wait is not.
    caller.refused("AcquireLock", UNAVAILABLE, "unavailable", doc_id=doc, session_id="s", wait_ms=1000)
    assert caller.AcquireLock(doc_id=doc, session_id="s").lock.active
    streams[0].cancel()
    deadline = time.monotonic() + 20
    while True:
        again = Stream(caller, doc_id=doc)
        try:
            again.started()
            break
        except AssertionError:
            assert time.monotonic() < deadline and again.ended.status == UNAVAILABLE
    for stream in (*streams[1:], again):
        stream.cancel()
    port.close()


def test_calls_over_grpc(own_server):
    """One at a time: of many at once some are refused, none is lost, and the next one alone is answered."""
    server = own_server({"statesync.grpc_listen": "127.0.0.1:0", "grpc.calls": 1, "limits.operations_per_second": 100000,
                         "limits.operations_burst": 100000})
    port = Port(port_of(server, "statesync_grpc_port"))
    caller = port.documents(unique("alice"))
    doc = caller.CreateDocument(name="n", type="text").document.id
    answered, refused = 0, 0
    deadline = time.monotonic() + 40
    while not refused:
        assert time.monotonic() < deadline
        request = caller.request("ApplyOperation", operation={"doc_id": doc, "type": "text", "data": b'{"ops":["x"]}'})
        for call in [caller.stub.ApplyOperation.future(request, metadata=caller.metadata, timeout=20) for _ in range(50)]:
            try:
                assert call.result().success
                answered += 1
            except grpc.RpcError as error:
                assert refusal_of(error)[:2] == (UNAVAILABLE, "unavailable")
                refused += 1
    while True:
        try:
            assert caller.GetDocument(doc_id=doc).document.content == b"x" * answered
            break
        except grpc.RpcError as error:  # the last one is over a moment after its answer
            assert refusal_of(error)[:2] == (UNAVAILABLE, "unavailable") and time.monotonic() < deadline
    port.close()


async def test_commands_that_wait_for_their_commit(server):
    """Far more at once than fit one transaction: all are answered, in order."""
    alice = unique("alice")
    doc = make_document(server, alice, "text")["id"]
    a = await server.connect(alice)
    answers = await asyncio.gather(*[send(a, doc, operation("text", {"ops": [str(number % 10)]}, 1)) for number in range(600)])
    assert [answer["version"] for answer in answers] == list(range(2, 602))


def test_registers_that_others_changed(server):
    """Each is a conflict with a record of its own: so many at once, and all records together stay small."""
    alice = unique("alice")
    doc = make_document(server, alice, content={"r": {}})["id"]
    for count, status in ((257, 413), (256, 201)):
        data = {"id": "r", **{f"k{number}": "a" * 600 for number in range(count)}}
        start = document(server, alice, doc)["version"]
        assert_success(post(server, alice, doc, "update", data, start, session_id="s1"), 201)
        before = document(server, alice, doc)
        data = {"id": "r", **{f"k{number}": "b" * 600 for number in range(count)}}
        reply = post(server, alice, doc, "update", data, start, session_id="s2")
        assert reply.status == status, reply.json
        if status == 413:
            assert reply.json["error"] == "too_large" and document(server, alice, doc) == before
    assert reply.json["data"]["conflict"]["ops"][-1]["data"] == data, "the first record quotes the operations"
    kept = assert_success(server.api("GET", f"/documents/{doc}/conflicts?limit=200", alice))["conflicts"]
    assert len(kept) == 200 and len(json.dumps(kept)) < 2 * 1024 * 1024
    assert {one["ours"] for one in kept} == {"a" * 600}, "no value that lost is gone"


def test_a_chain_of_parents(server):
    """As long as fits an operation: looked at once, not once for each object and step."""
    alice = unique("alice")
    doc = make_document(server, alice)["id"]
    chain = {f"o{number}": {"parent": f"o{number - 1}"} for number in range(1, 5000)}
    assert_success(post(server, alice, doc, "update", {"content": {"o0": {"x": 1}, **chain}}), 201)
    looped = post(server, alice, doc, "update", {"content": {"o0": {"parent": "o4999"}, **chain}})
    assert looped.status == 409 and looped.json["error"] == "conflict", looped.json
    assert "parent" not in document(server, alice, doc)["content"]["o0"]
