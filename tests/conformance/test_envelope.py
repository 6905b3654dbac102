"""Every field of every command: missing, null, each wrong type, empty, too long.

The table below is the contract's; the cases are generated from it. Each answer must be an error with the exact code
and the name of the field, and the connection must go on working.
"""
from typing import Any, NamedTuple

import pytest

from support.names import new_id, text, unique, uniques

MISSING = object()
WRONG_TYPES = {
    "text": [7, 1.5, True, {}, ["x"]],
    "id": [7, 1.5, True, {}, ["x"], "two\nlines", "nul\u0000"],
    "integer": ["1", 1.5, True, {}, [1], -1],
    "boolean": ["true", 1, {}, [True]],
    "object": ["{}", 7, True, [1]],
    "ids": ["bob", 7, True, {}, [7], [None], [["bob"]], [""], ["x" * 129], ["two\nlines"]],
    "cursors": ["{}", 7, True, [1], {"c": "1"}, {"c": 1.5}, {"c": -1}, {"c": True}, {"c": None}, {"c": {}}],
}
MAY_BE_EMPTY = {"object", "ids", "cursors", "integer", "boolean"}


class Rule(NamedTuple):
    kind: str
    required: bool = True
    too_long: Any = None            # a value beyond the limit
    also: tuple = ()                # further values that are invalid_field
    codes: tuple = ("invalid_field",)  # for too long, where the contract leaves room
    null: tuple = ()                   # the codes for null, where it leaves room


def client_id(required=True):
    return Rule("text", required, "x" * 65)


def conversation():
    """A malformed id of a conversation may be said to be one that does not exist."""
    return Rule("id", True, "x" * 1000, codes=("invalid_field", "not_found"))


# One of two fields: null in it is an absent target as well as a null in an optional field.
ONE_TARGET = Rule("id", False, "x" * 129, null=("missing_field", "invalid_field"))
LONG_CONTENT = "x" * ((256 << 10) + 1)
LONG_DATA = {"x": "x" * (64 << 10)}
LONG_NAME = "x" * (64 << 10)
TARGET = {"conversation_id": conversation(), "seq": Rule("integer")}

# type -> (a valid frame without `type`, given the chat; its rules)
COMMANDS = {
    "message": (lambda chat: {"id": new_id(), "to": chat.bob, "content": text(), "content_type": "text",
                              "data": {"a": 1}, "reply_to": 1},
                {"id": client_id(required=False), "to": ONE_TARGET,
                 "content": Rule("text", True, LONG_CONTENT, codes=("invalid_field", "too_large")),
                 "content_type": Rule("text", False, LONG_NAME),
                 "data": Rule("object", False, LONG_DATA, codes=("invalid_field", "too_large")),
                 "reply_to": Rule("integer", False)}),
    "edit": (lambda chat: {"id": new_id(), "conversation_id": chat.id, "seq": 1, "content": text()},
             {"id": client_id(), **TARGET, "content": Rule("text", True, LONG_CONTENT,
                                                           codes=("invalid_field", "too_large"))}),
    "delete": (lambda chat: {"id": new_id(), "conversation_id": chat.id, "seq": 2},
               {"id": client_id(), **TARGET}),
    "react": (lambda chat: {"id": new_id(), "conversation_id": chat.id, "seq": 1, "reaction": "👍", "remove": False},
              {"id": client_id(), **TARGET, "reaction": Rule("text", True, LONG_NAME),
               "remove": Rule("boolean", False)}),
    "typing": (lambda chat: {"to": chat.bob, "is_typing": True}, {"is_typing": Rule("boolean")}),
    "ack": (lambda chat: {"cursors": {chat.id: 1}, "epoch": chat.epoch},
            {"cursors": Rule("cursors"), "epoch": Rule("text", False)}),
    "read": (lambda chat: {"conversation_id": chat.id, "seq": 1}, TARGET),
    "sync": (lambda chat: {"id": new_id(), "event": "settings", "data": {"a": 1}},
             {"id": client_id(), "event": Rule("text", True, LONG_NAME)}),
    "watch": (lambda chat: {"users": [chat.bob]}, {"users": Rule("ids")}),
    "unwatch": (lambda chat: {"users": [chat.bob]}, {"users": Rule("ids")}),
    "history": (lambda chat: {"id": new_id(), "conversation_id": chat.id, "after": 1, "limit": 10},
                {"id": client_id(), "conversation_id": conversation(), "after": Rule("integer", False),
                 "limit": Rule("integer", False, also=(0, 201))}),
    "refresh": (lambda chat: {"token": chat.token}, {"token": Rule("text")}),
}
FIELDS = [(kind, field) for kind, (_, rules) in COMMANDS.items() for field in rules]


