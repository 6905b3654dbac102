"""gRPC clients, generated from the .proto files when the tests run, as a client in another language would be."""
import atexit
import importlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from support import tokens
from support.server import ROOT

FOLDERS = [ROOT / "proto", ROOT / "tests" / "support" / "proto"]


def generate():
    """Python modules of every .proto file, in a temporary directory that is on the path from then on."""
    directory = tempfile.mkdtemp(prefix="tidemark-proto-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    files = [path for folder in FOLDERS for path in sorted(folder.glob("*.proto"))]
    subprocess.run(["protoc", *[f"-I{folder}" for folder in FOLDERS], f"--python_out={directory}",
                    f"--plugin=protoc-gen-grpc={shutil.which('grpc_python_plugin')}", f"--grpc_out={directory}",
                    *[str(path) for path in files]], check=True)
    sys.path.insert(0, directory)
    return [path.stem for path in files]


for _name in generate():
    globals()[_name] = importlib.import_module(f"{_name}_pb2")
    globals()[_name + "_stubs"] = importlib.import_module(f"{_name}_pb2_grpc")

session: Any = globals()["session"]  # so that a linter knows them
session_stubs: Any = globals()["session_stubs"]
statesync: Any = globals()["statesync"]
statesync_stubs: Any = globals()["statesync_stubs"]
health: Any = globals()["health"]
health_stubs: Any = globals()["health_stubs"]
reflection: Any = globals()["reflection"]
reflection_stubs: Any = globals()["reflection_stubs"]

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
DENIED = grpc.StatusCode.PERMISSION_DENIED
UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
FAILED = grpc.StatusCode.FAILED_PRECONDITION
EXISTS = grpc.StatusCode.ALREADY_EXISTS
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
OUT_OF_RANGE = grpc.StatusCode.OUT_OF_RANGE


class Refusal(NamedTuple):
    """How a call ended that was refused."""
    status: grpc.StatusCode
    code: Any      # of the table of errors, from the trailer; None: the refusal is gRPC's own
    field: Any
    text: str
    trailers: dict


def refusal_of(error):
    trailers = dict(error.trailing_metadata() or ())
    return Refusal(error.code(), trailers.get("tidemark-error"), trailers.get("tidemark-field"), error.details(), trailers)


class Caller:
    """A stub whose calls carry a token and end in time: caller.GetSession(session_id=…), keywords are fields."""

    def __init__(self, channel, stub, requests, token=None, timeout=15):
        self.stub, self.requests, self.timeout = stub(channel), requests, timeout
        self.metadata = [("authorization", f"Bearer {token}")] if token else []

    def request(self, method, **fields):
        return getattr(self.requests, method + "Request")(**fields)

    def call(self, method, request, timeout=None, metadata=()):
        return getattr(self.stub, method)(request, timeout=timeout or self.timeout, metadata=[*self.metadata, *metadata])

    def __getattr__(self, method):
        if not method[0].isupper():
            raise AttributeError(method)
        return lambda **fields: self.call(method, self.request(method, **fields))

    def refused(self, method, *expected, **fields):
        """The call must be refused: with this status, this code, and this field, as far as they are given."""
        return expect_refusal(lambda: self.call(method, self.request(method, **fields)), *expected)


def expect_refusal(call, *expected):
    try:
        answer = call()
    except grpc.RpcError as error:
        refusal = refusal_of(error)
        assert refusal[:len(expected)] == expected, refusal
        return refusal
    raise AssertionError(f"not refused: {answer}")


class Port:
    """One gRPC port of a server."""

    def __init__(self, port, credentials=None, options=()):
        target, options = f"127.0.0.1:{port}", list(options)
        self.channel = (grpc.secure_channel(target, credentials, options) if credentials else
                        grpc.insecure_channel(target, options))

    def sessions(self, user=None, token=None, **claims):
        """SessionService as `user`; without one with no token at all, which dev mode takes for service and admin."""
        token = token or (tokens.token(user, **claims) if user else None)
        return Caller(self.channel, session_stubs.SessionServiceStub, session, token)

    def documents(self, user=None, token=None, **claims):
        """StateSyncService, in the same way."""
        token = token or (tokens.token(user, **claims) if user else None)
        return Caller(self.channel, statesync_stubs.StateSyncServiceStub, statesync, token)

    def health(self, service=""):
        stub = health_stubs.HealthStub(self.channel)
        return stub.Check(health.HealthCheckRequest(service=service), timeout=15).status

    def raw(self, method, data, user=None, timeout=15):
        """A call whose message is these bytes; gives the bytes of the answer."""
        metadata = [("authorization", f"Bearer {tokens.token(user)}")] if user else []
        return self.channel.unary_unary(method)(data, timeout=timeout, metadata=metadata)

    def close(self):
        self.channel.close()


def port_of(server, name="session_grpc_port"):
    """The port that the system chose, from the line that the node wrote when it had started."""
    starts = server.starts
    deadline = time.monotonic() + 15
    while True:  # it is ready a moment before it says so
        lines = [line for line in server.log_text().splitlines() if "node.started" in line]
        if len(lines) >= starts:
            return int(lines[-1].split(f"{name}=")[1].split()[0])
        assert time.monotonic() < deadline, server.log_tail()
        time.sleep(0.01)
