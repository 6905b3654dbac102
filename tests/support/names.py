"""Fresh names, so that tests can share one server without meeting."""
import itertools
import uuid

_numbers = itertools.count(1)


def unique(name):
    """A user, tenant or device id that no other test uses: unique("alice") -> "alice-3f9c1b2a"."""
    return f"{name}-{uuid.uuid4().hex[:12]}"


def uniques(*names):
    return [unique(name) for name in names]


def new_id():
    """An idempotency key."""
    return str(uuid.uuid4())


def text(label="text"):
    """Message content that must never turn up in a log: see Server.check_logs."""
    return f"CANARY {label} {next(_numbers)}"
