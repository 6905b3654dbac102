"""Role `admin` revokes users, sessions and single tokens: at every door, at once, and after a restart."""
import asyncio
import time
from urllib.parse import quote

import pytest

from support import tokens
from support.client import Client, assert_error
from support.names import new_id, unique, uniques
from support.raw import RawSocket, upgrade_request
from support.rest import assert_refused, assert_success


def admin(server, tenant="default"):
    return server.token("root", tenant=tenant, roles=["admin"])


def revoke(server, tenant="default", **what):
    return assert_success(server.api("POST", "/admin/revocations", admin(server, tenant), what), 201)["revocation"]


def newer(user, **claims):
    """A token that can show that it was issued after a revocation of now: not in the same second."""
    return tokens.token(user, iat=int(time.time()) + 2, **claims)


async def assert_refused_everywhere(server, token, live):
    """At the upgrade, in register, in refresh of the live connection (a client of the same user), over REST."""
    with RawSocket(server.port) as socket:
        headers = [("Authorization", f"Bearer {token}")]
        assert socket.ask(upgrade_request("/api/v1/ws/connect", server.port, headers)).status == 401
    assert_refused(server.api("GET", "/conversations", token), 401, "unauthorized")
    assert_refused(server.get(f"/api/v1/conversations?token={token}"), 401, "unauthorized")
    late = await Client(server, live.user, auth=None, path="/ws").open()
    await late.send(type="register", token=token)
    assert_error(await late.recv("error"), "unauthorized")
    await late.closed(4001)
    await live.send(type="refresh", token=token)
    assert_error(await live.recv("error"), "unauthorized")
    await live.closed(4001)


async def test_a_user(server):
    alice, bob = uniques("alice", "bob")
    old = server.token(alice)
    phone = await server.connect(alice, "phone", token=old)
    late = await Client(server, alice, auth=None, path="/ws", device_id="tv").open()
    await late.send(type="register", token=old)
    await late.recv("registered")
    other = await server.connect(bob)
    elsewhere = await server.connect(alice, tenant="elsewhere")
    revocation = revoke(server, user_id=alice)
    assert revocation["user_id"] == alice and revocation["id"] > 0
    assert abs(revocation["revoked_at"] - time.time() * 1000) < 60_000
    assert_refused(server.api("GET", "/conversations", old), 401, "unauthorized")
    await asyncio.gather(phone.closed(4006), late.closed(4006))
    await other.settle()
    await elsewhere.settle()  # the same id in another tenant is somebody else
    again = await server.connect(alice, token=newer(alice))
    await assert_refused_everywhere(server, old, again)


async def test_a_token_without_iat_goes_with_its_user(server):
    alice = unique("alice")
    token = server.token(alice, iat=None)
    client = await server.connect(alice, token=token)
    revoke(server, user_id=alice)
    await client.closed(4006)
    assert_refused(server.api("GET", "/conversations", token), 401, "unauthorized")


async def test_a_session(server):
    alice = unique("alice")
    made = assert_success(server.api("POST", "/sessions", alice, {"device_id": "phone"}), 201)
    session = made["session"]["session_id"]
    phone = await server.connect(alice, token=made["token"])
    assert phone.welcome["session_id"] == session
    laptop = await server.connect(alice, "laptop")
    # A token of the session that opened another one goes too.
    stray = await server.connect(alice, "tv", token=made["token"], session_id=laptop.welcome["session_id"])
    revoke(server, session_id=session)
    await asyncio.gather(phone.closed(4006), stray.closed(4006))
    while assert_success(server.api("GET", f"/sessions/{session}", alice))["session"]["status"] != "inactive":
        await asyncio.sleep(0.02)  # it is closed as by its own call, beside the connections
    await laptop.settle()
    live = await server.connect(alice, "tablet")
    await assert_refused_everywhere(server, made["token"], live)


