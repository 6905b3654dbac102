"""The server under test: the real binary on free ports and a data directory of its own."""
import functools
import json
import os
import random
import resource
import signal
import socket
import subprocess
import urllib.request
from pathlib import Path

from support import postgres, rest, tokens
from support.client import Client
from support.patience import patiently
from support.raw import RawSocket, RawWebSocket

ROOT = Path(__file__).resolve().parents[2]
FAST = {f"limits.{kind}": 100000 for kind in (
    "messages_per_second", "messages_burst", "signals_per_second", "signals_burst", "queries_per_second",
    "queries_burst", "creations_per_minute", "creations_burst", "upkeep_per_second", "upkeep_burst",
    "operations_per_second", "operations_burst")}
FAST |= {"limits.inbound_per_second": "1GiB", "limits.inbound_burst": "1GiB"}
# A log line that holds one of these is a leak, or the report of a sanitizer.
FORBIDDEN_IN_LOGS = [tokens.SECRET, "CANARY", "eyJ", "Sanitizer", "runtime error:"]


def binary():
    """$TIDEMARK_BINARY, else the newest build of this checkout; None if there is none."""
    named = os.environ.get("TIDEMARK_BINARY")
    if named:
        return Path(named).resolve()
    found = [path for path in ROOT.glob("build/*/tidemark") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


@functools.cache
def sanitizer():
    """What the binary under test is instrumented with, "address" or "thread"; None: nothing."""
    needed = subprocess.run(["ldd", binary()], check=True, capture_output=True, text=True).stdout
    return "address" if "libasan" in needed else "thread" if "libtsan" in needed else None


def free_port():
    """A free port below the range that the kernel gives to clients, so that a restart finds it free again."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def embedded():
    """Whether tests run on the embedded store: TIDEMARK_TEST_STORE is not "postgresql"."""
    return os.environ.get("TIDEMARK_TEST_STORE") != "postgresql"


def fresh_store(directory, settings):
    """A file in the directory, or an empty database of this run's own PostgreSQL server."""
    if not embedded() and "storage.url" not in settings:
        return postgres.shared_postgres().fresh_database()
    return f"sqlite:{directory}/tidemark.db"


class Server:
    """One node. start() waits until it is ready; stop() drains it and checks its end; kill() is a crash.

    environment   more variables of the process; program   another program than binary()
    certificate   makes http.listen speak TLS; file   settings that a test changes while the node runs
    descriptors   limit of open files, soft and hard
    recorder      a checker.Recorder: then clients and calls write what happens into its history
    """

    recorder = None

    def __init__(self, directory, settings=None, environment=None, program=None, certificate=None, file=None,
                 descriptors=None):
        self.directory = Path(directory)
        self.environment, self.program = environment or {}, program
        self.tls = certificate.context() if certificate else None  # what clients of http.listen use
        self.port, self.metrics_port = free_port(), free_port()
        self.log = self.directory / "stderr.log"
        self.process = None
        self.starts = 0  # so many times it was started
        self.descriptors = descriptors  # RLIMIT_NOFILE, if it is to be another one
        self.settings = {
            "http.listen": f"127.0.0.1:{self.port}",
            "session.metrics_listen": f"127.0.0.1:{self.metrics_port}",
            "session.grpc_listen": "off",  # a test that wants to call switches it on
            "statesync.grpc_listen": "off",
            "statesync.metrics_listen": "off",
            "storage.url": fresh_store(self.directory, settings or {}),
            "auth.hs256_secret": tokens.SECRET,
            **FAST,
            **(certificate.settings if certificate else {}),
            **(settings or {}),
        }
        # What a test wants to change while the node runs stands in the file: --set would win over it.
        self.file_settings = file
        for key in file or {}:
            self.settings.pop(key, None)

    # -- life --------------------------------------------------------------------------------------------------

    def start(self):
        self.starts += 1
        command = [str(self.program or binary()), "serve", "--dev"]
        if self.file_settings is not None:
            self.write_file({})
            command += ["--config", str(self.directory / "tidemark.yaml")]
        for key, value in self.settings.items():
            command += ["--set", f"{key}={value}"]
        with open(self.log, "ab") as log:
            environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
            self.process = subprocess.Popen(command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env={**environment, **self.environment},
                                            preexec_fn=self.limit_process if self.descriptors else None)
        self.wait_ready()
        return self

    def limit_process(self):
        if self.descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.descriptors, self.descriptors))

    def wait_ready(self, timeout=20):
        for _ in patiently(timeout):
            assert self.process.poll() is None, f"the server ended with {self.process.returncode}\n{self.log_tail()}"
            try:
                if rest.call(self.port, "GET", "/readyz", timeout=2, tls=self.tls).status == 200:
                    return
            except OSError:
                pass
        raise AssertionError(f"not ready after {timeout} s\n{self.log_tail()}")

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def check_alive(self):
        """After a test: a server that ended or hangs fails that test, and the next one gets a new process."""
        assert self.alive, f"the server ended with {self.process and self.process.returncode}\n{self.log_tail()}"
        try:
            for _ in range(4):  # connections are spread over the workers, and one of them may be the one that hangs
                rest.call(self.port, "GET", "/healthz", timeout=5, tls=self.tls)
        except OSError as error:
            self.kill()
            raise AssertionError(f"the server does not answer any more ({error})\n{self.log_tail()}") from None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def reload(self, **changes):
        """SIGHUP with a changed file of settings; waits until the node says that it has read it."""
        done = self.log_text().count("node.reloaded")
        self.write_file(changes)
        self.process.send_signal(signal.SIGHUP)
        for _ in patiently(10):
            if self.log_text().count("node.reloaded") > done:
                return
        raise AssertionError(f"not reloaded\n{self.log_tail()}")

    def write_file(self, settings):
        """The settings in the file that the node was started with, by key; see `file_settings`."""
        self.file_settings.update(settings)
        lines = [f"{key}: {json.dumps(value)}" for key, value in self.file_settings.items()]
        (self.directory / "tidemark.yaml").write_text("\n".join(lines) + "\n")

    def wait(self, timeout=40):
        for _ in patiently(timeout):
            if self.process.poll() is not None:
                return self.process.returncode
        self.process.kill()
        self.process.wait()
        raise AssertionError(f"still running {timeout} s after SIGTERM\n{self.log_tail()}")

    def stop(self):
        """SIGTERM; the process must end by itself with 0 and must have kept its secrets."""
        self.check_logs()
        if self.process is None:
            return
        if self.alive:
            self.terminate()
        code, self.process = self.wait(), None
        assert code == 0, f"exit code {code}\n{self.log_tail()}"
        self.check_logs()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self):
        """Start again on the same data and ports, after stop() or kill()."""
        return self.start()

    # -- logs --------------------------------------------------------------------------------------------------

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines=30):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def check_logs(self):
        for line in self.log_text().splitlines():
            for word in FORBIDDEN_IN_LOGS:
                assert word not in line, f"{word!r} in the log: {line[:300]}"

    # -- doors -------------------------------------------------------------------------------------------------

    def token(self, user, **claims):
        return tokens.token(user, **claims)

    async def connect(self, user, device_id=None, **options):
        """A WebSocket client that has been welcomed; options: see Client."""
        return await Client(self, user, device_id, **options).open()

    def api(self, method, path, token=None, body=None, headers=None):
        """A call below /api/v1; token may be a user id, for which one is minted."""
        if token is not None and "." not in token:
            token = tokens.token(token)
        if self.recorder is None:
            return rest.call(self.port, method, "/api/v1" + path, token, body, headers, tls=self.tls)
        user = tokens.claims_of(token) if token else {}
        with self.recorder.call(user.get("sub"), user.get("tenant", "default"), method, path, body) as call:
            reply = rest.call(self.port, method, "/api/v1" + path, token, body, headers, tls=self.tls)
            call.update(status=reply.status, answer=reply.json)
        return reply

    def get(self, path, headers=None):
        return rest.call(self.port, "GET", path, headers=headers, tls=self.tls)

    def socket(self, timeout=10):
        return RawSocket(self.port, timeout, tls=self.tls)

    def raw(self, user=None, path="/api/v1/ws/connect", query="", timeout=10):
        """A WebSocket whose every byte the test decides. Without a user: no token."""
        headers = [] if user is None else [("Authorization", f"Bearer {tokens.token(user)}")]
        return RawWebSocket(self.port, timeout, tls=self.tls).handshake(path + query, headers)

    def metrics(self):
        """name -> sum over its label sets; also each line by itself, as name{label="value"}."""
        values = {}
        for line in rest_text(self.metrics_port, "/metrics").splitlines():
            if line and not line.startswith("#"):
                labelled, _, value = line.rpartition(" ")
                name = labelled.split("{")[0]
                values[name] = values.get(name, 0.0) + float(value)
                if name != labelled:
                    values[labelled] = float(value)
        return values

    def await_metrics(self, condition, timeout=15):
        """Waits until condition(metrics) holds; gives the metrics."""
        for _ in patiently(timeout, 0.02):
            if condition(values := self.metrics()):
                return values
        raise AssertionError({name: value for name, value in values.items() if "tidemark" in name})


def rest_text(port, path):
    """The body of a GET as text."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        return response.read().decode()
