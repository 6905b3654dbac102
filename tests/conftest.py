"""Fixtures and the small harness that runs `async def` tests."""
import asyncio
import inspect
import signal

import pytest

from support.client import Client
from support.faulty import FaultyServer
from support.patience import within
from support.server import Server, binary, embedded, sanitizer


def pytest_configure():
    # A run that is terminated still stops its servers.
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    if not embedded():
        for item in items:
            if item.get_closest_marker("embedded"):
                item.add_marker(pytest.mark.skip(reason="about the embedded store"))
    if binary() is None:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="no binary: build first, or set TIDEMARK_BINARY"))
    elif sanitizer() is not None:
        reason = f"the {sanitizer()} sanitizer keeps memory of its own for what is allocated and freed"
        for item in items:
            if item.get_closest_marker("memory"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    mark = pyfuncitem.get_closest_marker("limit")
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(run_test(pyfuncitem.obj, arguments, mark.args[0] if mark else 60))
    return True


async def run_test(function, arguments, seconds):
    """Runs the test, then checks what every client noticed, and closes what it left open."""
    Client.opened.clear()
    try:
        await within(seconds, function(**arguments))
        check_promises()
    finally:
        await asyncio.gather(*[client.drop() for client in Client.opened if not client.is_closed])
        Client.opened.clear()


def check_promises():
    """Order and completeness of every stream that a client of this test followed.

    An own command without an answer may have become an entry that is never pushed here, so such clients
    are only checked for order.
    """
    for client in Client.opened:
        assert not client.violations, client.violations
        if not client.unanswered:
            for key in client.streams.by_key:
                assert not client.streams.holes(key), (client.user, key, client.streams.holes(key)[:10])


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("shared")).start()
    yield server
    server.stop()


@pytest.fixture
def server(shared_server):
    """The server that most tests share. Each test uses fresh users, so it finds nothing of the others."""
    yield from lent(shared_server)


def lent(server):
    """For one test: it gets a process that lives, and one that ended during it is that test's failure."""
    if not server.alive:
        server.restart()
    yield server
    server.check_alive()


@pytest.fixture
def own_server(tmp_path_factory):
    """Starts servers with settings, and perhaps a certificate, of the test's own: own_server({"limits.frame": "1KiB"})."""
    servers = []

    def start(settings=None, **more):
        servers.append(Server(tmp_path_factory.mktemp("own"), settings, **more))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def faulty_server(tmp_path_factory):
    """Starts servers whose disk fails on order; a test that ends one has to start it again: faulty_server()."""
    servers = []

    def start(settings=None, environment=None):
        servers.append(FaultyServer(tmp_path_factory.mktemp("faulty"), settings, environment))
        return servers[-1].start()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def shared_impatient_server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("impatient"), {
        "limits.register_timeout": "1s", "limits.handshake_timeout": "1s", "presence.grace": "300ms"}).start()
    yield server
    server.stop()


@pytest.fixture
def impatient_server(shared_impatient_server):
    """Short waits: for register, handshake and the grace of presence. Shared like `server`."""
    yield from lent(shared_impatient_server)
