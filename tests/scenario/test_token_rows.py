"""Wrong tokens, each at every door. What RFC 8725 warns of, and what clients get wrong."""
import base64
import json
import time

import pytest

from support import tokens
from support.client import Client, assert_error
from support.keypairs import KeyPair, jwks
from support.names import unique
from support.raw import RawSocket, upgrade_request
from support.rest import assert_refused
from support.server import Server
from support.tokens import base64url

ISSUER, AUDIENCE = "https://id.example.com", "tidemark"
RSA, ED = KeyPair("RS256", "rsa"), KeyPair("EdDSA", "ed")
ATTACKER = KeyPair("RS256", "rsa")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokens")
    (directory / "jwks").write_text(jwks(RSA, ED))
    one = Server(directory, {"auth.jwks_file": directory / "jwks", "auth.issuer": ISSUER, "auth.audience": AUDIENCE}).start()
    yield one
    one.stop()


def claims(**changes):
    now = int(time.time())
    body = {"sub": "mallory", "iat": now, "exp": now + 600, "iss": ISSUER, "aud": AUDIENCE, **changes}
    return {name: value for name, value in body.items() if value is not None}


def hs256(header=None, **changes):
    return tokens.sign({"alg": "HS256", **(header or {})}, claims(**changes))


def raw(header, payload, secret=tokens.SECRET):
    """From JSON texts or bytes, signed with the secret."""
    encode = [base64url(part if isinstance(part, bytes) else part.encode()) for part in (header, payload)]
    return tokens.sign_text(".".join(encode), secret)


def text_with(member):
    return json.dumps(claims())[:-1] + "," + member + "}"