class Chat(NamedTuple):
    alice: str
    bob: str
    id: str
    token: str
    epoch: str


@pytest.fixture(scope="module")
def chat(shared_server):
    alice, bob = uniques("alice", "bob")
    for _ in range(3):
        reply = shared_server.api("POST", "/messages", alice, {"to": bob, "content": text()})
    socket = shared_server.raw(alice)
    epoch = socket.read_json("welcome")["epoch"]
    socket.close()
    return Chat(alice, bob, reply.data["message"]["conversation_id"], shared_server.token(alice), epoch)


@pytest.fixture
def socket(server, chat):
    with server.raw(chat.alice, query="?device_id=" + unique("device")) as connected:
        connected.read_json("synced")
        yield connected


def cases(rule):
    """(what is sent in the field, the codes that may answer it)"""
    yield MISSING, ("missing_field",) if rule.required else None
    yield None, rule.null or (("missing_field",) if rule.required else ("invalid_field",))
    for value in WRONG_TYPES[rule.kind]:
        malformed = isinstance(value, str) and rule.kind == "id"
        yield value, rule.codes if malformed else ("invalid_field",)
    if rule.kind not in MAY_BE_EMPTY:
        yield "", rule.codes if rule.kind == "id" else ("invalid_field",)
    if rule.too_long is not None:
        yield rule.too_long, rule.codes
    for value in rule.also:
        yield value, ("invalid_field",)


def shown(value):
    return "nothing" if value is MISSING else repr(value)[:60]


def with_field(frame, field, value):
    rest = {name: each for name, each in frame.items() if name != field}
    return rest if value is MISSING else {**rest, field: value}


@pytest.mark.parametrize("kind", COMMANDS)
def test_valid_command_is_accepted(socket, chat, kind):
    """Else the refusals below would prove nothing."""
    frame = {"type": kind, **COMMANDS[kind][0](chat)}
    socket.send_json(frame)
    socket.send_json({"type": "ping"})
    received = [socket.read_json()]
    while "pong" not in [each["type"] for each in received] or \
            ("id" in frame and frame["id"] not in [each.get("id") for each in received]):
        received.append(socket.read_json())
    assert "error" not in [each["type"] for each in received], received


@pytest.mark.parametrize("kind, field", FIELDS)
def test_wrong_field_is_refused_by_code_and_name(socket, chat, kind, field):
    valid, rules = COMMANDS[kind]
    for value, codes in cases(rules[field]):
        if codes is None:
            continue
        frame = {"type": kind, **with_field(valid(chat), field, value)}
        socket.send_json(frame)
        error = socket.read_json("error")
        note = f"{kind} with {field} = {shown(value)}: {str(error)[:300]}"
        assert error["code"] in codes, note
        assert error["error"], note
        if error["code"] in ("missing_field", "invalid_field"):
            named = error["field"]
            other_target = "conversation_id" if value is None and field == "to" else field
            assert named in (field, other_target) or named.startswith((field + ".", field + "[")), note
        if "id" in frame and field != "id":
            assert error["id"] == frame["id"], note
        assert socket.ping_works(), note


