"""Tokens: where they are accepted, which are refused, and what becomes of a live connection."""
import asyncio
import time

import pytest
import websockets

from support import tokens
from support.names import unique, uniques
from support.raw import RawSocket, upgrade_request
from support.rest import assert_refused


@pytest.mark.parametrize("auth", ["header", "query", "subprotocol"])
async def test_token_is_accepted_in(server, auth):
    alice = unique("alice")
    client = await server.connect(alice, auth=auth)
    assert client.welcome["user_id"] == alice
    assert client.ws.subprotocol == ("tidemark.v1" if auth == "subprotocol" else None)


async def test_token_is_accepted_in_the_query_of_rest(server):
    token = server.token(unique("alice"))
    assert server.get(f"/api/v1/conversations?token={token}").status == 200


def broken_tokens():
    now = int(time.time())
    claims = {"sub": "mallory", "exp": now + 600}
    good = tokens.sign({"alg": "HS256"}, claims)
    head, body, signature = good.split(".")
    none = tokens.base64url(b'{"alg":"none"}')
    changed = tokens.base64url(b'{"sub":"root","exp":%d}' % (now + 600))
    return {
        "missing": None,
        "empty": "",
        "garbage": "not.a.token",
        "two parts": f"{head}.{body}",
        "other secret": tokens.token("mallory", secret="x" * 40),
        "no signature": f"{head}.{body}.",
        "changed body": f"{head}.{changed}.{signature}",
        "alg none": f"{none}.{body}.",
        "alg none, signed": tokens.sign({"alg": "none"}, claims),
        "alg RS256, signed with the secret": tokens.sign({"alg": "RS256"}, claims),
        "alg HS512": tokens.sign({"alg": "HS512"}, claims),
        "alg hs256": tokens.sign({"alg": "hs256"}, claims),
        "no alg": tokens.sign({"typ": "JWT"}, claims),
        "crit": tokens.sign({"alg": "HS256", "crit": ["x"], "x": 1}, claims),
        "no sub": tokens.token("mallory", sub=None),
        "empty sub": tokens.token(""),
        "long sub": tokens.token("x" * 129),
        "control character in sub": tokens.token("a\nb"),
        "sub is a number": tokens.token("mallory", sub=7),
        "no exp": tokens.token("mallory", exp=None),
        "exp is text": tokens.token("mallory", exp=str(now + 600)),
        "expired": tokens.token("mallory", ttl=-120),
        "not yet valid": tokens.token("mallory", nbf=now + 120),
        "tenant is a number": tokens.token("mallory", tenant=7),
        "longer than 8 KiB": tokens.token("mallory", name="x" * 9000),
    }


@pytest.mark.parametrize("name", broken_tokens())
def test_wrong_token_is_refused_with_401_before_the_upgrade(server, name):
    token = broken_tokens()[name]
    headers = [] if token is None else [("Authorization", f"Bearer {token}")]
    with RawSocket(server.port) as socket:
        answer = socket.ask(upgrade_request("/api/v1/ws/connect", server.port, headers))
        allowed = {401, 431} if name.startswith("longer") else {401}
        assert answer.status in allowed, answer
        assert answer.headers["connection"].lower() == "close"
        assert socket.at_end()
    if not name.startswith("longer"):
        reply = server.get("/api/v1/conversations", dict(headers))
        assert_refused(reply, 401, "unauthorized")


def test_sixty_seconds_of_skew_are_allowed(server):
    alice, now = unique("alice"), int(time.time())
    for token in (tokens.token(alice, ttl=-30), tokens.token(alice, nbf=now + 30), tokens.token(alice, iat=now + 30)):
        assert server.get("/api/v1/conversations", {"Authorization": f"Bearer {token}"}).status == 200


def test_scheme_is_case_insensitive_and_must_be_bearer(server):
    token = server.token(unique("alice"))
    assert server.get("/api/v1/conversations", {"Authorization": f"bearer {token}"}).status == 200
    assert server.get("/api/v1/conversations", {"Authorization": f"Basic {token}"}).status == 401


async def briefly(server, user, device=None, ttl=1, refresh=False):
    """A connection whose token ends soon, and the seconds that it was made for: longer where this machine is too slow."""
    while True:
        try:
            client = await server.connect(user, device, ttl=ttl)
            if refresh:
                await client.send(type="refresh", token=server.token(user))
                assert (await client.recv("refreshed"))["timestamp"] > 10**12
            return client, ttl
        except (websockets.WebSocketException, ConnectionError):
            ttl *= 2


async def test_expiry_closes_a_live_connection_and_refresh_prevents_it(server):
    alice, bob = uniques("alice", "bob")
    refreshed, seconds = await briefly(server, bob, "phone", ttl=2, refresh=True)
    expiring, _ = await briefly(server, alice, "phone", ttl=seconds)  # not before the other's first token
    await expiring.closed(4104, timeout=10 + 2 * seconds)
    later, _ = await briefly(server, alice, "laptop")
    await later.closed(4104)
    await refreshed.settle()


@pytest.mark.parametrize("change", [{"user": "mallory"}, {"tenant": "elsewhere"}])
async def test_refresh_as_somebody_else_closes_with_4001(server, change):
    alice = unique("alice")
    client = await server.connect(alice)
    other = tokens.token(change.get("user", alice), tenant=change.get("tenant", "default"))
    await client.send(type="refresh", token=other)
    await client.closed(4001)


async def test_welcome_says_what_a_client_needs(server):
    alice = unique("alice")
    client = await server.connect(alice, "phone")
    welcome = client.welcome
    assert (welcome["user_id"], welcome["tenant_id"], welcome["device_id"]) == (alice, "default", "phone")
    for field in ("message", "client_id", "session_id", "node", "epoch"):
        assert isinstance(welcome[field], str) and welcome[field], field
    assert abs(welcome["timestamp"] - time.time() * 1000) < 60_000
    assert welcome["heartbeat"] == {"interval_ms": 30_000, "timeout_ms": 90_000}
    assert welcome["limits"] == {"frame_bytes": 512 << 10, "content_bytes": 256 << 10, "replay_entries": 1000,
                                 "inflight": 256, "streams": 10000}
    assert set(welcome["resume"]) >= {"streams", "entries"}
    await client.synced()


async def test_many_devices_expire_each_at_their_own_time(server):
    users = uniques(*["user"] * 20)
    connected = await asyncio.gather(*[briefly(server, user, ttl=1 + number % 2) for number, user in enumerate(users)])
    await asyncio.gather(*[client.closed(4104, timeout=10 + 2 * seconds) for client, seconds in connected])
