"""The invariants over one history. check(events) gives the broken ones in words, each beginning with its number."""
from collections import defaultdict

ENTRY_TYPES = {"message", "message_edited", "message_deleted", "reaction", "member_added", "member_removed",
               "member_role", "conversation_updated", "conversation_deleted", "sync"}
DURABLE = {"message", "edit", "delete", "react", "sync"}
ANSWER_S = 5.0       # I7
RESOURCE_SHARE = 0.1  # I9
LISTED_MAX = 50      # violations of one invariant that are worth reading
FOR_EVER = float("inf")


def stream_of(frame):
    return "@self" if frame["type"] == "sync" else frame.get("conversation_id", "@self")


class Device:
    """What one device has of each stream, over all its connections."""

    def __init__(self):
        self.known = defaultdict(set)     # stream -> seqs that came, or were answered to it
        self.gaps = defaultdict(list)     # stream -> (after, up to and including)
        self.sure = defaultdict(int)      # stream -> cursor that the server is known to have


class Connection:
    def __init__(self, event, device):
        self.number, self.user, self.tenant = event["conn"], event["user"], event["tenant"]
        self.name = f"{event['user']}.{event['device'] or '-'}#{event['conn']}"
        self.whole = event.get("whole", True)
        self.device = device
        self.opened_at = event["t"]
        self.open = True
        self.synced = False
        self.newest = defaultdict(int)   # stream -> the highest seq pushed here
        self.own = set()                 # (stream, seq) answered here
        self.waiting = {}                # id -> (time, frame) of commands without an answer
        self.order = []                  # durable commands in the order of sending, with their answers
        self.acks = {}                   # stream -> seq, sent as `ack`
        self.asked = []                  # copies of acks at each ping


