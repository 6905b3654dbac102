"""session.SessionService: the sessions of REST, over gRPC, for a client that was generated from proto/session.proto."""
import threading
import time

import grpc
import pytest
from google.protobuf import descriptor_pb2

from support import tokens
from support.certificates import Certificate
from support.names import new_id, unique, uniques
from support.rest import assert_refused, assert_success
from support.rpc import (DENIED, EXHAUSTED, EXISTS, FAILED, INVALID, NOT_FOUND, UNAUTHENTICATED, UNAVAILABLE, Caller, Port,
                         expect_refusal, health, health_stubs, port_of, reflection, reflection_stubs, session,
                         session_stubs)
from support.server import Server

LISTEN = {"session.grpc_listen": "127.0.0.1:0"}
SERVICE = "session.SessionService"
SERVING, NOT_SERVING = 1, 2
ACTIVE, IDLE, DISCONNECTING, CLOSED = 2, 3, 4, 5


@pytest.fixture(scope="module")
def server_of_module(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("grpc"), LISTEN).start()
    yield server
    server.stop()


@pytest.fixture
def server(server_of_module):
    if not server_of_module.alive:
        server_of_module.restart()
    yield server_of_module
    server_of_module.check_alive()


@pytest.fixture
def port(server):
    port = Port(port_of(server))
    yield port
    port.close()


def test_every_call(port):
    alice = unique("alice")
    backend = port.sessions("backend", roles=["service"])
    made = backend.CreateSession(user_id=alice, client_ip="192.0.2.7", client_port=4711, metadata={"app": "1.2"},
                                 timeout_seconds=600, device_id="phone")
    one = made.session
    assert (one.user_id, one.device_id, one.tenant_id, one.state) == (alice, "phone", "default", ACTIVE)
    assert (one.client_ip, one.client_port, dict(one.metadata)) == ("192.0.2.7", 4711, {"app": "1.2"})
    assert one.expires_at.ToMilliseconds() - one.created_at.ToMilliseconds() == 600_000
    assert one.created_at.ToMilliseconds() > 10**12 and one.connection_id == one.server_addr == ""
    assert tokens.claims_of(made.token)["sid"] == one.session_id
    assert backend.GetSession(session_id=one.session_id).session == one

    changed = backend.UpdateSession(session_id=one.session_id, metadata={"app": "", "os": "linux"}).session
    assert dict(changed.metadata) == {"os": "linux"}
    listed = backend.ListSessions(user_id=alice)
    assert ([each.session_id for each in listed.sessions], listed.total, listed.page, listed.page_size) == (
        [one.session_id], 1, 1, 20)
    beat = backend.Heartbeat(session_id=one.session_id)
    assert beat.success and 590 <= beat.remaining_seconds <= 600
    assert beat.server_timestamp.ToMilliseconds() >= one.created_at.ToMilliseconds()
    assert backend.DeleteSession(session_id=one.session_id, reason="logged out").success
    assert backend.GetSession(session_id=one.session_id).session.state == CLOSED
    for method in ("UpdateSession", "Heartbeat"):
        backend.refused(method, FAILED, "gone", session_id=one.session_id)
    assert backend.DeleteSession(session_id=one.session_id).success
    assert not backend.ListSessions(user_id=alice).sessions
    assert backend.ListSessions(user_id=alice, state=CLOSED).total == 1


