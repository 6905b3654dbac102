"""Full-text search over REST: what is found, by whom, and what no longer is."""
from urllib.parse import quote, urlencode

import pytest

from support.chat import add_member, make_group, remove_member
from support.names import text, unique, uniques
from support.rest import assert_refused, assert_success


def search(server, user, words, **parameters):
    query = urlencode({"q": words, **parameters}, quote_via=quote)
    return assert_success(server.api("GET", f"/messages/search?{query}", user))


def found(server, user, words, **parameters):
    return [message["message_id"] for message in search(server, user, words, **parameters)["messages"]]


def word():
    return "w" + unique("x").replace("-", "")


async def test_all_words_have_to_match_and_the_newest_comes_first(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    here, there = word(), word()
    first = await a.say(bob, content=f"{here} only")
    both = await a.say(bob, content=f"{there.upper()}, and then {here}!")
    assert found(server, bob, here) == [both["message_id"], first["message_id"]]
    assert found(server, bob, f"{here} {there}") == [both["message_id"]]
    assert found(server, alice, f" {there}\t") == [both["message_id"]]
    assert found(server, bob, here[:-1]) == [], "whole words"


@pytest.mark.parametrize("content, words, matches", [
    ("un café crème", "CAFE", True), ("Ünïcödé", "unicode", True), ("ΑΘΗΝΑ", "αθηνα", True), ("привет мир", "МИР", True),
    ("snow❄man", "man", True), ("party 🎉 time", "party time", True), ("only 🎉", "🎉", False),
    ("今天天气很好", "今天天气很好", True), ("今天天气很好", "天气", False), ("今天 天气 很好", "天气", True),
    ("co-operate", "co-operate", True), ("co-operate", "operate", True), ("operate co", "co-operate", False),
    ("it's", "it's", True), ("a_b", "a", True), ("100%", "100", True), ("x" * 300, "x" * 200, False),
])
async def test_words_of_many_scripts(server, content, words, matches):
    """What the tokenizer takes for a word; the limits for CJK and emoji are documented."""
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    sent = await a.say(bob, content=content)
    assert found(server, bob, words) == ([sent["message_id"]] if matches else [])


@pytest.mark.parametrize("words", [
    "'; DROP TABLE entries; --", '"unbalanced', 'x"', '""', "a*", "*", "a OR b", "NOT zebra", "a NEAR(b, 2)", "(", ")", "^zeb",
    "content:zebra", "-content:zebra", "{content}: zebra", "a + b", "AND", "%", "_", "\\", "zebra\x00content", "\u2028", "🎉", "zzz“or“zebra",
    "\u202e",
])
async def test_nothing_typed_is_syntax(server, words):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    await a.say(bob, content="zebra crossing")
    assert found(server, alice, words) == []
    assert len(found(server, alice, "zebra")) == 1


async def test_limits(server):
    (alice,) = uniques("alice")
    long = "q" * 256
    assert search(server, alice, long) == {"messages": [], "has_more": False}
    for path, field in ((f"?q={long}q", "q"), ("?q=" + "+".join("a" * 17), "q"), ("?q=", "q"), ("?q=+", "q"),
                        ("?q=a&limit=0", "limit"), ("?q=a&limit=101", "limit"), ("?q=a&limit=x", "limit")):
        reply = server.api("GET", "/messages/search" + path, alice)
        assert_refused(reply, 400, "invalid_field")
    assert_refused(server.api("GET", "/messages/search", alice), 400, "missing_field")
    assert server.api("GET", "/messages/search?q=a").status == 401
    assert_success(server.api("GET", "/messages/search?q=" + "+".join("a" * 16), alice))


async def test_limit_and_has_more(server):
    alice, bob, carol = uniques("alice", "bob", "carol")
    a = await server.connect(alice)
    common = word()
    sent = [(await a.say(peer, content=f"{common} {number}"))["message_id"]
            for number in range(4) for peer in (bob, carol)]
    page = search(server, alice, common, limit=3)
    assert len(page["messages"]) == 3 and page["has_more"] is True
    times = [message["timestamp"] for message in page["messages"]]
    assert times == sorted(times, reverse=True)
    page = search(server, alice, common, limit=8)
    assert sorted(message["message_id"] for message in page["messages"]) == sorted(sent) and page["has_more"] is False
    assert len(found(server, bob, common)) == 4


@pytest.mark.parametrize("in_one", [False, True])
async def test_the_next_page(server, in_one):
    alice, bob, carol = uniques("alice", "bob", "carol")
    a = await server.connect(alice)
    common = word()
    sent = [await a.say(peer, content=f"{common} {number}") for number in range(4) for peer in (bob, carol)]
    where = {}
    if in_one:
        where = {"conversation_id": sent[0]["conversation_id"]}
        sent = [one for one in sent if one["conversation_id"] == where["conversation_id"]]
    page, pages = search(server, alice, common, limit=3, **where), []
    late = await a.say(bob, content=f"{common} late")  # is on no later page
    while True:
        pages.append([message["message_id"] for message in page["messages"]])
        if not page["has_more"]:
            break
        page = search(server, alice, common, limit=3, cursor=page["cursor"], **where)
    assert "cursor" not in page and [len(one) for one in pages] == ([3, 1] if in_one else [3, 3, 2])
    seen = sum(pages, [])
    assert sorted(seen) == sorted(one["message_id"] for one in sent) and late["message_id"] not in seen
    assert seen[0] == sent[-1]["message_id"] or not in_one
    for bad in ("x", "1", "1.2", "1.2.3.4", "1.2.", "-", "9" * 30 + ".1.1"):
        assert_refused(server.api("GET", f"/messages/search?q={common}&cursor={bad}", alice), 400, "invalid_field")


async def test_one_conversation_only(server):
    alice, bob, carol, mallory = uniques("alice", "bob", "carol", "mallory")
    a = await server.connect(alice)
    common = word()
    here = await a.say(bob, content=common)
    await a.say(carol, content=common)
    assert found(server, alice, common, conversation_id=here["conversation_id"]) == [here["message_id"]]
    for stranger in (carol, mallory):
        query = f"/messages/search?q={common}&conversation_id={here['conversation_id']}"
        assert_refused(server.api("GET", query, stranger), 404, "not_found")
        assert here["message_id"] not in found(server, stranger, common)


async def test_edits_and_deletions_are_folded_in(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    old, new = word(), word()
    sent = await a.say(bob, content=f"CANARY {old}")
    assert found(server, bob, old) == [sent["message_id"]]
    await a.change("edit", sent["conversation_id"], sent["seq"], content=f"CANARY {new}")
    assert found(server, bob, old) == []
    (message,) = search(server, bob, new)["messages"]
    assert message["content"] == f"CANARY {new}" and message["edited_at"]
    await a.change("delete", sent["conversation_id"], sent["seq"])
    assert found(server, bob, new) == [] and found(server, alice, old) == []


async def test_edit_and_delete_before_the_index_has_seen_the_message(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    old, new = word(), word()
    edited = await a.say(bob, content=old)
    await a.change("edit", edited["conversation_id"], edited["seq"], content=new)
    gone = await a.say(bob, content=new)
    await a.change("delete", gone["conversation_id"], gone["seq"])
    assert found(server, bob, old) == [] and found(server, bob, new) == [edited["message_id"]]


async def test_membership_decides(server):
    owner, member, later = uniques("owner", "member", "later")
    group = make_group(server, owner, member)
    o = await server.connect(owner)
    common = word()
    sent = await o.say(conversation_id=group, content=common)
    assert found(server, member, common) == [sent["message_id"]]
    assert found(server, later, common) == []
    assert_success(add_member(server, owner, group, later), 201)
    assert found(server, later, common) == [sent["message_id"]], "a new member may read the whole history"
    assert_success(remove_member(server, owner, group, member))
    assert found(server, member, common) == []
    assert_success(server.api("DELETE", f"/conversations/{group}", owner))
    assert found(server, owner, common) == [] and found(server, later, common) == []


async def test_tenants_do_not_meet(server):
    alice, bob = uniques("alice", "bob")
    common = word()
    a = await server.connect(alice, tenant="red")
    await a.say(bob, content=common)
    assert found(server, server.token(bob, tenant="blue"), common) == []
    assert len(found(server, server.token(bob, tenant="red"), common)) == 1


async def test_service_searches_one_conversation_or_for_a_user(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    common = word()
    sent = await a.say(bob, content=common)
    service = server.token("backend", roles=["service"])
    assert_refused(server.api("GET", f"/messages/search?q={common}", service), 400, "missing_field")
    assert found(server, service, common, conversation_id=sent["conversation_id"]) == [sent["message_id"]]
    reply = server.api("GET", f"/messages/search?q={common}", service, headers={"Tidemark-User": bob})
    assert len(assert_success(reply)["messages"]) == 1


async def test_index_goes_on_after_a_crash(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    common = word()
    a = await server.connect(alice)
    sent = [(await a.say(bob, content=f"{common} {text()}"))["message_id"] for _ in range(20)]
    server.kill()
    server.restart()
    # The index finds out what it lacks soon after the start.
    for _ in range(500):
        seen = found(server, bob, common, limit=100)
        if len(seen) == len(sent):
            break
    assert sorted(seen) == sorted(sent)


async def test_long_messages_are_indexed_at_their_beginning(server):
    alice, bob = uniques("alice", "bob")
    begin, end = word(), word()
    body = {"to": bob, "content": begin + " fill" * 20000 + f" {end}"}
    sent = assert_success(server.api("POST", "/messages", alice, body), 201)["message"]
    assert found(server, bob, begin) == [sent["message_id"]] and found(server, bob, end) == []
