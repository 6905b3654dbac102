"""Who may do what: role × action × object, over REST and WebSocket, every cell.

The table is the expectation. A call or a WebSocket type without a line in it fails the test, so whoever adds a row to the
command table says here who may use it. Each cell has a world of its own; where it says no, nothing in that world may
have changed.
"""
import asyncio
import re
from urllib.parse import quote, urlencode

import pytest

from support import tokens
from support.chat import conversation, make_group, remove_member
from support.client import Client
from support.names import new_id, text, unique, uniques
from support.rest import assert_success
from support.server import Server

ROLES = ("anonymous", "stranger", "member", "admin", "owner", "removed", "service+user", "service", "role admin",
         "other tenant")

# anonymous      no token; on a WebSocket: a connection that has not registered
# stranger       a user of the tenant who shares nothing with the others
# member, admin, owner      of the group; owner and member also have the direct conversation
# removed        was a member of the group; on a WebSocket: with a connection from before
# service+user   role service, Tidemark-User names the member; on a WebSocket a service is its own user
# service        role service, names nobody
# role admin     a token with role admin, else a stranger
# other tenant   the owner's user and device ids, in another tenant
#
# A document has the owner as its owner, the member as editor, the admin and (until then) the removed one as viewers.
#
# ok: done. A number is the status of the one error code that it stands for (CODES). 401 on a WebSocket: not_registered.
# 400m: missing_field, because a service that names nobody has to name a conversation.
# "own" is the caller's where there is one, else the owner's; "other" the owner's, for the owner the member's.
TABLE = """
action                                   object           anon  stra  memb  adm   own   rem   s+u   serv  radm  otht

POST /sessions                           -                401   ok    ok    ok    ok    ok    ok    400   ok    ok
GET /sessions                            -                401   ok    ok    ok    ok    ok    ok    400   ok    ok
GET /sessions/{id}                       own session      401   ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /sessions/{id}                       other session    401   404   404   404   404   404   404   ok    404   404
PATCH /sessions/{id}                     own session      401   ok    ok    ok    ok    ok    ok    ok    ok    ok
PATCH /sessions/{id}                     other session    401   404   404   404   404   404   404   ok    404   404
DELETE /sessions/{id}                    own session      401   ok    ok    ok    ok    ok    ok    ok    ok    ok
DELETE /sessions/{id}                    other session    401   404   404   404   404   404   404   ok    404   404
POST /sessions/{id}/heartbeat            own session      401   ok    ok    ok    ok    ok    ok    ok    ok    ok
POST /sessions/{id}/heartbeat            other session    401   404   404   404   404   404   404   ok    404   404
GET /ws/online                           -                401   ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /ws/connect                          own session      401   ok    ok    ok    ok    ok    404   404   ok    ok
GET /ws/connect                          other session    401   404   404   404   404   404   404   404   404   404
GET /presence                            presence         401   ok    ok    ok    ok    ok    ok    ok    ok    ok

POST /messages                           user             401   ok    ok    ok    ok    ok    ok    400   ok    ok
POST /messages                           group            401   404   ok    ok    ok    404   ok    400   404   404
POST /messages                           direct           401   404   ok    404   ok    404   ok    400   404   404
GET /messages                            group            401   404   ok    ok    ok    404   ok    ok    404   404
GET /messages                            direct           401   404   ok    404   ok    404   ok    ok    404   404
GET /messages/search                     -                401   ok    ok    ok    ok    ok    ok    400m  ok    ok
GET /messages/search                     group            401   404   ok    ok    ok    404   ok    ok    404   404
GET /messages/search                     direct           401   404   ok    404   ok    404   ok    ok    404   404
GET /messages/{message_id}               own message      401   404   ok    ok    ok    404   ok    ok    404   404
GET /messages/{message_id}               other message    401   404   ok    ok    ok    404   ok    ok    404   404
GET /messages/{message_id}               deleted message  401   404   ok    ok    ok    404   ok    ok    404   404
GET /messages/{message_id}               direct message   401   404   ok    404   ok    404   ok    ok    404   404
PATCH /messages/{message_id}             own message      401   404   ok    ok    ok    404   ok    400   404   404
PATCH /messages/{message_id}             other message    401   404   403   403   403   404   403   400   404   404
PATCH /messages/{message_id}             deleted message  401   404   410   410   410   404   410   400   404   404
PATCH /messages/{message_id}             direct message   401   404   403   404   403   404   403   400   404   404
DELETE /messages/{message_id}            own message      401   404   ok    ok    ok    404   ok    ok    404   404
DELETE /messages/{message_id}            other message    401   404   403   ok    ok    404   403   ok    404   404
DELETE /messages/{message_id}            deleted message  401   404   410   410   410   404   410   410   404   404
DELETE /messages/{message_id}            direct message   401   404   403   404   403   404   403   ok    404   404

POST /conversations                      -                401   ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /conversations                       -                401   ok    ok    ok    ok    ok    ok    400   ok    ok
GET /conversations/{id}                  group            401   404   ok    ok    ok    404   ok    ok    404   404
GET /conversations/{id}                  direct           401   404   ok    404   ok    404   ok    ok    404   404
PATCH /conversations/{id}                group            401   404   403   ok    ok    404   403   ok    404   404
PATCH /conversations/{id}                direct           401   404   403   404   403   404   403   403   404   404
DELETE /conversations/{id}               group            401   404   403   403   ok    404   403   ok    404   404
DELETE /conversations/{id}               direct           401   404   403   404   403   404   403   403   404   404
POST /conversations/{id}/members         group            401   404   403   ok    ok    404   403   ok    404   404
POST /conversations/{id}/members         direct           401   404   403   404   403   404   403   403   404   404
PATCH /conversations/{id}/members/{user_id}   group       401   404   403   403   ok    404   403   ok    404   404
DELETE /conversations/{id}/members/{user_id}  group       401   404   403   ok    ok    404   403   ok    404   404
DELETE /conversations/{id}/members/{user_id}  itself      401   404   ok    ok    ok    404   ok    ok    404   404
DELETE /conversations/{id}/members/{user_id}  direct      401   404   403   404   403   404   403   403   404   404
POST /conversations/{id}/read            group            401   404   ok    ok    ok    404   ok    400   404   404
POST /conversations/{id}/read            direct           401   404   ok    404   ok    404   ok    400   404   404
GET /sync                                @self            401   ok    ok    ok    ok    ok    ok    400   ok    ok
POST /sync                               @self            401   ok    ok    ok    ok    ok    ok    400   ok    ok

POST /documents                          -                401   ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /documents                           -                401   ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /documents/stats                     -                401   ok    ok    ok    ok    ok    ok    ok    ok    ok
GET /documents/{document_id}             document         401   404   ok    ok    ok    404   ok    ok    404   404
PATCH /documents/{document_id}           document         401   404   ok    403   ok    404   ok    ok    404   404
DELETE /documents/{document_id}          document         401   404   403   403   ok    404   403   ok    404   404
GET /documents/{document_id}/operations  document         401   404   ok    ok    ok    404   ok    ok    404   404
POST /documents/{document_id}/operations  document         401   404   ok    403   ok    404   ok    ok    404   404
GET /documents/{document_id}/lock        document         401   404   ok    ok    ok    404   ok    ok    404   404
POST /documents/{document_id}/lock       document         401   404   ok    403   ok    404   ok    ok    404   404
DELETE /documents/{document_id}/lock     document         401   404   403   403   ok    404   403   ok    404   404
GET /documents/{document_id}/conflicts   document         401   404   ok    ok    ok    404   ok    ok    404   404
POST /documents/{document_id}/conflicts  document         401   404   ok    403   ok    404   ok    ok    404   404

POST /admin/revocations                  user             401   403   403   403   403   403   403   403   ok    403
GET /admin/audit                         -                401   403   403   403   403   403   403   403   ok    403

ws message                               user             401   ok    ok    ok    ok    ok    ok    ok    ok    ok
ws message                               group            401   404   ok    ok    ok    404   404   404   404   404
ws message                               direct           401   404   ok    404   ok    404   404   404   404   404
ws edit                                  own message      401   404   ok    ok    ok    404   404   404   404   404
ws edit                                  other message    401   404   403   403   403   404   404   404   404   404
ws edit                                  deleted message  401   404   410   410   410   404   404   404   404   404
ws edit                                  direct message   401   404   403   404   403   404   404   404   404   404
ws delete                                own message      401   404   ok    ok    ok    404   404   404   404   404
ws delete                                other message    401   404   403   ok    ok    404   404   404   404   404
ws delete                                deleted message  401   404   410   410   410   404   404   404   404   404
ws delete                                direct message   401   404   403   404   403   404   404   404   404   404
ws react                                 own message      401   404   ok    ok    ok    404   404   404   404   404
ws react                                 other message    401   404   ok    ok    ok    404   404   404   404   404
ws react                                 deleted message  401   404   410   410   410   404   404   404   404   404
ws react                                 direct message   401   404   ok    404   ok    404   404   404   404   404
ws typing                                user             401   ok    ok    ok    ok    ok    ok    ok    ok    ok
ws typing                                group            401   404   ok    ok    ok    404   404   404   404   404
ws typing                                direct           401   404   ok    404   ok    404   404   404   404   404
ws read                                  group            401   404   ok    ok    ok    404   404   404   404   404
ws read                                  direct           401   404   ok    404   ok    404   404   404   404   404
ws history                               group            401   404   ok    ok    ok    404   404   404   404   404
ws history                               direct           401   404   ok    404   ok    404   404   404   404   404
ws ack                                   group            401   404   ok    ok    ok    404   404   404   404   404
ws ack                                   direct           401   404   ok    404   ok    404   404   404   404   404
ws ack                                   @self            401   ok    ok    ok    ok    ok    ok    ok    ok    ok
ws sync                                  @self            401   ok    ok    ok    ok    ok    ok    ok    ok    ok
ws watch                                 presence         401   ok    ok    ok    ok    ok    ok    ok    ok    ok
ws unwatch                               presence         401   ok    ok    ok    ok    ok    ok    ok    ok    ok
ws subscribe                             document         401   404   ok    ok    ok    404   404   404   404   404
ws unsubscribe                           document         401   404   ok    ok    ok    404   404   404   404   404
ws operation                             document         401   404   ok    403   ok    404   404   404   404   404
ws lock                                  document         401   404   ok    403   ok    404   404   404   404   404
ws unlock                                document         401   404   403   403   ok    404   404   404   404   404
ws awareness                             document         401   404   ok    ok    ok    404   404   404   404   404
ws resolve                               document         401   404   ok    403   ok    404   404   404   404   404
ws refresh                               own token        401   ok    ok    ok    ok    ok    ok    ok    ok    ok
ws refresh                               other token      401   4001  4001  4001  4001  4001  4001  4001  4001  4001
ws register                              own token        ok    403   403   403   403   403   403   403   403   403
ws ping                                  -                ok    ok    ok    ok    ok    ok    ok    ok    ok    ok
"""
CODES = {"400": "invalid_field", "401": "unauthorized", "403": "forbidden", "404": "not_found", "410": "gone"}


