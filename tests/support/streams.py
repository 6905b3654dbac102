"""What a device has of each stream: its cursor, what it applied, and what it may confirm."""

ENTRY_TYPES = {"message", "message_edited", "message_deleted", "reaction", "member_added", "member_removed",
               "member_role", "conversation_updated", "conversation_deleted", "sync"}


class Stream:
    """floor: everything up to it was applied or announced as a gap. None until the first entry tells where we start."""

    def __init__(self):
        self.entries = {}    # seq -> frame, or the command for what this device sent itself
        self.pushed = set()  # the seqs among them that came as entries
        self.floor = None
        self.confirmed = 0
        self.gaps = []

    def add(self, seq, frame):
        if seq not in self.entries:
            self.entries[seq] = frame
            self.advance()

    def advance(self):
        moved = True
        while moved and self.floor is not None:
            moved = False
            for after, upto in self.gaps:
                if after <= self.floor < upto:
                    self.floor, moved = upto, True
            while self.floor + 1 in self.entries:
                self.floor, moved = self.floor + 1, True


class Streams:
    def __init__(self):
        self.by_key = {}

    def __getitem__(self, key):
        return self.by_key.setdefault(key, Stream())

    @staticmethod
    def is_entry(frame):
        return frame["type"] in ENTRY_TYPES and "seq" in frame

    @staticmethod
    def key(frame):
        return frame.get("conversation_id", "@self") if frame["type"] != "sync" else "@self"

    def entry(self, frame):
        stream = self[self.key(frame)]
        if stream.floor is None:
            stream.floor = min([frame["seq"], *stream.entries]) - 1
        stream.pushed.add(frame["seq"])
        stream.add(frame["seq"], frame)

    def sent(self, frame, command):
        """An own command was answered: its entry is known, although it will not be pushed here."""
        entry = {**command, "seq": frame["seq"], "timestamp": frame["timestamp"]}
        self[frame["conversation_id"]].add(frame["seq"], entry)

    def gap(self, frame):
        stream = self[self.key(frame)]
        stream.gaps.append((frame["after_seq"], frame["next_seq"] - 1))
        if stream.floor is None:
            stream.floor = frame["after_seq"]
        stream.advance()

    def knows(self, key, seq):
        return seq in self[key].entries

    def floor(self, key):
        stream = self[key]
        if stream.floor is None and stream.entries:
            stream.floor = min(stream.entries) - 1
            stream.advance()
        return stream.floor or 0

    def unconfirmed(self):
        return {key: stream.floor for key, stream in self.by_key.items()
                if stream.floor is not None and stream.floor > stream.confirmed}

    def repeated(self, key, seq):
        """An entry that was confirmed before: the server has lost that (a crash), so it is confirmed anew."""
        stream = self[key]
        stream.confirmed = min(stream.confirmed, seq - 1)

    def confirm_again(self):
        for stream in self.by_key.values():
            stream.confirmed = 0

    def confirm(self, cursors):
        for key, seq in cursors.items():
            self[key].confirmed = seq

    def messages(self, key):
        entries = self[key].entries
        return [(seq, entries[seq].get("content")) for seq in sorted(entries) if entries[seq]["type"] == "message"]

    def holes(self, key):
        """Seqs between the first and the last pushed entry that are neither known nor announced as a gap."""
        stream = self[key]
        if not stream.pushed:
            return []

        def skipped(seq):
            return any(after < seq <= upto for after, upto in stream.gaps)

        return [seq for seq in range(min(stream.pushed), max(stream.pushed))
                if seq not in stream.entries and not skipped(seq)]
