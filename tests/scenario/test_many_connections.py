"""A thousand connections at once."""
import asyncio

import pytest

from support.chat import connect_all
from support.names import text


@pytest.mark.limit(120)
async def test_a_thousand_connections_chat(server):
    clients = await connect_all(server, 1000)
    await asyncio.gather(*[client.synced() for client in clients])
    following = clients[1:] + clients[:1]
    contents = [text(f"from {number}") for number in range(len(clients))]
    await asyncio.gather(*[client.say(target.user, content=content)
                           for client, target, content in zip(clients, following, contents)])
    for target, content in zip(following, contents):
        message = await target.recv("message")
        assert message["content"] == content
    assert all(len([frame for frame in client.frames if frame["type"] == "message"]) == 1 for client in clients)