@pytest.mark.parametrize("value, code", [
    (MISSING, "missing_field"), (None, "missing_field"), (7, "invalid_field"), (True, "invalid_field"),
    ({}, "invalid_field"), (["ping"], "invalid_field"),
])
def test_wrong_type_field(socket, value, code):
    socket.send_json(with_field({"a": 1}, "type", value))
    error = socket.read_json("error")
    assert (error["code"], error["field"]) == (code, "type")
    assert socket.ping_works()


@pytest.mark.parametrize("name", ["nonsense", "Ping", "ping ", "welcome", "sent", "error", "x" * 10_000, "\u0000"],
                         ids=lambda name: ascii(name[:10]))
def test_unknown_type(socket, name):
    socket.send_json({"type": name})
    assert socket.read_json("error")["code"] == "unknown_type"
    assert socket.ping_works()


def test_unknown_fields_are_ignored(socket, chat):
    more = {"more": {"a": [1]}, "x": None}
    socket.send_json({"type": "message", "id": new_id(), "to": chat.bob, "content": text(), **more})
    assert socket.read_json()["type"] == "sent"


def test_message_needs_exactly_one_target(socket, chat):
    socket.send_json({"type": "message", "content": text()})
    error = socket.read_json("error")
    assert error["code"] == "missing_field" and error["field"] in ("to", "conversation_id")
    for both in ({"to": chat.bob, "conversation_id": chat.id}, {"to": chat.bob, "group_id": chat.id}):
        socket.send_json({"type": "message", "content": text(), **both})
        error = socket.read_json("error")
        assert error["code"] == "invalid_field" and error["field"] in ("to", *both)
    assert socket.ping_works()


def test_limits_are_inclusive(socket, chat):
    """One less than too much is accepted."""
    for more in ({"id": "x" * 64}, {"content": "x" * (256 << 10)}, {"to": "x" * 128}):
        frame = {"type": "message", "id": new_id(), "to": chat.bob, "content": text(), **more}
        socket.send_json(frame)
        answer = socket.read_json()
        assert (answer["type"], answer["id"]) == ("sent", frame["id"])


@pytest.mark.parametrize("field, value", [("token", 7), ("token", ""), ("token", None), (None, MISSING)])
def test_wrong_register_keeps_the_connection(server, field, value):
    with server.raw(path="/ws") as socket:
        socket.send_json({"type": "register"} if field is None else {"type": "register", field: value})
        error = socket.read_json("error")
        assert error["code"] in ("missing_field", "invalid_field") and error["field"] in ("token", "user_id"), error
        assert socket.ping_works()


# The same rules on REST: path -> (method, a valid body, its rules)
REST = {
    "/messages": ("POST", lambda chat: {"to": chat.bob, "content": text()},
                  {"to": ONE_TARGET, "content": Rule("text"), "data": Rule("object", False),
                   "reply_to": Rule("integer", False), "id": client_id(required=False)}),
    "/conversations": ("POST", lambda chat: {"title": "Team", "members": [chat.bob]},
                       {"title": Rule("text", False, LONG_NAME), "members": Rule("ids", False)}),
    "/conversations/{}/read": ("POST", lambda chat: {"seq": 1}, {"seq": Rule("integer")}),
    "/sync": ("POST", lambda chat: {"event": "x", "data": {}}, {"event": Rule("text")}),
}


@pytest.mark.parametrize("path, field", [(path, field) for path, each in REST.items() for field in each[2]])
def test_wrong_field_of_a_rest_body_is_400(server, chat, path, field):
    method, valid, rules = REST[path]
    for value, codes in cases(rules[field]):
        if codes is None or (value is None or value is MISSING) and not rules[field].required:
            continue
        reply = server.api(method, path.format(chat.id), chat.alice, with_field(valid(chat), field, value))
        assert reply.status == 400 and reply.json["error"] in codes, (shown(value), reply.status, reply.json)
