"""export-user and erase-user: what a user has in shared documents, and nothing of them afterwards."""
import asyncio
import json

from support import commands
from support.documents import (check_log, conflicts, document, edit, event, events, insert, make_document, operation,
                               operations, post, send, subscribe)
from support.names import unique, uniques
from support.rest import assert_refused, assert_success
from support.rpc import DENIED, Port, port_of, statesync
from support.rpc_stream import Stream
from support.store_files import files_hold, rows_hold


def export(server, user):
    return json.loads(commands.run(server, "export-user", user))


def erase(server, user):
    return json.loads(commands.run(server, "erase-user", user))


def word():
    return "w" + unique("x").replace("-", "")


class World:
    """alice with everything that a user can have in documents, beside bob and carol."""

    def __init__(self, server):
        self.server = server
        self.alice, self.bob, self.carol = uniques("alice", "bob", "carol")
        self.secret, self.said = word(), word()

    async def make(self):
        server, alice, bob, carol = self.server, self.alice, self.bob, self.carol
        self.own = make_document(server, alice, "text", f"{self.secret} alone", name=self.secret, viewers=[carol],
                                 properties={"p": self.secret})["id"]
        self.shared = make_document(server, alice, "whiteboard", {"r": {"x": 0}}, viewers=[carol], editors=[bob])["id"]
        self.theirs = make_document(server, bob, "whiteboard", {"r": {"x": 0}}, editors=[alice, carol],
                                    properties={"conflict_policy": "manual"})["id"]
        self.left = make_document(server, bob, "text", editors=[alice])["id"]
        self.phone = await server.connect(alice, "phone")
        self.watcher = await server.connect(bob, "desk")
        for doc in (self.own, self.shared, self.theirs):
            await subscribe(self.phone, doc)
        for doc in (self.shared, self.theirs, self.left):
            await subscribe(self.watcher, doc)
        self.mine = [await edit(self.phone, self.theirs, "create", {"id": f"n{number}", "text": self.said},
                                client_id=f"{alice}-tab", metadata={"user_agent": f"{alice} agent", "ip": "10.9.8.7"})
                     for number in range(5)]
        await edit(self.watcher, self.theirs, "update", {"id": "r", "x": 1})
        version = document(server, bob, self.theirs)["version"]
        await edit(self.watcher, self.theirs, "update", {"id": "r", "x": 2}, version)
        self.parked = await edit(self.phone, self.theirs, "update", {"id": "r", "x": 3}, version)
        assert self.parked["status"] == "conflict"
        await edit(self.phone, self.own, "text", {"ops": [f"{self.secret} more "]})
        await edit(self.phone, self.shared, "update", {"id": "r", "y": 1})
        await edit(self.phone, self.left, "text", {"ops": ["words"]})
        # bob may not write while alice has it locked; carol waits for the lock.
        self.lock = (await self.phone.request(type="lock", document_id=self.theirs))["lock"]
        assert_success(server.api("POST", f"/documents/{self.shared}/lock", bob, {"session_id": "of bob"}))
        waiting = insert(0, "never") | {"type": "create", "data": {"id": "later"}, "metadata": {"extra": {"on_lock": "wait"}}}
        assert (await send(self.phone, self.shared, waiting))["status"] == "pending"
        # Somebody else's change names alice as well.
        body = {"metadata": {"permissions": {"editors": [alice], "viewers": [carol]}}}
        assert_success(server.api("PATCH", f"/documents/{self.left}", bob, body))
        return self


