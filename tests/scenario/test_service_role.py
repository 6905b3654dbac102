"""Role `service`: a backend acts for its users."""
from support.chat import make_group, messages
from support.names import text, unique, uniques
from support.rest import assert_refused, assert_success


async def test_service_sends_in_the_name_of_a_user(server):
    alice, bob = uniques("alice", "bob")
    service = server.token(unique("backend"), roles=["service"])
    a, b = await server.connect(alice), await server.connect(bob)
    reply = server.api("POST", "/messages", service, {"to": bob, "content": text()}, {"Tidemark-User": alice})
    made = assert_success(reply, 201)["message"]
    assert made["from"] == alice
    for client in (a, b):
        assert (await client.recv("message"))["from"] == alice
    listed = server.api("GET", "/conversations", service, headers={"Tidemark-User": bob})
    assert [row["conversation_id"] for row in assert_success(listed)["conversations"]] == [made["conversation_id"]]


async def test_service_acting_for_a_user_has_the_rights_of_that_user(server):
    alice, bob, mallory = uniques("alice", "bob", "mallory")
    service = server.token(unique("backend"), roles=["service"])
    group = make_group(server, alice, bob)
    reply = server.api("GET", f"/conversations/{group}", service, headers={"Tidemark-User": mallory})
    assert_refused(reply, 404, "not_found")
    reply = server.api("DELETE", f"/conversations/{group}", service, headers={"Tidemark-User": bob})
    assert_refused(reply, 403, "forbidden")


async def test_service_without_a_user_reaches_every_object_of_its_tenant(server):
    alice, bob = uniques("alice", "bob")
    service = server.token(unique("backend"), roles=["service"])
    group = make_group(server, alice, bob)
    posted = server.api("POST", "/messages", alice, {"conversation_id": group, "content": text()})
    message = assert_success(posted, 201)["message"]
    assert server.api("GET", f"/conversations/{group}", service).status == 200
    assert [each["seq"] for each in messages(server, service, group)["messages"]] == [message["seq"]]
    assert server.api("GET", f"/messages/{message['message_id']}", service).status == 200
    assert_success(server.api("DELETE", f"/conversations/{group}", service))


async def test_header_gives_an_ordinary_user_nothing(server):
    alice, bob, mallory = uniques("alice", "bob", "mallory")
    group = make_group(server, alice, bob)
    reply = server.api("GET", f"/conversations/{group}", mallory, headers={"Tidemark-User": alice})
    assert reply.status in (403, 404), reply
    reply = server.api("POST", "/messages", mallory, {"to": bob, "content": text()}, {"Tidemark-User": alice})
    assert reply.status == 403 or reply.data["message"]["from"] == mallory, reply
