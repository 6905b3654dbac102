"""Documents and input that is wrong: refused with the documented code, and nothing changes."""
import json

import pytest

from support.documents import document, make_document, operation, post
from support.names import new_id, unique, uniques
from support.rest import assert_refused, assert_success

DEEP = json.loads('{"a":' * 31 + "1" + "}" * 31)
BIG = "x" * (256 * 1024 + 1)


@pytest.mark.parametrize("body,code", [
    ({}, "missing_field"),
    ({"name": "n"}, "missing_field"),
    ({"name": "", "type": "text"}, "invalid_field"),
    ({"name": "n" * 257, "type": "text"}, "invalid_field"),
    ({"name": "n", "type": "poem"}, "invalid_field"),
    ({"name": "n", "type": "whiteboard", "content": [1]}, "invalid_field"),
    ({"name": "n", "type": "whiteboard", "content": None}, "invalid_field"),
    ({"name": "n", "type": "text", "metadata": {"tags": "t"}}, "invalid_field"),
    ({"name": "n", "type": "text", "metadata": {"properties": {"conflict_policy": "mine"}}}, "invalid_field"),
    ({"name": "n", "type": "text", "metadata": {"permissions": {"editors": [""]}}}, "invalid_field"),
    ({"name": "n", "type": "text", "metadata": {"permissions": {"owner": 7}}}, "invalid_field"),
    ({"name": "n", "type": "text", "id": "i" * 65}, "invalid_field"),
])
def test_create(server, body, code):
    alice = unique("alice")
    assert_refused(server.api("POST", "/documents", alice, body), 400, code)
    assert assert_success(server.api("GET", f"/documents?created_by={alice}", alice))["total"] == 0


@pytest.mark.parametrize("kind,data,more,code", [
    ("paint", {"id": "r"}, {}, "invalid_field"),
    ("update", {"id": "unknown", "x": 1}, {}, "not_found"),
    ("delete", {"id": "unknown"}, {}, "not_found"),
    ("delete", {}, {}, "missing_field"),
    ("update", {"id": 7, "x": 1}, {}, "invalid_field"),
    ("update", {"id": "r", "x": 1}, {"prev_version": 99}, "invalid_field"),
    ("update", {"id": "r", "x": 1}, {"prev_version": -1}, "invalid_field"),
    ("update", {"id": "r", "x": 1}, {"session_id": "s" * 129}, "invalid_field"),
    ("update", {"id": "r", "x": 1}, {"session_id": "a\u0000b"}, "invalid_field"),
    ("update", {"id": "r", "x": 1}, {"fence": -1}, "invalid_field"),
    ("update", {"id": "r", "x": 1}, {"metadata": {"extra": {"conflict_policy": "mine"}}}, "invalid_field"),
    ("update", {"id": "r", "x": 1}, {"metadata": {"extra": {"on_lock": "fail"}}}, "invalid_field"),
    ("update", {"id": "r", "x": 1}, {"metadata": {"extra": {"after": "nothing"}}}, "stale_version"),
    ("update", {"id": "r", "parent": "r"}, {}, "conflict"),
    ("move", {"id": "r", "parent": "r"}, {}, "missing_field"),
    ("text", {"id": "r", "ops": [99, "x"]}, {}, "invalid_field"),
    ("update", {"id": "r", "x": BIG}, {}, "too_large"),
])
def test_operation(server, kind, data, more, code):
    alice = unique("alice")
    doc = make_document(server, alice, content={"r": {"x": 0, "text": "abc"}})["id"]
    reply = post(server, alice, doc, kind, data, **{"prev_version": 0, **more})
    assert reply.status >= 400 and reply.json["error"] == code, reply.json
    now = document(server, alice, doc)
    assert now["version"] == 1 and now["content"] == {"r": {"x": 0, "text": "abc"}}


@pytest.mark.parametrize("ops", [[-1], [0, "x", "y", {"d": -1}], [4], [1, {"d": 3}], ["a", None], [{"d": "1"}], [True], "x"])
def test_text_operation_beyond_its_text(server, ops):
    alice = unique("alice")
    doc = make_document(server, alice, "text", "abc")["id"]
    reply = post(server, alice, doc, "text", {"ops": ops})
    assert reply.status == 400 and reply.json["error"] == "invalid_field", reply.json
    assert document(server, alice, doc)["content"] == "abc"


