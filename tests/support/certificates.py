"""Certificates for servers under test, made by the openssl command."""
import ssl
import subprocess
from pathlib import Path


class Certificate:
    """A self-signed certificate for 127.0.0.1 and its key, as two PEM files. kind: "ec" or "rsa"."""

    def __init__(self, directory, name="one", kind="ec"):
        self.name = name
        self.path = Path(directory) / f"{name}.cert.pem"
        self.key = Path(directory) / f"{name}.key.pem"
        algorithm = {"ec": ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"], "rsa": ["rsa:2048"]}[kind]
        subprocess.run(["openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-days", "2", "-subj", f"/CN={name}",
                        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", self.key,
                        "-out", self.path], check=True, capture_output=True)

    @property
    def settings(self):
        return {"http.tls.cert": self.path, "http.tls.key": self.key}

    def context(self):
        """A client's, that trusts nothing else."""
        context = ssl.create_default_context(cafile=self.path)
        context.set_alpn_protocols(["http/1.1"])
        return context
