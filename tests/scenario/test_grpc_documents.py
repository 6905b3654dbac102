"""StateSyncService for a client that was generated from proto/statesync.proto: every call, the stream, who may, bad input."""
import json
import time
from urllib.parse import unquote

import grpc
import pytest

from support import documents as over_rest
from support import tokens
from support.names import new_id, unique, uniques
from support.rest import assert_success
from support.rpc import (DENIED, EXHAUSTED, EXISTS, FAILED, INVALID, NOT_FOUND, OUT_OF_RANGE, UNAUTHENTICATED, UNAVAILABLE,
                         Port, expect_refusal, port_of, refusal_of, reflection, reflection_stubs, statesync)
from support.rpc_stream import Stream
from support.server import Server

LISTEN = {"statesync.grpc_listen": "127.0.0.1:0"}
SERVICE = "aetherflow.statesync.StateSyncService"
MORE_RIGHTS = {"limits.operations_per_second": 100000, "limits.operations_burst": 100000}


def port_to(server, **options):
    return Port(port_of(server, "statesync_grpc_port"), **options)


@pytest.fixture(scope="module")
def server_of_module(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("documents"), {**LISTEN, **MORE_RIGHTS}).start()
    yield server
    server.stop()


@pytest.fixture
def server(server_of_module):
    if not server_of_module.alive:
        server_of_module.restart()
    yield server_of_module
    server_of_module.check_alive()


@pytest.fixture
def port(server):
    port = port_to(server)
    yield port
    port.close()


def make_document(caller, kind="whiteboard", content="{}", **more):
    return caller.CreateDocument(name="board", type=kind, content=content.encode(), **more).document


def operate(caller, doc, kind, data, **more):
    operation = statesync.Operation(doc_id=doc, type=kind, data=json.dumps(data).encode(), **more)
    return caller.ApplyOperation(operation=operation)


def content_of(caller, doc, **more):
    return json.loads(caller.GetDocument(doc_id=doc, **more).document.content)


def test_every_call(port):
    alice, bob = uniques("alice", "bob")
    owner = port.documents(alice)
    people = statesync.Permissions(editors=[bob])
    made = make_document(owner, metadata=statesync.Metadata(tags=["a"], description="d", properties={"k": "v"},
                                                            permissions=people), created_by=alice)
    assert (made.version, made.state, made.created_by, made.type, made.name) == (1, "active", alice, "whiteboard", "board")
    assert made.metadata.permissions.owner == alice and list(made.metadata.tags) == ["a"] and made.epoch
    assert made.created_at.ToMilliseconds() > 10**12
    doc = made.id
    assert owner.GetDocument(doc_id=doc).document == made

    applied = operate(owner, doc, "create", {"id": "r", "x": 1}, session_id="s1", prev_version=1)
    assert applied.success and not applied.error
    done = applied.applied_operation
    assert (done.version, done.status, done.user_id, done.doc_id) == (2, "applied", alice, doc)
    assert done.id and done.timestamp.ToMilliseconds() > 10**12
    assert content_of(owner, doc) == {"r": {"x": 1}}
    assert content_of(owner, doc, version=1) == {}

    updated = owner.UpdateDocument(document=statesync.Document(id=doc, name="renamed", updated_by=alice))
    assert updated.success and updated.document.name == "renamed" and updated.document.version == 2
    replaced = owner.UpdateDocument(document=statesync.Document(id=doc, version=2), content=b'{"r": {"x": 5}}')
    assert replaced.success and replaced.document.version == 3
    history = owner.GetOperationHistory(doc_id=doc).operations
    assert [operation.version for operation in history] == [2, 3]
    assert [operation.version for operation in owner.GetOperationHistory(doc_id=doc, from_version=2).operations] == [3]

    editor = port.documents(bob)
    listed = editor.ListDocuments(type="whiteboard", created_by=alice)
    assert ([document.id for document in listed.documents], listed.total) == ([doc], 1)

    lock = owner.AcquireLock(doc_id=doc, session_id="s1").lock
    assert lock.active and lock.fence == 1 and lock.user_id == alice
    held = editor.refused("AcquireLock", FAILED, "locked", doc_id=doc, session_id="s2")
    assert held.trailers["tidemark-lock-holder"] == alice
    assert int(held.trailers["tidemark-lock-expires"]) > time.time() * 1000
    blocked = operate(editor, doc, "update", {"id": "r", "x": 9}, session_id="s2")
    assert (blocked.success, blocked.error, blocked.applied_operation.status) == (False, "locked", "rejected")
    assert blocked.applied_operation.version == 0
    assert owner.IsLocked(doc_id=doc).lock.fence == 1
    assert owner.ReleaseLock(doc_id=doc, session_id="s1").success
    assert not owner.IsLocked(doc_id=doc).locked
    stale = operate(owner, doc, "update", {"id": "r", "x": 9}, session_id="s1", fence=1)
    assert (stale.success, stale.error) == (False, "stale_lock")

    counted = owner.GetStats().stats
    assert counted.total_documents >= 1 and counted.total_operations >= 2

    assert editor.refused("DeleteDocument", DENIED, "forbidden", doc_id=doc)
    assert owner.DeleteDocument(doc_id=doc).success
    owner.refused("GetDocument", NOT_FOUND, "not_found", doc_id=doc)


