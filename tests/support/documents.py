"""Shared documents, as the tests of several doors use them."""
import asyncio

from support import tokens
from support.names import new_id
from support.rest import assert_success


def service_token(user="backend", tenant="default"):
    return tokens.token(user, tenant=tenant, roles=["service"])


def make_document(server, owner, kind="whiteboard", content=None, name="A document", editors=(), viewers=(),
                  public=False, properties=None, **more):
    """Creates a document; gives what the server shows of it."""
    metadata = {"permissions": {"editors": list(editors), "viewers": list(viewers), "public": public}}
    if properties:
        metadata["properties"] = properties
    body = {"name": name, "type": kind, "metadata": metadata, **more}
    if content is not None:
        body["content"] = content
    return assert_success(server.api("POST", "/documents", owner, body), 201)["document"]


def document(server, user, doc_id, version=None):
    query = "" if version is None else f"?version={version}"
    return assert_success(server.api("GET", f"/documents/{doc_id}{query}", user))["document"]


def operations(server, user, doc_id, **query):
    """History of a document, all of what the query allows."""
    text = "&".join(f"{name}={value}" for name, value in {"limit": 1000, **query}.items())
    return assert_success(server.api("GET", f"/documents/{doc_id}/operations?{text}", user))["operations"]


def conflicts(server, user, doc_id, open_only=False):
    query = "?open_only=true" if open_only else ""
    return assert_success(server.api("GET", f"/documents/{doc_id}/conflicts{query}", user))["conflicts"]


def operation(kind, data, prev_version=0, **more):
    return {"id": new_id(), "type": kind, "data": data, "prev_version": prev_version, **more}


def insert(position, text, prev_version=0, **more):
    ops = ([position] if position else []) + [text]
    return operation("text", {"ops": ops}, prev_version, **more)


def post(server, user, doc_id, kind, data, prev_version=0, **more):
    """One operation over REST; gives the reply."""
    body = {"id": new_id(), "type": kind, "data": data, "prev_version": prev_version, **more}
    return server.api("POST", f"/documents/{doc_id}/operations", user, body)


async def edit(client, doc_id, kind, data, prev_version=0, **more):
    """One operation over WebSocket; gives the operation_ack."""
    return await send(client, doc_id, operation(kind, data, prev_version, **more))


async def send(client, doc_id, one):
    answer = await client.request(type="operation", document_id=doc_id, operation=one)
    assert answer["type"] == "operation_ack", answer
    return answer


async def send_many(client, doc_id, several):
    """All in flight at once, in order; gives the answers."""
    return await asyncio.gather(*[client.request(type="operation", document_id=doc_id, operation=one)
                                  for one in several])


async def subscribe(client, doc_id, since_version=None):
    more = {} if since_version is None else {"since_version": since_version}
    answer = await client.request(type="subscribe", document_id=doc_id, **more)
    assert answer["type"] == "subscribed", answer
    return answer


async def heard(client, doc_id):
    """The document has taken what this connection sent it before: an answer that comes from there, not from the connection."""
    answer = await client.request(type="unsubscribe", document_id=doc_id)
    assert answer.get("code") == "not_found", f"not for who follows it: {answer}"


def events(client, doc_id, name=None):
    """The document_events that came on this connection, in order."""
    return [frame for frame in client.frames if frame["type"] == "document_event" and frame["document_id"] == doc_id
            and name in (None, frame["event"])]


async def event(client, name, **fields):
    """The next event of that name with these fields."""
    return await client.recv("document_event", event=name, **fields)


async def reached(client, doc_id, version, timeout=20):
    """Waits until the operation that made the version has come."""
    await client.until(lambda: any(frame["version"] >= version
                                   for frame in events(client, doc_id, "operation_applied")), timeout)


def check_log(frames):
    """Stored events: numbers without a gap, versions that grow by one with each operation and stay with the others."""
    stored = [frame for frame in frames if "seq" in frame and frame["event"] != "bookmark"]
    seqs = [frame["seq"] for frame in stored]
    assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True, seqs
    for before, after in zip(stored, stored[1:]):
        grows = after["event"] == "operation_applied"
        assert after["version"] == before["version"] + (1 if grows else 0), (before, after)


class Text:
    """A replica of a text document: applies rebased operations, on code points."""

    def __init__(self, content, version):
        self.content, self.version = content, version

    def apply(self, one):
        assert one["version"] == self.version + 1, (self.version, one)
        out, at = [], 0
        for part in one["data"].get("ops", []):
            if isinstance(part, int):
                out.append(self.content[at:at + part])
                at += part
            elif isinstance(part, str):
                out.append(part)
            else:
                at += part["d"]
        self.content = "".join(out) + self.content[at:]
        self.version += 1