def of_size(size):
    """A good token of exactly that many bytes."""
    name = "x" * size
    head = {"typ": "JWT"}  # with it both sizes of the test exist: base64 of a whole number of bytes skips some
    while len(token := hs256(head, name=name)) > size:
        name = name[:len(name) - max(1, (len(token) - size) * 3 // 4)]
    while len(token := hs256(head, name=name)) < size:
        name += "x"
    assert len(token) == size
    return token


def good_tokens():
    now = int(time.time())
    return {
        "HS256": hs256(),
        "RS256": RSA.token(claims()),
        "EdDSA": ED.token(claims()),
        "typ JWT": hs256({"typ": "jwt"}),
        "typ of an access token": hs256({"typ": "at+jwt"}),
        "one audience of several": hs256(aud=["other", AUDIENCE]),
        "claims that nobody knows": hs256(scope="a b", azp=[1], nested={"a": {"b": []}}),
        "expired within the leeway": hs256(exp=now - 55),
        "not yet valid within the leeway": hs256(nbf=now + 55),
        "issued within the leeway": hs256(iat=now + 55),
        "times with a fraction": hs256(exp=now + 600.5, iat=now - 0.5),
        "no iat": hs256(iat=None),
    }


def wrong_tokens():
    now = int(time.time())
    good = hs256()
    head, body, signature = good.split(".")
    spare = signature[:-1] + chr(ord(signature[-1]) + 1)  # 32 bytes end in two spare bits
    rows = {f"alg {name}{how}": token
            for name in ("none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS384", "PS256", "ES256K", "hs256")
            for how, token in (("", tokens.sign({"alg": name}, claims())),
                               (" without a signature", f"{base64url(json.dumps({'alg': name}).encode())}.{body}."))}
    rows |= {
        # A public key is no secret.
        "HS256 with the public PEM": tokens.sign({"alg": "HS256"}, claims(), RSA.public()),
        "HS256 with the public PEM and its kid": tokens.sign({"alg": "HS256", "kid": "rsa"}, claims(), RSA.public()),
        "HS256 with the public DER": tokens.sign({"alg": "HS256"}, claims(), RSA.public("DER")),
        "HS256 with the modulus": tokens.sign({"alg": "HS256"}, claims(), RSA.jwk()["n"]),
        "HS256 with the raw key": tokens.sign({"alg": "HS256", "kid": "ed"}, claims(), ED.public("DER")[-32:]),
        "RS256 signed with the secret": tokens.sign({"alg": "RS256", "kid": "rsa"}, claims()),
        "EdDSA with the kid of the RSA key": ED.token(claims(), kid="rsa"),
        "RS256 of another key with our kid": ATTACKER.token(claims()),
        "HS256 with an empty secret": tokens.sign({"alg": "HS256"}, claims(), ""),
        "ES256 with a signature of zeros": f"{base64url(json.dumps({'alg': 'ES256'}).encode())}.{body}.{base64url(bytes(64))}",
        "kid of session tokens": hs256({"kid": "tidemark-session"}),
        "kid is a path": hs256({"kid": "../../../../dev/null"}),
        "kid is a path, empty secret": tokens.sign({"alg": "HS256", "kid": "/dev/null"}, claims(), ""),
        "kid is SQL": hs256({"kid": "x' UNION SELECT 'secret' --"}),
        "kid is unknown": RSA.token(claims(), kid="other"),
        "kid is empty": RSA.token(claims(), kid=""),
        "kid is a number": RSA.token(claims(), kid=1),
        "kid with NUL": RSA.token(claims(), kid="rsa\0"),
        "jku": hs256({"jku": "http://127.0.0.1/jwks"}),
        "x5u": hs256({"x5u": "http://127.0.0.1/x5u"}),
        "x5c": hs256({"x5c": ["AAAA"]}),
        "jwk of the attacker": ATTACKER.token(claims(), jwk=ATTACKER.jwk()),
        "jwk of the attacker without kid": ATTACKER.token(claims(), jwk=ATTACKER.jwk(), kid=None),
        "crit": hs256({"crit": ["exp"]}),
        "empty crit": hs256({"crit": []}),
        "b64 false": hs256({"crit": ["b64"], "b64": False}),
        "typ of something else": hs256({"typ": "dpop+jwt"}),
        "typ is a number": hs256({"typ": 1}),
        "alg twice": raw('{"alg":"HS256","alg":"HS256"}', json.dumps(claims())),
        "alg twice, escaped": raw('{"alg":"none","\\u0061lg":"HS256"}', json.dumps(claims())),
        "header is an array": raw('["HS256"]', json.dumps(claims())),
        "sub twice": raw('{"alg":"HS256"}', text_with('"sub":"root"')),
        "sub twice, escaped": raw('{"alg":"HS256"}', text_with('"s\\u0075b":"root"')),
        "exp twice": raw('{"alg":"HS256"}', text_with('"exp":9999999999')),
        "tenant twice": raw('{"alg":"HS256"}', text_with('"tenant":"a","tenant":"b"')),
        "no sub": hs256(sub=None),
        "sub null": raw('{"alg":"HS256"}', json.dumps({**claims(), "sub": None})),
        "sub is a number": hs256(sub=7), "sub is a list": hs256(sub=["mallory"]), "sub is an object": hs256(sub={}),
        "sub is empty": hs256(sub=""), "sub is too long": hs256(sub="x" * 129), "sub with CR LF": hs256(sub="a\r\nb"),
        "sub is no UTF-8": raw('{"alg":"HS256"}', json.dumps(claims(sub="AAAA")).encode().replace(b"AAAA", b"\xff\xfe")),
        "sub is half a surrogate": raw('{"alg":"HS256"}', json.dumps(claims(sub="AAAA")).replace("AAAA", "\\ud800")),
        "no exp": hs256(exp=None), "exp null": raw('{"alg":"HS256"}', json.dumps({**claims(), "exp": None})),
        "exp is text": hs256(exp=str(now + 600)), "exp is true": hs256(exp=True), "exp is negative": hs256(exp=-1),
        "exp is zero": hs256(exp=0), "exp in milliseconds": hs256(exp=(now + 600) * 1000),
        "exp beyond 64 bits": raw('{"alg":"HS256"}', json.dumps(claims(exp=1)).replace('"exp": 1,', '"exp": 1e300,')),
        "exp is huge": raw('{"alg":"HS256"}', json.dumps(claims(exp=1)).replace('"exp": 1,', '"exp": 9223372036854775807,')),
        "expired": hs256(exp=now - 65),
        "not yet valid": hs256(nbf=now + 70), "nbf is text": hs256(nbf="0"),
        "issued in the future": hs256(iat=now + 70), "iat is text": hs256(iat="0"),
        "no iss": hs256(iss=None), "another iss": hs256(iss=ISSUER + "/"), "iss is a list": hs256(iss=[ISSUER]),
        "no aud": hs256(aud=None), "another aud": hs256(aud="Tidemark"), "no aud of the list": hs256(aud=["a", "b"]),
        "aud is empty": hs256(aud=[]), "aud is a number": hs256(aud=7),
        "tenant is a number": hs256(tenant=1), "tenant is empty": hs256(tenant=""), "roles is text": hs256(roles="admin"),
        "a role is a number": hs256(roles=[1]), "sid is a number": hs256(sid=1), "jti is empty": hs256(jti=""),
        "sid of no session": hs256(sid="there-is-none"),
        "payload is a list": raw('{"alg":"HS256"}', "[]"), "payload is text": raw('{"alg":"HS256"}', '"mallory"'),
        "payload is empty": raw('{"alg":"HS256"}', ""), "payload is too deep": raw('{"alg":"HS256"}', text_with('"a":' + "[" * 40 + "]" * 40)),
        "padding": good + "=", "padded parts": tokens.sign_text(pad(head) + "." + pad(body)),
        "spare bits": f"{head}.{body}.{spare}", "standard base64": tokens.sign_text(head + "." + standard(body)),
        "changed payload": f"{head}.{base64url(json.dumps(claims(sub='root')).encode())}.{signature}",
        "short signature": f"{head}.{body}.{signature[:-4]}", "no signature": f"{head}.{body}.",
        "another secret": tokens.sign({"alg": "HS256"}, claims(), "x" * 40),
        "two parts": f"{head}.{body}", "four parts": good + ".x", "five parts": good + ".x.y", "dots": "..", "text": "mallory",
        "more than 8 KiB": hs256(name="x" * 6200),
    }
    return rows


def pad(part):
    return part + "=" * (-len(part) % 4)


def standard(part):
    """In the other alphabet, with at least one character that differs."""
    payload = base64.urlsafe_b64decode(pad(part))[:-1] + b',"x":"\xc3\xbb\xc3\xbf\xc3\xbb\xc3\xbf"}'
    return base64.b64encode(payload).decode().rstrip("=")


class Doors:
    """Every way to present a token. Each gives True, False, or an assertion where the refusal is not the right one."""

    def __init__(self, server):
        self.server = server

    def upgrade(self, path, headers, token):
        with RawSocket(self.server.port) as socket:
            answer = socket.ask(upgrade_request(path, self.server.port, headers))
            if answer.status == 101:
                return True
            # A header of more than 8 KiB is refused as one; a subprotocol has an alphabet of its own.
            others = {431} if len(token) > 8000 else {400} if "=" in token or "/" in token else set()
            assert answer.status in {401} | others, answer
            assert answer.headers["connection"].lower() == "close" and socket.at_end()
            return False

    def at_the_upgrade_in_the_header(self, token):
        return self.upgrade("/api/v1/ws/connect", [("Authorization", f"Bearer {token}")], token)

    def at_the_upgrade_in_the_subprotocol(self, token):
        return self.upgrade("/ws", [("Sec-WebSocket-Protocol", f"tidemark.v1, bearer.{token}")], token)

    def at_the_upgrade_in_the_query(self, token):
        return self.upgrade(f"/api/v1/ws/connect?token={token}", [], token)

    def rest(self, path, headers, token):
        reply = self.server.get(path, headers)
        if reply.status == 200:
            return True
        if reply.status not in (431,) or len(token) < 8000:
            assert_refused(reply, 401, "unauthorized")
        return False

    def over_rest_in_the_header(self, token):
        return self.rest("/api/v1/conversations", {"Authorization": f"Bearer {token}"}, token)

    def over_rest_in_the_query(self, token):
        return self.rest(f"/api/v1/conversations?token={token}", None, token)

    @staticmethod
    async def accepted(client, token, answer):
        """Whether the client gets that answer; otherwise it has to be refused, and closed for its token."""
        await client.until(lambda: client.find(answer) or client.find("error"))
        if client.find(answer):
            await client.drop()
            return True
        assert_error(client.find("error")[0], "invalid_field" if len(token) > 8192 else "unauthorized")
        if len(token) <= 8192:
            await client.closed(4001)
        else:
            await client.drop()
        return False

    async def in_register(self, token):
        client = await Client(self.server, "mallory", auth=None, path="/ws").open()
        await client.send(type="register", token=token)
        return await self.accepted(client, token, "registered")

    async def in_refresh(self, token):
        client = await Client(self.server, "mallory", token=hs256()).open()
        await client.send(type="refresh", token=token)
        return await self.accepted(client, token, "refreshed")

    async def all(self, token):
        return {"upgrade, header": self.at_the_upgrade_in_the_header(token),
                "upgrade, subprotocol": self.at_the_upgrade_in_the_subprotocol(token),
                "upgrade, query": self.at_the_upgrade_in_the_query(token),
                "REST, header": self.over_rest_in_the_header(token),
                "REST, query": self.over_rest_in_the_query(token),
                "register": await self.in_register(token),
                "refresh": await self.in_refresh(token)}


@pytest.mark.parametrize("name", good_tokens())
async def test_a_good_token_is_good_at_every_door(server, name):
    found = await Doors(server).all(good_tokens()[name])
    assert set(found.values()) == {True}, found


@pytest.mark.parametrize("name", wrong_tokens())
async def test_a_wrong_token_is_wrong_at_every_door(server, name):
    found = await Doors(server).all(wrong_tokens()[name])
    assert set(found.values()) == {False}, found


async def test_eight_kibibytes_are_the_most(server):
    """In a frame, where no header limit is in the way."""
    doors = Doors(server)
    assert await doors.in_register(of_size(8192)) is True
    assert await doors.in_register(of_size(8193)) is False
    assert await doors.in_refresh(of_size(8192)) is True
    assert await doors.in_refresh(of_size(8193)) is False


async def test_a_session_token_of_another_store_is_wrong(server, own_server):
    other = own_server()
    alice = unique("alice")
    made = other.api("POST", "/sessions", other.token(alice), {}).data["token"]
    found = await Doors(server).all(made)
    assert set(found.values()) == {False}, found