async def test_session_is_the_same_on_every_door(server, port):
    alice = unique("alice")
    backend = port.sessions("backend", roles=["service"])
    over_rest = assert_success(server.api("POST", "/sessions", alice, {"device_id": "laptop", "metadata": {"a": "b"}}),
                               201)["session"]
    seen = backend.GetSession(session_id=over_rest["session_id"]).session
    assert (seen.user_id, seen.device_id, dict(seen.metadata)) == (alice, "laptop", {"a": "b"})
    assert seen.created_at.ToMilliseconds() == over_rest["created_at"]

    made = backend.CreateSession(user_id=alice, device_id="phone")
    path = f"/sessions/{made.session.session_id}"
    assert assert_success(server.api("GET", path, alice))["session"]["device_id"] == "phone"
    client = await server.connect(alice, token=made.token)
    assert client.welcome["session_id"] == made.session.session_id
    live = backend.GetSession(session_id=made.session.session_id).session
    assert (live.connection_id, live.server_addr) == (client.welcome["client_id"], client.welcome["node"])
    assert live.stats.packets_sent >= 2 and live.stats.bytes_sent > 100  # welcome and synced
    before = live.stats.packets_received
    await client.settle()
    after = backend.GetSession(session_id=made.session.session_id).session.stats
    assert after.packets_received > before and after.bytes_received > 0

    assert backend.DeleteSession(session_id=made.session.session_id).success
    await client.closed(4006)
    assert_refused(server.api("GET", "/conversations", made.token), 401, "unauthorized")
    assert assert_success(server.api("GET", path, alice))["session"]["state"] == "closed"
    assert backend.GetSession(session_id=made.session.session_id).session.connection_id == ""


async def test_replayed_entries_are_counted(server, port):
    alice, bob = uniques("alice", "bob")
    sender = await server.connect(alice)
    phone = await server.connect(bob, "phone")
    await phone.close()
    for _ in range(3):
        await sender.say(bob)
    phone = await phone.reconnect()
    await phone.settle()
    seen = port.sessions(bob).GetSession(session_id=phone.welcome["session_id"]).session
    assert seen.stats.retransmissions >= 3


def test_state_and_stats_that_a_client_tells(server, port):
    alice = unique("alice")
    caller = port.sessions(alice)
    one = caller.CreateSession(user_id=alice).session.session_id
    stats = session.SessionStats(packets_sent=1, packets_received=2, bytes_sent=3, bytes_received=2**63 - 1,
                                 retransmissions=5, current_rtt_ms=6)
    changed = caller.UpdateSession(session_id=one, state=IDLE, stats=stats).session
    assert (changed.state, changed.stats) == (IDLE, stats)
    assert caller.ListSessions(state=IDLE).total == 1 and not caller.ListSessions(state=ACTIVE).total
    assert assert_success(server.api("GET", f"/sessions/{one}", alice))["session"]["state"] == "idle"
    time.sleep(0.002)  # the heartbeat is of a later millisecond
    caller.Heartbeat(session_id=one)
    again = caller.GetSession(session_id=one).session
    assert (again.state, again.stats) == (ACTIVE, stats), "activity ends what was said"
    assert caller.UpdateSession(session_id=one, state=DISCONNECTING).session.state == DISCONNECTING
    assert caller.UpdateSession(session_id=one, state=ACTIVE).session.state == ACTIVE
    assert caller.UpdateSession(session_id=one, state=CLOSED).session.state == CLOSED
    caller.refused("Heartbeat", FAILED, "gone", session_id=one)


def test_repeated_create_gives_the_same_session(port):
    alice, key = unique("alice"), new_id()
    caller = port.sessions(alice)
    first = caller.CreateSession(user_id=alice, device_id="phone", id=key)
    second = caller.CreateSession(user_id=alice, device_id="phone", id=key)
    assert second.session.session_id == first.session.session_id and second.token
    assert caller.ListSessions().total == 1
    caller.refused("CreateSession", EXISTS, "conflict", "id", user_id=alice, device_id="laptop", id=key)


def test_list_is_paged_and_of_whom_one_may_see(port):
    tenant = unique("tenant")
    users = uniques("alice", "bob")
    backend = port.sessions("backend", tenant=tenant, roles=["service"])
    ids = {user: [backend.CreateSession(user_id=user).session.session_id for _ in range(3)] for user in users}
    everything = backend.ListSessions()
    assert everything.total == 6 and {each.session_id for each in everything.sessions} == {*ids[users[0]], *ids[users[1]]}
    pages = [backend.ListSessions(page=page, page_size=4) for page in (1, 2, 3)]
    assert [len(page.sessions) for page in pages] == [4, 2, 0]
    assert {each.session_id for page in pages for each in page.sessions} == {*ids[users[0]], *ids[users[1]]}
    own = port.sessions(users[0], tenant=tenant).ListSessions()
    assert {each.session_id for each in own.sessions} == set(ids[users[0]])