def table():
    """[(action, object, {role: expected})]"""
    rows = []
    for line in TABLE.splitlines():
        cells = re.split(r"  +", line.strip())
        if len(cells) == 2 + len(ROLES) and cells[0] != "action":
            rows.append((cells[0], cells[1], dict(zip(ROLES, cells[2:]))))
        else:
            assert not line.strip() or cells[0] == "action", f"not a line of the table: {line}"
    return rows


@pytest.fixture(scope="module")
def matrix_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("matrix"), {"storage.url": "memory:"}).start()
    yield server
    server.stop()


class World:
    """A group, a direct conversation, messages of everybody; made anew for every cell."""

    def __init__(self, server, role):
        self.server, self.role = server, role
        (self.owner, self.admin, self.member, self.removed, self.stranger, self.backend, self.root,
         self.witness) = uniques("owner", "admin", "member", "removed", "stranger", "backend", "root", "witness")
        self.tenant = unique("blue") if role == "other tenant" else "default"
        self.user = {"member": self.member, "admin": self.admin, "owner": self.owner, "removed": self.removed,
                     "service+user": self.member, "service": self.backend, "role admin": self.root,
                     "other tenant": self.owner, "stranger": self.stranger}.get(role)
        self.clients = []

    # -- the stage ---------------------------------------------------------------------------------------------

    def build(self):
        server = self.server
        self.group = make_group(server, self.owner, self.member, self.removed, self.witness, title="before")
        self.rest(self.owner, "POST", f"/conversations/{self.group}/members", {"user_id": self.admin, "role": "admin"})
        self.messages = {}
        for user in (self.owner, self.admin, self.member, self.removed):
            self.messages[user] = self.post(user, conversation_id=self.group)
        self.deleted = {}
        for user in (self.owner, self.admin, self.member):
            self.deleted[user] = self.post(user, conversation_id=self.group)
            self.rest(user, "DELETE", f"/messages/{self.deleted[user]['message_id']}")
        self.direct_messages = {self.owner: self.post(self.owner, to=self.member),
                                self.member: self.post(self.member, to=self.owner)}
        self.direct = self.direct_messages[self.owner]["conversation_id"]
        self.document = self.conflict = None

    def add_document(self):
        """With an open conflict."""
        body = {"name": "before", "type": "whiteboard", "content": {"r": {"x": 0}},
                "metadata": {"properties": {"conflict_policy": "manual"}, "permissions": self.people(self.removed)}}
        self.document = self.rest(self.owner, "POST", "/documents", body)["document"]["id"]
        for user, x in ((self.owner, 1), (self.member, 2)):
            done = self.rest(user, "POST", f"/documents/{self.document}/operations",
                             {"type": "update", "data": {"id": "r", "x": x}, "prev_version": 1, "session_id": user})
        self.conflict = done["conflict"]["id"]

    def people(self, *more):
        return {"editors": [self.member], "viewers": [self.admin, *more]}

    def end_membership(self):
        assert_success(remove_member(self.server, self.owner, self.group, self.removed))
        if self.document:
            self.rest(self.owner, "PATCH", f"/documents/{self.document}",
                      {"metadata": {"properties": {"conflict_policy": "manual"}, "permissions": self.people()}})

    def rest(self, user, method, path, body=None):
        reply = self.server.api(method, path, user, body)
        return assert_success(reply, (200, 201))

    def post(self, user, **target):
        return self.rest(user, "POST", "/messages", {"content": text(), **target})["message"]

    def session_of(self, user, tenant="default"):
        token = self.server.token(user, tenant=tenant)
        return assert_success(self.server.api("POST", "/sessions", token, {}), 201)["session"]["session_id"]

    def state(self):
        """What nobody who was refused may have changed."""
        if self.document:
            document = self.rest(self.owner, "GET", f"/documents/{self.document}")["document"]
            document.pop("active_users")
            conflicts = self.rest(self.owner, "GET", f"/documents/{self.document}/conflicts")
            return {**document, "seq": 0, "updated_at": 0}, conflicts
        shown = [conversation(self.server, self.owner, each) for each in (self.group, self.direct)]
        return [(each["last_seq"], each["title"], each["metadata"],
                 sorted((member["user_id"], member["role"], member["read_seq"]) for member in each["members"]))
                for each in shown]

    # -- the caller --------------------------------------------------------------------------------------------

    def token(self):
        if self.role == "anonymous":
            return None
        if self.role in ("service+user", "service"):
            return tokens.token(self.backend, roles=["service"])
        return tokens.token(self.user, tenant=self.tenant, roles=["admin"] if self.role == "role admin" else [])

    def headers(self):
        return {"Tidemark-User": self.member} if self.role == "service+user" else {}

    def other(self):
        return self.member if self.role == "owner" else self.owner

    def pick(self, of, name):
        """The caller's own one, or the other's; of deleted messages the caller's own."""
        return of.get(self.other() if name.startswith(("other", "direct")) else self.user, of[self.owner])

    # -- REST --------------------------------------------------------------------------------------------------

    def call(self, action, name):
        """The expected code's short form of what the server answers."""
        method, path = action.split(" ")
        body = None
        if "/sessions/{id}" in path or path == "/ws/connect":
            if name == "own session" and self.role not in ("anonymous", "service"):
                session = self.session_of(self.user, self.tenant)
            else:
                session = self.session_of(self.other())
            path = path.replace("{id}", session)
            body = {"metadata": {"k": "v"}} if method == "PATCH" else None
            if path == "/ws/connect":
                return self.upgrade(session)
        elif "{message_id}" in path:
            of = {"deleted message": self.deleted, "direct message": self.direct_messages}.get(name, self.messages)
            path = path.replace("{message_id}", quote(self.pick(of, name)["message_id"]))
            body = {"content": text()} if method == "PATCH" else None
        elif "{document_id}" in path:
            if action.startswith("DELETE") and path.endswith("/lock"):
                self.rest(self.member, "POST", f"/documents/{self.document}/lock", {"session_id": "held"})
                path += "?force=true"
            body = {"PATCH": {"name": "after"}, "POST": {"session_id": "s"} if path.endswith("/lock") else
                    {"conflict_id": self.conflict, "take": "ours"} if path.endswith("/conflicts") else
                    {"type": "create", "data": {}}}.get(method)
            path = path.replace("{document_id}", self.document)
        elif path == "/messages" and method == "GET":
            path += "?" + urlencode({"conversation_id": self.direct if name == "direct" else self.group})
        elif path == "/messages/search":
            where = {"direct": {"conversation_id": self.direct}, "group": {"conversation_id": self.group}}.get(name, {})
            path += "?" + urlencode({"q": "hello", **where})
        elif path == "/messages":
            target = {"user": {"to": unique("someone")}, "direct": {"conversation_id": self.direct}}
            body = {"content": text(), **target.get(name, {"conversation_id": self.group})}
        elif path.startswith("/conversations/{id}"):
            target = {"itself": self.user or self.owner, "direct": self.member}.get(name, self.witness)
            if target == self.backend:
                target = self.member
            path = path.replace("{id}", self.direct if name == "direct" else self.group).replace("{user_id}", target)
            body = {"PATCH": {"role": "admin"} if "/members/" in path else {"title": "after"},
                    "POST": {"seq": 1} if path.endswith("/read") else {"user_id": unique("newcomer")}}.get(method)
        else:
            body = {"POST /documents": {"name": "x", "type": "text"}, "POST /sessions": {}, "POST /conversations": {"title": "x", "members": [unique("x")]},
                    "POST /sync": {"event": "e", "data": {}},
                    "POST /admin/revocations": {"user_id": unique("gone")}}.get(action)
            path += "?users=" + self.owner if path == "/presence" else ""
        reply = self.server.api(method, path, self.token(), body, self.headers())
        if reply.status in (200, 201):
            return "ok"
        code = (reply.json or {}).get("error")
        if (reply.status, code) == (400, "missing_field"):
            return "400m"
        return str(reply.status) if CODES.get(str(reply.status)) == code else f"{reply.status} {code}"

    def upgrade(self, session):
        async def connect():
            client = Client(self.server, self.user or "nobody", token=self.token() or "x", session_id=session,
                            auth=None if self.role == "anonymous" else "header", headers=self.headers())
            try:
                await client.open()
            except Exception as error:  # the library's, with the status of the refusal
                return str(getattr(error, "status_code", error))
            await client.drop()
            return "ok"
        return asyncio.run(connect())

    # -- WebSocket ---------------------------------------------------------------------------------------------

    async def connect(self):
        if self.role == "anonymous":
            return await Client(self.server, "nobody", auth=None, path="/ws").open()
        return await Client(self.server, self.user, "phone", token=self.token(), headers=self.headers(), ack="client",
                            auto_ack=False).open()

    async def command(self, client, kind, name):
        """Sends the command; the short form of what happened."""
        at = self.direct if name.startswith("direct") else self.group
        where = {"conversation_id": at}
        if name == "user":
            where = {"to": unique("someone")}
        of = {"deleted message": self.deleted, "direct message": self.direct_messages}.get(name, self.messages)
        seq = self.pick(of, name)["seq"] if name.endswith("message") else 1
        other_token = tokens.token("somebody-else") if self.role != "anonymous" else None
        own_token = self.token() or tokens.token(unique("late"))
        frame = {
            "message": {**where, "content": text()}, "edit": {**where, "seq": seq, "content": text()},
            "delete": {**where, "seq": seq}, "react": {**where, "seq": seq, "reaction": "+"},
            "typing": {**where, "is_typing": True}, "read": {**where, "seq": 1}, "history": where,
            "ack": {"cursors": {"@self" if name == "@self" else at: 0}}, "sync": {"event": "e", "data": {}},
            "watch": {"users": [self.owner]}, "unwatch": {"users": [self.owner]},
            "refresh": {"token": other_token if name == "other token" else own_token},
            "register": {"token": own_token}, "ping": {}, "subscribe": {}, "unsubscribe": {}, "lock": {},
            "operation": {"operation": {"type": "create", "data": {}}}, "unlock": {"force": True},
            "awareness": {"state": {}}, "resolve": {"conflict_id": self.conflict, "take": "ours"},
        }[kind]
        if name == "document":
            frame["document_id"] = self.document
            if kind in ("unsubscribe", "awareness"):
                await client.send(type="subscribe", document_id=self.document)
                await client.send(type="ping")
                await client.until(lambda: client.find("pong") or client.is_closed)
                await client.until(lambda: client.find("subscribed") or client.find("error"))
                refused = bool(client.find("error"))
                client.inbox.clear()
            if kind == "unlock" and self.role not in ("anonymous",):
                self.rest(self.member, "POST", f"/documents/{self.document}/lock", {"session_id": "held"})
        number = new_id()
        await client.send(type=kind, id=number, **frame)
        answers = {"message": "sent", "edit": "sent", "delete": "sent", "react": "sent", "sync": "sent",
                   "history": "history", "watch": "presence", "refresh": "refreshed", "register": "registered",
                   "ping": "pong", "subscribe": "subscribed", "unsubscribe": "unsubscribed", "lock": "locked",
                   "unlock": "unlocked", "operation": "operation_ack", "resolve": "resolved"}

        def done():
            return [each for each in client.frames if each.get("type") == "error" and each.get("id") == number
                    or each["type"] == answers.get(kind) and each.get("id") in (number, None)]
        if kind in answers or kind == "awareness" and refused:
            await client.until(done)
        elif kind in ("typing", "read") and name != "user":
            await self.seen_or_refused(client, kind, done)
        else:  # answered, or not, before the next frame is read
            await client.send(type="ping", id="settle")
            await client.until(lambda: done() or client.find("pong"))
        errors = [each for each in done() if each["type"] == "error"]
        if not errors:
            return "ok"
        code = errors[0]["code"]
        if kind == "refresh" and code == "unauthorized" and self.role != "anonymous":
            await client.closed(4001)
            return "4001"
        status = {"not_registered": "401", **{value: key for key, value in CODES.items() if value != "unauthorized"}}
        return status.get(code, code)

    async def seen_or_refused(self, client, kind, done):
        """typing and read have no answer: another member sees them, or the caller an error."""
        await asyncio.wait([asyncio.ensure_future(client.until(done, 10))] +
                           [asyncio.ensure_future(each.recv(kind, user_id=self.user)) for each in self.clients],
                           return_when=asyncio.FIRST_COMPLETED)