def test_conflicts_are_recorded_listed_and_resolved(port):
    alice = unique("alice")
    caller = port.documents(alice)
    doc = make_document(caller, metadata=statesync.Metadata(properties={"conflict_policy": "manual"})).id
    operate(caller, doc, "create", {"id": "r", "x": 0}, session_id="a")
    operate(caller, doc, "update", {"id": "r", "x": 1}, session_id="a", prev_version=2)
    parked = operate(caller, doc, "update", {"id": "r", "x": 2}, session_id="b", prev_version=2)
    assert parked.success and parked.applied_operation.status == "conflict" and parked.applied_operation.version == 0
    assert (parked.conflict.kind, parked.conflict.path, parked.conflict.resolved_by) == ("write_write", "r.x", "")
    assert len(parked.conflict.ops) == 2
    listed = caller.ListConflicts(doc_id=doc, open_only=True).conflicts
    assert [conflict.id for conflict in listed] == [parked.conflict.id]
    resolved = caller.ResolveConflict(doc_id=doc, conflict_id=parked.conflict.id, take="theirs", session_id="a").conflict
    assert resolved.resolved_by == alice and resolved.resolved_at.ToMilliseconds() > 10**12
    assert content_of(caller, doc)["r"]["x"] in (1, 2)
    assert not caller.ListConflicts(doc_id=doc, open_only=True).conflicts
    assert len(caller.ListConflicts(doc_id=doc).conflicts) == 1


def test_a_client_of_the_older_system(port):
    """No token, a content that is no object of objects, no ids, prev_version 0, a lock released without its session."""
    user = unique("user")
    caller = port.documents()
    made = caller.CreateDocument(name="Board", type="whiteboard", created_by=user, content=b'{"data":"test"}').document
    assert json.loads(made.content) == {"data": "test"} and made.version == 1
    first = operate(caller, made.id, "create", {"type": "rect", "x": 1}, user_id=user, prev_version=0)
    assert first.success and first.applied_operation.status == "applied" and first.applied_operation.version == 2
    content = content_of(caller, made.id, user_id=user)
    assert content["data"] == "test" and content[first.applied_operation.id] == {"type": "rect", "x": 1}
    assert caller.AcquireLock(doc_id=made.id, user_id=user, session_id="old").lock.active
    assert caller.ReleaseLock(doc_id=made.id, user_id=user).success
    assert caller.UpdateDocument(document=statesync.Document(id=made.id, updated_by=user, content=b'{"data":"new"}')).success
    assert caller.GetOperationHistory(doc_id=made.id, user_id=user, limit=10).operations
    assert caller.DeleteDocument(doc_id=made.id, user_id=user).success


def test_retries_give_the_first_answer(port):
    alice, key = unique("alice"), new_id()
    caller = port.documents(alice)
    one = make_document(caller, id=key)
    assert make_document(caller, id=key).id == one.id
    caller.refused("CreateDocument", EXISTS, "conflict", "id", name="other", type="text", id=key)
    again = [operate(caller, one.id, "create", {"id": "r"}, id="op-1").applied_operation for _ in range(2)]
    assert again[0].version == again[1].version == 2
    assert caller.GetDocument(doc_id=one.id).document.version == 2


