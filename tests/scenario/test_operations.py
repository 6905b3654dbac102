"""What an operator and a tool find: health, metrics, the OpenAPI document, the guards of --dev."""
import re

import pytest

from support.names import text, uniques
from support.raw import RawSocket, upgrade_request
from support.server import rest_text

METRICS = ["websocket_connections_total", "websocket_connections_active", "websocket_messages_sent_total",
           "websocket_messages_received_total", "session_total", "session_active", "session_heartbeat_total",
           "process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"]
DOCUMENT_METRICS = ["statesync_documents_total", "statesync_operations_total", "statesync_conflicts_total",
                    "statesync_subscribers_active"]

PATHS = {
    "/sessions": {"get", "post"}, "/sessions/{}": {"get", "patch", "delete"}, "/sessions/{}/heartbeat": {"post"},
    "/ws/connect": {"get"}, "/ws/online": {"get"}, "/presence": {"get"}, "/messages": {"get", "post"},
    "/messages/{}": {"get", "patch", "delete"}, "/conversations": {"get", "post"},
    "/conversations/{}": {"get", "patch", "delete"}, "/conversations/{}/members": {"post"},
    "/conversations/{}/members/{}": {"patch", "delete"}, "/conversations/{}/read": {"post"}, "/sync": {"get", "post"},
    "/healthz": {"get"}, "/readyz": {"get"}, "/openapi.json": {"get"},
}
# These three stand beside /api/v1 or below it; section 5 leaves it open which.
ANYWHERE = {"/healthz", "/readyz", "/openapi.json"}


def openapi(server):
    for path in ("/openapi.json", "/api/v1/openapi.json"):
        reply = server.get(path)
        if reply.status == 200:
            return reply.json
    raise AssertionError(reply)


def documents_are_offered(server):
    return any("/documents" in path for path in openapi(server)["paths"])


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_token(server, path):
    reply = server.get(path)
    assert reply.status == 200 and isinstance(reply.json, dict)


@pytest.mark.parametrize("name", METRICS)
def test_metric_is_there_under_its_name(server, name):
    assert name in server.metrics()


@pytest.mark.parametrize("name", DOCUMENT_METRICS)
def test_metric_of_documents_is_there_under_its_name(server, name):
    if not documents_are_offered(server):
        pytest.skip("this server has no documents")
    assert name in server.metrics()


async def test_metrics_count_connections_and_messages(own_server):
    server = own_server()
    alice, bob = uniques("alice", "bob")
    before = server.metrics()
    a, b = await server.connect(alice, "phone"), await server.connect(bob, "phone")
    for _ in range(10):
        sent = await a.say(bob)
    await b.received(sent["conversation_id"], 10)
    after = server.metrics()

    def grown(name):
        return after[name] - before[name]

    assert grown("websocket_connections_total") == 2 and after["websocket_connections_active"] == 2
    assert grown("websocket_messages_received_total") >= 10 and grown("websocket_messages_sent_total") >= 20
    assert after["session_active"] == 2 and grown("session_total") == 2
    assert any(name.startswith("tidemark_") for name in after)


async def test_metrics_carry_no_user_and_no_content(server):
    alice, bob = uniques("alice", "bob")
    a = await server.connect(alice)
    await a.say(bob)
    exposed = rest_text(server.metrics_port, "/metrics")
    assert alice not in exposed and "CANARY" not in exposed


def test_openapi_document_is_well_formed(server):
    document = openapi(server)
    assert re.match(r"3\.[01]\.\d+$", document["openapi"])
    assert document["info"]["title"] and document["info"]["version"]
    operation_ids = []
    for path, item in document["paths"].items():
        assert path.startswith("/"), path
        shared = item.get("parameters", [])
        for method, operation in item.items():
            if method not in ("get", "put", "post", "delete", "options", "head", "patch", "trace"):
                assert method in ("parameters", "summary", "description", "servers", "$ref"), (path, method)
                continue
            if "operationId" in operation:
                operation_ids.append(operation["operationId"])
            assert operation["responses"], (path, method)
            for status, response in operation["responses"].items():
                assert re.match(r"[1-5](\d\d|XX)$|default$", status), (path, method, status)
                assert "description" in response or "$ref" in response, (path, method, status)
            parameters = [resolve(document, each) for each in [*shared, *operation.get("parameters", [])]]
            for parameter in parameters:
                assert parameter["in"] in ("path", "query", "header", "cookie") and parameter["name"], (path, parameter)
                assert "schema" in parameter or "content" in parameter, (path, parameter)
                assert parameter["in"] != "path" or parameter["required"] is True, (path, parameter)
            declared = {each["name"] for each in parameters if each["in"] == "path"}
            assert declared == set(re.findall(r"{([^}]+)}", path)), (path, method)
    assert len(operation_ids) == len(set(operation_ids))
    for reference in references(document):
        resolve(document, {"$ref": reference})


