"""The server on a disk that fails when a test says so: tests/faults/faulty_server.cc has the orders."""
import os
import socket

import pytest

from support.server import Server, binary


def program():
    """tidemark_faulty beside the binary under test; the test is skipped if that build has none (a release)."""
    path = binary().with_name("tidemark_faulty")
    if not path.exists():
        pytest.skip(f"no {path}")
    return path


class FaultyServer(Server):
    def __init__(self, directory, settings=None, environment=None):
        self.control = os.path.join(directory, "disk")
        super().__init__(directory, settings, {"FAULTY_VFS_SOCKET": self.control, **(environment or {})}, program())

    def order(self, line):
        """One order to the disk; gives its answer, or None if the process was gone before it."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            try:
                control.connect(self.control)
                control.sendall(line.encode())
                answer = control.recv(256).decode().strip()
            except ConnectionError:
                answer = ""
        assert answer in ("", "ok") or answer.isdigit(), (line, answer)
        return answer or None

    def wait_dead(self, timeout=20):
        """After an order that ends the process."""
        code, self.process = self.process.wait(timeout), None
        assert code == -9, f"exit code {code}\n{self.log_tail()}"