def test_stream_gives_everything_in_order_and_resumes(port):
    alice, bob = uniques("alice", "bob")
    owner, reader = port.documents(alice), port.documents(bob)
    doc = make_document(owner, metadata=statesync.Metadata(permissions=statesync.Permissions(viewers=[bob]))).id
    stream = Stream(reader, doc_id=doc)
    joined = stream.started()
    assert joined.user_id == bob and joined.data["subscriber_id"]
    assert bob in owner.GetDocument(doc_id=doc).document.active_users
    for number in range(5):
        operate(owner, doc, "create", {"id": f"r{number}"})
    owner.AcquireLock(doc_id=doc, session_id="s")
    owner.ReleaseLock(doc_id=doc, session_id="s")
    events = [stream.next("operation_applied", "lock_acquired", "lock_released") for _ in range(7)]
    assert [event.type for event in events] == ["operation_applied"] * 5 + ["lock_acquired", "lock_released"]
    assert [event.version for event in events] == [2, 3, 4, 5, 6, 6, 6]
    assert [event.operation.version for event in events[:5]] == [2, 3, 4, 5, 6]
    assert events[5].lock.fence == 1 and events[6].data["reason"] == "released"
    seqs = [event.seq for event in events]
    assert seqs == sorted(set(seqs))
    stream.cancel()

    operate(owner, doc, "create", {"id": "while away"})
    by_seq = Stream(reader, doc_id=doc, from_seq=seqs[2])
    resumed = [by_seq.next("operation_applied", "lock_acquired", "lock_released") for _ in range(5)]
    assert [event.seq for event in resumed[:4]] == seqs[3:] and resumed[4].version == 7
    by_version = Stream(reader, doc_id=doc, from_version=4)
    later = [by_version.next("operation_applied") for _ in range(3)]
    assert [event.version for event in later] == [5, 6, 7]
    live = operate(owner, doc, "create", {"id": "live"}).applied_operation
    assert by_seq.next("operation_applied").version == by_version.next("operation_applied").version == live.version

    assert reader.UnsubscribeDocument(doc_id=doc, subscriber_id=by_seq.seen[0].data["subscriber_id"]).success
    assert by_seq.end() is None
    reader.refused("UnsubscribeDocument", NOT_FOUND, "not_found", doc_id=doc, subscriber_id=new_id())
    by_version.cancel()


def test_bookmarks_and_who_is_there(own_server):
    server = own_server({**LISTEN, "statesync.bookmark": "100ms"})
    port = port_to(server)
    alice = unique("alice")
    caller = port.documents(alice)
    doc = make_document(caller).id
    operate(caller, doc, "create", {"id": "r"})
    stream = Stream(caller, doc_id=doc)
    stream.started()
    mark = stream.next("bookmark")
    assert (mark.version, mark.doc_id) == (2, doc) and mark.seq >= 1
    server.await_metrics(lambda metrics: metrics["statesync_subscribers_active"] == 1)
    stream.cancel()
    server.await_metrics(lambda metrics: metrics["statesync_subscribers_active"] == 0)
    port.close()


def test_subscribing_from_nowhere(port):
    alice = unique("alice")
    caller = port.documents(alice)
    doc = make_document(caller).id
    for fields, expected in (({"from_version": 2}, (INVALID, "invalid_field", "from_version")),
                             ({"from_seq": 99}, (INVALID, "invalid_field", "from_seq")),
                             ({"from_version": 2**64 - 1}, (INVALID, "invalid_field", "from_version")),
                             ({"epoch": "another"}, (FAILED, "stale_version", "epoch"))):
        assert Stream(caller, doc_id=doc, **fields).end()[:3] == expected, fields
    assert Stream(caller, doc_id=new_id()).end()[:2] == (NOT_FOUND, "not_found")
    assert Stream(caller, doc_id="").end()[:3] == (INVALID, "missing_field", "doc_id")
    assert Stream(port.documents(unique("mallory")), doc_id=doc).end()[:2] == (NOT_FOUND, "not_found")
    assert Stream(port.documents(alice), doc_id=doc, user_id="somebody").end()[:2] == (DENIED, "forbidden")
    assert Stream(port.documents(token="x"), doc_id=doc).end()[:2] == (UNAUTHENTICATED, "unauthorized")