async def test_export_holds_documents_and_what_the_user_did_in_others(own_server):
    server = own_server()
    world = await World(server).make()
    data = export(server, world.alice)
    documents = {one["document_id"]: one for one in data["documents"]}
    assert {name: one["role"] for name, one in documents.items()} == {
        world.own: "owner", world.shared: "owner", world.theirs: "editor", world.left: "editor"}
    own = documents[world.own]
    assert own["content"] == f"{world.secret} more {world.secret} alone" and own["type"] == "text" and own["version"] == 2
    assert own["name"] == world.secret and own["oldest_version"] == 1
    assert own["metadata"]["permissions"]["viewers"] == [world.carol]
    assert documents[world.shared]["content"] == {"r": {"x": 0, "y": 1}}
    assert documents[world.theirs]["lock"]["id"] == world.lock["id"]
    for name in (world.theirs, world.left):
        assert "content" not in documents[name] and "metadata" not in documents[name], "what others own is theirs"
    entries = data["document_entries"]
    assert {one["user_id"] for one in entries} == {world.alice}
    written = [one["operation"] for one in entries if one["event"] == "operation_applied"]
    assert [one["id"] for one in written if one["doc_id"] == world.theirs] == [one["operation"]["id"] for one in world.mine]
    assert {one["doc_id"] for one in written} == {world.own, world.shared, world.theirs, world.left}
    assert any(one["event"] == "conflict_detected" for one in entries)
    assert any(one["event"] == "lock_acquired" for one in entries)
    assert [one["data"] for one in data["document_pending"]] == [{"id": "later"}]
    server.stop()
    offline = export(server, world.alice)
    assert offline["document_entries"][:len(entries)] == entries
    assert [one["document_id"] for one in offline["documents"]] == [one["document_id"] for one in data["documents"]]
    server.restart()


def test_export_of_very_many_operations_is_complete(own_server):
    server = own_server({"limits.operations_per_second": 100000, "limits.operations_burst": 100000})
    alice, bob = uniques("alice", "bob")
    docs = [make_document(server, bob, "text", editors=[alice])["id"] for _ in range(3)]

    async def write():
        client = await server.connect(alice)
        for doc in docs:
            await asyncio.gather(*[send(client, doc, insert(0, "x")) for _ in range(450)])

    asyncio.run(write())
    entries = export(server, alice)["document_entries"]
    assert [(one["document_id"], one["seq"]) for one in entries] == [(doc, seq) for doc in docs for seq in range(1, 451)]


async def test_erased_user_is_gone_from_documents(own_server):
    server = own_server()
    world = await World(server).make()
    alice, bob, carol = world.alice, world.bob, world.carol
    before = document(server, bob, world.theirs)
    waiting = asyncio.ensure_future(
        (await server.connect(carol)).request(type="lock", document_id=world.theirs, wait_ms=60_000))
    report = erase(server, alice)
    pseudonym = report["erased_as"]
    assert (report["documents_deleted"], report["documents_left"]) == (1, 3)
    await world.phone.closed(4006)
    # The lock ended with the session, which was told, and whoever waited has it.
    released = await event(world.watcher, "lock_released", document_id=world.theirs)
    assert released["reason"] == "session_closed" and released["lock"]["id"] == world.lock["id"]
    assert (await waiting)["lock"]["user_id"] == carol
    # Alone: deleted. With an editor: theirs now. In others': an editor less.
    assert_refused(server.api("GET", f"/documents/{world.own}", carol), 404, "not_found")
    assert document(server, bob, world.shared)["metadata"]["permissions"] == {
        "owner": bob, "editors": [], "viewers": [carol], "public": False}
    after = document(server, bob, world.theirs)
    assert after["content"] == before["content"] and after["version"] == before["version"]
    assert after["metadata"]["permissions"]["editors"] == [carol]
    told = await event(world.watcher, "document_updated", document_id=world.theirs)
    assert told["user_id"] == pseudonym and told["document"]["metadata"]["permissions"]["editors"] == [carol]
    # What was written stays, by somebody unknown; sent again, it is a new operation of whoever sends it.
    log = operations(server, bob, world.theirs)
    assert [one["version"] for one in log] == list(range(2, after["version"] + 1))
    mine = [one for one in log if one.get("user_id") == pseudonym]
    assert [one["id"] for one in mine] == [one["operation"]["id"] for one in world.mine]
    assert all("client_id" not in one and "metadata" not in one for one in mine)
    (conflict,) = conflicts(server, bob, world.theirs)
    assert conflict["ops"][-1]["user_id"] == pseudonym and conflict["resolved_by"] == ""
    shown = [log, conflict, after, document(server, bob, world.shared), document(server, bob, world.left)]
    assert alice not in json.dumps(shown)
    # What waited for bob's lock will never run.
    assert_success(server.api("DELETE", f"/documents/{world.shared}/lock?session_id=of bob".replace(" ", "%20"), bob))
    assert document(server, bob, world.shared)["content"] == {"r": {"x": 0, "y": 1}}
    # The events without a hole, to whoever comes late too; and an open conflict can still be decided.
    assert_success(server.api("DELETE", f"/documents/{world.theirs}/lock", carol))
    body = {"conflict_id": conflict["id"], "take": "theirs"}
    decided = assert_success(server.api("POST", f"/documents/{world.theirs}/conflicts", bob, body), (200, 201))["conflict"]
    assert decided["resolved_op"]["user_id"] == pseudonym and document(server, bob, world.theirs)["content"]["r"]["x"] == 3
    late = await server.connect(bob, "another")
    await subscribe(late, world.theirs, since_version=1)
    await late.until(lambda: any(one["seq"] >= told["seq"] for one in events(late, world.theirs) if "seq" in one))
    assert alice not in json.dumps(late.frames)
    data = export(server, alice)
    assert all(value == [] for value in data.values() if isinstance(value, list)), data
    # Not a byte of it is left in the files.
    assert files_hold(server, world.said)
    for needle in (world.secret, alice, "10.9.8.7"):
        assert files_hold(server, needle) == [], needle


