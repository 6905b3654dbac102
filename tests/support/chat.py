"""Steps that many scenarios share: groups, roles, and reading a whole conversation from the outside."""
import asyncio
from urllib.parse import urlencode

from support import rest
from support.names import unique


def make_group(server, owner, *members, title="Team", **more):
    """A group over REST; gives its id. owner may be a user id or a token."""
    reply = server.api("POST", "/conversations", owner, {"title": title, "members": list(members), **more})
    return rest.assert_success(reply, 201)["conversation"]["conversation_id"]


def conversation(server, user, conversation_id):
    return rest.assert_success(server.api("GET", f"/conversations/{conversation_id}", user))["conversation"]


def roles(server, user, conversation_id):
    """user id -> role"""
    return {member["user_id"]: member["role"] for member in conversation(server, user, conversation_id)["members"]}


def add_member(server, by, conversation_id, user, **more):
    return server.api("POST", f"/conversations/{conversation_id}/members", by, {"user_id": user, **more})


def remove_member(server, by, conversation_id, user):
    return server.api("DELETE", f"/conversations/{conversation_id}/members/{user}", by)


def set_role(server, by, conversation_id, user, role):
    return server.api("PATCH", f"/conversations/{conversation_id}/members/{user}", by, {"role": role})


def messages(server, user, conversation_id, **parameters):
    """One page of GET /messages."""
    query = urlencode({"conversation_id": conversation_id, **parameters})
    return rest.assert_success(server.api("GET", f"/messages?{query}", user))


def all_messages(server, user, conversation_id, after=0, limit=200):
    """Every message behind `after`, page after page."""
    found = []
    while True:
        page = messages(server, user, conversation_id, after=after, limit=limit)
        found += page["messages"]
        if not page["has_more"]:
            return found
        assert page["messages"], "has_more with an empty page"
        after = page["messages"][-1]["seq"]


async def all_entries(client, conversation_id, after=0, limit=200):
    """Every entry after `after` by WebSocket history, page after page."""
    found = []
    while True:
        page = await client.request(type="history", conversation_id=conversation_id, after=after, limit=limit)
        assert page["type"] == "history" and page["conversation_id"] == conversation_id, page
        found += page["entries"]
        if not page["has_more"]:
            return found
        assert page["entries"], "has_more with an empty page"
        after = page["entries"][-1]["seq"]


async def connect_all(server, count, at_once=100, **options):
    """count users, connected in groups; in the order of their numbers."""
    clients = []
    for start in range(0, count, at_once):
        users = [unique(f"user-{number}") for number in range(start, min(start + at_once, count))]
        clients += await asyncio.gather(*[server.connect(user, **options) for user in users])
    return clients
