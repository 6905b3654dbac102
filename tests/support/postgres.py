"""A PostgreSQL server of our own, in a temporary directory on a free loopback port.

As a program, `python3 -m support.postgres COMMAND…`: runs the command with TIDEMARK_TEST_POSTGRESQL, the URL of an empty
database on such a server, and ends the server with it.
"""
import atexit
import contextlib
import functools
import glob
import os
import shutil
import signal
import subprocess
import sys
import tempfile

from support.patience import patiently

USER = "tidemark"
# Durability is the server's own and proven by others: what these tests kill is the node.
QUICK = {"fsync": "off", "full_page_writes": "off"}


def programs():
    """Where Debian keeps initdb and postgres; they are not on the PATH."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    assert found, "no PostgreSQL server: script/bootstrap --test installs it"
    return os.path.dirname(found[-1])


def as_postgres(command):
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return command
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]


class PostgresServer:
    def __init__(self, port, settings=None):
        self.port = port
        self.settings = {**QUICK, **(settings or {})}
        self.directory = tempfile.mkdtemp(prefix="tidemark-postgres-")
        self.data = os.path.join(self.directory, "data")
        self.process = None
        self.databases = 0
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        self.run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

    def run(self, program, *arguments):
        done = subprocess.run(as_postgres([f"{programs()}/{program}", *arguments]), cwd=self.directory,
                              capture_output=True, text=True)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self):
        options = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": self.directory,
                   "max_connections": 200, "shared_buffers": "64MB", "log_min_messages": "fatal", **self.settings}
        command = [f"{programs()}/postgres", "-D", self.data]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with open(os.path.join(self.directory, "log"), "ab") as log:
            self.process = subprocess.Popen(as_postgres(command), cwd=self.directory, stdout=log, stderr=log,
                                            start_new_session=True)
        atexit.register(self.remove)
        self.wait_ready()
        return self

    def wait_ready(self):
        for _ in patiently(30):
            assert self.process.poll() is None, "PostgreSQL ended"
            if subprocess.run([f"{programs()}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]).returncode == 0:
                return
        raise AssertionError("PostgreSQL is not ready")

    def url(self, database):
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def fresh_database(self):
        """The URL of an empty database."""
        self.databases += 1
        name = f"test_{os.getpid()}_{self.databases}"
        self.query("postgres", f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def query(self, database, sql):
        """The rows as text, fields separated by |; `database` is a name or a URL of ours."""
        return self.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql,
                        database if "://" in database else self.url(database)).strip()

    def signal_all(self, number):
        """To the server and its processes, each of which has a session of its own."""
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True)
        for pid in [self.process.pid, *map(int, children.stdout.split())]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast, SIGQUIT: immediate, as after a crash."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)
        self.process = None

    def remove(self):
        if self.process and self.process.poll() is None:
            self.signal_all(signal.SIGCONT)
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)


@functools.cache
def shared_postgres():
    """The server of this run, started when somebody asks for it first."""
    from support.server import free_port
    return PostgresServer(free_port()).start()


if __name__ == "__main__":
    url = shared_postgres().fresh_database()
    sys.exit(subprocess.run(sys.argv[1:], env={**os.environ, "TIDEMARK_TEST_POSTGRESQL": url}).returncode)
