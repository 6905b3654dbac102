"""Every field of every command of both doors, as /openapi.json describes them: wrong types, sizes, ranges, absence.

Nothing here names a field: a new one gets its cases by itself. Only a new WebSocket command needs a valid example.
"""
import json
import re
from urllib.parse import quote

import pytest

from support.names import new_id, text, unique, uniques
from support.raw import TEXT, frame

WRONG = {
    "string": [7, 1.5, True, {}, ["x"], [], ""],
    "integer": ["1", "", 1.5, True, {}, [1], 1 << 63, -(1 << 63)],
    "boolean": ["true", 1, 0, {}, [True], ""],
    "object": ["{}", "", 7, True, [1], []],
    "content": [7, 1.5, True, ["x"], []],
    "array": ["x", "", 7, True, {}, [7], [None], [["x"]], [{}], [""], ["x" * 129], ["a\nb"], ["nul\0"]],
}
WRONG_MEMBERS = {"string": [7, True, {}, ["x"], None], "integer": ["1", 1.5, -1, True, None, {}]}
WRONG_TEXTS = {"integer": ["x", "", "1.5", "+1", "0x1", " 1", "1 ", "99999999999999999999", "1e3", "-"],
               "boolean": ["maybe", "", "TRUE", "2"], "string": [""], "array": ["", "x" * 129, "a%0ab"]}

# A valid frame per type: what the fields alone cannot say. `chat` is (alice, bob, conversation id).
EXAMPLES = {
    "message": lambda chat: {"to": chat[1], "content": text()},
    "edit": lambda chat: {"id": new_id(), "conversation_id": chat[2], "seq": 1, "content": text()},
    "delete": lambda chat: {"id": new_id(), "conversation_id": chat[2], "seq": 2},
    "react": lambda chat: {"id": new_id(), "conversation_id": chat[2], "seq": 1, "reaction": "+1"},
    "typing": lambda chat: {"to": chat[1], "is_typing": True},
    "read": lambda chat: {"conversation_id": chat[2], "seq": 1},
    "history": lambda chat: {"id": new_id(), "conversation_id": chat[2]},
    "sync": lambda chat: {"id": new_id(), "event": "e", "data": {}},
    "watch": lambda chat: {"users": [chat[1]]},
    "unwatch": lambda chat: {"users": [chat[1]]},
    "subscribe": lambda chat: {"document_id": "d"},
    "unsubscribe": lambda chat: {"document_id": "d"},
    "operation": lambda chat: {"document_id": "d", "operation": {"type": "create", "data": {}}},
    "lock": lambda chat: {"document_id": "d"},
    "unlock": lambda chat: {"document_id": "d"},
    "awareness": lambda chat: {"document_id": "d", "state": {}},
    "resolve": lambda chat: {"document_id": "d", "conflict_id": "c", "take": "ours"},
}


@pytest.fixture(scope="module")
def api(shared_server):
    return shared_server.get("/openapi.json").json


@pytest.fixture(scope="module")
def chat(shared_server):
    alice, bob = uniques("alice", "bob")
    for _ in range(3):
        reply = shared_server.api("POST", "/messages", alice, {"to": bob, "content": text()})
    return alice, bob, reply.data["message"]["conversation_id"]


def size_limit(schema):
    """Objects and texts in bytes, from the description."""
    found = re.search(r"At most (\d+) bytes", schema.get("description", ""))
    return int(found[1]) if found else None