def references(node):
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def resolve(document, node):
    if "$ref" not in node:
        return node
    assert node["$ref"].startswith("#/"), node
    target = document
    for part in node["$ref"][2:].split("/"):
        target = target[part.replace("~1", "/").replace("~0", "~")]
    return target


def test_openapi_lists_every_path_of_the_contract(server):
    document = openapi(server)
    base = next((entry["url"].rstrip("/") for entry in document.get("servers", []) if "/api" in entry["url"]), "")
    listed = {}
    for path, item in document["paths"].items():
        full = re.sub(r"{[^}]*}", "{}", path if path.startswith("/api/v1") else base + path)
        short = re.sub(r"^.*/api/v1", "", full) or "/"
        listed.setdefault(short, set()).update(method for method in item if method != "parameters")
    missing = {path: methods - listed.get(path, set()) for path, methods in PATHS.items()
               if methods - listed.get(path, set())}
    assert not missing, missing


def test_every_listed_path_without_parameters_answers(server):
    """What the document promises exists: no 404 and no 405 for a listed GET."""
    document = openapi(server)
    base = next((entry["url"].rstrip("/") for entry in document.get("servers", []) if "/api" in entry["url"]), "")
    base = re.sub(r"^https?://[^/]+", "", base)
    token = server.token(*uniques("alice"))
    for path, item in document["paths"].items():
        if "get" in item and "{" not in path:
            full = path if path.startswith("/api/v1") or path in ANYWHERE else base + path
            reply = server.get(full, {"Authorization": f"Bearer {token}"})
            assert reply.status not in (404, 405, 500, 501), (full, reply.status)


@pytest.mark.parametrize("host, accepted", [
    ("127.0.0.1:{port}", True), ("localhost:{port}", True), ("[::1]:{port}", True), ("localhost", True),
    ("evil.example", False), ("evil.example:{port}", False), ("127.0.0.1.evil.example", False),
    ("localhost.evil.example:{port}", False), ("192.168.0.1", False), ("", False),
])
def test_dev_mode_answers_only_to_loopback_names(server, host, accepted):
    """Else a web page could reach it by a name of its own that resolves to 127.0.0.1."""
    host = host.format(port=server.port)
    token = server.token(*uniques("alice"))
    with RawSocket(server.port) as socket:
        answer = socket.ask(f"GET /api/v1/conversations HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
                            "Connection: close\r\n\r\n")
    assert (answer.status == 200) if accepted else (400 <= answer.status < 500), answer
    with RawSocket(server.port) as socket:
        headers = [("Host", host), ("Authorization", f"Bearer {token}")]
        answer = socket.ask(upgrade_request("/api/v1/ws/connect", server.port, headers, omit=["Host"]))
    assert (answer.status == 101) if accepted else (400 <= answer.status < 500), answer


async def test_logs_keep_one_line_per_event_and_no_secret(own_server):
    """Names with line breaks or escape codes must not write log lines of their own."""
    server = own_server({"log.level": "debug"})
    alice, bob = uniques("alice", "bob")
    token = server.token(alice)
    client = await server.connect(alice, auth="query", token=token)
    await client.say(bob, content=text("in the log?"))
    await client.send(type="x\nFORGED line\x1b[31m")
    await client.recv("error")
    with RawSocket(server.port) as socket:
        socket.ask("GET /nothing%0aFORGED%20path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    await client.close()
    server.stop()
    log = server.log_text()
    assert token not in log and token.split(".")[2] not in log
    assert not [line for line in log.splitlines() if line.startswith("FORGED")]
    assert "\x1b[31m" not in log
