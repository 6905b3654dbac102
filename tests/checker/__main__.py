"""python3 -m tests.checker FILE...: judges histories. Exit code 1: a promise was broken; 2: wrong usage."""
import sys

from .checks import check
from .history import load


def main(paths):
    if not paths:
        print(__doc__, file=sys.stderr)
        return 2
    broken = 0
    for path in paths:
        events = load(path)
        violations = check(events)
        broken += len(violations)
        for violation in violations:
            print(f"{path}: {violation}")
        print(f"{path}: {len(events)} events, {len(violations)} violations")
    return 1 if broken else 0


sys.exit(main(sys.argv[1:]))