def cells():
    return [pytest.param(action, name, expected, id=f"{action} [{name}]") for action, name, expected in table()]


@pytest.mark.parametrize("action,name,expected", [each for each in cells() if not each.id.startswith("ws ")])
def test_rest(matrix_server, action, name, expected):
    found = {}
    for role in ROLES:
        world = World(matrix_server, role)
        world.build()
        if name == "document":
            world.add_document()
        world.end_membership()
        before = world.state()
        found[role] = world.call(action, name)
        if found[role] != "ok":
            assert world.state() == before, f"refused, and yet something changed: {action} {name} {role}"
    assert found == expected


@pytest.mark.parametrize("action,name,expected", [each for each in cells() if each.id.startswith("ws ")])
async def test_websocket(matrix_server, action, name, expected):
    found = {}
    for role in ROLES:
        world = World(matrix_server, role)
        world.build()
        if name == "document":
            world.add_document()
        client = await world.connect()
        if role != "anonymous":
            await client.synced()
        if action in ("ws typing", "ws read") and name != "user":
            watching = (world.witness,) if name == "group" else (world.owner, world.member)
            world.clients = [await matrix_server.connect(user) for user in watching]
        world.end_membership()
        if role == "removed":
            await client.recv("sync", event="conversation.left")
        before = world.state()
        found[role] = await world.command(client, action.removeprefix("ws "), name)
        if found[role] != "ok":
            assert world.state() == before, f"refused, and yet something changed: {action} {name} {role}"
        for each in [client, *world.clients]:
            if not each.is_closed:
                await each.drop()
    assert found == expected