def test_nesting_and_size(server):
    alice = unique("alice")
    doc = make_document(server, alice, content={"r": {}})["id"]
    reply = post(server, alice, doc, "update", {"id": "r", "x": DEEP})
    assert reply.status == 400, reply.json
    body = json.dumps({"name": "n", "type": "text", "content": "x" * 10_000_000}).encode()
    assert server.api("POST", "/documents", alice, body).status in (400, 413)
    assert document(server, alice, doc)["version"] == 1


async def test_frames(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice)["id"]
    a = await server.connect(alice)
    for frame, code, field in [
        (dict(type="operation", document_id=doc), "missing_field", "operation"),
        (dict(type="operation", operation=operation("create", {})), "missing_field", "document_id"),
        (dict(type="operation", document_id=doc, operation=[]), "invalid_field", "operation"),
        (dict(type="operation", document_id=doc, operation={"data": {}}), "missing_field", "operation.type"),
        (dict(type="operation", document_id=doc, operation={"type": "create", "data": []}), "invalid_field", None),
        (dict(type="subscribe", document_id="nothing"), "not_found", None),
        (dict(type="subscribe", document_id=doc, since_version=2), "invalid_field", "since_version"),
        (dict(type="unsubscribe", document_id=doc), "not_found", None),
        (dict(type="lock", document_id=doc, ttl_ms=3_600_001), "invalid_field", "ttl_ms"),
        (dict(type="unlock", document_id=doc), "not_found", None),
        (dict(type="resolve", document_id=doc, conflict_id="c", take="all"), "invalid_field", "take"),
        (dict(type="resolve", document_id=doc, conflict_id="c", take="ours"), "not_found", None),
    ]:
        await a.refused(code, field, **frame)
        if code in ("missing_field", "invalid_field"):
            a = await server.connect(alice)  # twenty of these would close it
    assert document(server, alice, doc)["version"] == 1


def test_another_documents_conflict_and_anothers_session(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, editors=[bob])["id"]
    session = assert_success(server.api("POST", "/sessions", alice, {"device_id": "d"}), 201)["session"]["session_id"]
    reply = post(server, bob, doc, "create", {"id": "r"}, session_id=session)
    assert_refused(reply, 404, "not_found")
    assert_refused(server.api("POST", f"/documents/{doc}/lock", bob, {"session_id": session}), 404, "not_found")
    assert_success(post(server, alice, doc, "create", {"id": "r"}, session_id=session), 201)
    assert_success(server.api("DELETE", f"/sessions/{session}", alice))
    assert_refused(post(server, alice, doc, "create", {"id": "s"}, session_id=session), 410, "gone")
    assert_refused(server.api("POST", f"/documents/{doc}/conflicts", alice, {"conflict_id": new_id(), "take": "ours"}),
                   404, "not_found")


@pytest.mark.parametrize("content", [
    {"a": {"parent": "a"}},
    {"a": {"parent": "b"}, "b": {"parent": "c"}, "c": {"parent": "b"}, "d": {"parent": "a"}},
])
def test_a_document_is_not_made_with_a_loop_of_parents(server, content):
    alice = unique("alice")
    reply = server.api("POST", "/documents", alice, {"name": "n", "type": "canvas", "content": content})
    assert reply.status == 400 and reply.json["error"] == "invalid_field" and reply.json["field"] == "content", reply.json
    assert assert_success(server.api("GET", f"/documents?created_by={alice}", alice))["total"] == 0


@pytest.mark.parametrize("change", [{"restore_version": 1, "content": {}}, {"restore_version": 3}])
def test_a_version_that_cannot_be_restored(server, change):
    alice = unique("alice")
    doc = make_document(server, alice, content={"a": {"x": 1}})
    reply = server.api("PATCH", f"/documents/{doc['id']}", alice, change)
    assert reply.status == 400 and reply.json["field"] == "restore_version", reply.json
    assert document(server, alice, doc["id"]) == doc
