"""Shared documents: what they are, and what operations do to them."""
import asyncio

import pytest

from support import tokens
from support.documents import (check_log, document, edit, event, events, insert, make_document, operation, operations,
                               post, reached, send, send_many, service_token, subscribe)
from support.names import new_id, unique, uniques
from support.rest import assert_refused, assert_success


@pytest.mark.parametrize("kind,content,shown", [
    ("whiteboard", {"r": {"x": 1, "y": 2.5}}, {"r": {"x": 1, "y": 2.5}}),
    ("canvas", None, {}),
    ("sheet", '{"cell": {"value": "7"}}', {"cell": {"value": "7"}}),
    ("whiteboard", {"data": "test"}, {"data": "test"}),
    ("text", "a text: ä 🙂", "a text: ä 🙂"),
    ("text", None, ""),
])
def test_a_new_document_is_what_was_given(server, kind, content, shown):
    alice = unique("alice")
    made = make_document(server, alice, kind, content, name="Plan")
    assert made == document(server, alice, made["id"])
    assert made["content"] == shown and made["version"] == 1 and made["state"] == "active"
    assert (made["name"], made["type"], made["created_by"], made["updated_by"]) == ("Plan", kind, alice, alice)
    assert made["metadata"]["permissions"] == {"owner": alice, "editors": [], "viewers": [], "public": False}
    assert made["epoch"] and made["created_at"] > 0 and made["active_users"] == []


def test_creating_twice_with_one_id_gives_one_document(server):
    alice = unique("alice")
    body = {"name": "Once", "type": "text", "content": "x", "id": new_id()}
    first = assert_success(server.api("POST", "/documents", alice, body), 201)
    again = assert_success(server.api("POST", "/documents", alice, body), 200)
    assert again["document"]["id"] == first["document"]["id"] and again["duplicate"] is True
    assert_refused(server.api("POST", "/documents", alice, {**body, "name": "Twice"}), 409, "conflict")


