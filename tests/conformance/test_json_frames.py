"""Frames that are no commands: wrong JSON, and how many of them a connection survives."""
import json

import pytest

from support.names import new_id, text, unique, uniques
from support.raw import TEXT, frame

NOT_JSON = ["", " ", "{", "}", "[", "nonsense", "{'type':'ping'}", '{"type":"ping",}', '{"type" "ping"}', '{"type":}',
            '{type:"ping"}', '{"type":"ping"} {"type":"ping"}', '{"type":"ping"}x', '{"type":"pi\tng"}',
            '{"type":"\\x"}', '{"type":"\\u12"}',
            '{"type":"ping","a":01}', '{"type":"ping","a":1.}', '{"type":"ping","a":+1}',
            '{"type":"ping","a":NaN}', '{"type":"ping","a":Infinity}', '{"type":"ping","a":tru}', "\ufeff" + '{"type":',
            '{"type":"ping","a":[1,]}', '{"type":"ping","a":.5}', '{"type":"ping" /* no */}', '"unterminated']
NOT_AN_OBJECT = ["[]", '[{"type":"ping"}]', '"ping"', "7", "true", "null", "-0.5e3"]
STRANGE = {
    "33 deep": json.dumps({"type": "message", "to": "x", "content": "x", "data": None}).replace(
        "null", '{"a":' * 33 + "1" + "}" * 33),
    "10000 deep": "[" * 10_000,
    "doubled key": '{"type":"message","to":"bob","content":"CANARY a","content":"CANARY b"}',
    "number beyond 64 bits": '{"type":"history","id":"x","conversation_id":"y","after":99999999999999999999}',
    "number beyond doubles": '{"type":"history","id":"x","conversation_id":"y","after":1e999}',
    "lone surrogate": '{"type":"message","to":"bob","content":"CANARY \\ud800"}',
    "reversed surrogates": '{"type":"message","to":"bob","content":"CANARY \\udc00\\ud800"}',
}


@pytest.fixture
def socket(server):
    with server.raw(unique("alice")) as connected:
        connected.read_json("synced")
        yield connected


@pytest.mark.parametrize("number", range(len(NOT_JSON)))
def test_what_is_not_json_is_invalid_json(socket, number):
    socket.send(frame(TEXT, NOT_JSON[number]))
    assert socket.read_json("error")["code"] == "invalid_json", NOT_JSON[number]
    assert socket.ping_works()


@pytest.mark.parametrize("value", NOT_AN_OBJECT)
def test_json_that_is_no_object_is_invalid_frame(socket, value):
    socket.send(frame(TEXT, value))
    assert socket.read_json("error")["code"] == "invalid_frame"
    assert socket.ping_works()


@pytest.mark.parametrize("name", STRANGE)
def test_strange_json_is_refused(socket, name):
    socket.send(frame(TEXT, STRANGE[name]))
    assert socket.read_json("error")["code"] in ("invalid_json", "invalid_field")
    assert socket.ping_works()


def test_thirty_levels_are_accepted(socket):
    data = 1
    for _ in range(30):
        data = {"a": data}
    socket.send_json({"type": "message", "id": new_id(), "to": unique("bob"), "content": text(), "data": data})
    assert socket.read_json()["type"] == "sent"


def test_escapes_and_whitespace_are_understood(socket):
    socket.send(frame(TEXT, ' \r\n\t{ "t\\u0079pe" : "p\\u0069ng" } '))
    assert socket.read_json()["type"] == "pong"


def test_twenty_bad_frames_close_with_4000(socket):
    for _ in range(19):
        socket.send_json([])
        assert socket.read_json("error")["code"] == "invalid_frame"
    assert socket.ping_works()
    socket.send_json({"type": "nonsense"})
    closed = socket.read_close()
    assert closed.code == 4000
    assert [each["type"] for each in closed.texts] == ["error", "bye"]
    assert (closed.texts[1]["code"], closed.texts[1]["reconnect"], closed.texts[1]["after_ms"]) == (4000, False, 0)


def test_refusals_that_are_not_bad_frames_do_not_close(socket):
    for _ in range(30):
        socket.send_json({"type": "history", "id": new_id(), "conversation_id": new_id()})
        assert socket.read_json("error")["code"] == "not_found"
    assert socket.ping_works()


def test_bad_frames_of_one_connection_do_not_count_for_another(server):
    alice, _ = uniques("alice", "bob")
    one, other = server.raw(alice), server.raw(alice)
    for _ in range(15):
        for connection in (one, other):
            connection.send(frame(TEXT, "["))
            connection.read_json("error")
    assert one.ping_works() and other.ping_works()