def test_a_lost_right_ends_the_stream(port):
    alice, bob = uniques("alice", "bob")
    owner, reader = port.documents(alice), port.documents(bob)
    doc = make_document(owner, metadata=statesync.Metadata(permissions=statesync.Permissions(viewers=[bob]))).id
    stream = Stream(reader, doc_id=doc)
    stream.started()
    nobody = statesync.Metadata(permissions=statesync.Permissions(owner=alice))
    assert owner.UpdateDocument(document=statesync.Document(id=doc, metadata=nobody)).success
    assert stream.end()[:2] == (DENIED, "forbidden")
    reader.refused("GetDocument", NOT_FOUND, "not_found", doc_id=doc)
    own = Stream(owner, doc_id=doc)
    own.started()
    owner.DeleteDocument(doc_id=doc)
    assert own.end().status == NOT_FOUND


def test_the_tokens_end_is_the_streams_end(own_server):
    server = own_server({**LISTEN, "session.grpc_listen": "127.0.0.1:0"})
    port = port_to(server)
    alice, bob = uniques("alice", "bob")
    owner = port.documents(alice)
    everybody = statesync.Metadata(permissions=statesync.Permissions(public=True))
    doc = make_document(owner, metadata=everybody).id
    short = Stream(port.documents(bob, ttl=2), doc_id=doc)
    short.started()
    assert short.end()[:2] == (UNAUTHENTICATED, "unauthorized")

    revoked = Stream(owner, doc_id=doc)
    revoked.started()
    admin = server.token("root", roles=["admin"])
    assert_success(server.api("POST", "/admin/revocations", admin, {"user_id": alice}), 201)
    assert revoked.end()[:2] == (UNAUTHENTICATED, "unauthorized")

    sessions = Port(port_of(server)).sessions()
    made = sessions.CreateSession(user_id=bob)
    with_session = Stream(port.documents(token=made.token), doc_id=doc)
    with_session.started()
    other = Stream(port.documents(bob), doc_id=doc)
    other.started()
    sessions.DeleteSession(session_id=made.session.session_id)
    assert with_session.end()[:2] == (UNAUTHENTICATED, "unauthorized")
    other.cancel()
    port.close()


def test_a_slow_subscriber_is_sent_away_and_misses_nothing(own_server):
    """It does not read; its queue is full; what it has not been sent it gets when it comes back."""
    server = own_server({**LISTEN, **MORE_RIGHTS, "limits.queue": "16KiB"})
    # A stream of little credit: the client's library takes little more than what is read.
    slow = port_to(server, options=[("grpc.http2.lookahead_bytes", 16384), ("grpc.http2.bdp_probe", 0)])
    port = port_to(server)
    alice = unique("alice")
    caller = port.documents(alice)
    doc = make_document(caller).id
    call = slow.documents(alice)
    stream = call.stub.SubscribeDocument(statesync.SubscribeDocumentRequest(doc_id=doc), metadata=call.metadata, timeout=120)
    assert next(stream).type == "user_joined"
    filler = "x" * 2000
    sent = 0
    deadline = time.monotonic() + 60
    while server.metrics().get('tidemark_rpc_calls_total{method="%s/SubscribeDocument",status="UNAVAILABLE"}' % SERVICE,
                               0) == 0:
        assert time.monotonic() < deadline, "it was never sent away"
        for _ in range(20):
            operate(caller, doc, "create", {"id": f"r{sent}", "text": filler})
            sent += 1
    events, refusal = [], None
    try:
        for event in stream:
            events.append(event)
    except grpc.RpcError as error:
        refusal = refusal_of(error)
    assert refusal[:2] == (UNAVAILABLE, "unavailable")
    versions = [event.version for event in events if event.type == "operation_applied"]
    assert versions == list(range(2, len(versions) + 2)) and len(versions) < sent
    back = Stream(port.documents(alice), doc_id=doc, from_seq=events[-1].seq if versions else 0,
                  from_version=0 if versions else 1)
    while not versions or versions[-1] < sent + 1:
        versions.append(back.next("operation_applied").version)
    assert versions == list(range(2, sent + 2))
    back.cancel()
    slow.close()
    port.close()


def test_reading_the_log_slowly_is_no_crime(port):
    """More than fits the queue, all from the log: the log waits for the client."""
    alice = unique("alice")
    caller = port.documents(alice)
    doc = make_document(caller).id
    filler = "x" * 20_000
    for number in range(120):  # 2.4 MB
        operate(caller, doc, "create", {"id": f"r{number}", "text": filler})
    stream = caller.stub.SubscribeDocument(statesync.SubscribeDocumentRequest(doc_id=doc, from_version=1),
                                           metadata=caller.metadata, timeout=60)
    versions = []
    for event in stream:
        if event.type == "operation_applied":
            versions.append(event.version)
        if len(versions) == 120:
            stream.cancel()
            break
    assert versions == list(range(2, 122))


