"""/ws: a connection that says who it is after the upgrade."""
from support.client import assert_error
from support.names import text, unique, uniques


async def unregistered(server, **options):
    return await server.connect("nobody", auth=None, path="/ws", **options)


async def test_register_with_a_token(server):
    alice, bob = uniques("alice", "bob")
    client = await unregistered(server)
    await client.send(type="register", token=server.token(alice), device_id="phone")
    registered = await client.recv("registered")
    assert registered["content"] == "Successfully registered"
    assert (registered["user_id"], registered["tenant_id"], registered["device_id"]) == (alice, "default", "phone")
    for field in ("client_id", "session_id", "epoch", "node", "heartbeat", "limits", "resume", "timestamp"):
        assert registered[field], field
    await client.synced()
    b = await server.connect(bob)
    sent = await b.say(alice)
    assert (await client.recv("message"))["seq"] == sent["seq"]
    assert (await client.say(bob))["seq"] == sent["seq"] + 1


async def test_register_gets_what_was_missed(server):
    alice, bob = uniques("alice", "bob")
    b = await server.connect(bob)
    chat = (await b.say_many(3, to=alice))[0]["conversation_id"]
    client = await unregistered(server, device_id="phone")
    await client.send(type="register", token=server.token(alice), device_id="phone")
    await client.recv("registered")
    await client.synced()
    assert client.pushed(chat) == [1, 2, 3]


async def test_token_at_the_upgrade_needs_no_register(server):
    alice = unique("alice")
    client = await server.connect(alice, "phone", path="/ws")
    assert client.welcome["user_id"] == alice
    await client.synced()


async def test_dev_mode_registers_a_bare_user_id(server):
    for field in ("user_id", "userId"):
        user = unique("dev")
        client = await unregistered(server)
        await client.send(type="register", **{field: user})
        assert (await client.recv("registered"))["user_id"] == user


async def test_ping_is_answered_before_register_and_nothing_else(server):
    client = await unregistered(server)
    await client.settle()
    commands = [
        {"type": "message", "to": "bob", "content": text()}, {"type": "history", "conversation_id": "x"},
        {"type": "sync", "event": "x", "data": {}},
    ]
    for command in commands:
        await client.refused("not_registered", **command)
    for command in ({"type": "watch", "users": ["bob"]}, {"type": "typing", "to": "bob", "is_typing": True},
                    {"type": "ack", "cursors": {}}, {"type": "read", "conversation_id": "x", "seq": 1}):
        await client.send(**command)
        assert_error(await client.recv("error"), "not_registered")
    await client.settle()


async def test_bad_token_closes_with_4001(server):
    client = await unregistered(server)
    await client.send(type="register", token=server.token(unique("alice"), secret="x" * 40))
    assert_error(await client.recv("error"), "unauthorized")
    await client.closed(4001)


async def test_second_register_is_forbidden_and_changes_nothing(server):
    alice, bob, mallory = uniques("alice", "bob", "mallory")
    client = await unregistered(server)
    await client.send(type="register", token=server.token(alice))
    await client.recv("registered")
    for token in (server.token(mallory), server.token(alice)):
        await client.send(type="register", token=token)
        assert_error(await client.recv("error"), "forbidden")
    receiver = await server.connect(bob)
    await client.say(bob)
    assert (await receiver.recv("message"))["from"] == alice


async def test_register_after_a_token_at_the_upgrade_is_forbidden(server):
    alice = unique("alice")
    client = await server.connect(alice)
    await client.send(type="register", token=server.token(alice))
    assert_error(await client.recv("error"), "forbidden")
    await client.settle()


async def test_nobody_registers_in_time(impatient_server):
    silent, pinging = await unregistered(impatient_server), await unregistered(impatient_server)
    await pinging.settle()  # a ping is not enough
    await silent.closed(4002)
    await pinging.closed(4002)


async def test_registered_connection_outlives_the_timeout(impatient_server):
    client = await unregistered(impatient_server)
    await client.send(type="register", token=impatient_server.token(unique("alice")))
    await client.recv("registered")
    late = await unregistered(impatient_server)
    await late.closed(4002)
    await client.settle()


async def test_a_session_token_opens_its_session_and_nothing_when_that_is_closed(server):
    alice = unique("alice")
    made = server.api("POST", "/sessions", alice, {"device_id": "phone"}).data
    session, token = made["session"]["session_id"], made["token"]
    client = await unregistered(server)
    await client.send(type="register", token=token)
    registered = await client.recv("registered")
    assert (registered["session_id"], registered["device_id"]) == (session, "phone")
    shown = server.api("GET", f"/sessions/{session}", alice).data["session"]
    assert shown["status"] == "active"
    server.api("DELETE", f"/sessions/{session}", alice)
    await client.closed(4006)
    late = await unregistered(server)
    await late.send(type="register", token=token)
    assert_error(await late.recv("error"), "unauthorized")
    await late.closed(4001)


async def test_the_session_of_a_registered_connection_knows_the_address(server):
    alice = unique("alice")
    client = await unregistered(server)
    await client.send(type="register", token=server.token(alice))
    session = (await client.recv("registered"))["session_id"]
    shown = server.api("GET", f"/sessions/{session}", alice).data["session"]
    assert shown["client_ip"] == "127.0.0.1" and shown["client_port"] > 0
