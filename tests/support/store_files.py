"""What the store of a server holds of somebody: in the bytes of its files, or in the rows of its tables."""
import contextlib
import sqlite3

from support.postgres import shared_postgres
from support.server import embedded


def files_hold(server, needle):
    """The names of the embedded store's files with these bytes in them; with PostgreSQL, rows_hold()."""
    if not embedded():
        return postgres_rows_hold(server, needle)
    return [path.name for path in server.directory.glob("tidemark.db*") if needle.encode() in path.read_bytes()]


def rows_hold(server, needle):
    """The (table, column) pairs of an ended node's store that name it."""
    if not embedded():
        return postgres_rows_hold(server, needle)
    with contextlib.closing(sqlite3.connect(server.directory / "tidemark.db")) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(table, row[1]) for table in tables for row in store.execute(f'PRAGMA table_info("{table}")')]
        return [(table, column) for table, column in columns if store.execute(
            f'SELECT 1 FROM "{table}" WHERE instr(CAST("{column}" AS TEXT), ?) > 0 LIMIT 1', (needle,)).fetchone()]


def postgres_rows_hold(server, needle):
    database = server.settings["storage.url"]
    columns = [line.split("|") for line in shared_postgres().query(
        database, "SELECT table_name, column_name, data_type FROM information_schema.columns"
                  " WHERE table_schema = current_schema()").splitlines()]
    quoted = "'" + needle.replace("'", "''") + "'"
    questions = []
    for table, column, kind in columns:
        text = f"encode({column}, 'escape')" if kind == "bytea" else f"{column}::text"
        questions.append(f"(SELECT '{table}|{column}' FROM {table} WHERE position({quoted} in {text}) > 0 LIMIT 1)")
    found = shared_postgres().query(database, " UNION ALL ".join(questions))
    return [tuple(line.split("|")) for line in found.splitlines()]