RIGHTS = {  # call: what owner, editor, viewer, a reader of a public document, and a stranger get
    "GetDocument": "ok ok ok ok NOT_FOUND",
    "GetOperationHistory": "ok ok ok ok NOT_FOUND",
    "IsLocked": "ok ok ok ok NOT_FOUND",
    "ListConflicts": "ok ok ok ok NOT_FOUND",
    "SubscribeDocument": "ok ok ok ok NOT_FOUND",
    "ApplyOperation": "ok ok PERMISSION_DENIED PERMISSION_DENIED NOT_FOUND",
    "UpdateDocument": "ok ok PERMISSION_DENIED PERMISSION_DENIED NOT_FOUND",
    "AcquireLock": "ok ok PERMISSION_DENIED PERMISSION_DENIED NOT_FOUND",
    "Permissions": "ok PERMISSION_DENIED PERMISSION_DENIED PERMISSION_DENIED NOT_FOUND",
    "DeleteDocument": "ok PERMISSION_DENIED PERMISSION_DENIED PERMISSION_DENIED NOT_FOUND",
}


def outcome(caller, method, doc):
    fields = {"doc_id": doc}
    if method == "SubscribeDocument":
        stream = Stream(caller, **fields)
        try:
            stream.started()
            stream.cancel()
            return "ok"
        except AssertionError:
            return stream.ended.status.name
    if method == "ApplyOperation":
        fields = {"operation": statesync.Operation(doc_id=doc, type="create", data=b"{}")}
    if method == "UpdateDocument":
        fields = {"document": statesync.Document(id=doc, name="other")}
    if method == "Permissions":
        method = "UpdateDocument"
        everybody = statesync.Metadata(permissions=statesync.Permissions(public=True))
        fields = {"document": statesync.Document(id=doc, metadata=everybody)}
    if method == "AcquireLock":
        fields["session_id"] = "s"
    try:
        answer = caller.call(method, caller.request(method, **fields))
    except grpc.RpcError as error:
        return error.code().name
    if method == "AcquireLock":
        caller.ReleaseLock(doc_id=doc, lock_id=answer.lock.id)
    return "ok" if getattr(answer, "success", True) else answer.error


@pytest.mark.parametrize("method", RIGHTS)
def test_who_may_do_what(port, method):
    tenant = unique("tenant")
    owner, editor, viewer, reader, stranger = uniques("owner", "editor", "viewer", "reader", "stranger")
    backend = port.documents("backend", tenant=tenant, roles=["service"])
    admin = port.documents("root", tenant=tenant, roles=["admin"])

    def board(public):
        people = statesync.Permissions(owner=owner, editors=[editor], viewers=[viewer], public=public)
        return make_document(backend, metadata=statesync.Metadata(permissions=people)).id

    wanted = RIGHTS[method].split()
    for who, public, expected in zip((owner, editor, viewer, reader, stranger), (False, False, False, True, False), wanted):
        assert outcome(port.documents(who, tenant=tenant), method, board(public)) == expected, who
    assert outcome(backend, method, board(False)) == outcome(admin, method, board(False)) == "ok"
    assert outcome(port.documents(owner), method, board(True)) == "NOT_FOUND", "another tenant"
    if method == "GetDocument":  # a service is bound by whom it names
        assert backend.refused(method, NOT_FOUND, doc_id=board(False), user_id=stranger)
        assert backend.GetDocument(doc_id=board(False), user_id=viewer).document


