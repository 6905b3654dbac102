"""TLS whose every byte the test decides: records are made in memory and cut as one likes."""
import random
import socket
import ssl

from support.raw import RawWebSocket

APPLICATION_DATA = 23


class CutTls(RawWebSocket):
    """A WebSocket over TLS whose records go to the wire in pieces. sizes: the largest piece, in bytes."""

    def __init__(self, port, context, largest=7, seed=1, timeout=20):
        super().__init__(port, timeout)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.largest, self.random = largest, random.Random(seed)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.records = []  # the type of each record that came
        self._unseen = b""
        self._with_wire(self.tls.do_handshake)

    def send(self, data):
        self.tls.write(data.encode() if isinstance(data, str) else data)
        self._to_wire()

    def fill(self):
        try:
            data = self._with_wire(lambda: self.tls.read(1 << 16))
        except (ssl.SSLZeroReturnError, ConnectionResetError):
            return False
        self.buffer += data
        return bool(data)

    def encrypted(self, data):
        """The records that carry data, not sent."""
        self.tls.write(data)
        return self.outgoing.read()

    def _with_wire(self, step):
        while True:
            try:
                done = step()
                self._to_wire()
                return done
            except ssl.SSLWantReadError:
                self._to_wire()
                data = self.sock.recv(1 << 16)
                self._note_records(data)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()

    def _to_wire(self):
        data = self.outgoing.read()
        while data:
            size = self.random.randint(1, self.largest)
            self.sock.sendall(data[:size])
            data = data[size:]

    def _note_records(self, data):
        self._unseen += data
        while len(self._unseen) >= 5:
            size = 5 + int.from_bytes(self._unseen[3:5], "big")
            if len(self._unseen) < size:
                break
            self.records.append(self._unseen[0])
            self._unseen = self._unseen[size:]
