"""The outside checker: judges what clients saw, and knows nothing of how the server works.

A history is a file of JSON lines, in the order in which things happened; `t` is in seconds.

    {"ev": "open",  "t", "conn", "user", "tenant", "device", "whole"}
                                                                   a connection that was made; t is before that, and
                                                                   conn is never used again. device is null
                                                                   if it names none; whole: it asked for everything
                                                                   after its cursors (no replay=0, no conversation_id)
    {"ev": "send",  "t", "conn", "frame"}                          a frame that the client sent
    {"ev": "recv",  "t", "conn", "frame"}                          a frame that it received
    {"ev": "close", "t", "conn", "code"}                           the connection ended
    {"ev": "rest",  "t", "ended", "user", "tenant", "method", "path", "body", "status", "answer"}
                                                                   a REST call; status 0: no answer came
    {"ev": "fault", "t", "name"}                                   something was done to the server: kill, cut, ...
    {"ev": "calm",  "t"}                                           no faults from here on; everything has to become right
    {"ev": "final", "t", "tenant", "conversation", "kind", "created_by", "members", "messages_only", "entries"}
                                                                   a whole conversation, read over the front door at the
                                                                   end. messages_only: from GET /messages, which lists no
                                                                   other entries
    {"ev": "online", "t", "tenant", "user", "online"}              what GET /presence said, long enough after the last
                                                                   connection came or went
    {"ev": "resources", "t", "moment", "rss", "descriptors", "threads"}
                                                                   of the server; moment is "before" or "after" a storm

A history that is cut off (no `calm`, no `final`) is judged by what it shows. Invariants are numbered as in
docs/reliability.md; I5 and I6 (documents, locks) have no feature yet and are not judged.

    /usr/bin/python3 -m tests.checker history.jsonl [...]          prints what is broken; exit code 1 if anything is
"""
from .checks import check
from .history import Recorder, load

__all__ = ["Recorder", "check", "load"]