def test_no_action_is_without_a_line(matrix_server):
    api = matrix_server.get("/openapi.json").json
    described = {f"{method.upper()} {path.removeprefix('/api/v1')}" for path, methods in api["paths"].items()
                 for method in methods if path.startswith("/api/v1")}
    types = set(api["x-websocket-commands"]) | {"register", "ping", "ack", "refresh"}  # the gateway's own
    assert len(described) > 20 and {"message", "watch"} <= types
    assert {action for action, _, _ in table()} == described | {f"ws {name}" for name in types}


async def test_removal_acts_at_once_on_what_is_followed(matrix_server):
    owner, member, removed = uniques("owner", "member", "removed")
    group = make_group(matrix_server, owner, member, removed)
    phone, laptop = [await matrix_server.connect(removed, device) for device in ("phone", "laptop")]
    native = await matrix_server.connect(member)
    seen = await native.say(conversation_id=group)
    for client in (phone, laptop):
        await client.recv("message", seq=seen["seq"])
    assert_success(remove_member(matrix_server, owner, group, removed))
    # From the answer on: not one frame of the group.
    marks = [len(client.frames) for client in (phone, laptop)]
    hidden = await native.say(conversation_id=group)
    await native.send(type="typing", conversation_id=group, is_typing=True)
    await native.send(type="read", conversation_id=group, seq=hidden["seq"])
    await native.change("edit", group, hidden["seq"], content=text())
    for client, mark in zip((phone, laptop), marks):
        await client.recv("sync", event="conversation.left")
        last = await client.say(removed)  # something that comes after all of it
        await client.settle()
        late = [each for each in client.frames[mark:] if each.get("conversation_id") == group]
        # What was sent before may still be on its way; nothing with a seq behind the removal may.
        assert not [each for each in late if each.get("seq", 0) >= hidden["seq"] or each["type"] == "typing"], late
        assert last["seq"] >= 1
    again = await phone.reconnect()
    await again.synced()
    assert group not in {each.get("conversation_id") for each in again.frames if each.get("seq", 0) > seen["seq"]}


