"""SIGHUP: a running node takes over other limits, and says which keys wait for a restart."""
import signal
import time

from support.names import text, unique, uniques
from support.raw import RawSocket, upgrade_request
from support.rest import assert_refused


def upgrade_status(server):
    with RawSocket(server.port) as socket:
        headers = [("Authorization", f"Bearer {server.token(unique('user'))}")]
        return socket.ask(upgrade_request("/api/v1/ws/connect", server.port, headers)).status


async def test_limits_change_while_the_node_runs(own_server):
    server = own_server(file={"limits.messages_per_second": 1, "limits.messages_burst": 2, "limits.connections": 1000,
                              "limits.connections_per_user": 20, "limits.members": 10, "limits.watches": 10,
                              "limits.connections_per_ip": 0, "limits.handshakes_per_second": 0})
    alice, bob = uniques("alice", "bob")
    client = await server.connect(alice)
    await client.say(bob)
    await client.say(bob)
    await client.refused("rate_limited", type="message", to=bob, content=text())
    server.reload(**{"limits.messages_per_second": 1000, "limits.messages_burst": 1000})
    for _ in range(20):
        await client.say(bob)

    server.reload(**{"limits.connections_per_user": 1})
    assert server.raw(alice, query="?device_id=two").read_close().code == 4007
    await client.settle()  # who is there stays

    server.reload(**{"limits.connections_per_ip": 1})
    assert upgrade_status(server) == 503
    server.reload(**{"limits.connections_per_ip": 0, "limits.connections": 1})
    assert upgrade_status(server) == 503
    server.reload(**{"limits.connections": 1000, "limits.handshakes_per_second": 1})
    assert 503 in [upgrade_status(server) for _ in range(5)]
    server.reload(**{"limits.handshakes_per_second": 0})
    assert upgrade_status(server) == 101

    server.reload(**{"limits.members": 2, "limits.watches": 1})
    reply = server.api("POST", "/conversations", alice, {"title": "x", "members": uniques("a", "b")})
    assert_refused(reply, 400, "invalid_field")
    await client.refused("invalid_field", type="watch", users=["one", "two"])
    await client.settle()


async def test_limits_may_be_raised_above_what_the_node_began_with(own_server):
    server = own_server(file={"limits.members": 2, "limits.watches": 1})
    alice, *others = uniques("alice", "bob", "carol", "dave")
    group = {"title": "x", "members": others}
    client = await server.connect(alice)
    assert_refused(server.api("POST", "/conversations", alice, group), 400, "invalid_field")
    await client.refused("invalid_field", type="watch", users=others)
    server.reload(**{"limits.members": 4, "limits.watches": 3})
    assert server.api("POST", "/conversations", alice, group).status == 201
    await client.send(type="watch", users=others)
    for other in others:
        await client.recv("presence", user_id=other)
    schema = server.get("/openapi.json").json["paths"]["/api/v1/conversations"]["post"]["requestBody"]["content"]
    assert schema["application/json"]["schema"]["properties"]["members"]["maxItems"] == 4


async def test_keys_that_wait_for_a_restart_are_named(own_server):
    server = own_server(file={"storage.readers": 2, "limits.queue": "1MiB"})
    server.reload(**{"storage.readers": 3, "limits.queue": "2MiB"})
    lines = [line for line in server.log_text().splitlines() if "node.needs_restart" in line]
    assert len(lines) == 1 and 'key="storage.readers"' in lines[0], lines


async def test_a_broken_file_changes_nothing(own_server):
    server = own_server(file={"limits.messages_burst": 2, "limits.messages_per_second": 1})
    alice, bob = uniques("alice", "bob")
    client = await server.connect(alice)
    server.write_file({"limits.messages_burst": "many", "limits.messages_per_second": 100000})
    server.process.send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 10
    while "node.reload_failed" not in server.log_text():
        assert time.monotonic() < deadline, server.log_tail()
    await client.say(bob)
    await client.say(bob)
    await client.refused("rate_limited", type="message", to=bob, content=text())