async def test_documents_work_on_after_an_erasure(own_server):
    """In memory, after a reload and after a crash: content, versions, retries of the others, conflicts with the erased."""
    server = own_server({"statesync.snapshot_every": 10})
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, bob, "text", "start", editors=[alice])["id"]
    a, b = await server.connect(alice), await server.connect(bob)
    await subscribe(b, doc)
    for number in range(60):
        await asyncio.gather(send(a, doc, insert(number % 3, "a", 1 + number)), send(b, doc, insert(1, "b", 1 + number)))
    one = insert(0, "c", 50)
    await send(b, doc, one)
    erase(server, alice)
    seen = document(server, bob, doc)
    assert (await send(b, doc, one))["duplicate"] is True
    # Behind everything that alice wrote: her operations are somebody's, concurrent as before.
    late = await send(b, doc, operation("text", {"ops": [{"d": 5}]}, 1, metadata={"extra": {"conflict_policy": "merge"}}))
    assert late["status"] in ("applied", "resolved") and alice not in json.dumps(late)
    content = {**document(server, bob, doc), "active_users": []}
    assert content["version"] == seen["version"] + 1
    for end in (server.stop, server.kill):
        end()
        server.restart()
        assert document(server, bob, doc) == content
        assert document(server, bob, doc, version=1)["content"] == "start"
    b = await server.connect(bob)
    assert (await send(b, doc, one))["duplicate"] is True
    check_log(events(b, doc))


async def test_erased_user_loses_subscriptions_and_locks_of_every_kind(own_server):
    """Over gRPC without a session; a lock under a name of the client's own; a place among those who wait."""
    server = own_server({"statesync.grpc_listen": "127.0.0.1:0"})
    port = Port(port_of(server, "statesync_grpc_port"))
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, bob, editors=[alice], public=True)["id"]
    waited = make_document(server, bob, editors=[alice])["id"]
    caller = port.documents(alice)
    stream = Stream(caller, doc_id=doc)
    stream.started()
    assert caller.AcquireLock(doc_id=doc, session_id="a name").lock.active
    owner = port.documents(bob)
    owner.AcquireLock(doc_id=waited, session_id="of bob")
    waiting = caller.stub.AcquireLock.future(statesync.AcquireLockRequest(doc_id=waited, session_id="a name", wait_ms=60_000),
                                             metadata=caller.metadata, timeout=60)
    caller.GetStats()
    erase(server, alice)
    assert stream.end()[:2] == (DENIED, "forbidden")
    assert waiting.exception() is not None
    assert not owner.IsLocked(doc_id=doc).locked
    assert owner.IsLocked(doc_id=waited).lock.session_id == "of bob"
    assert caller.GetDocument(doc_id=doc).document.id == doc, "public, and the token is still good: somebody new"
    caller.refused("AcquireLock", DENIED, "forbidden", doc_id=doc, session_id="a name")
    port.close()