def test_who_may_do_what(port):
    """role × call × whose session: own, of another user, of another tenant."""
    alice, bob, mallory = uniques("alice", "bob", "mallory")
    other_tenant = unique("tenant")
    callers = {
        "user": port.sessions(bob), "service": port.sessions("backend", roles=["service"]),
        "admin": port.sessions(mallory, roles=["admin"]), "nobody": port.sessions(bob, secret="x" * 40),
    }
    foreign = port.sessions("backend", tenant=other_tenant, roles=["service"])

    def call(role, method, one):
        fields = {"user_id": one} if method == "CreateSession" else {"session_id": one}
        try:
            callers[role].call(method, callers[role].request(method, **fields))
            return "ok"
        except grpc.RpcError as error:
            return error.code().name

    for method in ("GetSession", "UpdateSession", "Heartbeat", "DeleteSession"):
        for role, allowed in (("user", False), ("service", True), ("admin", True), ("nobody", None)):
            own = callers["service"].CreateSession(user_id=bob).session.session_id
            others = callers["service"].CreateSession(user_id=alice).session.session_id
            abroad = foreign.CreateSession(user_id=bob).session.session_id
            wanted = {True: ("ok", "ok"), False: ("ok", "NOT_FOUND"), None: ("UNAUTHENTICATED",) * 2}[allowed]
            assert (call(role, method, own), call(role, method, others)) == wanted, (role, method)
            far = "UNAUTHENTICATED" if allowed is None else "NOT_FOUND"
            assert call(role, method, abroad) == far, (role, method)
            assert foreign.GetSession(session_id=abroad).session.state == ACTIVE
            if allowed is not True:
                assert callers["service"].GetSession(session_id=others).session.state == ACTIVE
    assert call("user", "CreateSession", bob) == call("service", "CreateSession", alice) == "ok"
    assert call("admin", "CreateSession", alice) == "ok"
    assert call("user", "CreateSession", alice) == "PERMISSION_DENIED"
    assert call("nobody", "CreateSession", bob) == "UNAUTHENTICATED"
    callers["user"].refused("ListSessions", DENIED, "forbidden", user_id=alice)
    assert alice not in {each.user_id for each in callers["user"].ListSessions(page_size=200).sessions}


def test_tenants_never_meet(port):
    alice = unique("alice")
    here, there = port.sessions(alice), port.sessions(alice, tenant=unique("tenant"))
    one = here.CreateSession(user_id=alice, id="same").session
    two = there.CreateSession(user_id=alice, id="same").session
    assert one.session_id != two.session_id and one.tenant_id != two.tenant_id
    assert [each.session_id for each in there.ListSessions().sessions] == [two.session_id]
    there.refused("GetSession", NOT_FOUND, "not_found", session_id=one.session_id)
    assert there.refused("GetSession", NOT_FOUND, session_id=new_id()).text == there.refused(
        "GetSession", NOT_FOUND, session_id=one.session_id).text


def test_without_a_good_token(own_server):
    server = own_server(LISTEN)
    port = Port(port_of(server))
    alice = unique("alice")
    # Dev mode, on loopback: nothing is service and admin of the tenant `default`; something has to be right.
    made = port.sessions().CreateSession(user_id=alice)
    assert made.session.tenant_id == "default"
    bad = {"expired": tokens.token(alice, ttl=-3600), "forged": tokens.token(alice, secret="y" * 40), "no token": "x",
           "two parts": "a.b", "no algorithm": tokens.sign({"alg": "none"}, tokens.claims_of(tokens.token(alice)))}
    for name, token in bad.items():
        port.sessions(token=token).refused("GetSession", UNAUTHENTICATED, "unauthorized", session_id=new_id())
    for metadata in ([("authorization", "")], [("authorization", "Basic eDp5")], [("authorization", "Bearer")],
                     [("authorization", f"Bearer {tokens.token(alice)}")] * 2):
        caller = Caller(port.channel, session_stubs.SessionServiceStub, session)
        expect_refusal(lambda: caller.call("ListSessions", session.ListSessionsRequest(), metadata=metadata),
                       UNAUTHENTICATED, "unauthorized")
    caller = port.sessions(alice)
    caller.ListSessions()
    admin = server.token("root", roles=["admin"])
    assert_success(server.api("POST", "/admin/revocations", admin, {"user_id": alice}), 201)
    caller.refused("ListSessions", UNAUTHENTICATED, "unauthorized")
    # A token of a session dies with it.
    bob = unique("bob")
    made = port.sessions().CreateSession(user_id=bob)
    with_session = port.sessions(token=made.token)
    assert with_session.GetSession(session_id=made.session.session_id).session.user_id == bob
    port.sessions().DeleteSession(session_id=made.session.session_id)
    with_session.refused("ListSessions", UNAUTHENTICATED, "unauthorized")
    port.close()


