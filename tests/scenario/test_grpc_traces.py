"""Recorded editing sessions through StateSyncService, by a client that was generated from its .proto: byte-equal at the end.

TIDEMARK_TRACES             the directory of the recordings; without it they are skipped
TIDEMARK_TEST_WHOLE_TRACES  1: every transaction is an operation of its own; else up to 50 of one author are one
"""
import json
import os
import random

import grpc
import pytest

from support import traces
from support.documents import Text
from support.names import new_id, uniques
from support.rpc import Port, port_of, statesync
from support.rpc_stream import Stream
from support.server import Server

MOST = 1 if os.environ.get("TIDEMARK_TEST_WHOLE_TRACES") else 50
RIGHTS = {"limits.operations_per_second": 1000000, "limits.operations_burst": 1000000}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("traces"), {"statesync.grpc_listen": "127.0.0.1:0", **RIGHTS}).start()
    yield server
    server.stop()


class Author:
    """One user on a connection of their own, who writes on what they have seen so far."""

    def __init__(self, server, user):
        self.user = user
        self.port = Port(port_of(server, "statesync_grpc_port"), options=[("grpc.max_receive_message_length", 8 << 20)])
        self.caller = self.port.documents(user)

    def write(self, doc, ops, seen):
        operation = statesync.Operation(id=new_id(), doc_id=doc, type="text", session_id=f"session of {self.user}",
                                        data=json.dumps({"ops": ops}).encode(), prev_version=seen)
        while True:
            try:
                answer = self.caller.ApplyOperation(operation=operation)
                break
            except grpc.RpcError as error:  # the machine stood still: the same again gives the first answer
                assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
        assert answer.success and answer.applied_operation.status in ("applied", "resolved"), answer
        return answer.applied_operation

    def content(self, doc):
        return self.caller.GetDocument(doc_id=doc).document.content.decode()

    def follow(self, doc):
        return Stream(self.caller, lives=7200, doc_id=doc, from_version=1)


def make_document(owner, others, content):
    people = statesync.Permissions(editors=[other.user for other in others])
    return owner.caller.CreateDocument(name="trace", type="text", content=content.encode(),
                                       metadata=statesync.Metadata(permissions=people)).document.id


def replica(stream, start, version):
    """What the events of a subscription make of the text."""
    text = Text(start, 1)
    while text.version < version:
        operation = stream.next("operation_applied").operation
        text.apply({"version": operation.version, "data": json.loads(operation.data)})
    stream.cancel()
    return text.content


def play(server, start, edits):
    """Every edit by its author, in the order of the recording; gives the document's text when all replicas have it."""
    authors = {edit.agent: None for edit in edits}
    for agent, user in zip(authors, uniques(*[f"author{agent}" for agent in authors])):
        authors[agent] = Author(server, user)
    first, *others = authors.values()
    doc = make_document(first, others, start)
    streams = {agent: author.follow(doc) for agent, author in authors.items()}
    behind = 0
    for number, edit in enumerate(edits):
        applied = authors[edit.agent].write(doc, edit.ops, edit.seen)
        assert applied.version == number + 2
        behind = max(behind, number + 1 - edit.seen)
    content = {author.content(doc) for author in authors.values()}
    content |= {replica(stream, start, len(edits) + 1) for stream in streams.values()}
    for author in authors.values():
        author.port.close()
    assert len(content) == 1, "the replicas differ"
    return content.pop(), behind


@pytest.mark.limit(3600)
@pytest.mark.parametrize("name, lags", [("automerge-paper", False), ("friendsforever", True)])
def test_a_recorded_session_ends_with_the_recorded_text(server, name, lags):
    trace = traces.read(name)
    edits = traces.edits(trace, MOST)
    content, behind = play(server, trace.get("startContent", ""), edits)
    assert content == trace["endContent"]
    assert (behind > 5) == lags, behind


# Code points outside the first plane, sequences of several that are seen as one, marks that combine, text from the right.
WORDS = ["🙂", "👩‍👩‍👧‍👦", "👍🏽", "🇩🇪", "𝔘𝔫𝔦", "e\u0301", "a\u0308\u0323", "नमस्ते", "ก็", "עִבְרִית", "العَرَبِيَّة", "\u202eabc\u202c", "\u200f", "\u200d", "日本", "x", "\n"]


def recorded(seed, count):
    """One writer's edits among such words, positions between any two code points; with the text that they end with."""
    chance, content, result = random.Random(seed), "", []
    for number in range(count):
        position = chance.randrange(len(content) + 1)
        removed = min(chance.choice([0, 0, 0, 1, 2, 5]), len(content) - position)
        inserted = "".join(chance.choices(WORDS, k=chance.randrange(3))) or ("" if removed else "🙂")
        content = content[:position] + inserted + content[position + removed:]
        result.append(traces.Edit(0, number + 1, traces.ops_of(position, removed, inserted)))
    return result, content


@pytest.mark.parametrize("seed", range(3))
def test_code_points_of_every_kind_count_as_one(server, seed):
    edits, expected = recorded(seed, 300)
    content, _ = play(server, "", edits)
    assert content.encode() == expected.encode()


@pytest.mark.parametrize("seed", range(3))
def test_authors_far_behind_each_other_write_such_text(server, seed):
    """Three authors, who look at what the others have written now and then only."""
    chance = random.Random(seed)
    views = {agent: ("נִסָּיוֹן 🙂👍🏽 e\u0301", 1) for agent in range(3)}  # as each sees it: the text, and the version that it has seen
    start, edits = views[0][0], []
    authors = [Author(server, user) for user in uniques("ruth", "omar", "maya")]
    doc = make_document(authors[0], authors[1:], start)
    behind = 0
    for number in range(300):
        agent = chance.randrange(3)
        text, seen = views[agent]
        position = chance.randrange(len(text) + 1)
        removed = min(chance.choice([0, 0, 0, 1, 3]), len(text) - position)
        inserted = "".join(chance.choices(WORDS, k=chance.randrange(1, 3)))
        applied = authors[agent].write(doc, traces.ops_of(position, removed, inserted), seen)
        assert applied.version == number + 2
        behind = max(behind, number + 1 - seen)
        edits.append(applied)
        if chance.random() < 0.1:
            views[agent] = (authors[agent].content(doc), number + 2)
        else:
            views[agent] = (text[:position] + inserted + text[position + removed:], seen)
    final = authors[0].content(doc)
    assert behind > 10
    for author in authors:
        assert author.content(doc) == final == replica(author.follow(doc), start, 301)
        author.port.close()
    # What each inserted is there, in one piece or with others' text in between, unless somebody removed it.
    assert not set(final) - set("".join(WORDS) + start)
