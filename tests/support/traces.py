"""Recorded editing sessions: {startContent, endContent, txns: [{agent?, parents?, patches: [[position, removed, inserted]]}]}."""
import gzip
import json
import os
from pathlib import Path

import pytest


def read(name):
    """A trace by its name; skips the test where there are none."""
    directory = os.environ.get("TIDEMARK_TRACES")
    path = Path(directory or ".") / f"{name}.json.gz"
    if not directory or not path.exists():
        pytest.skip(f"no recorded sessions: set TIDEMARK_TRACES to the directory of {name}.json.gz")
    with gzip.open(path) as file:
        return json.load(file)


class Edit:
    """One transaction as an operation: its author had seen the version `seen` and the own operations since."""

    def __init__(self, agent, seen, ops):
        self.agent, self.seen, self.ops, self.transactions = agent, seen, ops, 1

    def join(self, patch):
        self.ops = compose(self.ops, *patch)
        self.transactions += 1


def ops_of(position, removed, inserted):
    return ([position] if position else []) + ([inserted] if inserted else []) + ([{"d": removed}] if removed else [])


def compose(ops, position, removed, inserted):
    """`ops`, and then a patch of the text that it leaves, as one operation."""
    parts, at, out = list(ops), 0, []
    # Up to the position; a string that reaches beyond it is cut.
    while parts and at < position:
        part = parts.pop(0)
        if isinstance(part, dict):
            out.append(part)
            continue
        size = part if isinstance(part, int) else len(part)
        if at + size > position:
            keep = position - at
            out.append(keep if isinstance(part, int) else part[:keep])
            parts.insert(0, size - keep if isinstance(part, int) else part[keep:])
            at = position
        else:
            out.append(part)
            at += size
    if at < position:
        out.append(position - at)
    if inserted:
        out.append(inserted)
    while removed:
        part = parts.pop(0) if parts else removed
        if isinstance(part, dict):
            out.append(part)
        elif isinstance(part, int):
            gone = min(part, removed)
            out.append({"d": gone})
            removed -= gone
            if part > gone:
                parts.insert(0, part - gone)
        else:
            gone = min(len(part), removed)
            removed -= gone
            if len(part) > gone:
                parts.insert(0, part[gone:])
    return tidy(out + parts)


def tidy(ops):
    """Neighbours of one kind are one part; an insert stands before what is deleted at its place."""
    out = []
    for part in ops:
        if isinstance(part, str) and out and isinstance(out[-1], dict):
            deleted = out.pop()
            if out and isinstance(out[-1], str):
                out[-1] += part
            else:
                out.append(part)
            out.append(deleted)
        elif out and isinstance(part, dict) and isinstance(out[-1], dict):
            out[-1] = {"d": out[-1]["d"] + part["d"]}
        elif out and type(part) is type(out[-1]) and not isinstance(part, dict):
            out[-1] += part
        else:
            out.append(part)
    return out


def apply(content, ops):
    out, at = [], 0
    for part in ops:
        if isinstance(part, int):
            out.append(content[at:at + part])
            at += part
        elif isinstance(part, str):
            out.append(part)
        else:
            at += part["d"]
    return "".join(out) + content[at:]


def first_unseen(trace):
    """Of each transaction: the number of the first one of another agent that its author had not seen."""
    seen_by, agents, trunk = [], [], {}
    for number, transaction in enumerate(trace["txns"]):
        agent = transaction.get("agent", 0)
        seen = {}
        for parent in transaction.get("parents", [number - 1] if number else []):
            for who, newest in {**seen_by[parent], agents[parent]: parent}.items():
                seen[who] = max(seen.get(who, -1), newest)
        first = trunk.get(agent, 0)
        while first < number and (agents[first] == agent or first <= seen.get(agents[first], -1)):
            first += 1
        for later in range(first, number):
            assert (later <= seen.get(agents[later], -1)) == (agents[later] == agent), "it is no version of the trunk"
        trunk[agent] = first
        seen_by.append(seen)
        agents.append(agent)
        yield first


def edits(trace, most=1):
    """The trace as operations on a document whose version 1 is startContent, at most so many transactions in one.

    What the author of a transaction saw is a version of the trunk and the own operations since: that is what prev_version
    means. Transactions are joined where one author goes on and no other has seen a part of them only.
    """
    firsts = list(first_unseen(trace))
    # In front of these somebody stopped reading for a while.
    borders = {first for number, first in enumerate(firsts) if first < number}
    result, edit_of = [], []
    for number, transaction in enumerate(trace["txns"]):
        agent, first = transaction.get("agent", 0), firsts[number]
        (patch,) = transaction["patches"]
        # It goes on with what the one before saw, or both have seen all that there was.
        same = number > 0 and (first == firsts[number - 1] or first == number and firsts[number - 1] == number - 1)
        if same and number not in borders and result[-1].agent == agent and result[-1].transactions < most:
            result[-1].join(patch)
        else:
            result.append(Edit(agent, (edit_of[first - 1] if first else 0) + 1, ops_of(*patch)))
        edit_of.append(len(result))
    return result
