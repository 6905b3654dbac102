"""A TCP proxy in front of the server that treats connections as bad networks do."""
import asyncio
import socket
import struct

from support.client import Client


class Proxy:
    """async with Proxy(server) as proxy: client = await proxy.connect("alice", "phone").

    For connections that are there and that come:
    delay        seconds before each piece of data is handed on
    stall        stall(): seconds before this piece, as after a lost packet; 0 mostly
    pull_cable() nothing is handed on and nothing is closed, until plug_in()
    For those that are there: cut() closes them, reset() resets them.
    """

    def __init__(self, server):
        self.server, self.tls = server, server.tls
        self.delay, self.stall = 0, lambda: 0
        self.pairs = set()  # (writer to the client, writer to the server)
        self.tasks = set()
        self.whole = asyncio.Event()  # the cable is plugged in
        self.whole.set()

    async def __aenter__(self):
        self.listener = await asyncio.start_server(self.accept, "127.0.0.1", 0)
        self.port = self.listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self.listener.close()
        self.cut()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def connect(self, user, device_id=None, **options):
        return await Client(self, user, device_id, **options).open()

    async def accept(self, reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, far_writer)
        self.pairs.add(pair)
        both = [asyncio.create_task(self.hand_on(reader, far_writer)), asyncio.create_task(self.hand_on(far_reader, writer))]
        self.tasks.update(both)
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for task in both:
            task.cancel()
            self.tasks.discard(task)
        self.pairs.discard(pair)
        for each in pair:
            each.close()

    async def hand_on(self, reader, writer):
        try:
            while data := await reader.read(1 << 16):
                await asyncio.sleep(self.delay + self.stall())
                await self.whole.wait()
                writer.write(data)
                await writer.drain()
            await self.whole.wait()  # the end of a connection does not get through a black hole either
        except OSError:
            await self.whole.wait()

    def pull_cable(self):
        self.whole.clear()

    def plug_in(self):
        """For new connections. Those that were in the hole have lost what was on the way: they are reset."""
        self.reset()
        self.whole.set()

    def cut(self):
        for pair in list(self.pairs):
            for writer in pair:
                writer.close()

    def reset(self):
        for pair in list(self.pairs):
            for writer in pair:
                sock = writer.get_extra_info("socket")
                if sock is not None and sock.fileno() >= 0:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