async def test_one_token(server):
    alice = unique("alice")
    bad, good = new_id(), new_id()
    stolen, kept = server.token(alice, jti=bad), server.token(alice, jti=good)
    thief, phone = await server.connect(alice, "thief", token=stolen), await server.connect(alice, "phone", token=kept)
    moved = await server.connect(alice, "tablet", token=kept)
    await moved.send(type="refresh", token=stolen)
    await moved.recv("refreshed")
    revoke(server, jti=bad)
    await asyncio.gather(thief.closed(4006), moved.closed(4006))
    await phone.settle()
    await assert_refused_everywhere(server, stolen, phone)


async def test_is_confined_to_the_tenant_of_the_admin(server):
    alice, red = uniques("alice", "red")
    jti = new_id()
    client = await server.connect(alice, token=server.token(alice, jti=jti))
    made = assert_success(server.api("POST", "/sessions", alice, {}), 201)
    for what in ({"user_id": alice}, {"jti": jti}, {"session_id": made["session"]["session_id"]}):
        revoke(server, red, **what)
    await client.settle()
    assert server.api("GET", "/conversations", made["token"]).status == 200
    assert server.api("GET", "/conversations", client.token).status == 200


@pytest.mark.parametrize("method,path", [("POST", "/admin/revocations"), ("GET", "/admin/audit")])
def test_is_for_the_role_admin_only(server, method, path):
    alice = unique("alice")
    body = {"user_id": "x"} if method == "POST" else None
    assert_refused(server.api(method, path, None, body), 401, "unauthorized")
    for roles, headers in (([], None), (["service"], None), (["service"], {"Tidemark-User": "root"}), (["Admin"], None)):
        token = server.token(alice, roles=roles)
        assert_refused(server.api(method, path, token, body, headers), 403, "forbidden")
        # Before the fields are looked at.
        assert_refused(server.api(method, path, token, {} if body else None, headers), 403, "forbidden")


@pytest.mark.parametrize("body,code,field", [
    ({}, "missing_field", "user_id"),
    ({"user_id": "a", "jti": "b"}, "invalid_field", "jti"),
    ({"user_id": 7}, "invalid_field", "user_id"),
    ({"session_id": ""}, "invalid_field", "session_id"),
    ({"jti": "x" * 129}, "invalid_field", "jti"),
    ({"jti": "x", "expires_at": "soon"}, "invalid_field", "expires_at"),
    ({"jti": "x", "expires_at": 1_000_000_000_000}, "invalid_field", "expires_at"),
])
def test_fields(server, body, code, field):
    reply = server.api("POST", "/admin/revocations", admin(server), body)
    assert_refused(reply, 400, code)
    assert reply.json["field"] == field


def test_what_was_made_with_a_token_is_as_old_as_it(server):
    """Else it would outlive a revocation that stops the token it was made with."""
    alice, issued = unique("alice"), int(time.time()) - 3000
    old, timeless = server.token(alice, iat=issued), server.token(alice, iat=None)
    made = assert_success(server.api("POST", "/sessions", old, {}), 201)
    assert tokens.claims_of(made["token"])["iat"] == issued
    made = assert_success(server.api("POST", "/sessions", timeless, {}), 201)
    assert tokens.claims_of(made["token"]).get("iat", 0) == 0
    service = server.token("root", roles=["service"], iat=issued)
    made = assert_success(server.api("POST", "/sessions", service, {}, {"Tidemark-User": alice}), 201)
    assert tokens.claims_of(made["token"])["iat"] > issued  # a service makes them for others, on its own account


def test_a_second_one_of_the_same_token_does_not_shorten_the_first(own_server):
    server = own_server()
    now = int(time.time() * 1000)
    first = revoke(server, jti="a", expires_at=now + 1_000_000)
    second = revoke(server, jti="a", expires_at=now + 1000)
    assert second["id"] > first["id"] and second["forgotten_at"] == first["forgotten_at"]
    server.stop()
    server.restart()
    third = revoke(server, jti="a", expires_at=now + 2000)
    assert third["forgotten_at"] == first["forgotten_at"]