class Checker:
    def __init__(self, events):
        self.events = events
        self.found = []
        self.devices = defaultdict(Device)
        self.connections = {}
        self.acknowledged = []           # (connection name, tenant, user, stream, seq, frame)
        self.commands = {}               # (tenant, user, id) -> frame
        self.sights = []                 # (connection, time, stream, frame)
        self.changes = []                # membership over REST: (asked, answered, tenant, stream, user, removed, ok)
        self.finals = {}                 # (tenant, conversation) -> event
        self.epochs, self.old_epochs = set(), set()
        self.calm_at = None

    def complain(self, text):
        alike = sum(one.split()[0] == text.split()[0] for one in self.found)  # one must not hide the others
        if alike < LISTED_MAX and text not in self.found:
            self.found.append(text)

    def run(self):
        for event in self.events:
            getattr(self, "on_" + event["ev"])(event)
        end = self.events[-1]["t"] if self.events else 0
        for connection in self.connections.values():
            if connection.open:
                self.check_answers(connection, end)
            self.check_order_of_sends(connection)
        self.stays = {key: self.stays_in(final) for key, final in self.finals.items()}
        for final in self.finals.values():
            self.check_numbers(final)
        self.check_acknowledged()
        self.check_sights()
        self.check_complete()
        return self.found

    # -- events ------------------------------------------------------------------------------------------------

    def on_open(self, event):
        who = event["device"] if event["device"] is not None else event["conn"]
        self.connections[event["conn"]] = Connection(event, self.devices[event["tenant"], event["user"], who])

    def on_send(self, event):
        connection, frame = self.connections[event["conn"]], event["frame"]
        kind = frame.get("type")
        if "id" in frame and kind in DURABLE | {"history"}:
            connection.waiting[frame["id"]] = (event["t"], frame)
            if kind in DURABLE:
                first = (connection.tenant, connection.user, frame["id"]) not in self.commands
                self.commands[connection.tenant, connection.user, frame["id"]] = frame
                if first:
                    connection.order.append([frame["id"], None, None])
        elif kind == "ack":
            for stream, seq in frame.get("cursors", {}).items():
                connection.acks[stream] = max(seq, connection.acks.get(stream, 0))
        elif kind == "ping":
            connection.asked.append(dict(connection.acks))

    def on_recv(self, event):
        connection, frame = self.connections[event["conn"]], event["frame"]
        kind = frame["type"]
        if kind in ("welcome", "registered") and "epoch" in frame:
            self.epochs.add(frame["epoch"])
            if frame["epoch"] in self.old_epochs:
                self.complain(f"I4 the epoch is still {frame['epoch']} after a restore")
            if len(self.epochs) > 1:
                self.complain(f"I4 the epoch changed without a restore: {sorted(self.epochs)}")
        elif kind == "synced":
            connection.synced = True
        elif kind == "pong":
            for stream, seq in (connection.asked.pop(0) if connection.asked else {}).items():
                connection.device.sure[stream] = max(connection.device.sure[stream], seq)
        elif kind == "gap":
            stream = stream_of(frame)
            connection.device.gaps[stream].append((frame["after_seq"], frame["next_seq"] - 1))
            connection.newest[stream] = max(connection.newest[stream], frame["next_seq"] - 1)
        elif kind in ENTRY_TYPES and "seq" in frame:
            self.entry(connection, event["t"], frame)
        elif "id" in frame or kind == "error":
            self.answer(connection, event["t"], frame)

    def on_close(self, event):
        connection = self.connections[event["conn"]]
        self.check_answers(connection, event["t"])
        connection.open = False

    def on_rest(self, event):
        if event["ended"] - event["t"] > ANSWER_S:
            self.complain(f"I7 {event['method']} {event['path']} took {event['ended'] - event['t']:.1f} s")
        parts = event["path"].split("?")[0].strip("/").split("/")
        if len(parts) >= 3 and parts[0] == "conversations" and parts[2] == "members" and event["method"] in ("POST", "DELETE"):
            removed = event["method"] == "DELETE"
            user = parts[3] if removed else (event.get("body") or {}).get("user_id")
            self.changes.append((event["t"], event["ended"], event["tenant"], parts[1], user, removed,
                                 200 <= event["status"] < 300))

    def on_fault(self, event):
        if event["name"] == "restore":
            self.old_epochs, self.epochs = self.old_epochs | self.epochs, set()
        for device in self.devices.values():
            device.sure.clear()  # cursors are stored in batches: a crash may lose the last ones

    def on_calm(self, event):
        self.calm_at = event["t"]

    def on_final(self, event):
        self.finals[event["tenant"], event["conversation"]] = event

    def on_online(self, event):
        live = any(connection.open for connection in self.connections.values()
                   if (connection.tenant, connection.user) == (event["tenant"], event["user"]))
        if live != event["online"]:
            self.complain(f"I8 {event['user']} is shown as {'online' if event['online'] else 'offline'} "
                          f"with {'a' if live else 'no'} connection")

    def on_resources(self, event):
        if event["moment"] == "before":
            self.before = event
            return
        for name in ("rss", "descriptors", "threads"):
            if event[name] > self.before[name] * (1 + RESOURCE_SHARE):
                self.complain(f"I9 {name}: {self.before[name]} before, {event[name]} after")

    # -- on the way --------------------------------------------------------------------------------------------

    def entry(self, connection, time, frame):
        stream, seq = stream_of(frame), frame["seq"]
        at = f"{connection.name}: {stream} {seq}"
        newest = connection.newest[stream]
        if seq == newest:
            self.complain(f"I2 twice on one connection: {at}")
        elif seq < newest:
            self.complain(f"I3 out of order: {at} after {newest}")
        connection.newest[stream] = max(newest, seq)
        if (stream, seq) in connection.own:
            self.complain(f"I2 answered and pushed as well: {at}")
        if seq <= connection.device.sure[stream] and connection.whole:
            self.complain(f"I4 comes again, although {connection.device.sure[stream]} was confirmed: {at}")
        connection.device.known[stream].add(seq)
        self.sights.append((connection, time, stream, frame))

    def answer(self, connection, time, frame):
        if frame["type"] == "error" and frame["code"] == "not_found":
            connection.asked = [{} for _ in connection.asked]  # an ack among them may be what was refused
            connection.acks = {}
        asked = connection.waiting.pop(frame.get("id"), None)
        if asked is None:
            return
        if time - asked[0] > ANSWER_S:
            self.complain(f"I7 {connection.name}: {asked[1]['type']} {frame['id']} was answered after {time - asked[0]:.1f} s")
        if frame["type"] == "sent":
            stream, seq = frame["conversation_id"], frame["seq"]
            # A replay holds what this device sent as well, and so does what a connection gets that was answered before it
            # was told to follow the conversation. One that had everything before the entry gets it in no other way.
            if connection.synced and (0 < connection.newest[stream] == seq - 1 or (stream, seq - 1) in connection.own):
                connection.own.add((stream, seq))
            connection.device.known[stream].add(seq)
            self.acknowledged.append((connection.name, connection.tenant, connection.user, stream, seq, asked[1]))
            for entry in connection.order:
                if entry[0] == frame["id"]:
                    entry[1:] = [stream, seq]

    def check_answers(self, connection, until):
        for identifier, (time, frame) in connection.waiting.items():
            if until - time > ANSWER_S:
                self.complain(f"I7 {connection.name}: {frame['type']} {identifier} was never answered")

    def check_order_of_sends(self, connection):
        newest = {}
        for identifier, stream, seq in connection.order:
            if stream is None:
                continue
            if seq <= newest.get(stream, (0, None))[0]:
                self.complain(f"I3 sent later, numbered lower: {connection.name} {identifier} as {stream} {seq} "
                              f"after {newest[stream][1]} as {newest[stream][0]}")
            newest[stream] = (seq, identifier)

    # -- at the end, against the whole history -----------------------------------------------------------------

    @staticmethod
    def stays_in(final):
        """user -> [(first seq, seq of the removal)]"""
        stays = defaultdict(list)
        if final["messages_only"]:
            for user in final["members"]:
                stays[user].append((0, FOR_EVER))
            return stays
        if final["kind"] == "direct":
            for user in final["members"]:
                stays[user].append((0, FOR_EVER))
            return stays
        stays[final["created_by"]].append((0, FOR_EVER))
        for entry in final["entries"]:
            if entry["type"] == "member_added":
                stays[entry["user_id"]].append((entry["seq"], FOR_EVER))
            elif entry["type"] == "member_removed" and stays[entry["user_id"]]:
                stays[entry["user_id"]][-1] = (stays[entry["user_id"]][-1][0], entry["seq"])
        return stays

    def check_numbers(self, final):
        seqs = [entry["seq"] for entry in final["entries"]]
        name = final["conversation"]
        if final["messages_only"]:
            if seqs != sorted(set(seqs)):
                self.complain(f"I3 the history of {name} is not in order, or lists a seq twice")
        elif seqs != list(range(1, len(seqs) + 1)):
            hole = next((seq for seq, listed in enumerate(seqs, 1) if seq != listed), len(seqs))
            self.complain(f"I3 the history of {name} has a hole or a double at {hole}")

    def entry_of(self, tenant, stream, seq):
        final = self.finals.get((tenant, stream))
        if final is None:
            return None, None
        if "by_seq" not in final:
            final["by_seq"] = {entry["seq"]: entry for entry in final["entries"]}
        return final, final["by_seq"].get(seq)

    def check_acknowledged(self):
        places, contents = {}, defaultdict(set)
        self.versions = defaultdict(set)  # (tenant, stream, seq) -> every text that the message may have
        for name, tenant, user, stream, seq, frame in self.acknowledged:
            key = (tenant, user, stream, frame["id"])
            if places.setdefault(key, seq) != seq:
                self.complain(f"I2 {name}: {frame['id']} was answered as {stream} {places[key]} and as {seq}")
            if frame["type"] == "message":
                self.versions[tenant, stream, seq].add(frame["content"])
            elif frame["type"] == "edit":
                self.versions[tenant, stream, frame["seq"]].add(frame["content"])
            final, entry = self.entry_of(tenant, stream, seq)
            if final is None or (final["messages_only"] and frame["type"] != "message"):
                continue
            if entry is None:
                self.complain(f"I1 acknowledged and lost: {name} {frame['id']} as {stream} {seq}")
            elif entry["from"] != user:
                self.complain(f"I1 acknowledged, but somebody else's: {name} {frame['id']} as {stream} {seq}")
        for (tenant, stream), final in self.finals.items():
            for entry in final["entries"]:
                if entry["type"] == "message" and "content" in entry:
                    contents[tenant, stream, entry["from"], entry["content"]].add(entry["seq"])
        for tenant, user, identifier in self.commands:
            frame = self.commands[tenant, user, identifier]
            if frame["type"] != "message" or "conversation_id" not in frame:
                continue
            stored = contents[tenant, frame["conversation_id"], user, frame["content"]]
            if len(stored) > 1 and self.is_unique(tenant, user, frame):
                self.complain(f"I2 one id, stored {len(stored)} times: {user} {identifier} in {frame['conversation_id']}")
        for (tenant, stream), final in self.finals.items():
            for entry in final["entries"]:
                texts = self.versions.get((tenant, stream, entry["seq"]))
                if texts and entry["type"] == "message" and "content" in entry and entry["content"] not in texts:
                    self.complain(f"I1 another text than was acknowledged: {stream} {entry['seq']} {entry['content']!r:.60}")

    def is_unique(self, tenant, user, frame):
        if not hasattr(self, "sent_texts"):
            self.sent_texts = defaultdict(int)
            for (of_tenant, of_user, _), sent in self.commands.items():
                if sent["type"] == "message":
                    self.sent_texts[of_tenant, of_user, sent.get("conversation_id"), sent["content"]] += 1
        return self.sent_texts[tenant, user, frame["conversation_id"], frame["content"]] == 1

    def check_sights(self):
        seen = {}  # (tenant, stream, seq) -> type, author
        for connection, time, stream, frame in self.sights:
            seq = frame["seq"]
            at = f"{connection.name}: {stream} {seq}"
            if stream == "@self":
                continue
            what = (frame["type"], frame.get("from"))
            if seen.setdefault((connection.tenant, stream, seq), what) != what:
                self.complain(f"I3 two readers, two entries: {at} {what} and {seen[connection.tenant, stream, seq]}")
            self.check_not_removed(connection, time, stream, at)
            texts = self.versions.get((connection.tenant, stream, seq))
            if texts and frame["type"] == "message" and "content" in frame and frame["content"] not in texts:
                self.complain(f"I3 another text than was acknowledged: {at} {frame['content']!r:.60}")
            final, entry = self.entry_of(connection.tenant, stream, seq)
            if final is None or (final["messages_only"] and frame["type"] != "message"):
                continue
            if entry is None:
                self.complain(f"I1 delivered, but not stored: {at}")
                continue
            if (entry["type"], entry["from"]) != what:
                self.complain(f"I3 not what is stored: {at} {what}")
            stays = self.stays[connection.tenant, stream].get(connection.user, [])
            if not any(first <= seq < gone for first, gone in stays):
                self.complain(f"I10 not a member there: {at}")

    def check_not_removed(self, connection, time, stream, at):
        """Nothing comes on a connection that was opened after the removal was answered, whatever its number."""
        about = [change for change in self.changes if change[0] <= time
                 and change[2:5] == (connection.tenant, stream, connection.user)]
        for asked, answered, _, _, _, removal, ok in about:
            if removal and ok and answered < connection.opened_at and not any(
                    not other[5] and other[1] >= asked for other in about):  # calls at the same time: in either order
                self.complain(f"I10 removed before it connected: {at}")

    def check_complete(self):
        """In the calm end every device that is still connected gets everything, or is told of a gap."""
        if self.calm_at is None:
            return
        for connection in self.connections.values():
            if not (connection.open and connection.synced and connection.whole):
                continue
            for (tenant, stream), final in self.finals.items():
                stays = self.stays[tenant, stream].get(connection.user, [])
                if tenant != connection.tenant or not stays or stays[-1][1] != FOR_EVER:
                    continue
                known, gaps = connection.device.known[stream], connection.device.gaps[stream]
                for entry in final["entries"]:
                    seq = entry["seq"]
                    if seq < stays[-1][0] or seq in known or any(after < seq <= upto for after, upto in gaps):
                        continue
                    self.complain(f"I4 never came and no gap said so: {connection.name}: {stream} {seq}")
                    break


def check(events):
    return Checker(events).run()
