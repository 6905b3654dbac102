"""A chat client as an application would write one, on a WebSocket library that knows nothing of Tidemark.

It keeps every frame, follows each stream (see streams.py) and notes broken promises in `violations`, which the
harness checks after every test.
"""
import asyncio
import json
import time
from urllib.parse import urlencode

import websockets

from support import tokens
from support.names import new_id, text
from support.patience import within
from support.streams import Streams


class Client:
    """One connection of one device.

    user, tenant, roles, ttl   for the token; or a ready `token`; auth: "header", "query", "subprotocol" or None
    device_id, session_id, conversation_ids, replay, ack   the query parameters of the same name
    auto_ack                   confirm what was applied (default: with a device_id and ack not "auto")
    memory                     Streams of an earlier connection of this device
    address                    where it connects from, if that is to be another loopback address
    """

    opened = []  # every client of the running test
    compression = None

    def __init__(self, server, user, device_id=None, *, tenant="default", roles=(), ttl=3600, token=None,
                 auth="header", path="/api/v1/ws/connect", session_id=None, conversation_ids=(), replay=None,
                 ack=None, auto_ack=None, memory=None, headers=None, subprotocols=(), query=None, address=None):
        self.server, self.user, self.device_id, self.tenant = server, user, device_id, tenant
        self.token = token or tokens.token(user, tenant=tenant, roles=roles, ttl=ttl)
        self.options = dict(tenant=tenant, roles=roles, ttl=ttl, token=token, auth=auth, path=path, ack=ack,
                            auto_ack=auto_ack, headers=headers, subprotocols=subprotocols, address=address)
        self.auto_ack = (device_id is not None and ack != "auto") if auto_ack is None else auto_ack
        self.streams = memory or Streams()
        self.streams.confirm_again()  # an ack of an earlier connection may have been lost with it
        self.frames, self.inbox, self.violations = [], [], []
        self.welcome = None
        self.unanswered = {}  # id -> the command, until it is answered
        self._answers = {}
        self._last_pushed = {}
        self._changed = asyncio.Event()
        self._ack_planned = False
        self._query = [(key, value) for key, value in (("device_id", device_id), ("session_id", session_id),
                                                       ("replay", replay), ("ack", ack)) if value is not None]
        self._query += [("conversation_id", each) for each in conversation_ids] + list((query or {}).items())
        self._headers, self._subprotocols = dict(headers or {}), list(subprotocols)
        if auth == "header":
            self._headers["Authorization"] = f"Bearer {self.token}"
        elif auth == "query":
            self._query.append(("token", self.token))
        elif auth == "subprotocol":
            self._subprotocols += ["tidemark.v1", f"bearer.{self.token}"]
        self._path = path

    # -- life --------------------------------------------------------------------------------------------------

    async def open(self):
        tls = self.server.tls
        uri = f"{'wss' if tls else 'ws'}://127.0.0.1:{self.server.port}{self._path}"
        if self._query:
            uri += "?" + urlencode(self._query)
        started = time.monotonic()
        self.ws = await websockets.connect(
            uri, extra_headers=self._headers, subprotocols=self._subprotocols or None,
            compression=self.compression, max_size=None, max_queue=None, ping_interval=None, open_timeout=20,
            close_timeout=3, **({"ssl": tls} if tls else {}),
            **({"local_addr": (self.options["address"], 0)} if self.options["address"] else {}))
        Client.opened.append(self)
        self._recorder = getattr(self.server, "recorder", None)
        if self._recorder:
            whole = not any(name in ("replay", "conversation_id") for name, _ in self._query)
            self._number = self._recorder.opened(self.user, self.tenant, self.device_id, whole, started)
        self._reader = asyncio.create_task(self._read())
        if self.options["auth"] is not None:
            self.welcome = await self.recv("welcome")
            assert self.frames[0] is self.welcome, "welcome is the first frame"
        return self

    async def reconnect(self, **changes):
        """A new connection of the same device that remembers what this one has applied."""
        options = {**self.options, "memory": self.streams, **changes}
        return await Client(self.server, self.user, options.pop("device_id", self.device_id), **options).open()

    async def close(self, code=1000):
        """A clean close of a device that has confirmed what it applied."""
        if self.auto_ack:
            await self._ack()
        await self.ws.close(code)
        await self._reader

    async def drop(self):
        """The connection is lost: no close frame, a reset."""
        self.ws.transport.abort()
        await self._reader

    async def closed(self, code, timeout=10):
        """Waits until the server closes with this code; for 4xxx a matching bye must have come before."""
        await within(timeout, asyncio.shield(self._reader))
        assert self.ws.close_code == code, (self.ws.close_code, self.ws.close_reason, self.frames[-3:])
        byes = [frame for frame in self.frames if frame["type"] == "bye"]
        if code < 4000:
            assert not byes, byes
            return None
        assert len(byes) == 1 and self.frames[-1] is byes[0], self.frames[-3:]
        bye = byes[0]
        assert bye["code"] == code and isinstance(bye["reason"], str) and bye["reason"], bye
        assert bye["reconnect"] is (code >= 4100), bye
        assert bye["after_ms"] >= 0 and (code >= 4100 or bye["after_ms"] == 0), bye
        return bye

    @property
    def is_closed(self):
        return self._reader.done()

    # -- frames in ---------------------------------------------------------------------------------------------

    async def _read(self):
        try:
            while True:
                frame = json.loads(await self.ws.recv())
                self.frames.append(frame)
                if self._recorder:
                    self._recorder.received(self._number, frame)
                self._accept(frame)
                self._changed.set()
        except websockets.ConnectionClosed:
            pass
        finally:
            if self._recorder:
                self._recorder.closed(self._number, self.ws.close_code)
            for future in self._answers.values():
                if not future.done():
                    future.set_exception(ConnectionError("the connection ended before the answer"))
                    future.exception()  # nobody has to ask for it
            self._changed.set()

    def _accept(self, frame):
        command = self.unanswered.pop(frame.get("id"), None) if "id" in frame else None
        if frame["type"] == "sent":
            self.streams.sent(frame, command or {"type": "without id"})
        elif frame["type"] == "gap":
            self.streams.gap(frame)
            self._last_pushed[self.streams.key(frame)] = frame["next_seq"] - 1
        elif self.streams.is_entry(frame):
            self._check_order(frame)
            self.streams.repeated(self.streams.key(frame), frame["seq"])
            self.streams.entry(frame)
        if self.auto_ack and not self._ack_planned and self.streams.unconfirmed():
            self._ack_planned = True
            asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(self._ack()))
        future = self._answers.pop(command["id"], None) if command is not None else None
        if future is None:
            self.inbox.append(frame)
        elif not future.done():
            future.set_result(frame)

    def _check_order(self, frame):
        key, seq = self.streams.key(frame), frame["seq"]
        if seq < self._last_pushed.get(key, 0) and not self.streams.knows(key, seq):
            self.violations.append(f"{self.user}: {key} seq {seq} after {self._last_pushed[key]}")
        self._last_pushed[key] = max(seq, self._last_pushed.get(key, 0))

    async def _ack(self):
        self._ack_planned = False
        cursors = self.streams.unconfirmed()
        if cursors and not self.is_closed:
            self.streams.confirm(cursors)
            try:
                await self.send(type="ack", cursors=cursors)
            except websockets.ConnectionClosed:
                pass

    async def until(self, condition, timeout=15):
        """Waits until condition() holds; it is looked at again after every frame."""
        async def satisfied():
            while not condition():
                if self.is_closed:
                    raise ConnectionError(f"closed with {self.ws.close_code} while waiting; last {self.frames[-3:]}")
                self._changed.clear()
                await self._changed.wait()

        if not condition():
            try:
                await within(timeout, satisfied())
            except asyncio.TimeoutError:
                raise AssertionError(f"{self.user} waited {timeout} s in vain; last {self.frames[-5:]}") from None

    def find(self, kind=None, **fields):
        """The frames in the inbox of that type with those fields."""
        return [frame for frame in self.inbox if kind in (None, frame["type"])
                and all(frame.get(name) == value for name, value in fields.items())]

    async def recv(self, kind=None, timeout=10, **fields):
        """The next frame of that type with those fields; other frames stay in the inbox."""
        await self.until(lambda: self.find(kind, **fields), timeout)
        frame = self.find(kind, **fields)[0]
        self.inbox.remove(frame)
        return frame

    async def synced(self):
        return await self.recv("synced")

    async def settle(self):
        """Confirms what was applied and waits for a pong: everything sent here before has been read."""
        if self.auto_ack:
            await self._ack()
        await self.send(type="ping")
        return await self.recv("pong")

    async def expect_none(self, kind, **fields):
        await self.settle()
        assert not self.find(kind, **fields), self.find(kind, **fields)

    async def received(self, conversation_id, seq, timeout=15):
        """Waits until everything up to seq was applied."""
        await self.until(lambda: self.streams.floor(conversation_id) >= seq, timeout)

    # -- frames out --------------------------------------------------------------------------------------------

    async def send(self, **frame):
        """Sends a frame as it is. With an id, an answer is expected some time."""
        if "id" in frame:
            self.unanswered[frame["id"]] = frame
        if self._recorder:
            self._recorder.sent(self._number, frame)
        await self.ws.send(json.dumps(frame))

    def post(self, **frame):
        """Sends a command that has an answer; gives a future of the frame with the same id."""
        frame.setdefault("id", new_id())
        future = asyncio.get_running_loop().create_future()
        self._answers[frame["id"]], self.unanswered[frame["id"]] = future, frame

        async def run():
            await self.send(**frame)
            return await within(20, future)

        return run()

    async def request(self, **frame):
        """A command and its answer, whichever it is (`sent`, `history`, `error`)."""
        return await self.post(**frame)

    async def refused(self, code, field=None, **frame):
        """A command that must be refused."""
        answer = await self.request(**frame)
        assert_error(answer, code, field)
        return answer

    async def say(self, to=None, conversation_id=None, content=None, **more):
        """A message; gives the `sent` frame."""
        target = {"to": to} if to is not None else {"conversation_id": conversation_id}
        answer = await self.request(type="message", content=text() if content is None else content, **target, **more)
        assert answer["type"] == "sent", answer
        return answer

    async def say_many(self, count, window=200, **target):
        """count messages in order, up to `window` unanswered; gives their `sent` frames."""
        answers = []
        for start in range(0, count, window):
            answers += await asyncio.gather(*[self.say(**target) for _ in range(min(window, count - start))])
        return answers

    async def change(self, kind, conversation_id, seq, **more):
        """edit, delete or react; gives the `sent` frame."""
        answer = await self.request(type=kind, conversation_id=conversation_id, seq=seq, **more)
        assert answer["type"] == "sent", answer
        return answer

    # -- state -------------------------------------------------------------------------------------------------

    def applied(self, conversation_id):
        """[(seq, content)] of the messages that this device has, in order."""
        return self.streams.messages(conversation_id)

    def pushed(self, conversation_id):
        """The seqs that came on this connection as entries, in order of arrival."""
        return [frame["seq"] for frame in self.frames
                if self.streams.is_entry(frame) and self.streams.key(frame) == conversation_id]


def assert_error(frame, code, field=None):
    assert frame["type"] == "error" and frame["code"] == code, frame
    assert isinstance(frame["error"], str) and frame["error"], frame
    if field is not None:
        assert frame.get("field") == field, frame
