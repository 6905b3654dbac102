"""JSON Web Tokens made by hand, so that a test can also make the wrong ones."""
import base64
import hashlib
import hmac
import json
import time

SECRET = "a-secret-of-the-test-suite-with-more-than-32-bytes"


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(header, claims, secret=SECRET):
    """Header and claims as given, signed with HMAC-SHA256 whatever the header says."""
    return sign_text(".".join(base64url(json.dumps(part).encode()) for part in (header, claims)), secret)


def sign_text(text, secret=SECRET):
    """`header.payload` as it is, with its signature."""
    key = secret if isinstance(secret, bytes) else secret.encode()
    return f"{text}.{base64url(hmac.new(key, text.encode(), hashlib.sha256).digest())}"


def claims_of(text):
    """The claims of a token, unchecked."""
    part = text.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def token(user, tenant="default", roles=(), ttl=3600, secret=SECRET, **claims):
    """A token for user; further claims as keywords, None leaves a claim out (exp=None: no expiry)."""
    now = int(time.time())
    body = {"sub": user, "iat": now, "exp": now + ttl, "tenant": tenant, "roles": list(roles), **claims}
    given = {key: value for key, value in body.items() if value is not None}
    return sign({"alg": "HS256", "typ": "JWT"}, given, secret)