LONG = "x" * 129
BAD = [
    ("CreateSession", {}, "missing_field", "user_id"),
    ("CreateSession", {"user_id": LONG}, "invalid_field", "user_id"),
    ("CreateSession", {"user_id": "a\nb"}, "invalid_field", "user_id"),
    ("CreateSession", {"user_id": "u", "device_id": LONG}, "invalid_field", "device_id"),
    ("CreateSession", {"user_id": "u", "device_id": "\x7f"}, "invalid_field", "device_id"),
    ("CreateSession", {"user_id": "u", "client_ip": LONG}, "invalid_field", "client_ip"),
    ("CreateSession", {"user_id": "u", "client_port": 65536}, "invalid_field", "client_port"),
    ("CreateSession", {"user_id": "u", "timeout_seconds": 2**32 - 1}, "invalid_field", "timeout_seconds"),
    ("CreateSession", {"user_id": "u", "id": "é" * 65}, "invalid_field", "id"),
    ("CreateSession", {"user_id": "u", "metadata": {"k": "v" * 8192}}, "invalid_field", "metadata"),
    ("GetSession", {}, "missing_field", "session_id"),
    ("GetSession", {"session_id": LONG}, "invalid_field", "session_id"),
    ("UpdateSession", {}, "missing_field", "session_id"),
    ("UpdateSession", {"session_id": "s", "state": 6}, "invalid_field", "state"),
    ("UpdateSession", {"session_id": "s", "state": -1}, "invalid_field", "state"),
    ("UpdateSession", {"session_id": "s", "metadata": {"k": "v" * 8192}}, "invalid_field", "metadata"),
    ("UpdateSession", {"session_id": "s", "stats": session.SessionStats(bytes_sent=2**63)}, "invalid_field", "stats"),
    ("DeleteSession", {}, "missing_field", "session_id"),
    ("DeleteSession", {"session_id": "s", "reason": "x" * 1025}, "invalid_field", "reason"),
    ("ListSessions", {"user_id": LONG}, "invalid_field", "user_id"),
    ("ListSessions", {"state": 99}, "invalid_field", "state"),
    ("ListSessions", {"page": 1_000_001}, "invalid_field", "page"),
    ("ListSessions", {"page_size": 201}, "invalid_field", "page_size"),
    ("Heartbeat", {}, "missing_field", "session_id"),
]


@pytest.mark.parametrize("method, fields, code, field", BAD, ids=lambda value: str(value)[:30])
def test_bad_requests(port, method, fields, code, field):
    port.sessions("backend", roles=["service"], tenant=unique("tenant")).refused(method, INVALID, code, field, **fields)


def test_metadata_that_grows_too_long_changes_nothing(port):
    alice = unique("alice")
    caller = port.sessions(alice)
    one = caller.CreateSession(user_id=alice, metadata={"a": "x" * 5000}).session.session_id
    caller.refused("UpdateSession", INVALID, "invalid_field", "metadata", session_id=one, metadata={"b": "x" * 5000},
                   state=IDLE)
    kept = caller.GetSession(session_id=one).session
    assert (dict(kept.metadata), kept.state) == ({"a": "x" * 5000}, ACTIVE)


