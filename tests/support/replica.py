"""Replicas of documents: what a client has that applies the operations as they are told, in the order of their versions."""
from support.documents import Text


def flat(value, path=""):
    """{dotted path: value} of nested objects."""
    if not isinstance(value, dict):
        return {path: value}
    return {name: one for key, inner in value.items() for name, one in flat(inner, f"{path}.{key}" if path else key).items()}


class Objects:
    """A replica of a whiteboard, canvas or sheet; `objects` holds {object id: {register: value}}."""

    def __init__(self, content, version):
        self.version, self.objects = version, self.read(content)

    @staticmethod
    def read(content):
        objects = {name: flat(value) for name, value in content.items() if isinstance(value, dict)}
        root = {name: value for name, value in content.items() if not isinstance(value, dict)}
        return {**objects, **({"": root} if root else {})}

    @property
    def content(self):
        """The objects; the root object is not shown while it has no registers."""
        return {name: registers for name, registers in self.objects.items() if name or registers}

    def apply(self, one):
        assert one["version"] == self.version + 1, (self.version, one)
        self.version += 1
        kind, data = one["type"], dict(one["data"])
        if kind == "update" and "id" not in data and "content" in data:
            self.objects = self.read(data["content"])
            return
        name = data.pop("id", one["id"] if kind == "create" else "")
        if kind == "delete":
            self.objects.pop(name, None)
        elif kind == "text":
            self.edit(name, data.get("key", "text"), data["ops"])
        else:
            if kind == "create" or name == "" and data:
                self.objects.setdefault(name, {})
            if name in self.objects:
                for key, value in sorted(flat(data).items()):
                    self.set(self.objects[name], key, value, name == "")

    def edit(self, name, key, ops):
        before = self.objects.get(name, {}).get(key)
        if not ops and before is None:
            return
        text = Text(before if isinstance(before, str) else "", 0)
        text.apply({"version": 1, "data": {"ops": ops}})
        self.set(self.objects.setdefault(name, {}), key, text.content, name == "")

    @staticmethod
    def set(registers, key, value, is_root):
        if not is_root:  # whose keys are no paths
            for other in list(registers):
                if other.startswith(key + ".") or value is not None and key.startswith(other + "."):
                    del registers[other]
        if value is None:
            registers.pop(key, None)
        else:
            registers[key] = value


def replica_of(document):
    """From what the server shows of a document."""
    return (Text if document["type"] == "text" else Objects)(document["content"], document["version"])


def same(replica, document):
    """Whether the replica is what the server shows: version and content."""
    return replica.version == document["version"] and replica.content == replica_of(document).content