def wrong_values(schema):
    """JSON values that the schema forbids, without null."""
    kind = schema.get("type", "content")
    yield from WRONG[kind]
    if kind == "integer":
        yield schema["minimum"] - 1
        if "maximum" in schema:
            yield schema["maximum"] + 1
    if kind == "string" and "maxLength" in schema:
        yield "x" * (schema["maxLength"] + 1)
        # A limit in bytes: characters of two bytes reach it with half as many.
        if size_limit(schema):
            yield "é" * (schema["maxLength"] // 2 + 1)
    if kind == "array" and "maxItems" in schema and schema["maxItems"] <= 10_000:
        yield [f"user-{number}" for number in range(schema["maxItems"] + 1)]
    if kind == "object":
        for member in WRONG_MEMBERS.get(schema.get("additionalProperties", {}).get("type"), []):
            yield {"a": member}
        if size_limit(schema):
            yield {"a": "x" * size_limit(schema)}


def without(body, field):
    return {name: value for name, value in body.items() if name != field}


def shown(value):
    return json.dumps(value)[:80]


def wrong_bodies(schema, valid):
    """(field, body, expected code) for an object schema and a body that it takes."""
    required = schema.get("required", [])
    for field, rule in schema["properties"].items():
        # An alias such as data.is_typing is not the field; the example may not hold what excludes the field.
        rest = without(valid, field)
        if field == "conversation_id":
            rest = without(rest, "to")
        if field in required:
            yield field, rest, "missing_field"
            yield field, {**rest, field: None}, "missing_field"
        else:
            yield field, {**rest, field: None}, "invalid_field"
        for value in wrong_values(rule):
            yield field, {**rest, field: value}, "invalid_field"


# -- the WebSocket -----------------------------------------------------------------------------------------------


def test_every_command_has_an_example(api):
    assert set(EXAMPLES) == set(api["x-websocket-commands"]), "a new command needs a valid frame in EXAMPLES"


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_field_of_a_command(server, api, chat, kind):
    valid = EXAMPLES[kind](chat)
    cases = list(wrong_bodies(api["x-websocket-commands"][kind], valid))
    assert len(cases) >= 9
    for start in range(0, len(cases), 15):  # twenty bad frames within ten seconds would close the connection
        with server.raw(chat[0], query="?device_id=" + unique("device")) as socket:
            socket.read_json("synced")
            for field, body, code in cases[start:start + 15]:
                socket.send(frame(TEXT, json.dumps({"type": kind, **body}, ensure_ascii=False)))
                error = socket.read_json("error")
                note = f"{kind} with {field}: {shown(body)}: {error}"
                assert (error["code"], error["field"]) == (code, field), note
                if isinstance(body.get("id"), str) and field != "id":
                    assert error["id"] == body["id"], note
            assert socket.ping_works()


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_field_twice(server, api, chat, kind):
    """Two parsers might take two different ones of them."""
    with server.raw(chat[0], query="?device_id=" + unique("device")) as socket:
        socket.read_json("synced")
        for field, schema in api["x-websocket-commands"][kind]["properties"].items():
            value = json.dumps({**EXAMPLES[kind](chat), "id": new_id()}.get(field, example(schema)))
            rest = json.dumps({"type": kind, **without(EXAMPLES[kind](chat), field)})
            socket.send(frame(TEXT, rest[:-1] + f', "{field}": {value}, "{field}": {value}}}'))
            error = socket.read_json("error")
            assert (error["code"], error["field"]) == ("invalid_field", field), (kind, field, error)


# -- REST --------------------------------------------------------------------------------------------------------


def example(schema):
    """A value that the schema takes."""
    return {"string": "x", "integer": max(schema.get("minimum", 1), 1), "boolean": True, "object": {},
            "array": ["x"], "content": "x"}[schema.get("type", "content")]


def calls(api):
    """(method, path with its parameters filled in, schema of the body or None, query parameters)"""
    for path, item in api["paths"].items():
        if not path.startswith("/api/v1") or path.endswith("/ws/connect"):
            continue
        for method, operation in item.items():
            parameters = [each for each in operation["parameters"] if "$ref" not in each]
            filled = re.sub(r"{\w+}", "x", path)
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            yield method.upper(), filled.removeprefix("/api/v1"), body, [
                each for each in parameters if each["in"] == "query"]


def valid_query(query):
    return {each["name"]: str(example(each["schema"])) if each["schema"]["type"] != "array" else "x"
            for each in query if each["required"]}


def query_string(values):
    return "?" + "&".join(f"{name}={quote(value, safe='%')}" for name, value in values.items()) if values else ""


def admin(server):
    return server.token(unique("admin"), roles=["admin"])


def test_every_field_of_every_rest_body(server, api):
    token, count = admin(server), 0
    for method, path, schema, query in calls(api):
        if schema is None:
            continue
        valid = {field: example(schema["properties"][field]) for field in schema.get("required", [])}
        for field, body, code in wrong_bodies(schema, valid):
            reply = server.api(method, path + query_string(valid_query(query)), token, body)
            note = f"{method} {path} {shown(body)}: {reply.status} {reply.json}"
            assert (reply.status, reply.json["error"], reply.json["field"]) == (400, code, field), note
            count += 1
    assert count > 200, count


def test_every_query_parameter(server, api):
    token, count = admin(server), 0
    for method, path, _, query in calls(api):
        for parameter in query:
            name, schema = parameter["name"], parameter["schema"]
            others = without(valid_query(query), name)
            wrong = list(WRONG_TEXTS[schema["type"]])
            if schema["type"] == "integer":
                wrong += [str(schema["minimum"] - 1)] + ([str(schema["maximum"] + 1)] if "maximum" in schema else [])
            if schema["type"] == "string" and "maxLength" in schema:
                wrong.append("x" * (schema["maxLength"] + 1))
            wrong.append("%ff")
            for value in wrong:
                reply = server.api(method, path + query_string({**others, name: value}), token)
                note = f"{method} {path} {name}={value[:60]}: {reply.status} {reply.json}"
                assert (reply.status, reply.json["error"], reply.json["field"]) == (400, "invalid_field", name), note
                count += 1
            for broken in ("%", "%z1", "%4"):
                reply = server.api(method, path + query_string({**others, name: broken}), token)
                assert (reply.status, reply.json["error"]) == (400, "invalid_frame"), (method, path, name, broken)
                count += 1
            good = quote(str(example(schema))) if schema["type"] != "array" else "x"
            reply = server.api(method, path + query_string({**others, name: good}) + f"&{name}={good}", token)
            assert (reply.status, reply.json["error"], reply.json["field"]) == (400, "invalid_field", name), name
            if parameter["required"]:
                reply = server.api(method, path + query_string(others), token)
                assert (reply.status, reply.json["error"], reply.json["field"]) == (400, "missing_field", name), name
            count += 2
    assert count > 100, count


def test_unknown_query_parameters_and_body_fields_are_ignored(server):
    alice, bob = uniques("alice", "bob")
    reply = server.api("POST", "/messages?x=1&y", alice, {"to": bob, "content": text(), "more": [None, {}]})
    assert reply.status == 201
    assert server.api("GET", "/conversations?nobody=knows&&=&a=b=c", alice).status == 200
