"""Sockets whose every byte the test decides: for wrong HTTP, wrong handshakes and wrong frames."""
import base64
import hashlib
import json
import os
import socket
import struct
from typing import NamedTuple

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3


class HttpAnswer(NamedTuple):
    status: int
    headers: dict  # names in lower case
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class Frame(NamedTuple):
    fin: bool
    rsv: int
    opcode: int
    payload: bytes


class Closed(NamedTuple):
    code: int
    reason: str
    texts: list  # the JSON frames that came before the close frame


class RawSocket:
    """A TCP connection, or TLS over one. Every wait is bounded by the timeout."""

    def __init__(self, port, timeout=10, receive_buffer=None, tls=None):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(timeout)
        self.sock.connect(("127.0.0.1", port))
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname="127.0.0.1")
        self.port = port
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def close(self):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def fill(self):
        """One more read; False at the end of the stream."""
        try:
            data = self.sock.recv(1 << 16)
        except ConnectionResetError:
            return False
        self.buffer += data
        return bool(data)

    def take(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                raise EOFError(f"the connection ended with {len(self.buffer)} of {count} bytes")
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def take_until(self, mark):
        while mark not in self.buffer:
            if not self.fill():
                raise EOFError(f"the connection ended before {mark!r}: {self.buffer[:200]!r}")
        data, _, self.buffer = self.buffer.partition(mark)
        return data

    def at_end(self):
        """Reads on until the server has closed; what came is left in buffer. Raises TimeoutError if it does not."""
        while self.fill():
            pass
        return True

    def answer(self, head_only=False):
        """The next HTTP answer, body by Content-Length."""
        lines = self.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = 0 if head_only or status in (101, 204, 304) else int(headers.get("content-length", 0))
        return HttpAnswer(status, headers, self.take(length))

    def ask(self, request):
        self.send(request)
        return self.answer()


def frame(opcode, payload=b"", fin=True, rsv=0, mask=True, length=None, width=None):
    """An encoded frame. length: announce another one; width: 7, 16 or 64 bits even if fewer would do."""
    if isinstance(payload, str):
        payload = payload.encode()
    announced = len(payload) if length is None else length
    if width is None:
        width = 7 if announced < 126 else 16 if announced < 1 << 16 else 64
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    head += {7: lambda: bytes([bit | announced]),
             16: lambda: bytes([bit | 126]) + struct.pack("!H", announced),
             64: lambda: bytes([bit | 127]) + struct.pack("!Q", announced)}[width]()
    if not mask:
        return head + payload
    key = os.urandom(4)
    stream = (key * (len(payload) // 4 + 1))[:len(payload)]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(payload), "big")
    return head + key + masked


def upgrade_request(path, port, headers=(), key=None, omit=(), method="GET", version="HTTP/1.1"):
    """The lines of an upgrade; `omit` leaves out standard headers by name."""
    key = key or base64.b64encode(os.urandom(16)).decode()
    standard = [("Host", f"127.0.0.1:{port}"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
                ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", key)]
    fields = [(name, value) for name, value in standard if name.lower() not in {word.lower() for word in omit}]
    lines = [f"{method} {path} {version}"] + [f"{name}: {value}" for name, value in [*fields, *headers]]
    return "\r\n".join(lines) + "\r\n\r\n"


class RawWebSocket(RawSocket):
    """A WebSocket after a correct handshake. It never answers a ping by itself."""

    def handshake(self, path, headers=()):
        key = base64.b64encode(os.urandom(16)).decode()
        self.upgraded = self.ask(upgrade_request(path, self.port, headers, key))
        assert self.upgraded.status == 101, self.upgraded
        expected = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        assert self.upgraded.headers["sec-websocket-accept"] == expected
        return self

    def send_json(self, value):
        self.send(frame(TEXT, json.dumps(value)))

    def read_frame(self):
        first, second = self.take(2)
        assert second & 0x80 == 0, "a server must not mask"
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self.take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self.take(8))
        return Frame(bool(first & 0x80), first >> 4 & 7, first & 0x0F, self.take(length))

    def read_json(self, kind=None):
        """The next JSON frame (of that type); others and control frames are passed over."""
        while True:
            received = self.read_frame()
            assert received.opcode != CLOSE, f"closed: {received.payload!r} while waiting for {kind}"
            if received.opcode == TEXT:
                value = json.loads(received.payload)
                if kind in (None, value["type"]):
                    return value

    def read_close(self):
        """Reads to the close frame and the end of the stream behind it."""
        texts = []
        while True:
            received = self.read_frame()
            if received.opcode == TEXT:
                texts.append(json.loads(received.payload))
            if received.opcode == CLOSE:
                break
        code = struct.unpack("!H", received.payload[:2])[0] if received.payload else 1005
        self.at_end()
        return Closed(code, received.payload[2:].decode(), texts)

    def ping_works(self):
        """Whether commands are still answered."""
        self.send_json({"type": "ping"})
        return self.read_json("pong")["timestamp"] > 0