async def test_erase_while_others_edit_what_the_user_wrote(own_server):
    """Conflicts with the user's operations are found meanwhile and afterwards: none of them brings the id back."""
    server = own_server()
    alice, bob, carol = uniques("alice", "bob", "carol")
    doc = make_document(server, bob, content={"r": {"x": 0}}, editors=[alice, carol])["id"]
    a, b, c = [await server.connect(user) for user in (alice, bob, carol)]
    for start in range(0, 400, 100):
        await asyncio.gather(*[edit(a, doc, "update", {"id": "r", f"k{number}": "a"}) for number in range(start, start + 100)])
    await subscribe(c, doc)
    eraser = asyncio.create_task(asyncio.to_thread(erase, server, alice))
    acks, number = [], 0
    while not eraser.done() or number < 60:
        key = f"k{399 - number % 300}"  # as it was before alice wrote it
        acks += await asyncio.gather(edit(b, doc, "update", {"id": "r", key: number}, 1),
                                     edit(c, doc, "update", {"id": "r", key: -number - 1}, 1))
        number += 1
    pseudonym = (await eraser)["erased_as"]
    assert any(ack["status"] == "resolved" for ack in acks)
    log = []
    while page := operations(server, bob, doc, from_version=len(log) + 1):
        log += page
    assert [one["version"] for one in log] == list(range(2, len(log) + 2)) and len(log) == 400 + len(acks)
    assert sum(one["user_id"] == pseudonym for one in log) == 400
    found = assert_success(server.api("GET", f"/documents/{doc}/conflicts?limit=200", bob))["conflicts"]
    assert found and any(one["user_id"] == pseudonym for conflict in found for one in conflict["ops"])
    assert alice not in json.dumps([log, found, document(server, bob, doc)])
    await c.until(lambda: any(one["version"] == len(log) + 1 for one in events(c, doc)))
    check_log(events(c, doc))
    server.stop()
    assert rows_hold(server, alice) == []  # the file may hold a copy of a row that SQLite moved: docs/storage.md
    server.restart()
    assert document(server, bob, doc)["version"] == len(log) + 1


async def test_erase_without_a_node_and_in_other_tenants(own_server):
    server = own_server()
    world = await World(server).make()
    red = server.token(world.alice, tenant="red")
    kept = make_document(server, red, "text", "kept")["id"]
    server.stop()
    report = erase(server, world.alice)
    assert (report["documents_deleted"], report["documents_left"]) == (1, 3)
    server.restart()
    assert document(server, world.bob, world.shared)["metadata"]["permissions"]["owner"] == world.bob
    assert document(server, red, kept)["content"] == "kept"
    assert world.alice not in json.dumps(operations(server, world.bob, world.theirs))
    assert files_hold(server, world.secret) == []
    # The id begins anew, as somebody unknown.
    assert_refused(post(server, world.alice, world.theirs, "create", {"id": "z"}), 404, "not_found")


async def test_erase_of_a_document_that_was_deleted_before(own_server):
    server = own_server()
    alice, secret = unique("alice"), word()
    doc = make_document(server, alice, "text", secret, name=secret)["id"]
    assert_success(post(server, alice, doc, "text", {"ops": [secret]}), 201)
    assert_success(server.api("DELETE", f"/documents/{doc}", alice))
    assert files_hold(server, secret), "its name"
    erase(server, alice)
    for needle in (alice, secret):
        assert files_hold(server, needle) == [], needle