def test_odd_texts_come_back_as_they_went(port):
    alice = "Ålïcé 💬 " + unique("x")
    metadata = {"": "empty key", "quote\"": "\\ \u0000 \r\n \u202e", "sql'; --": "<b>", "💬": "ü"}
    made = port.sessions(alice).CreateSession(user_id=alice, metadata=metadata)
    assert made.session.user_id == alice and dict(made.session.metadata) == metadata
    assert dict(port.sessions(alice).GetSession(session_id=made.session.session_id).session.metadata) == metadata


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\x0a\x03\xed\xa0\x80", b"\x3a"],
                         ids=["no message", "cut", "no UTF-8", "surrogate", "field without value"])
def test_broken_messages_are_refused_as_such(port, data):
    for method in ("CreateSession", "GetSession", "UpdateSession", "DeleteSession", "ListSessions", "Heartbeat"):
        expect_refusal(lambda: port.raw(f"/{SERVICE}/{method}", data, unique("alice")), INVALID, "invalid_frame")
        expect_refusal(lambda: port.raw(f"/{SERVICE}/{method}", data + b" ", "a\nb"), UNAUTHENTICATED, "unauthorized")


def test_too_large_packed_and_unknown(port):
    alice = unique("alice")
    caller = port.sessions(alice)
    caller.refused("CreateSession", EXHAUSTED, user_id=alice, metadata={"k": "x" * 70_000})
    expect_refusal(lambda: port.raw(f"/{SERVICE}/DropSession", b"", alice), grpc.StatusCode.UNIMPLEMENTED)
    expect_refusal(lambda: port.raw("/other.Service/Get", b"", alice), grpc.StatusCode.UNIMPLEMENTED)
    # A bomb: small on the wire, large in memory. Packed messages are not taken at all.
    bomb = session.CreateSessionRequest(user_id=alice, metadata={"k": "x" * 60_000})
    stub = session_stubs.SessionServiceStub(port.channel)
    expect_refusal(lambda: stub.CreateSession(bomb, timeout=15, metadata=caller.metadata,
                                              compression=grpc.Compression.Gzip), grpc.StatusCode.UNIMPLEMENTED)
    assert caller.ListSessions().total == 0


def test_rate_limits_of_rest_hold_here(own_server):
    server = own_server({**LISTEN, "limits.creations_per_minute": 1, "limits.creations_burst": 2,
                         "limits.queries_per_second": 1, "limits.queries_burst": 3})
    port = Port(port_of(server))
    alice = unique("alice")
    caller = port.sessions(alice)
    caller.CreateSession(user_id=alice)
    assert_success(server.api("POST", "/sessions", alice, {}), 201)
    refusal = caller.refused("CreateSession", EXHAUSTED, "rate_limited", user_id=alice)
    assert int(refusal.trailers["tidemark-retry-after-ms"]) > 0
    assert_refused(server.api("POST", "/sessions", alice, {}), 429, "rate_limited")
    with pytest.raises(AssertionError, match="rate_limited"):
        for _ in range(50):
            try:
                caller.ListSessions()
            except grpc.RpcError as error:
                raise AssertionError(dict(error.trailing_metadata())["tidemark-error"]) from None
    for _ in range(10):  # a backend speaks for many
        port.sessions("backend", roles=["service"]).CreateSession(user_id=alice)
    port.close()


def test_deadline_and_cancel_harm_nobody(server, port):
    alice = unique("alice")
    caller = port.sessions(alice)
    key = new_id()
    refusal = expect_refusal(lambda: caller.call("CreateSession", session.CreateSessionRequest(user_id=alice, id=key),
                                                 timeout=1e-6))
    assert refusal.status == grpc.StatusCode.DEADLINE_EXCEEDED
    # Calls that are given up at every moment of their life.
    for _ in range(100):
        future = caller.stub.CreateSession.future(session.CreateSessionRequest(user_id=alice, id=new_id()),
                                                  metadata=caller.metadata, timeout=10)
        future.cancel()
    # And whole connections.
    for _ in range(10):
        gone = Port(port_of(server), options=[("grpc.use_local_subchannel_pool", 1)])
        futures = [gone.sessions(alice).stub.ListSessions.future(session.ListSessionsRequest(), metadata=caller.metadata,
                                                                timeout=10) for _ in range(10)]
        gone.close()
        assert len(futures) == 10
    made = caller.CreateSession(user_id=alice, id=key).session
    assert caller.CreateSession(user_id=alice, id=key).session.session_id == made.session_id
    server.await_metrics(lambda metrics: metrics["tidemark_rpc_calls_active"] == 0)


