"""Conflicts: found, settled by policy, kept, decided by somebody."""
import pytest

from support.documents import (check_log, conflicts, document, edit, event, events, insert, make_document, operation,
                               operations, post, send, subscribe)
from support.names import unique, uniques
from support.rest import assert_refused, assert_success


async def two_writers(server, policy=None, kind="whiteboard", content=None):
    alice, bob = uniques("alice", "bob")
    properties = {"conflict_policy": policy} if policy else None
    doc = make_document(server, alice, kind, {"r": {"x": 0}} if content is None else content, editors=[bob],
                        properties=properties)["id"]
    a, b = await server.connect(alice), await server.connect(bob)
    await subscribe(a, doc)
    return alice, bob, doc, a, b


@pytest.mark.parametrize("policy", ["lww", "merge", None])
async def test_the_later_arrival_wins_and_the_loser_is_kept(server, policy):
    alice, bob, doc, a, b = await two_writers(server, policy)
    first = await edit(a, doc, "update", {"id": "r", "x": 1}, 1)
    late = await edit(b, doc, "update", {"id": "r", "x": 2}, 1)
    assert late["status"] == "resolved" and late["version"] == 3
    assert document(server, alice, doc)["content"] == {"r": {"x": 2}}
    (record,) = conflicts(server, bob, doc)
    assert record == late["conflict"]
    assert record["kind"] == "write_write" and record["path"] == "r.x" and record["resolution"] == (policy or "merge")
    assert (record["base"], record["ours"], record["theirs"]) == (0, 1, 2)
    assert [one["id"] for one in record["ops"]] == [first["operation"]["id"], late["operation"]["id"]]
    assert record["resolved_by"] == f"system:{policy or 'merge'}" and record["resolved_op"]["version"] == 3
    await event(a, "conflict_resolved", document_id=doc)
    names = [frame["event"] for frame in events(a, doc) if "seq" in frame]
    assert names == ["operation_applied", "conflict_detected", "operation_applied", "conflict_resolved"]
    check_log(events(a, doc))
    again = await send(b, doc, {key: late["operation"][key] for key in ("id", "type", "data")} | {"prev_version": 1})
    assert again["duplicate"] is True and again["conflict"] == record


async def test_manual_parks_and_the_document_stays(server):
    alice, bob, doc, a, b = await two_writers(server, "manual")
    await edit(a, doc, "update", {"id": "r", "x": 1}, 1)
    one = operation("update", {"id": "r", "x": 2, "y": 2}, 1)
    parked = await send(b, doc, one)
    assert parked["status"] == "conflict" and parked["version"] == 0
    assert document(server, alice, doc)["content"] == {"r": {"x": 1}} and document(server, alice, doc)["version"] == 2
    found = await event(a, "conflict_detected", document_id=doc)
    assert found["version"] == 2 and found["conflict"] == parked["conflict"]
    (record,) = conflicts(server, alice, doc, open_only=True)
    assert record["resolution"] == "manual" and record["resolved_by"] == "" and record["ops"][-1]["data"] == one["data"]
    again = await send(b, doc, one)
    assert again["duplicate"] is True and again["status"] == "conflict" and again["conflict"] == record


@pytest.mark.parametrize("take,content", [("theirs", {"r": {"x": 2, "z": 5}}), ("ours", {"r": {"x": 1, "z": 5}}),
                                          ("operation", {"r": {"x": 9, "z": 5}})])