LONG, HUGE = "x" * 129, 2**64 - 1
OPERATION = {"type": "create", "data": b"{}"}
BAD = [
    ("CreateDocument", {"type": "text"}, "invalid_field", "name"),
    ("CreateDocument", {"name": "x" * 257, "type": "text"}, "invalid_field", "name"),
    ("CreateDocument", {"name": "n", "type": "poem"}, "invalid_field", "type"),
    ("CreateDocument", {"name": "n", "type": "whiteboard", "content": b"{"}, "invalid_json", None),
    ("CreateDocument", {"name": "n", "type": "text", "content": b"\xff"}, "invalid_field", None),
    ("CreateDocument", {"name": "n", "type": "text", "id": "x" * 65}, "invalid_field", "id"),
    ("CreateDocument", {"name": "n", "type": "text", "created_by": LONG}, "invalid_field", "created_by"),
    ("GetDocument", {}, "missing_field", "doc_id"),
    ("GetDocument", {"doc_id": LONG}, "invalid_field", "doc_id"),
    ("GetDocument", {"doc_id": "DOC", "version": 99}, "invalid_field", "version"),
    ("GetDocument", {"doc_id": "DOC", "version": HUGE}, "invalid_field", "version"),
    ("GetDocument", {"doc_id": "DOC", "user_id": "a\nb"}, "invalid_field", "user_id"),
    ("UpdateDocument", {}, "missing_field", "document.id"),
    ("UpdateDocument", {"document": {"id": "DOC", "state": "gone"}}, "invalid_field", "state"),
    ("UpdateDocument", {"document": {"id": "DOC", "name": "x" * 257}}, "invalid_field", "name"),
    ("UpdateDocument", {"document": {"id": "DOC", "version": 99}, "content": b"{}"}, "invalid_field", "version"),
    ("UpdateDocument", {"document": {"id": "DOC"}, "fence": HUGE}, "invalid_field", "fence"),
    ("DeleteDocument", {}, "missing_field", "doc_id"),
    ("DeleteDocument", {"doc_id": "DOC", "fence": HUGE}, "invalid_field", "fence"),
    ("ListDocuments", {"limit": 201}, "invalid_field", "limit"),
    ("ListDocuments", {"limit": -1}, "invalid_field", "limit"),
    ("ListDocuments", {"offset": -1}, "invalid_field", "offset"),
    ("ListDocuments", {"type": "poem"}, "invalid_field", "type"),
    ("ApplyOperation", {}, "missing_field", "operation.doc_id"),
    ("ApplyOperation", {"operation": {"doc_id": "DOC", "data": b"{}"}}, "missing_field", "type"),
    ("ApplyOperation", {"operation": {**OPERATION, "doc_id": "DOC", "prev_version": HUGE}}, "invalid_field", "prev_version"),
    ("GetOperationHistory", {}, "missing_field", "doc_id"),
    ("GetOperationHistory", {"doc_id": "DOC", "limit": 1001}, "invalid_field", "limit"),
    ("GetOperationHistory", {"doc_id": "DOC", "from_version": HUGE}, "invalid_field", "from_version"),
    ("UnsubscribeDocument", {"subscriber_id": "s"}, "missing_field", "doc_id"),
    ("UnsubscribeDocument", {"doc_id": "DOC"}, "missing_field", "subscriber_id"),
    ("AcquireLock", {"session_id": "s"}, "missing_field", "doc_id"),
    ("AcquireLock", {"doc_id": "DOC", "session_id": "s", "ttl_ms": 3_600_001}, "invalid_field", "ttl_ms"),
    ("ReleaseLock", {}, "missing_field", "doc_id"),
    ("IsLocked", {}, "missing_field", "doc_id"),
    ("ListConflicts", {}, "missing_field", "doc_id"),
    ("ListConflicts", {"doc_id": "DOC", "limit": -1}, "invalid_field", "limit"),
    ("ResolveConflict", {"conflict_id": "c", "take": "ours"}, "missing_field", "doc_id"),
    ("ResolveConflict", {"doc_id": "DOC", "take": "ours"}, "missing_field", "conflict_id"),
    ("ResolveConflict", {"doc_id": "DOC", "conflict_id": "c", "take": "mine"}, "invalid_field", "take"),
]


@pytest.fixture(scope="module")
def bad_input(server_of_module):
    port = port_to(server_of_module)
    caller = port.documents("backend", roles=["service"], tenant=unique("tenant"))
    yield caller, make_document(caller).id
    port.close()


def with_document(value, doc):
    if isinstance(value, dict):
        return {name: with_document(one, doc) for name, one in value.items()}
    return doc if value == "DOC" else value


@pytest.mark.parametrize("method, fields, code, field", BAD, ids=lambda value: str(value)[:30])
def test_bad_requests_change_nothing(bad_input, method, fields, code, field):
    caller, doc = bad_input
    before = caller.GetDocument(doc_id=doc).document
    refusal = caller.refused(method, INVALID, code, **with_document(fields, doc))
    assert field is None or refusal.field == field, refusal
    assert caller.GetDocument(doc_id=doc).document == before


