"""Subcommands of the real binary, as an operator types them."""
import os
import subprocess

from support.server import binary


def start(server, *arguments, cwd=None, **options):
    """Begins a subcommand on the server's store; gives the process."""
    command = [str(binary()), *map(str, arguments), "--set", f"storage.url={server.settings['storage.url']}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMARK_")}
    return subprocess.Popen(command, cwd=cwd or server.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=environment, **options)


def run(server, *arguments, code=0, timeout=120, cwd=None):
    """Runs a subcommand to its end and checks its exit code; gives what it printed (stderr where it failed)."""
    process = start(server, *arguments, cwd=cwd, text=True)
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == code, (arguments, process.returncode, out[-2000:], err[-2000:])
    if code:
        assert err.startswith("tidemark: ") or code == 2, err
    return err if code else out
