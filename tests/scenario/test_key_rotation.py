"""Keys change while the node runs: two secrets during a rotation, another JWK set, SIGHUP."""
import signal
import time

import pytest

from support import tokens
from support.client import assert_error
from support.keypairs import KeyPair, jwks
from support.names import unique, uniques
from support.server import Server

OLD, NEW, NONE = "old-" * 10, "new-" * 10, "nobody-has-this-" * 3


@pytest.fixture
def rotating(tmp_path):
    """A server whose keys are in files: rotating(secret=…, previous=…, jwks=…)."""
    servers = []

    def start(**files):
        server = Server(tmp_path)
        del server.settings["auth.hs256_secret"]
        keys = {"secret": "auth.hs256_secret_file", "previous": "auth.hs256_secret_previous_file", "jwks": "auth.jwks_file"}
        for name, content in files.items():
            (tmp_path / name).write_text(content)
            server.settings[keys[name]] = tmp_path / name
        servers.append(server)
        return server.start()

    yield start
    for server in servers:
        server.stop()


def reload(server, outcome="node.reloaded", **files):
    before, deadline = server.log_text().count(outcome), time.monotonic() + 20
    for name, content in files.items():
        (server.directory / name).write_text(content)
    server.process.send_signal(signal.SIGHUP)
    while server.log_text().count(outcome) == before:
        assert time.monotonic() < deadline, server.log_tail()
        time.sleep(0.01)


def accepted(server, token):
    status = server.get("/api/v1/conversations", {"Authorization": f"Bearer {token}"}).status
    assert status in (200, 401)
    return status == 200


async def test_two_secrets_during_a_rotation(rotating):
    server = rotating(secret=OLD, previous=NONE)
    alice, bob = uniques("alice", "bob")
    old, new = tokens.token(alice, secret=OLD), tokens.token(alice, secret=NEW)
    assert accepted(server, old) and not accepted(server, new)
    live = await server.connect(alice, "phone", token=old)
    made = server.api("POST", "/sessions", old, {}).data

    reload(server, secret=NEW, previous=OLD)
    assert accepted(server, old) and accepted(server, new)
    await server.connect(alice, "laptop", token=old)

    reload(server, previous=NONE)
    assert accepted(server, new) and not accepted(server, old)
    # What is open was let in with a key that was good; it ends by its token's exp, or by a revocation.
    await live.settle()
    assert accepted(server, made["token"]), "session tokens are signed with the store's own key"
    await live.send(type="refresh", token=new)
    await live.recv("refreshed")
    await live.send(type="refresh", token=old)
    assert_error(await live.recv("error"), "unauthorized")
    await live.closed(4001)
    assert (await server.connect(bob, token=tokens.token(bob, secret=NEW))).welcome["user_id"] == bob


async def test_another_jwk_set(rotating):
    first, second = KeyPair("RS256", "first"), KeyPair("EdDSA", "second")
    server = rotating(secret=NEW, jwks=jwks(first))
    alice = unique("alice")
    claims = {"sub": alice, "exp": int(time.time()) + 600}
    old, new = first.token(claims), second.token(claims)
    assert accepted(server, old) and not accepted(server, new)
    live = await server.connect(alice, token=old)

    reload(server, jwks=jwks(first, second))
    assert accepted(server, old) and accepted(server, new)

    reload(server, jwks=jwks(second))
    assert accepted(server, new) and not accepted(server, old)
    await live.settle()
    assert accepted(server, tokens.token(alice, secret=NEW))


@pytest.mark.parametrize("broken", ["", "{", "[]", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"AAAA","kid":"x"}]}'])
def test_a_broken_file_changes_nothing_and_is_logged(rotating, broken):
    pair = KeyPair("EdDSA", "a")
    server = rotating(secret=OLD, jwks=jwks(pair))
    token = pair.token({"sub": "alice", "exp": int(time.time()) + 600})
    reload(server, "error node.reload_failed", jwks=broken, secret=NEW)
    assert accepted(server, token)
    assert accepted(server, tokens.token("alice", secret=OLD)) and not accepted(server, tokens.token("alice", secret=NEW))
    reload(server, jwks=jwks(pair))
    assert accepted(server, token) and accepted(server, tokens.token("alice", secret=NEW))


def test_a_missing_file_and_a_short_secret_change_nothing(rotating):
    pair = KeyPair("EdDSA", "a")
    server = rotating(secret=OLD, jwks=jwks(pair))
    token = pair.token({"sub": "alice", "exp": int(time.time()) + 600})
    (server.directory / "jwks").unlink()
    reload(server, "error node.reload_failed")
    assert accepted(server, token)
    reload(server, "error node.reload_failed", jwks=jwks(pair), secret="short")
    assert accepted(server, token) and accepted(server, tokens.token("alice", secret=OLD))
    assert "short" not in server.log_text()