REJECTED = [  # an operation that is no good: success false, nothing stored
    {"type": "create", "data": b"{"}, {"type": "create", "data": b"[]"}, {"type": "create", "data": b"\xff\xfe"},
    {"type": "poem", "data": b"{}"}, {"type": "create", "data": b"{}", "prev_version": 99}, {"type": "create", "data": b""},
    {"type": "update", "data": b'{"id": "nowhere", "x": 1}'}, {"type": "delete", "data": b"{}"},
    {"type": "create", "data": b'{"a":' * 40 + b"1" + b"}" * 40},
    {"type": "create", "data": b'{"a": "' + b"x" * 300_000 + b'"}'},
    {"type": "text", "data": b'{"ops": [5, "x"]}'},
]


@pytest.mark.parametrize("operation", REJECTED, ids=lambda operation: str(operation)[:40])
def test_operations_that_are_no_good_are_rejected(bad_input, operation):
    caller, doc = bad_input
    before = caller.GetDocument(doc_id=doc).document
    answer = caller.ApplyOperation(operation=statesync.Operation(doc_id=doc, **operation))
    assert not answer.success and answer.error in ("invalid_field", "invalid_json", "missing_field", "too_large", "not_found"), answer
    assert answer.applied_operation.status == "rejected" and answer.applied_operation.version == 0
    assert caller.GetDocument(doc_id=doc).document == before


METHODS = sorted(set(statesync.DESCRIPTOR.services_by_name["StateSyncService"].methods_by_name) - {"SubscribeDocument"})


