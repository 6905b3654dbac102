"""A life of a small team, recorded: groups, phones that come and go, edits, a removal, kills; then calm."""
import asyncio

import websockets

from support import rest
from support.chat import add_member, all_entries, conversation, make_group, remove_member
from support.names import new_id, text, uniques

LOST = (ConnectionError, OSError, websockets.WebSocketException, asyncio.TimeoutError)


class Phone:
    """A named device that comes back and repeats until it is answered."""

    def __init__(self, server, user, device):
        self.server, self.user, self.device, self.client = server, user, device, None

    async def come(self):
        while True:
            try:
                memory = self.client.streams if self.client else None
                self.client = await self.server.connect(self.user, self.device, memory=memory)
                await self.client.synced()
                return self
            except LOST:
                await asyncio.sleep(0.02)

    async def ask(self, **frame):
        frame.setdefault("id", new_id())
        while True:
            try:
                answer = await self.client.request(**frame)
                if answer["type"] != "error" or answer["code"] != "unavailable":
                    return answer
                await asyncio.sleep(0.01)
            except LOST:
                await self.come()

    async def say(self, group):
        return await self.ask(type="message", conversation_id=group, content=text(self.user))

    async def settled(self):
        try:
            await self.client.settle()
        except LOST:
            await self.come()


class Team:
    """server: with a recorder. rounds: how long; kills: how many of the rounds end with `end`, by default kill -9.
    before: called when the group has been made."""

    def __init__(self, server, rounds=4, kills=0, end=None, before=None):
        self.server, self.rounds, self.kills = server, rounds, kills
        self.end, self.before = end or server.kill, before

    async def live(self):
        self.owner, self.anna, self.ben, self.cleo, self.gone, self.visitor = uniques(
            "owner", "anna", "ben", "cleo", "gone", "visitor")
        self.group = make_group(self.server, self.owner, self.anna, self.ben, self.cleo, self.gone)
        if self.before:
            await asyncio.to_thread(self.before)
        phones = [Phone(self.server, user, device) for user, device in (
            (self.owner, "phone"), (self.anna, "phone"), (self.ben, "phone"), (self.ben, "desk"), (self.cleo, "phone"),
            (self.gone, "phone"))]
        await asyncio.gather(*[phone.come() for phone in phones])
        self.phones = phones
        for number in range(self.rounds):
            await self.round(number)
            if number < self.kills:
                await self.kill()
        await self.calm()

    async def round(self, number):
        cleo = next(phone for phone in self.phones if phone.user == self.cleo)
        await cleo.settled()
        await cleo.client.drop()
        talkers = [phone for phone in self.phones if phone.user in (self.anna, self.ben)]
        messages = await asyncio.gather(*[self.talk(phone, 12) for phone in talkers])
        await cleo.come()  # has to catch up
        visitor = await Phone(self.server, self.visitor, "phone").come()
        await visitor.client.close()
        seq = messages[0][0]["seq"]
        await talkers[0].ask(type="edit", conversation_id=self.group, seq=seq, content=text("edited"))
        await talkers[0].ask(type="react", conversation_id=self.group, seq=seq, reaction="tide")
        await talkers[1].ask(type="delete", conversation_id=self.group, seq=messages[1][0]["seq"])
        if number == 0:
            rest.assert_success(remove_member(self.server, self.owner, self.group, self.gone))
        elif number == 1:
            rest.assert_success(add_member(self.server, self.owner, self.group, self.gone), (200, 201))
        elif number == 2:
            rest.assert_success(remove_member(self.server, self.owner, self.group, self.gone))
        await asyncio.gather(*[self.talk(phone, 4) for phone in talkers])

    async def talk(self, phone, count):
        return await asyncio.gather(*[phone.say(self.group) for _ in range(count)])

    async def kill(self):
        """In the moment in which something has been acknowledged."""
        talkers = [phone for phone in self.phones if phone.user in (self.anna, self.ben)]
        saying = [asyncio.ensure_future(self.talk(phone, 8)) for phone in talkers]
        known = [len(phone.client.frames) for phone in talkers]
        while not any(frame["type"] == "sent" for phone, before in zip(talkers, known)
                      for frame in phone.client.frames[before:]):
            await asyncio.sleep(0)
        self.server.recorder.fault("kill")
        self.end()
        await asyncio.to_thread(self.server.restart)
        await asyncio.gather(*[phone.come() for phone in self.phones])
        await asyncio.gather(*saying)

    async def calm(self):
        recorder = self.server.recorder
        recorder.calm()
        for phone in self.phones:
            if phone.client.is_closed:
                await phone.come()
        reader = next(phone for phone in self.phones if phone.user == self.owner)
        details = conversation(self.server, self.owner, self.group)
        for phone in self.phones:
            if phone.user != self.gone:
                try:
                    await phone.client.received(self.group, details["last_seq"], timeout=3)
                except (AssertionError, ConnectionError):
                    pass  # the checker says what is missing
            await phone.settled()
        entries = await all_entries(reader.client, self.group)
        recorder.final(conversation(self.server, self.owner, self.group), entries)
        await self.look_who_is_online()

    async def look_who_is_online(self):
        users = [self.owner, self.anna, self.ben, self.cleo, self.gone, self.visitor]
        reply = self.server.api("GET", "/presence?users=" + ",".join(users), self.owner)
        for one in rest.assert_success(reply)["presence"]:
            self.server.recorder.online(one["user_id"], one["online"])