def test_who_pings_all_the_time_is_sent_away(server):
    port = Port(port_of(server), options=[("grpc.keepalive_time_ms", 50), ("grpc.http2.max_pings_without_data", 0),
                                          ("grpc.keepalive_permit_without_calls", 1)])
    answers = health_stubs.HealthStub(port.channel).Watch(health.HealthCheckRequest(), timeout=30)
    assert next(answers).status == SERVING
    refusal = expect_refusal(lambda: next(answers), UNAVAILABLE)
    assert "pings" in refusal.text.lower(), refusal
    port.close()


def test_many_calls_at_once(port):
    tenant = unique("tenant")
    caller = port.sessions("backend", roles=["service"], tenant=tenant)
    users = uniques(*["user"] * 200)
    futures = [caller.stub.CreateSession.future(session.CreateSessionRequest(user_id=user), metadata=caller.metadata,
                                                timeout=60) for user in users]
    assert {future.result().session.user_id for future in futures} == set(users)
    assert caller.ListSessions(page_size=1).total == 200


def test_reflection_describes_the_service(port):
    stub = reflection_stubs.ServerReflectionStub(port.channel)

    def ask(**request):
        answers = stub.ServerReflectionInfo(iter([reflection.ServerReflectionRequest(**request)]), timeout=15)
        return next(iter(answers))

    names = {service.name for service in ask(list_services="").list_services_response.service}
    assert {SERVICE, "grpc.health.v1.Health"} <= names
    files = [descriptor_pb2.FileDescriptorProto.FromString(data) for data in
             ask(file_containing_symbol=SERVICE).file_descriptor_response.file_descriptor_proto]
    methods = {method.name for file in files for service in file.service for method in service.method}
    assert methods == {"CreateSession", "GetSession", "UpdateSession", "DeleteSession", "ListSessions", "Heartbeat"}


def test_reflection_can_be_switched_off(own_server):
    server = own_server({**LISTEN, "grpc.reflection": "false"})
    port = Port(port_of(server))
    stub = reflection_stubs.ServerReflectionStub(port.channel)
    request = reflection.ServerReflectionRequest(list_services="")
    expect_refusal(lambda: next(iter(stub.ServerReflectionInfo(iter([request]), timeout=15))),
                   grpc.StatusCode.UNIMPLEMENTED)
    port.close()


def test_drain_says_so_and_refuses(own_server):
    server = own_server(LISTEN)
    port = Port(port_of(server))
    caller = port.sessions(unique("alice"))
    caller.ListSessions()
    assert port.health() == port.health(SERVICE) == SERVING
    expect_refusal(lambda: port.health("other.Service"), NOT_FOUND)
    seen, over = [], threading.Event()

    def watch():
        try:
            for answer in health_stubs.HealthStub(port.channel).Watch(health.HealthCheckRequest(service=SERVICE)):
                seen.append(answer.status)
        except grpc.RpcError:
            pass
        over.set()

    threading.Thread(target=watch, daemon=True).start()
    deadline = time.monotonic() + 15
    while not seen:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    server.terminate()
    assert over.wait(20) and seen[:2] == [SERVING, NOT_SERVING]
    assert server.wait() == 0
    server.process = None
    refusal = expect_refusal(caller.ListSessions)
    assert refusal.status == UNAVAILABLE
    port.close()