def test_list_shows_what_one_may_read(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    mine = make_document(server, alice, "text")
    shared = make_document(server, alice, "whiteboard", viewers=[bob])
    archived = make_document(server, alice, "text")
    assert_success(server.api("PATCH", f"/documents/{archived['id']}", alice, {"state": "archived"}))

    def listed(user, **query):
        text = "&".join(f"{name}={value}" for name, value in {"created_by": alice, **query}.items())
        found = assert_success(server.api("GET", f"/documents?{text}", user))
        assert all("content" not in one for one in found["documents"])
        return [one["id"] for one in found["documents"]], found["total"]

    assert listed(alice) == ([archived["id"], shared["id"], mine["id"]], 3)
    assert listed(alice, state="archived") == ([archived["id"]], 1)
    assert listed(alice, type="text", limit=1) == ([archived["id"]], 2)
    assert listed(alice, type="text", limit=1, offset=1) == ([mine["id"]], 2)
    assert listed(bob) == ([shared["id"]], 1)
    assert listed(carol) == ([], 0)
    assert listed(service_token(), user_id=bob) == ([shared["id"]], 1)
    assert_refused(server.api("GET", "/documents?limit=201", alice), 400, "invalid_field")


async def test_an_operation_is_answered_told_and_kept(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, editors=[bob])["id"]
    a, b = await server.connect(alice), await server.connect(bob)
    shown = await subscribe(b, doc)
    assert shown["version"] == 1 and shown["document"]["content"] == {} and shown["users"] == [bob]
    await subscribe(a, doc)
    ack = await edit(a, doc, "create", {"id": "r", "x": 1})
    assert ack["version"] == 2 and ack["status"] == "applied" and ack["operation"]["user_id"] == alice
    for client in (a, b):
        told = await event(client, "operation_applied", document_id=doc)
        assert told["version"] == 2 and told["operation"] == ack["operation"] and told["seq"] == ack["seq"]
    await edit(b, doc, "move", {"id": "r", "x": 5, "y": 6})
    now = document(server, alice, doc)
    assert now["content"] == {"r": {"x": 5, "y": 6}} and now["version"] == 3 and now["updated_by"] == bob
    assert [one["version"] for one in operations(server, bob, doc)] == [2, 3]


async def test_many_operations_in_flight_take_effect_in_order(server):
    alice = unique("alice")
    doc = make_document(server, alice, "text")["id"]
    a = await server.connect(alice)
    await subscribe(a, doc)
    answers = await send_many(a, doc, [insert(number, chr(97 + number % 26), 1) for number in range(200)])
    assert [answer["version"] for answer in answers] == list(range(2, 202))
    assert document(server, alice, doc)["content"] == "".join(chr(97 + number % 26) for number in range(200))
    await reached(a, doc, 201)
    check_log(events(a, doc))


async def test_a_retry_gives_the_first_answer(server):
    alice = unique("alice")
    doc = make_document(server, alice)["id"]
    a = await server.connect(alice)
    one = operation("create", {"id": "r", "x": 1})
    first = await send(a, doc, one)
    again = await send(a, doc, one)
    assert again.pop("duplicate") is True
    assert {**again, "id": 0} == {**first, "id": 0}
    answer = await a.request(type="operation", document_id=doc, operation={**one, "data": {"id": "r", "x": 2}})
    assert (answer["type"], answer["code"]) == ("error", "conflict")
    assert document(server, alice, doc)["version"] == 2


async def test_a_frames_own_id_is_the_operations_where_it_names_none(server):
    alice = unique("alice")
    doc = make_document(server, alice, "text")["id"]
    a = await server.connect(alice)
    frame = dict(type="operation", document_id=doc, id=new_id(), operation={"type": "text", "data": {"ops": ["x"]}})
    assert (await a.request(**frame))["version"] == 2
    assert (await a.request(**frame))["version"] == 2
    assert document(server, alice, doc)["content"] == "x"


async def test_a_stale_operation_is_rebased_and_overwrites_nothing(server):
    alice, bob = uniques("alice", "bob")
    board = make_document(server, alice, content={"r": {"x": 1, "y": 1}}, editors=[bob])["id"]
    text = make_document(server, alice, "text", "abc", editors=[bob])["id"]
    a, b = await server.connect(alice), await server.connect(bob)
    await edit(a, board, "update", {"id": "r", "x": 7}, 1)
    late = await edit(b, board, "update", {"id": "r", "y": 8}, 1)
    assert late["status"] == "applied"
    assert document(server, alice, board)["content"] == {"r": {"x": 7, "y": 8}}
    await send(a, text, insert(1, "XX", 1))
    late = await send(b, text, insert(3, "YY", 1))
    assert late["status"] == "applied" and late["operation"]["data"] == {"ops": [5, "YY"]}
    assert document(server, alice, text)["content"] == "aXXbcYY"


async def test_whole_content_is_a_difference_and_not_a_replacement(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, "text", "one two", editors=[bob])["id"]
    b = await server.connect(bob)
    await send(b, doc, insert(7, " three", 1))
    reply = server.api("PATCH", f"/documents/{doc}", alice, {"content": "ONE two", "version": 1, "id": new_id()})
    assert assert_success(reply)["document"]["content"] == "ONE two three"


def test_a_document_can_be_read_as_it_was_and_brought_back(server):
    alice = unique("alice")
    doc = make_document(server, alice, "text", "first")["id"]
    assert_success(post(server, alice, doc, "text", {"ops": [5, " second"]}), 201)
    assert_success(post(server, alice, doc, "text", {"ops": [{"d": 6}]}), 201)
    assert [document(server, alice, doc, version)["content"] for version in (1, 2, 3)] == \
        ["first", "first second", "second"]
    back = assert_success(server.api("PATCH", f"/documents/{doc}", alice, {"restore_version": 2}))["document"]
    assert back["content"] == "first second" and back["version"] == 4
    assert_refused(server.api("GET", f"/documents/{doc}?version=5", alice), 400, "invalid_field")


async def test_what_is_behind_the_floor_is_refused_and_the_rest_stays(own_server):
    server = own_server({"statesync.compact_after": 100, "statesync.snapshot_every": 10})
    alice = unique("alice")
    doc = make_document(server, alice, "text")["id"]
    a = await server.connect(alice)
    await subscribe(a, doc)
    for start in range(0, 400, 40):
        await send_many(a, doc, [insert(0, "x", start + 1) for _ in range(40)])
    server.await_metrics(lambda _: server.api("GET", f"/documents/{doc}?version=250", alice).status == 409)
    for call in (f"/documents/{doc}?version=2", f"/documents/{doc}/operations?from_version=2"):
        assert_refused(server.api("GET", call, alice), 409, "stale_version")
    late = await a.request(type="operation", document_id=doc, operation=insert(0, "y", 2))
    assert late["code"] == "stale_version"
    await (await server.connect(alice)).refused("stale_version", type="subscribe", document_id=doc, since_version=2)
    assert document(server, alice, doc)["content"] == "x" * 400
    assert document(server, alice, doc, 380)["content"] == "x" * 379
    server.stop()
    server.restart()
    assert document(server, alice, doc)["content"] == "x" * 400
    assert document(server, alice, doc, 380)["content"] == "x" * 379


def test_archived_is_read_only_and_comes_back(server):
    alice = unique("alice")
    doc = make_document(server, alice, "text", "x")["id"]
    assert_success(server.api("PATCH", f"/documents/{doc}", alice, {"state": "archived"}))
    assert_refused(post(server, alice, doc, "text", {"ops": ["y"]}), 409, "conflict")
    assert_refused(server.api("PATCH", f"/documents/{doc}", alice, {"name": "Other"}), 409, "conflict")
    assert document(server, alice, doc)["content"] == "x"
    assert_success(server.api("PATCH", f"/documents/{doc}", alice, {"state": "active"}))
    assert_success(post(server, alice, doc, "text", {"ops": ["y"]}), 201)
    assert document(server, alice, doc)["version"] == 2


async def test_name_state_and_metadata_change_no_version_and_are_told(server):
    alice = unique("alice")
    doc = make_document(server, alice, viewers=["vera"])["id"]
    a = await server.connect(alice)
    await subscribe(a, doc)
    body = {"name": "New", "metadata": {"tags": ["t"], "description": "d", "properties": {"k": "v"}}, "id": new_id()}
    changed = assert_success(server.api("PATCH", f"/documents/{doc}", alice, body))["document"]
    assert changed["version"] == 1 and changed["name"] == "New" and changed["metadata"]["tags"] == ["t"]
    assert changed["metadata"]["permissions"]["viewers"] == ["vera"], "absent permissions stay"
    told = await event(a, "document_updated", document_id=doc)
    assert told["version"] == 1 and told["document"]["name"] == "New" and "content" not in told["document"]
    seq = told["seq"]
    assert_success(server.api("PATCH", f"/documents/{doc}", alice, body))
    await a.settle()
    assert [frame["seq"] for frame in events(a, doc, "document_updated")] == [seq], "a retry is no second change"


async def test_a_deleted_document_is_gone_for_everybody(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, viewers=[bob])["id"]
    b = await server.connect(bob)
    await subscribe(b, doc)
    assert_refused(server.api("DELETE", f"/documents/{doc}", bob), 403, "forbidden")
    assert_success(server.api("DELETE", f"/documents/{doc}", alice))
    told = await event(b, "document_updated", document_id=doc)
    assert told["document"]["state"] == "deleted"
    ended = await b.recv("error", document_id=doc)
    assert ended["code"] == "not_found"
    assert_refused(server.api("GET", f"/documents/{doc}", alice), 404, "not_found")
    assert_refused(post(server, alice, doc, "create", {}), 404, "not_found")


async def test_documents_survive_a_restart_byte_by_byte(own_server):
    server = own_server()
    alice = unique("alice")
    board = make_document(server, alice, content={"r": {"x": 1, "style": {"color": "red"}}})["id"]
    text = make_document(server, alice, "text", "🙂")["id"]
    a = await server.connect(alice)
    one = operation("style", {"id": "r", "style": {"color": "blue", "width": 2}}, 1)
    first = await send(a, board, one)
    await edit(a, board, "create", {"id": "s", "parent": "r", "order": "a1"}, 1)
    await send_many(a, text, [insert(0, "é", 1) for _ in range(50)])
    before = [document(server, alice, doc) for doc in (board, text)]
    server.stop()
    server.restart()
    assert [document(server, alice, doc) for doc in (board, text)] == before
    a = await server.connect(alice)
    again = await send(a, board, one)
    assert again["duplicate"] is True and again["operation"] == first["operation"]
    assert (await edit(a, board, "delete", {"id": "s"}, 2))["version"] == 4


async def test_tenants_never_meet(server):
    alice = unique("alice")
    doc = make_document(server, alice, public=True)["id"]
    other = tokens.token(alice, tenant=unique("tenant"))
    assert_refused(server.api("GET", f"/documents/{doc}", other), 404, "not_found")
    assert_refused(post(server, other, doc, "create", {}), 404, "not_found")
    assert assert_success(server.api("GET", "/documents", other))["documents"] == []


def test_stats_count_what_is_there(own_server):
    server = own_server()
    alice = unique("alice")

    def stats():
        return assert_success(server.api("GET", "/documents/stats", alice))["stats"]

    assert stats()["total_documents"] == 0
    doc = make_document(server, alice)["id"]
    archived = make_document(server, alice, "text")["id"]
    assert_success(post(server, alice, doc, "create", {"id": "r"}), 201)
    assert_success(server.api("PATCH", f"/documents/{archived}", alice, {"state": "archived"}))
    assert_success(server.api("POST", f"/documents/{doc}/lock", alice, {"session_id": "s"}))
    server.stop()
    server.restart()
    now = stats()
    assert (now["total_documents"], now["active_documents"], now["archived_documents"]) == (2, 1, 1)
    assert (now["total_operations"], now["active_locks"], now["total_conflicts"]) == (1, 1, 0)
    assert_success(server.api("DELETE", f"/documents/{archived}", alice))
    assert stats()["total_documents"] == 1


async def test_metrics_count_documents(own_server):
    server = own_server()
    alice = unique("alice")
    doc = make_document(server, alice)["id"]
    a = await server.connect(alice)
    await subscribe(a, doc)
    await edit(a, doc, "create", {"id": "r"})
    values = server.await_metrics(lambda now: now.get("statesync_operations_total") == 1)
    assert values["statesync_documents_total"] == 1 and values["statesync_subscribers_active"] == 1
    await a.close()
    server.await_metrics(lambda now: now["statesync_subscribers_active"] == 0)


async def test_an_unused_document_leaves_the_memory_and_comes_back(server):
    alice = unique("alice")
    docs = [make_document(server, alice, "text", "x")["id"] for _ in range(20)]
    await asyncio.gather(*[asyncio.to_thread(post, server, alice, doc, "text", {"ops": ["y"]}) for doc in docs])
    assert {document(server, alice, doc)["content"] for doc in docs} == {"yx"}
