"""nginx and HAProxy with the files of packaging/, as a process of our own on free loopback ports."""
import os
import shutil
import subprocess
from pathlib import Path

from support import rest
from support.patience import patiently
from support.server import ROOT, free_port

NGINX = """\
{user}
worker_processes 1;
daemon off;
pid {directory}/nginx.pid;
error_log {directory}/start.log;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  include {directory}/tidemark.conf;
}}
"""


def program(name):
    """They are in /usr/sbin, which is not on everybody's PATH."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    assert found, f"no {name}: script/bootstrap --test installs it"
    return found


def substituted(name, changes):
    """The shipped file with those texts replaced, each of which has to be in it."""
    text = (ROOT / "packaging" / name).read_text()
    for old, new in changes.items():
        assert old in text, f"{old!r} is not in packaging/{name}"
        text = text.replace(old, new)
    return text


class FrontProxy:
    """kind: "nginx" or "haproxy". `port` speaks TLS with the certificate, `plain_port` sends everybody there; `idle` stands
    for the two minutes of silence that the shipped files allow on a WebSocket. Clients connect to it as to a server."""

    def __init__(self, kind, server, certificate, directory, idle):
        self.kind, self.server, self.directory = kind, server, Path(directory)
        self.tls = certificate.context()
        self.port, self.plain_port = free_port(), free_port()
        self.log = self.directory / "requests.log"
        {"nginx": self.write_nginx, "haproxy": self.write_haproxy}[kind](certificate, idle)
        self.process = None

    def write_nginx(self, certificate, idle):
        (self.directory / "tidemark.conf").write_text(substituted("nginx/tidemark.conf", {
            "server 127.0.0.1:8080;": f"server 127.0.0.1:{self.server.port};",
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};", "listen [::]:80;": "",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;", "listen [::]:443 ssl;": "",
            "/etc/ssl/tidemark/fullchain.pem": str(certificate.path),
            "/etc/ssl/tidemark/privkey.pem": str(certificate.key),
            "/var/log/nginx/tidemark.access.log": str(self.log),
            "/var/log/nginx/tidemark.error.log": f"{self.directory}/error.log", " 120s;": f" {idle};"}))
        user = "user root;" if os.geteuid() == 0 else ""  # the test's directory is closed to everybody else
        (self.directory / "nginx.conf").write_text(NGINX.format(directory=self.directory, user=user))
        self.command = [program("nginx"), "-p", self.directory, "-c", self.directory / "nginx.conf",
                        "-e", self.directory / "start.log"]

    def write_haproxy(self, certificate, idle):
        both = self.directory / "haproxy.pem"
        both.write_text(certificate.path.read_text() + certificate.key.read_text())
        (self.directory / "haproxy.cfg").write_text(substituted("haproxy/haproxy.cfg", {
            "log /dev/log local0": "log stdout format raw local0", "  user haproxy\n": "", "  group haproxy\n": "",
            "  chroot /var/lib/haproxy\n": "", "/etc/ssl/tidemark/haproxy.pem": str(both),
            "bind :::80 v4v6": f"bind 127.0.0.1:{self.plain_port}",
            "bind :::443 v4v6": f"bind 127.0.0.1:{self.port}", "timeout tunnel 120s": f"timeout tunnel {idle}",
            "tidemark 127.0.0.1:8080 ": f"tidemark 127.0.0.1:{self.server.port} "}))
        self.command = [program("haproxy"), "-db", "-f", self.directory / "haproxy.cfg"]

    def start(self):
        output = self.log if self.kind == "haproxy" else self.directory / "start.log"
        with open(output, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_ready()
        return self

    def wait_ready(self, timeout=20):
        """Until the node answers through it."""
        for _ in patiently(timeout, 0.05):
            assert self.process.poll() is None, f"{self.kind} ended\n{self.everything_logged()}"
            try:
                if rest.call(self.port, "GET", "/readyz", timeout=5, tls=self.tls).status == 200:
                    return
            except OSError:
                pass
        raise AssertionError(f"{self.kind} is not ready\n{self.everything_logged()[:2000]}")

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)

    def everything_logged(self):
        return "\n".join(path.read_text() for path in self.directory.glob("*.log"))
