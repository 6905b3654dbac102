"""Recording and reading histories."""
import contextlib
import itertools
import json
import os
import time

LISTENING = "0A"  # in /proc/PID/net/tcp


def load(path):
    """The events of a file. A last line that was cut off with its writer is left out."""
    events = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            try:
                events.append(json.loads(line))
            except ValueError:
                if line.endswith("\n"):
                    raise
    return events


class Recorder:
    """Collects the events of a test's clients. Keeps them, and writes them to a file if one is named."""

    def __init__(self, path=None):
        self.events = []
        self._file = open(path, "a", encoding="utf-8") if path else None
        self._connections = itertools.count(1)

    def note(self, ev, t=None, **fields):
        event = {"ev": ev, "t": time.monotonic() if t is None else t, **fields}
        self.events.append(event)
        if self._file:
            self._file.write(json.dumps(event) + "\n")
            self._file.flush()

    # By the clients.

    def opened(self, user, tenant, device, whole=True, started=None):
        number = next(self._connections)
        self.note("open", started, conn=number, user=user, tenant=tenant, device=device, whole=whole)
        return number

    def sent(self, conn, frame):
        self.note("send", conn=conn, frame=frame)

    def received(self, conn, frame):
        self.note("recv", conn=conn, frame=frame)

    def closed(self, conn, code):
        self.note("close", conn=conn, code=code)

    @contextlib.contextmanager
    def call(self, user, tenant, method, path, body):
        """A REST call; the caller puts `status` and `answer` into what is given."""
        fields = {"status": 0, "answer": None}
        start = time.monotonic()
        try:
            yield fields
        finally:
            self.note("rest", t=start, ended=time.monotonic(), user=user, tenant=tenant, method=method, path=path,
                      body=body if isinstance(body, dict) else None, **fields)

    # By the test.

    def fault(self, name):
        self.note("fault", name=name)

    def calm(self):
        self.note("calm")

    def final(self, details, entries, tenant="default", messages_only=False):
        """details: the conversation as GET /conversations/{id} gives it; entries: the frames of its whole history."""
        self.note("final", tenant=tenant, conversation=details["conversation_id"], kind=details["kind"],
                  created_by=details.get("created_by"), messages_only=messages_only,
                  members=[member["user_id"] for member in details["members"]], entries=entries)

    def online(self, user, online, tenant="default"):
        self.note("online", tenant=tenant, user=user, online=online)

    def resources(self, moment, usage):
        self.note("resources", moment=moment, **usage)

    def close(self):
        if self._file:
            self._file.close()
            self._file = None


def usage_of(pid):
    """Memory, descriptors and threads of a process, for `resources`."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        fields = dict(line.split(":", 1) for line in status)
    return {"rss": int(fields["VmRSS"].split()[0]) * 1024, "threads": int(fields["Threads"]),
            "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}


def connections_of(pid):
    """How many TCP connections a process holds: an end that the client has closed counts until it is closed here too."""
    with open(f"/proc/{pid}/net/tcp", encoding="utf-8") as table:
        rows = [line.split() for line in list(table)[1:]]
    connected = {f"socket:[{row[9]}]" for row in rows if row[3] != LISTENING}
    held = 0
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            held += os.readlink(f"/proc/{pid}/fd/{name}") in connected
    return held