async def test_somebody_decides(server, take, content):
    alice, bob, doc, a, b = await two_writers(server, "manual")
    await edit(a, doc, "update", {"id": "r", "x": 1}, 1)
    parked = await edit(b, doc, "update", {"id": "r", "x": 2}, 1)
    await edit(a, doc, "update", {"id": "r", "z": 5}, 2)
    more = {"operation": operation("update", {"id": "r", "x": 9})} if take == "operation" else {}
    command = dict(type="resolve", document_id=doc, conflict_id=parked["conflict"]["id"], take=take, **more)
    answer = await a.request(**command)
    assert answer["type"] == "resolved", answer
    record = answer["conflict"]
    assert record["resolved_by"] == alice and record["resolved_at"] > 0
    assert document(server, alice, doc)["content"] == content
    resolved = await event(a, "conflict_resolved", document_id=doc)
    assert resolved["conflict"] == record
    assert ("resolved_op" in record) is (take != "ours")
    assert document(server, alice, doc)["version"] == (3 if take == "ours" else 4)
    assert conflicts(server, alice, doc, open_only=True) == [] and conflicts(server, alice, doc) == [record]
    await a.refused("conflict", **command)
    check_log(events(a, doc))


async def test_an_author_has_not_seen_the_own_operation_that_somebody_else_let_in(server):
    alice, bob, doc, a, b = await two_writers(server, "manual", kind="text", content="abcdef")
    await send(a, doc, operation("text", {"ops": [1, {"d": 3}]}, 1))
    parked = await send(b, doc, insert(2, "X", 1))
    assert parked["status"] == "conflict"
    await a.request(type="resolve", document_id=doc, conflict_id=parked["conflict"]["id"], take="theirs")
    assert document(server, alice, doc)["content"] == "aXef"
    late = await send(b, doc, insert(2, "Y", 2))  # between the e and the f that bob sees
    assert late["status"] == "applied"
    assert document(server, alice, doc)["content"] == "aXeYf"


async def test_an_operation_names_its_own_policy(server):
    alice, bob, doc, a, b = await two_writers(server, "lww")
    await edit(a, doc, "update", {"id": "r", "x": 1}, 1)
    parked = await edit(b, doc, "update", {"id": "r", "x": 2}, 1, metadata={"extra": {"conflict_policy": "manual"}})
    assert parked["status"] == "conflict"


async def test_the_servers_policy_counts_where_nobody_says_more(own_server):
    server = own_server({"statesync.conflict_policy": "manual"})
    alice, bob, doc, a, b = await two_writers(server)
    await edit(a, doc, "update", {"id": "r", "x": 1}, 1)
    assert (await edit(b, doc, "update", {"id": "r", "x": 2}, 1))["status"] == "conflict"


async def test_delete_wins_and_the_edit_is_in_the_record(server):
    alice, bob, doc, a, b = await two_writers(server)
    await edit(a, doc, "delete", {"id": "r"}, 1)
    late = await edit(b, doc, "update", {"id": "r", "x": 7}, 1)
    assert late["status"] == "resolved" and late["version"] == 3
    assert document(server, alice, doc)["content"] == {}
    (record,) = conflicts(server, alice, doc)
    assert record["kind"] == "edit_delete" and 7 in record["theirs"].values()


async def test_text_merges_without_a_conflict(server):
    alice, bob, doc, a, b = await two_writers(server, kind="text", content="abc")
    await send(a, doc, insert(1, "X", 1))
    late = await send(b, doc, insert(1, "Y", 1))
    assert late["status"] == "applied"
    assert document(server, alice, doc)["content"] == "aYXbc", "the later arrival stands behind what its author saw"
    assert conflicts(server, alice, doc) == []


async def test_conflicts_survive_a_restart(own_server):
    server = own_server()
    alice, bob, doc, a, b = await two_writers(server, "manual")
    await edit(a, doc, "update", {"id": "r", "x": 1}, 1)
    await edit(b, doc, "update", {"id": "r", "x": 2}, 1)
    before = conflicts(server, alice, doc)
    server.kill()
    server.restart()
    assert conflicts(server, alice, doc) == before
    body = {"conflict_id": before[0]["id"], "take": "theirs"}
    assert_success(server.api("POST", f"/documents/{doc}/conflicts", bob, body))
    assert document(server, alice, doc)["content"] == {"r": {"x": 2}}
    stats = assert_success(server.api("GET", "/documents/stats", alice))["stats"]
    assert (stats["total_conflicts"], stats["resolved_conflicts"]) == (1, 1)


