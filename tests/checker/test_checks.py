"""The checker's rules, each on a small history made by hand: one that is right, and one that breaks the rule."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

from checker import Recorder, check
from checker.checks import LISTED_MAX

GROUP = "g"


def entry(seq, content=None, kind="message", author="anna", **more):
    frame = {"type": kind, "conversation_id": GROUP, "seq": seq, "from": author, **more}
    if kind == "message":
        frame["content"] = content or f"text {seq}"
    return frame


class Story:
    """Time passes by a tenth of a second with each event."""

    def __init__(self):
        self.recorder, self.now = Recorder(), 0.0

    def note(self, ev, after=0.1, **fields):
        self.now = round(self.now + after, 3)
        self.recorder.note(ev, t=self.now, **fields)
        return self

    def open(self, conn, user, device="phone", **more):
        return self.note("open", conn=conn, user=user, tenant="t", device=device, **more)

    def send(self, conn, after=0.1, **frame):
        return self.note("send", after, conn=conn, frame=frame)

    def recv(self, conn, frame, after=0.1):
        return self.note("recv", after, conn=conn, frame=frame)

    def say(self, conn, identifier, seq, content=None):
        self.send(conn, type="message", id=identifier, conversation_id=GROUP, content=content or f"text {seq}")
        return self.recv(conn, {"type": "sent", "id": identifier, "conversation_id": GROUP, "seq": seq})

    def final(self, *entries, members=("anna", "ben")):
        return self.note("final", tenant="t", conversation=GROUP, kind="group", created_by="anna", messages_only=False,
                         members=list(members), entries=list(entries))

    def broken(self):
        return sorted({violation.split()[0] for violation in check(self.recorder.events)})


ADDED = entry(1, kind="member_added", user_id="ben")


def honest():
    """anna and ben; anna says two things, ben gets everything and confirms it."""
    story = Story().open(1, "anna").open(2, "ben")
    story.recv(2, {"type": "synced"}).recv(2, ADDED).recv(1, ADDED).recv(1, {"type": "synced"})
    story.say(1, "a", 2).recv(2, entry(2)).say(1, "b", 3).recv(2, entry(3))
    story.send(2, type="ack", cursors={GROUP: 3}).send(2, type="ping").recv(2, {"type": "pong"})
    return story


def test_an_honest_history_is_not_blamed():
    story = honest().note("calm").final(ADDED, entry(2), entry(3))
    assert story.broken() == []


def test_what_was_acknowledged_is_in_the_history():
    assert honest().final(ADDED, entry(2)).broken() == ["I1"]
    assert "I1" in honest().final(ADDED, entry(2), entry(3, author="ben")).broken()
    assert "I1" in honest().final(ADDED, entry(2), entry(3, "something else")).broken()


def test_what_was_delivered_is_stored():
    assert honest().recv(2, entry(4)).final(ADDED, entry(2), entry(3)).broken() == ["I1"]


def test_one_id_is_one_entry():
    assert "I2" in honest().final(ADDED, entry(2), entry(3), entry(4, "text 3")).broken()
    assert "I2" in honest().say(1, "b", 4, "text 3").broken()


def test_an_entry_comes_once_on_a_connection():
    assert honest().recv(2, entry(3)).broken() == ["I2", "I4"]
    assert honest().recv(1, entry(3)).broken() == ["I2"]


def test_numbers_grow():
    assert "I3" in honest().recv(2, entry(2)).broken()
    assert honest().final(ADDED, entry(2), entry(4)).broken() == ["I1", "I3"]


def test_all_readers_see_one_order():
    assert honest().open(3, "cleo").recv(3, entry(2, "text 2", author="ben")).broken() == ["I3"]


def test_commands_of_a_connection_keep_their_order():
    story = Story().open(1, "anna")
    for identifier in "ab":
        story.send(1, type="message", id=identifier, conversation_id=GROUP, content=identifier)
    for identifier, seq in (("a", 2), ("b", 1)):
        story.recv(1, {"type": "sent", "id": identifier, "conversation_id": GROUP, "seq": seq})
    assert story.broken() == ["I3"]


def test_a_resume_begins_after_what_was_confirmed():
    again = honest().note("close", conn=2, code=1006).open(3, "ben")
    assert again.recv(3, entry(3)).broken() == ["I4"]
    after_a_crash = honest().note("close", conn=2, code=1006).note("fault", name="kill").open(3, "ben")
    assert after_a_crash.recv(3, entry(3)).broken() == []


def test_what_is_left_out_is_announced():
    def story():
        return honest().say(1, "c", 4).say(1, "d", 5).recv(2, entry(5))

    log = ADDED, entry(2), entry(3), entry(4), entry(5)
    assert story().note("calm").final(*log).broken() == ["I4"]
    gap = {"type": "gap", "conversation_id": GROUP, "after_seq": 3, "next_seq": 5}
    told = honest().say(1, "c", 4).say(1, "d", 5).recv(2, gap).recv(2, entry(5))
    assert told.note("calm").final(*log).broken() == []


def test_the_epoch_stays():
    story = Story().open(1, "anna").recv(1, {"type": "welcome", "epoch": "one"})
    story.open(2, "ben").recv(2, {"type": "welcome", "epoch": "two"})
    assert story.broken() == ["I4"]


def test_a_restore_changes_the_epoch():
    story = Story().open(1, "anna").recv(1, {"type": "welcome", "epoch": "one"}).note("fault", name="restore")
    assert story.open(2, "ben").recv(2, {"type": "welcome", "epoch": "one"}).broken() == ["I4"]


def test_silence_is_no_answer():
    story = Story().open(1, "anna").send(1, type="message", id="a", conversation_id=GROUP, content="x")
    assert story.send(1, after=4.9, type="ping").broken() == []
    assert story.send(1, after=0.2, type="ping").broken() == ["I7"]


def test_a_late_answer_is_one_too():
    story = Story().open(1, "anna").send(1, type="message", id="a", conversation_id=GROUP, content="x")
    assert story.recv(1, {"type": "sent", "id": "a", "conversation_id": GROUP, "seq": 1}, after=5.1).broken() == ["I7"]


def test_a_close_is_an_answer():
    story = Story().open(1, "anna").send(1, type="message", id="a", conversation_id=GROUP, content="x")
    assert story.note("close", conn=1, code=1006).send(1, after=9, type="ping").broken() == []


@pytest.mark.parametrize("online", [True, False])
def test_presence_is_the_live_connections(online):
    story = honest().note("close", conn=2, code=1000).note("online", tenant="t", user="ben", online=online)
    assert story.broken() == (["I8"] if online else [])


@pytest.mark.parametrize("name", ["rss", "descriptors", "threads"])
def test_resources_come_back(name):
    usage = {"rss": 1000, "descriptors": 100, "threads": 10}
    story = Story().note("resources", moment="before", **usage)
    assert story.note("resources", moment="after", **{**usage, name: round(usage[name] * 1.1)}).broken() == []
    assert story.note("resources", moment="after", **{**usage, name: round(usage[name] * 1.2)}).broken() == ["I9"]


def test_nothing_reaches_a_stranger():
    story = honest().open(3, "eve").recv(3, entry(2))
    assert story.final(ADDED, entry(2), entry(3)).broken() == ["I10"]


def test_nothing_reaches_somebody_who_was_removed():
    removed = entry(4, kind="member_removed", user_id="ben")
    story = honest().recv(2, removed)
    assert story.final(ADDED, entry(2), entry(3), removed, members=["anna"]).broken() == ["I10"]


def test_what_was_unread_does_not_come_after_the_removal():
    story = honest().note("rest", ended=9.0, user="anna", tenant="t", method="DELETE", body=None, status=200, answer=None,
                          path=f"/conversations/{GROUP}/members/ben")
    story.note("open", after=20, conn=3, user="ben", tenant="t", device="desk")
    assert "I10" in story.recv(3, entry(2)).broken()


def test_many_violations_of_one_kind_do_not_hide_another():
    story = honest().open(3, "eve")
    for seq in range(4, 4 + LISTED_MAX + 10):
        story.recv(2, entry(seq)).recv(2, entry(seq))
    assert "I10" in story.recv(3, entry(2)).final(ADDED, entry(2), entry(3)).broken()


def test_the_command_line(tmp_path):
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text("".join(json.dumps(event) + "\n" for event in honest().recorder.events) + '{"ev": "cut o')
    bad.write_text("".join(json.dumps(event) + "\n" for event in honest().recv(2, entry(3)).recorder.events))

    def run(*files):
        return subprocess.run([sys.executable, "-m", "tests.checker", *map(str, files)], capture_output=True, text=True,
                              cwd=Path(__file__).resolve().parents[2])

    assert run(good).returncode == 0
    refused = run(good, bad)
    assert refused.returncode == 1 and "I2 twice on one connection" in refused.stdout, refused
    assert run().returncode == 2
