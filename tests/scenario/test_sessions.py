"""Sessions: made over REST or by connecting, taken up again, closed."""
import pytest

from support.names import new_id, unique, uniques
from support.raw import RawSocket, upgrade_request
from support.rest import assert_refused, assert_success, only_list


def make_session(server, user, **body):
    data = assert_success(server.api("POST", "/sessions", user, body), 201)
    return data["session"], data["token"]


def upgrade(server, token, query=""):
    """An upgrade that is expected to be refused; gives the HTTP answer."""
    with RawSocket(server.port) as socket:
        headers = [("Authorization", f"Bearer {token}")] if token else []
        return socket.ask(upgrade_request("/api/v1/ws/connect" + query, server.port, headers))


def test_created_session_shows_all_its_fields(server):
    alice = unique("alice")
    session, token = make_session(server, alice, device_id="phone", metadata={"app": "1.2"})
    assert session["session_id"] == session["id"] and session["session_id"]
    assert (session["user_id"], session["tenant_id"], session["device_id"]) == (alice, "default", "phone")
    assert (session["status"], session["metadata"]) == ("active", {"app": "1.2"})
    assert session["state"] in ("connecting", "active", "idle")
    for field in ("created_at", "updated_at", "last_activity", "expires_at"):
        assert session[field] > 10**12, field
    assert session["expires_at"] > session["created_at"]
    assert {"client_ip", "client_port"} <= set(session)
    assert token.count(".") == 2


def test_sessions_are_listed_read_changed_and_kept_alive(server):
    alice, mallory = uniques("alice", "mallory")
    sessions = [make_session(server, alice, device_id=f"device-{number}")[0] for number in range(3)]
    ids = {session["session_id"] for session in sessions}
    data = assert_success(server.api("GET", "/sessions", alice))
    assert {session["session_id"] for session in only_list(data)} == ids
    path = f"/sessions/{sessions[0]['session_id']}"
    assert assert_success(server.api("GET", path, alice))["session"]["session_id"] == sessions[0]["session_id"]
    changed = assert_success(server.api("PATCH", path, alice, {"metadata": {"app": "2"}}))["session"]
    assert changed["metadata"] == {"app": "2"}
    assert assert_success(server.api("GET", path, alice))["session"]["metadata"] == {"app": "2"}
    before = assert_success(server.api("GET", path, alice))["session"]
    assert_success(server.api("POST", path + "/heartbeat", alice))
    after = assert_success(server.api("GET", path, alice))["session"]
    assert after["last_activity"] >= before["last_activity"] and after["expires_at"] >= before["expires_at"]
    for method, suffix, body in (("GET", "", None), ("PATCH", "", {"metadata": {}}), ("DELETE", "", None),
                                 ("POST", "/heartbeat", None)):
        assert_refused(server.api(method, path + suffix, mallory, body), 404, "not_found")
        assert_refused(server.api(method, f"/sessions/{new_id()}{suffix}", alice, body), 404, "not_found")


def test_list_of_sessions_is_paged_and_filtered_by_status(server):
    alice = unique("alice")
    sessions = [make_session(server, alice, device_id=f"device-{number}")[0]["session_id"] for number in range(5)]
    assert_success(server.api("DELETE", f"/sessions/{sessions[0]}", alice))
    pages = [assert_success(server.api("GET", f"/sessions?status=active&page={page}&page_size=3", alice))
             for page in (1, 2)]
    found = [[session["session_id"] for session in only_list(page)] for page in pages]
    assert [len(page) for page in found] == [3, 1]
    assert set(found[0] + found[1]) == set(sessions[1:])
    assert [page["has_more"] for page in pages] == [True, False]
    inactive = only_list(assert_success(server.api("GET", "/sessions?status=inactive", alice)))
    assert all(session["status"] == "inactive" for session in inactive)


async def test_deleting_a_session_closes_its_connection_with_4006(server):
    alice = unique("alice")
    phone, laptop = await server.connect(alice, "phone"), await server.connect(alice, "laptop")
    session = phone.welcome["session_id"]
    assert_success(server.api("DELETE", f"/sessions/{session}", alice))
    await phone.closed(4006)
    await laptop.settle()
    assert upgrade(server, server.token(alice), f"?session_id={session}").status == 410


async def test_session_token_connects_and_dies_with_the_session(server):
    alice = unique("alice")
    session, token = make_session(server, alice, device_id="phone")
    client = await server.connect(alice, token=token)
    assert client.welcome["session_id"] == session["session_id"] and client.welcome["user_id"] == alice
    assert server.api("GET", "/conversations", token).status == 200
    assert_success(server.api("DELETE", f"/sessions/{session['session_id']}", alice))
    await client.closed(4006)
    assert_refused(server.api("GET", "/conversations", token), 401, "unauthorized")
    assert upgrade(server, token).status == 401


def test_session_id_of_another_user_or_of_none_is_404(server):
    alice, mallory = uniques("alice", "mallory")
    session, _ = make_session(server, alice)
    assert upgrade(server, server.token(mallory), f"?session_id={session['session_id']}").status == 404
    assert upgrade(server, server.token(alice), f"?session_id={new_id()}").status == 404


async def test_named_session_is_used(server):
    alice = unique("alice")
    session, _ = make_session(server, alice, device_id="phone")
    client = await server.connect(alice, "phone", session_id=session["session_id"])
    assert client.welcome["session_id"] == session["session_id"]


async def test_open_session_of_a_device_is_taken_up_again(server):
    alice = unique("alice")
    first = await server.connect(alice, "phone")
    other = await server.connect(alice, "laptop")
    await first.close()
    again = await first.reconnect()
    assert again.welcome["session_id"] == first.welcome["session_id"] != other.welcome["session_id"]
    await again.close()
    assert_success(server.api("DELETE", f"/sessions/{first.welcome['session_id']}", alice))
    fresh = await again.reconnect()
    assert fresh.welcome["session_id"] != first.welcome["session_id"]


async def test_session_of_a_connection_is_listed_as_active(server):
    alice = unique("alice")
    client = await server.connect(alice, "phone")
    path = f"/sessions/{client.welcome['session_id']}"
    session = assert_success(server.api("GET", path, alice))["session"]
    assert (session["device_id"], session["status"], session["client_ip"]) == ("phone", "active", "127.0.0.1")


async def test_closed_session_stays_closed_over_a_restart(own_server):
    server = own_server()
    alice = unique("alice")
    session, token = make_session(server, alice, device_id="phone")
    kept, kept_token = make_session(server, alice, device_id="laptop")
    assert_success(server.api("DELETE", f"/sessions/{session['session_id']}", alice))
    server.kill()
    server.restart()
    assert_refused(server.api("GET", "/conversations", token), 401, "unauthorized")
    assert server.api("GET", "/conversations", kept_token).status == 200
    client = await server.connect(alice, token=kept_token)
    assert client.welcome["session_id"] == kept["session_id"]


@pytest.mark.parametrize("body, field", [
    ({"device_id": ""}, "device_id"), ({"device_id": 7}, "device_id"), ({"device_id": "x" * 129}, "device_id"),
    ({"metadata": "text"}, "metadata"), ({"timeout_seconds": "60"}, "timeout_seconds"),
    ({"timeout_seconds": -1}, "timeout_seconds"),
])
def test_wrong_session_fields_are_named(server, body, field):
    reply = server.api("POST", "/sessions", unique("alice"), body)
    assert_refused(reply, 400, "invalid_field")
    assert reply.json.get("field", field) == field