@pytest.mark.parametrize("method", METHODS)
def test_broken_messages_and_missing_tokens(port, method):
    path = f"/{SERVICE}/{method}"
    for data in (b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe"):
        if method == "GetStats":
            data = b"\xff\xff\xff"  # it has no field that could be wrong
        expect_refusal(lambda: port.raw(path, data, unique("alice")), INVALID, "invalid_frame")
    for user in ("a\nb", "x" * 200):
        expect_refusal(lambda: port.raw(path, b"", user), UNAUTHENTICATED, "unauthorized")


def test_ten_megabytes_are_refused(server):
    port = port_to(server, options=[("grpc.max_receive_message_length", 8 << 20)])  # as the protocol page says
    caller = port.documents(unique("alice"))
    caller.refused("CreateDocument", EXHAUSTED, name="n", type="text", content=b"x" * 10_000_000)
    caller.refused("CreateDocument", EXHAUSTED, "too_large", name="n", type="text", content=b"x" * (4 * 2**20 + 1))
    assert make_document(caller, "text", "x" * (4 * 2**20)).version == 1
    doc = make_document(caller).id
    answer = operate(caller, doc, "create", {"id": "r", "text": "x" * 300_000})
    assert (answer.success, answer.error) == (False, "too_large")
    port.close()


def test_a_holder_with_a_name_that_metadata_cannot_hold(port):
    holder = "Ålice 50% " + unique("x")
    caller = port.documents()
    doc = make_document(caller, created_by=holder).id
    caller.AcquireLock(doc_id=doc, user_id=holder, session_id="one")
    refusal = caller.refused("AcquireLock", FAILED, "locked", doc_id=doc, user_id=holder, session_id="two")
    assert unquote(refusal.trailers["tidemark-lock-holder"]) == holder


def test_a_lock_is_not_given_to_who_has_gone(port):
    alice = unique("alice")
    caller = port.documents(alice)
    doc = make_document(caller).id
    caller.AcquireLock(doc_id=doc, session_id="first")
    waiting = caller.stub.AcquireLock.future(
        statesync.AcquireLockRequest(doc_id=doc, session_id="gone", wait_ms=60_000), metadata=caller.metadata, timeout=60)
    second = caller.stub.AcquireLock.future(
        statesync.AcquireLockRequest(doc_id=doc, session_id="second", wait_ms=60_000), metadata=caller.metadata, timeout=60)
    caller.GetStats()  # both are on their way before this
    waiting.cancel()
    assert caller.ReleaseLock(doc_id=doc, session_id="first").success
    assert second.result().lock.session_id == "second"
    assert caller.IsLocked(doc_id=doc).lock.session_id == "second"


def test_sessions_of_others_are_refused(own_server):
    server = own_server({**LISTEN, "session.grpc_listen": "127.0.0.1:0"})
    port, sessions = port_to(server), Port(port_of(server)).sessions()
    alice, mallory = uniques("alice", "mallory")
    foreign = sessions.CreateSession(user_id=mallory).session.session_id
    own = sessions.CreateSession(user_id=alice).session.session_id
    caller = port.documents(alice)
    doc = make_document(caller).id
    for call in (lambda: operate(caller, doc, "create", {}, session_id=foreign),
                 lambda: caller.AcquireLock(doc_id=doc, session_id=foreign),
                 lambda: caller.UpdateDocument(document=statesync.Document(id=doc, name="x"), session_id=foreign)):
        refusal = expect_refusal(call)
        assert refusal.status in (NOT_FOUND, DENIED), refusal
    assert caller.GetDocument(doc_id=doc).document.version == 1
    assert caller.AcquireLock(doc_id=doc, session_id=own).lock.active
    sessions.DeleteSession(session_id=own)
    deadline = time.monotonic() + 15
    while caller.IsLocked(doc_id=doc).locked:
        assert time.monotonic() < deadline, "the end of a session releases what it holds"
    port.close()


def test_drain_ends_streams_and_waiters(own_server):
    server = own_server(LISTEN)
    port = port_to(server)
    caller = port.documents(unique("alice"))
    doc = make_document(caller).id
    stream = Stream(caller, doc_id=doc)
    stream.started()
    caller.AcquireLock(doc_id=doc, session_id="first")
    waiting = caller.stub.AcquireLock.future(
        statesync.AcquireLockRequest(doc_id=doc, session_id="second", wait_ms=600_000), metadata=caller.metadata, timeout=60)
    caller.GetStats()
    server.terminate()
    assert stream.end()[:2] == (UNAVAILABLE, "unavailable")
    assert waiting.exception().code() in (UNAVAILABLE, FAILED)
    assert server.wait() == 0
    server.process = None
    port.close()


def test_documents_are_the_same_on_every_door(server, port):
    alice = unique("alice")
    caller = port.documents(alice)
    doc = make_document(caller).id
    seen = over_rest.document(server, alice, doc)
    assert (seen["id"], seen["version"]) == (doc, 1)
    stream = Stream(caller, doc_id=doc)
    stream.started()
    assert_success(over_rest.post(server, alice, doc, "create", {"id": "r", "x": 1}), (200, 201))
    assert stream.next("operation_applied").version == 2
    assert content_of(caller, doc) == {"r": {"x": 1}}
    stream.cancel()
    made = over_rest.make_document(server, alice, name="from REST")
    assert caller.GetDocument(doc_id=made["id"]).document.name == "from REST"


def test_behind_the_floor_is_out_of_range(own_server):
    server = own_server({**LISTEN, **MORE_RIGHTS, "statesync.compact_after": 100, "statesync.snapshot_every": 10})
    port = port_to(server)
    caller = port.documents(unique("alice"))
    doc = make_document(caller, "text", "").id
    deadline = time.monotonic() + 60
    while True:
        for _ in range(50):
            operate(caller, doc, "text", {"ops": ["x"]})
        try:
            caller.GetDocument(doc_id=doc, version=1)
        except grpc.RpcError as error:
            assert refusal_of(error)[:3] == (OUT_OF_RANGE, "stale_version", "version")
            break
        assert time.monotonic() < deadline
    assert Stream(caller, doc_id=doc, from_version=1).end()[:2] == (OUT_OF_RANGE, "stale_version")
    caller.refused("GetOperationHistory", OUT_OF_RANGE, "stale_version", doc_id=doc, from_version=1)
    stale = operate(caller, doc, "text", {"ops": ["y"]}, prev_version=1)
    assert (stale.success, stale.error) == (False, "stale_version")
    port.close()


def test_reflection_health_and_tenants(server, port):
    assert port.health() == port.health(SERVICE) == 1
    stub = reflection_stubs.ServerReflectionStub(port.channel)
    request = reflection.ServerReflectionRequest(list_services="")
    names = {one.name for one in next(iter(stub.ServerReflectionInfo(iter([request]), timeout=15)))
             .list_services_response.service}
    assert SERVICE in names
    alice = unique("alice")
    doc = make_document(port.documents(alice)).id
    port.documents(alice, tenant=unique("tenant")).refused("GetDocument", NOT_FOUND, "not_found", doc_id=doc)
    assert tokens.claims_of(tokens.token(alice))["tenant"] == "default"