def test_calls_under_way_are_answered_before_the_node_ends(own_server):
    """What was accepted is committed and answered, or says that it was not: the session is there after a restart."""
    server = own_server(LISTEN)
    port = Port(port_of(server))
    tenant = unique("tenant")
    caller = port.sessions("backend", roles=["service"], tenant=tenant)
    futures = []
    for number in range(300):
        futures.append(caller.stub.CreateSession.future(session.CreateSessionRequest(user_id=f"user-{number}"),
                                                        metadata=caller.metadata, timeout=30))
        if number == 150:
            futures[0].result()
            server.terminate()
    assert server.wait() == 0
    server.process = None
    made, refused = set(), 0
    for future in futures:
        try:
            made.add(future.result().session.session_id)
        except grpc.RpcError as error:
            # CANCELLED: gRPC itself, for what comes when the last answer has left.
            assert error.code() in (UNAVAILABLE, grpc.StatusCode.CANCELLED), error
            refused += 1
    assert made and len(made) + refused == 300
    port.close()
    server.restart()
    port = Port(port_of(server))
    caller = port.sessions("backend", roles=["service"], tenant=tenant)
    there = {each.session_id for page in (1, 2) for each in caller.ListSessions(page=page, page_size=200).sessions}
    assert made <= there
    port.close()


def credentials(certificate, client=None):
    return grpc.ssl_channel_credentials(certificate.path.read_bytes(), client and client.key.read_bytes(),
                                        client and client.path.read_bytes())


def tls_settings(certificate):
    return {"grpc.tls.cert": str(certificate.path), "grpc.tls.key": str(certificate.key)}


def test_tls_and_a_certificate_that_changes(own_server, tmp_path):
    one, two = Certificate(tmp_path, "one"), Certificate(tmp_path, "two", "rsa")
    used = Certificate(tmp_path, "used")
    used.path.write_bytes(one.path.read_bytes())
    used.key.write_bytes(one.key.read_bytes())
    server = own_server(LISTEN, file=tls_settings(used))
    alice = unique("alice")
    port = Port(port_of(server), credentials(one))
    assert port.sessions(alice).CreateSession(user_id=alice).session.user_id == alice
    expect_refusal(lambda: Port(port_of(server)).sessions(alice).ListSessions(), UNAVAILABLE)
    expect_refusal(lambda: Port(port_of(server), credentials(two)).sessions(alice).ListSessions(), UNAVAILABLE)

    # A key that does not fit is refused, and the old pair stays.
    used.key.write_bytes(two.key.read_bytes())
    failures = server.log_text().count("node.reload_failed")
    server.process.send_signal(1)
    deadline = time.monotonic() + 15
    while server.log_text().count("node.reload_failed") == failures:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert Port(port_of(server), credentials(one)).sessions(alice).ListSessions().total == 1
    used.path.write_bytes(two.path.read_bytes())
    server.reload()
    deadline = time.monotonic() + 20
    while True:
        try:
            Port(port_of(server), credentials(two)).sessions(alice).ListSessions()
            break
        except grpc.RpcError as error:
            assert error.code() == UNAVAILABLE and time.monotonic() < deadline, error
    port.sessions(alice).ListSessions()  # the connection from before goes on


def test_clients_with_certificates_only(own_server, tmp_path):
    certificate, known, stranger = [Certificate(tmp_path, name) for name in ("server", "known", "stranger")]
    server = own_server({**LISTEN, **tls_settings(certificate), "grpc.tls.client_ca": str(known.path)})
    alice = unique("alice")
    assert Port(port_of(server), credentials(certificate, known)).sessions(alice).ListSessions().total == 0
    for client in (None, stranger):
        expect_refusal(Port(port_of(server), credentials(certificate, client)).sessions(alice).ListSessions, UNAVAILABLE)


def test_methods_are_counted(server, port):
    caller = port.sessions(unique("alice"))
    name = 'tidemark_rpc_calls_total{method="session.SessionService/GetSession",status="%s"}'
    before = server.metrics()
    caller.refused("GetSession", NOT_FOUND, session_id=new_id())
    after = server.metrics()
    assert after[name % "NOT_FOUND"] == before.get(name % "NOT_FOUND", 0) + 1
