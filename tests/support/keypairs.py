"""Key pairs of the openssl command: JWKs for the server, signatures for tokens."""
import json
import subprocess
import tempfile
from pathlib import Path

from support.tokens import base64url


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, check=True).stdout


class KeyPair:
    """kind: "RS256" or "EdDSA"."""

    def __init__(self, kind, kid):
        self.kind, self.kid = kind, kid
        options = {"RS256": ["rsa", "-pkeyopt", "rsa_keygen_bits:2048"], "EdDSA": ["ed25519"]}[kind]
        self.private = openssl("genpkey", "-algorithm", *options)

    def public(self, form="PEM"):
        return openssl("pkey", "-pubout", "-outform", form, data=self.private)

    def jwk(self):
        if self.kind == "EdDSA":
            return {"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": base64url(self.public("DER")[-32:])}
        modulus = openssl("rsa", "-modulus", "-noout", data=self.private).decode().split("=")[1].strip()
        return {"kty": "RSA", "kid": self.kid, "n": base64url(bytes.fromhex(modulus)), "e": "AQAB"}

    def sign(self, text):
        with tempfile.TemporaryDirectory() as directory:
            key, data = Path(directory) / "key", Path(directory) / "data"
            key.write_bytes(self.private)
            data.write_bytes(text)
            if self.kind == "EdDSA":
                return openssl("pkeyutl", "-sign", "-rawin", "-inkey", key, "-in", data)
            return openssl("dgst", "-sha256", "-sign", key, data)

    def token(self, claims, **header):
        head = {"alg": self.kind, "kid": self.kid, **header}
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
        return f"{signed}.{base64url(self.sign(signed.encode()))}"


def jwks(*pairs):
    return json.dumps({"keys": [pair.jwk() for pair in pairs]})