async def test_outlives_a_crash(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    jti = new_id()
    old, single = server.token(alice), server.token(bob, jti=jti)
    made = assert_success(server.api("POST", "/sessions", bob, {}), 201)
    last = [revoke(server, user_id=alice), revoke(server, jti=jti),
            revoke(server, session_id=made["session"]["session_id"])][-1]
    server.kill()
    server.restart()
    for token in (old, single, made["token"]):
        assert_refused(server.api("GET", "/conversations", token), 401, "unauthorized")
    assert server.api("GET", "/conversations", bob).status == 200
    assert server.metrics()["tidemark_revocations"] == 3
    assert revoke(server, user_id=bob)["id"] > last["id"]
    listed = assert_success(server.api("GET", "/admin/audit", admin(server)))["audit"]
    assert len(listed) == 4


def test_one_more_than_the_limit(own_server):
    server = own_server({"limits.revocations": 2})
    revoke(server, jti="a")
    revoke(server, jti="b")
    assert_refused(server.api("POST", "/admin/revocations", admin(server), {"jti": "c"}), 413, "too_large")
    revoke(server, jti="b")


async def test_is_forgotten_when_its_tokens_have_expired(own_server):
    server = own_server()
    revocation = revoke(server, jti="a", expires_at=int(time.time() * 1000) - 58_000)  # 60 s of leeway
    revoke(server, jti="b")
    assert 0 < revocation["forgotten_at"] - revocation["revoked_at"] <= 2000
    while server.metrics()["tidemark_revocations"] != 1:
        await asyncio.sleep(0.05)


def test_with_a_longest_life_of_tokens_everything_is_forgotten_some_time(own_server):
    server = own_server({"auth.token_ttl_max": "1h", "session.ttl_max": "1h", "session.ttl": "1h"})
    revocation = revoke(server, user_id="alice")
    assert revocation["forgotten_at"] - revocation["revoked_at"] == 3_600_000 + 120_000
    assert server.api("GET", "/conversations", server.token("bob", ttl=3600)).status == 200
    for token in (server.token("bob", ttl=3601), server.token("bob", iat=None)):
        assert_refused(server.api("GET", "/conversations", token), 401, "unauthorized")


async def test_every_change_is_in_the_audit_log(server):
    red, boss, alice = uniques("red", "boss", "alice")
    token = server.token(boss, tenant=red, roles=["admin"])
    for body in ({"user_id": alice}, {"jti": "j-1", "expires_at": int(time.time() * 1000) + 60_000}, {"session_id": "s-1"}):
        assert_success(server.api("POST", "/admin/revocations", token, body), 201)
    assert_refused(server.api("POST", "/admin/revocations", token, {}), 400, "missing_field")
    first = assert_success(server.api("GET", "/admin/audit?limit=2", token))
    assert first["has_more"] is True and len(first["audit"]) == 2
    rest = assert_success(server.api("GET", f"/admin/audit?limit=2&cursor={first['cursor']}", token))
    assert rest["has_more"] is False and "cursor" not in rest
    records = first["audit"] + rest["audit"]
    assert [each["target"] for each in records] == ["session s-1", "token j-1", f"user {alice}"]
    assert all((each["actor"], each["action"], each["address"]) == (boss, "revocation.create", "127.0.0.1")
               for each in records)
    assert records[2]["details"] == {"user_id": alice}
    assert server.log_text().count(f'audit action="revocation.create" target="user {alice}" actor="{boss}"') == 1
    assert assert_success(server.api("GET", "/admin/audit", admin(server, unique("blue"))))["audit"] == []
    for bad in ("x", "0", "-1", "9" * 30):
        assert server.api("GET", f"/admin/audit?cursor={quote(bad)}", token).status == 400