async def test_concurrent_operations_that_memory_has_dropped_are_in_the_record(server):
    alice, bob, doc, a, b = await two_writers(server)
    first = await edit(a, doc, "update", {"id": "r", "x": 1}, 1)
    for number in range(600):
        await edit(a, doc, "update", {"id": "r", "y": number}, 2 + number)
    late = await edit(b, doc, "update", {"id": "r", "x": 2}, 1)
    assert late["status"] == "resolved"
    assert late["conflict"]["ops"][0]["id"] == first["operation"]["id"]
    assert document(server, alice, doc)["content"] == {"r": {"x": 2, "y": 599}}


@pytest.mark.parametrize("second, prev", [([5, {"d": 3}], 1), ([5, {"d": 2}], 0)])
def test_a_parked_operation_that_is_taken_is_told_as_it_takes_effect(server, second, prev):
    """Its author's session went on meanwhile: that is not what it is placed by."""
    alice = unique("alice")
    doc = make_document(server, alice, "text", content="abcdefghij")["id"]

    def write(session, ops, prev_version, policy):
        reply = post(server, alice, doc, "text", {"ops": ops}, prev_version, session_id=session,
                     metadata={"extra": {"conflict_policy": policy}})
        return assert_success(reply, 201)

    write("s1", [3, "FF", {"d": 3}], 1, "merge")
    parked = write("s2", [5, "QQQ", {"d": 4}], 1, "manual")["conflict"]
    write("s2", second, prev, "manual")
    taken = server.api("POST", f"/documents/{doc}/conflicts", alice, {"conflict_id": parked["id"], "take": "theirs"})
    assert_success(taken)
    text = "abcdefghij"
    for one in operations(server, alice, doc, from_version=1):
        text = applied(text, one["data"]["ops"])
    assert document(server, alice, doc)["content"] == text and "QQQ" in text


def test_an_operation_in_the_place_of_a_parked_one_is_nobodys_session(server):
    alice = unique("alice")
    doc = make_document(server, alice, "text", content="abcdefghij")["id"]

    def write(session, ops, prev_version, policy):
        return assert_success(post(server, alice, doc, "text", {"ops": ops}, prev_version, session_id=session,
                                   metadata={"extra": {"conflict_policy": policy}}), 201)

    write("s5", [4, "JJJ", {"d": 4}], 1, "merge")
    write("s1", [3, "II", {"d": 3}], 2, "merge")
    parked = write("s4", [4, "PP"], 1, "manual")["conflict"]
    write("s4", [3, "A"], 3, "manual")
    other = {"type": "text", "data": {"ops": [4, "RR"]}, "prev_version": 1, "session_id": "s4"}
    assert_success(server.api("POST", f"/documents/{doc}/conflicts", alice,
                              {"conflict_id": parked["id"], "take": "operation", "operation": other}))
    text = "abcdefghij"
    for one in operations(server, alice, doc, from_version=1):
        text = applied(text, one["data"]["ops"])
    assert document(server, alice, doc)["content"] == text


def applied(text, ops):
    out, at = "", 0
    for op in ops:
        if isinstance(op, int):
            out, at = out + text[at:at + op], at + op
        elif isinstance(op, str):
            out += op
        else:
            at += op["d"]
    return out + text[at:]


def test_a_retry_from_another_session_gets_the_first_answer(server):
    alice = unique("alice")
    doc = make_document(server, alice, "text")["id"]
    first = assert_success(post(server, alice, doc, "text", {"ops": ["x"]}, id="once", session_id="phone"), 201)
    for session in ("tablet", ""):
        again = post(server, alice, doc, "text", {"ops": ["x"]}, id="once", **({"session_id": session} if session else {}))
        assert again.json["data"]["duplicate"] is True and again.json["data"]["version"] == first["version"], again.json
    assert document(server, alice, doc)["content"] == "x"
