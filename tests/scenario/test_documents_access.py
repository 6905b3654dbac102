"""Who may do what with a document, and what the loss of a right does at once."""
import pytest

from support.documents import (document, edit, event, events, make_document, post, service_token, subscribe)
from support.names import new_id, unique, uniques
from support.rest import assert_refused, assert_success

READ, WRITE, OWN = "read", "write", "own"
CALLS = {
    "get": (READ, lambda doc: ("GET", f"/documents/{doc}", None)),
    "history": (READ, lambda doc: ("GET", f"/documents/{doc}/operations", None)),
    "is locked": (READ, lambda doc: ("GET", f"/documents/{doc}/lock", None)),
    "conflicts": (READ, lambda doc: ("GET", f"/documents/{doc}/conflicts", None)),
    "operation": (WRITE, lambda doc: ("POST", f"/documents/{doc}/operations", {"type": "create", "data": {}})),
    "update": (WRITE, lambda doc: ("PATCH", f"/documents/{doc}", {"name": "N"})),
    "lock": (WRITE, lambda doc: ("POST", f"/documents/{doc}/lock", {"session_id": "s", "ttl_ms": 100})),
    "resolve": (WRITE, lambda doc: ("POST", f"/documents/{doc}/conflicts", {"conflict_id": new_id(), "take": "ours"})),
    "permissions": (OWN, lambda doc: ("PATCH", f"/documents/{doc}", {"metadata": {"permissions": {"public": True}}})),
    "force": (OWN, lambda doc: ("DELETE", f"/documents/{doc}/lock?force=true", None)),
    "delete": (OWN, lambda doc: ("DELETE", f"/documents/{doc}", None)),
}
RIGHTS = {"owner": {READ, WRITE, OWN}, "editor": {READ, WRITE}, "viewer": {READ}, "public": {READ}, "stranger": set(),
          "service": {READ, WRITE, OWN}}


@pytest.mark.parametrize("who", RIGHTS)
@pytest.mark.parametrize("call", CALLS)
def test_every_call_by_everybody(server, who, call):
    names = {name: unique(name) for name in ("owner", "editor", "viewer", "stranger")}
    doc = make_document(server, names["owner"], editors=[names["editor"]], viewers=[names["viewer"]],
                        public=who == "public")["id"]
    needed, request = CALLS[call]
    caller = service_token() if who == "service" else names.get(who, names["stranger"])
    reply = server.api(*request(doc)[:2], caller, request(doc)[2])
    if needed in RIGHTS[who]:
        answers = {"resolve": (404,), "force": (404,)}.get(call, (200, 201))
        assert reply.status in answers, reply.json
    elif READ in RIGHTS[who]:
        assert_refused(reply, 403, "forbidden")
    else:
        assert_refused(reply, 404, "not_found")


@pytest.mark.parametrize("who", ["owner", "editor", "viewer", "stranger"])
async def test_every_frame_by_everybody(server, who):
    names = {name: unique(name) for name in ("owner", "editor", "viewer", "stranger")}
    doc = make_document(server, names["owner"], editors=[names["editor"]], viewers=[names["viewer"]])["id"]
    client = await server.connect(names[who])
    frames = [("subscribe", READ, {}), ("operation", WRITE, {"operation": {"type": "create", "data": {}}}),
              ("lock", WRITE, {}), ("unlock", READ, {})]
    for kind, needed, more in frames:
        answer = await client.request(type=kind, document_id=doc, **more)
        if needed in RIGHTS[who] and not (kind == "unlock" and WRITE not in RIGHTS[who]):
            assert answer["type"] != "error", answer
        else:
            expected = "not_found" if READ not in RIGHTS[who] or kind == "unlock" else "forbidden"
            assert (answer["type"], answer["code"]) == ("error", expected), answer


def test_a_service_is_bound_by_the_user_it_names(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, viewers=[bob])["id"]
    body = {"type": "create", "data": {}}
    for user, status in ((bob, 403), (unique("carol"), 404), (alice, 201)):
        reply = server.api("POST", f"/documents/{doc}/operations", service_token(), body, {"Tidemark-User": user})
        assert reply.status == status, reply.json
    assert document(server, alice, doc)["updated_by"] == alice


def permit(server, owner, doc, **permissions):
    body = {"metadata": {"permissions": permissions}}
    return assert_success(server.api("PATCH", f"/documents/{doc}", owner, body))


async def test_who_loses_the_right_to_read_loses_the_subscription_at_once(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    doc = make_document(server, alice, viewers=[bob, carol])["id"]
    b, c = await server.connect(bob), await server.connect(carol)
    for client in (b, c):
        await subscribe(client, doc)
    permit(server, alice, doc, viewers=[carol])
    ended = await b.recv("error", document_id=doc)
    assert ended["code"] == "forbidden"
    assert_success(post(server, alice, doc, "create", {"id": "secret"}), 201)
    await event(c, "operation_applied", document_id=doc)
    await event(c, "user_left", document_id=doc, user_id=bob)
    await b.settle()
    assert not events(b, doc, "operation_applied")
    await b.refused("not_found", type="subscribe", document_id=doc)
    permit(server, alice, doc, viewers=[bob, carol])
    assert (await subscribe(b, doc))["version"] == 2


async def test_who_loses_the_right_to_write_goes_on_reading(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice, editors=[bob])["id"]
    b = await server.connect(bob)
    await subscribe(b, doc)
    await edit(b, doc, "create", {"id": "r"})
    locked = await b.request(type="lock", document_id=doc)
    assert locked["type"] == "locked"
    permit(server, alice, doc, viewers=[bob])
    await event(b, "lock_released", document_id=doc, reason="forced")
    answer = await b.request(type="operation", document_id=doc, operation={"type": "create", "data": {}})
    assert answer["code"] == "forbidden"
    assert_success(post(server, alice, doc, "create", {"id": "s"}), 201)
    await event(b, "operation_applied", document_id=doc, version=3)


async def test_an_owner_can_give_a_document_away(server):
    alice, bob = uniques("alice", "bob")
    doc = make_document(server, alice)["id"]
    assert_success(server.api("PATCH", f"/documents/{doc}", alice, {"metadata": {"permissions": {"owner": bob}}}))
    assert_refused(server.api("GET", f"/documents/{doc}", alice), 404, "not_found")
    assert document(server, bob, doc)["metadata"]["permissions"]["owner"] == bob
