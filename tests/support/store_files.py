"""What the store of a server holds of somebody: in the bytes of its files, or in the rows of its tables."""
import contextlib
import sqlite3


def files_hold(server, needle):
    """The names of the store's files with these bytes in them."""
    return [path.name for path in server.directory.glob("tidemark.db*") if needle.encode() in path.read_bytes()]


def rows_hold(server, needle):
    """The (table, column) pairs of an ended node's store that name it."""
    with contextlib.closing(sqlite3.connect(server.directory / "tidemark.db")) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(table, row[1]) for table in tables for row in store.execute(f'PRAGMA table_info("{table}")')]
        return [(table, column) for table, column in columns if store.execute(
            f'SELECT 1 FROM "{table}" WHERE instr(CAST("{column}" AS TEXT), ?) > 0 LIMIT 1', (needle,)).fetchone()]
