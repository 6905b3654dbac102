"""Bytes that an idle WebSocket connection costs a server, in the clear or over TLS.

    /usr/bin/python3 tests/support/idle.py --pid PID --port PORT [--certificate PEM] [--connections 5000]

Opens that many connections, each of a user of its own (the server signs and checks with $TIDEMARK_AUTH_HS256_SECRET),
and prints the growth of the server's resident memory for each. A tenth is opened first and not counted.
"""
import argparse
import base64
import os
import resource
import socket
import ssl
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support import tokens  # noqa: E402
from support.raw import upgrade_request  # noqa: E402


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def connect(port, context, user, secret):
    connected = socket.create_connection(("127.0.0.1", port))
    if context is not None:
        connected = context.wrap_socket(connected)
    token = tokens.token(user, secret=secret)
    request = upgrade_request(f"/api/v1/ws/connect?token={token}", port, key=base64.b64encode(bytes(16)).decode())
    connected.sendall(request.encode())
    seen = b""
    while b'"synced"' not in seen:
        seen += connected.recv(1 << 16)
    return connected


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--certificate")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    context = ssl.create_default_context(cafile=options.certificate) if options.certificate else None
    if context is not None:
        context.check_hostname = False
    secret = os.environ["TIDEMARK_AUTH_HS256_SECRET"]
    opened = [connect(options.port, context, f"first-{i}", secret) for i in range(options.connections // 10)]
    before = resident(options.pid)
    opened += [connect(options.port, context, f"user-{i}", secret) for i in range(options.connections)]
    print(f"{(resident(options.pid) - before) / options.connections:.0f} bytes for each of {options.connections}")


if __name__ == "__main__":
    main()
