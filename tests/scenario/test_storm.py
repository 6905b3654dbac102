"""Very many devices that come back at the same moment, while somebody else chats.

The suite runs a small number. The whole thing, with figures:

    TIDEMARK_TEST_STORM=5000 /usr/bin/python3 -m pytest -s tests/scenario/test_storm.py
"""
import json
import os
import random
import resource
import selectors
import struct
import time

import pytest

from support import rest
from support.chat import make_group
from support.names import unique
from support.raw import TEXT, RawSocket, frame, upgrade_request
from support.steady import Steady
from support.streams import Streams

DEVICES = int(os.environ.get("TIDEMARK_TEST_STORM", "300"))
GROUP_SIZE = 50
MESSAGES = 5


class Device:
    """A device as bytes on a socket: connects, reads until it is synced, confirms."""

    def __init__(self, server, user, group):
        self.server, self.user, self.group = server, user, group
        self.token = server.token(user)
        self.applied = 0
        self.refused = 0

    def begin(self):
        self.socket = RawSocket(self.server.port, timeout=60)
        headers = [("Authorization", f"Bearer {self.token}")]
        self.socket.send(upgrade_request("/api/v1/ws/connect?device_id=phone", self.server.port, headers))
        self.buffer, self.upgraded, self.messages, self.synced = b"", False, [], False
        self.socket.sock.setblocking(False)

    def readable(self):
        """Takes what has come. Gives None, or the seconds after which to try again."""
        data = self.socket.sock.recv(1 << 18)
        assert data, "the connection was lost"
        self.buffer += data
        if not self.upgraded:
            head, end, rest_of = self.buffer.partition(b"\r\n\r\n")
            if not end:
                return None
            if head.startswith(b"HTTP/1.1 503"):
                self.refused += 1
                self.socket.close()
                return int(head.lower().split(b"retry-after: ")[1].split(b"\r\n")[0])
            assert head.startswith(b"HTTP/1.1 101"), head
            self.buffer, self.upgraded = rest_of, True
        for payload in self.frames():
            self.accept(json.loads(payload))
        return None

    def frames(self):
        while len(self.buffer) >= 2:
            size, start = self.buffer[1], 2
            if size == 126:
                size, start = struct.unpack("!H", self.buffer[2:4])[0] if len(self.buffer) >= 4 else 1 << 20, 4
            elif size == 127:
                size, start = struct.unpack("!Q", self.buffer[2:10])[0] if len(self.buffer) >= 10 else 1 << 20, 10
            if len(self.buffer) < start + size:
                return
            opcode, payload = self.buffer[0] & 15, self.buffer[start:start + size]
            self.buffer = self.buffer[start + size:]
            if opcode == TEXT:
                yield payload

    def accept(self, message):
        if message.get("conversation_id") == self.group and Streams.is_entry(message):
            assert message["seq"] == self.applied + 1 or self.applied == 0, (self.user, self.applied, message["seq"])
            self.applied = message["seq"]
            if message["type"] == "message":
                self.messages.append(message["seq"])
        self.synced = self.synced or message["type"] == "synced"

    def confirm_and_go(self):
        self.socket.sock.setblocking(True)
        self.socket.send(frame(TEXT, json.dumps({"type": "ack", "cursors": {self.group: self.applied}})))
        self.socket.send(frame(TEXT, '{"type":"ping"}'))
        while b'"pong"' not in self.buffer:
            self.buffer += self.socket.sock.recv(1 << 16)
        self.socket.close()


def storm(devices):
    """All begin at once; gives the seconds until the last one is synced. Who is refused comes back as told, sooner."""
    selector = selectors.DefaultSelector()
    start = time.monotonic()
    again = []
    for device in devices:
        device.begin()
        selector.register(device.socket.sock, selectors.EVENT_READ, device)
    waiting = len(devices)
    while waiting:
        assert time.monotonic() - start < 300
        for key, _ in selector.select(0.05):
            device = key.data
            sock = device.socket.sock
            delay = device.readable()
            if delay is not None:
                selector.unregister(sock)
                again.append((time.monotonic() + random.random() * delay / 5, device))
            elif device.synced:
                selector.unregister(sock)
                waiting -= 1
        now = time.monotonic()
        for at, device in [one for one in again if one[0] <= now]:
            again.remove((at, device))
            device.begin()
            selector.register(device.socket.sock, selectors.EVENT_READ, device)
    return time.monotonic() - start


@pytest.mark.limit(900)
def test_a_storm_is_admitted_and_nobody_else_waits(own_server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < DEVICES + 1000:
        resource.setrlimit(resource.RLIMIT_NOFILE, (DEVICES + 1000, max(hard, DEVICES + 1000)))
    server = own_server()
    owner = unique("owner")
    devices = []
    groups = []
    for _ in range(0, DEVICES, GROUP_SIZE):
        users = [unique("device") for _ in range(min(GROUP_SIZE, DEVICES - len(devices)))]
        groups.append(make_group(server, owner, *users))
        devices += [Device(server, user, groups[-1]) for user in users]
    with Steady(server, unique("chat")) as alone:
        time.sleep(2 if DEVICES > 1000 else 0.5)
    with Steady(server, unique("chat")) as arriving:
        first = storm(devices)
    for device in devices:
        device.confirm_and_go()
    for group in groups:
        for number in range(MESSAGES):
            body = {"conversation_id": group, "content": f"CANARY {number}"}
            rest.assert_success(server.api("POST", "/messages", owner, body), 201)
    with Steady(server, unique("chat")) as returning:
        second = storm(devices)
    for device in devices:
        assert len(device.messages) == MESSAGES, (device.user, device.messages)
    refused = sum(device.refused for device in devices)
    print(f"\n{DEVICES} devices at once: the first time {first:.2f} s, on return with {MESSAGES} messages each {second:.2f} s; "
          f"{refused} times sent away\n  somebody else's `sent`, ms: alone {alone.figures}, at arrival {arriving.figures}, "
          f"on return {returning.figures}")
    for device in devices:
        device.socket.close()