async def test_the_same_ids_in_two_tenants_never_meet(matrix_server):
    """A connection of another tenant with the same user, device and conversation ids sees and disturbs nothing."""
    alice, bob, blue, room = uniques("alice", "bob", "blue", "room")
    for tenant in ("default", blue):
        service = tokens.token("backend", tenant=tenant, roles=["service"])
        body = {"title": tenant, "members": [bob], "conversation_id": room}
        assert_success(matrix_server.api("POST", "/conversations", service, body, {"Tidemark-User": alice}), 201)
    here = [await matrix_server.connect(user, "phone") for user in (alice, bob)]
    there = [await matrix_server.connect(user, "phone", tenant=blue) for user in (alice, bob)]
    for clients in (here, there):
        for client in clients:
            await client.synced()
            await client.send(type="watch", users=[alice, bob])
            await client.recv("presence", user_id=bob)
    direct = await here[0].say(bob)
    sent = await here[0].say(conversation_id=room)
    await here[0].send(type="typing", conversation_id=room, is_typing=True)
    await here[0].send(type="read", conversation_id=room, seq=sent["seq"])
    await here[0].request(type="sync", event="e", data={})
    await here[1].recv("message", conversation_id=room)
    marks = [len(each.frames) for each in there]
    tablet = await matrix_server.connect(alice, "tablet")
    await here[1].close()
    await here[0].recv("presence", user_id=bob, online=False)
    await tablet.close()
    made = assert_success(matrix_server.api("POST", "/sessions", alice, {"device_id": "phone"}), 201)["session"]
    assert_success(matrix_server.api("DELETE", f"/sessions/{made['session_id']}", alice))
    for each, mark in zip(there, marks):
        await each.settle()
        kinds = {frame["type"] for frame in each.frames[mark:]} - {"pong"}
        assert not kinds, (kinds, each.frames[mark:])
        assert not [frame for frame in each.frames if frame.get("conversation_id") == direct["conversation_id"]]
    one = await there[0].say(conversation_id=room)
    assert one["seq"] == sent["seq"], "each tenant counts for itself"
