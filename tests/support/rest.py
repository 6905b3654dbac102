"""HTTP: one request, one answer, nothing hidden."""
import http.client
import json
from typing import Any, NamedTuple


class Reply(NamedTuple):
    status: int
    json: Any  # the parsed body, or None where it is not JSON
    headers: http.client.HTTPMessage

    @property
    def data(self):
        return self.json["data"]


def call(port, method, path, token=None, body=None, headers=None, timeout=15, tls=None, address=None):
    """body: an object is sent as JSON, bytes are sent as they are. tls: an ssl.SSLContext. address: where to call from."""
    fields = dict(headers or {})
    if token is not None:
        fields["Authorization"] = f"Bearer {token}"
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        fields.setdefault("Content-Type", "application/json")
    source = (address, 0) if address else None
    if tls is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout, source)
    else:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, source_address=source, context=tls)
    try:
        connection.request(method, path, body=body, headers=fields)
        response = connection.getresponse()
        payload = response.read()
    finally:
        connection.close()
    try:
        parsed = json.loads(payload)
    except ValueError:
        parsed = None
    return Reply(response.status, parsed, response.headers)


def assert_success(reply, status=200):
    """status may be a tuple, where the contract leaves open whether something counts as created."""
    assert reply.status in (status if isinstance(status, tuple) else (status,)), (reply.status, reply.json)
    assert reply.json["code"] == reply.status, reply.json
    assert reply.json["message"] == "Success", reply.json
    return reply.data


def assert_refused(reply, status, code):
    assert (reply.status, (reply.json or {}).get("error")) == (status, code), (reply.status, reply.json)
    assert reply.json["code"] == status, reply.json
    assert isinstance(reply.json["message"], str) and reply.json["message"], reply.json


def only_list(data):
    """The one list in data, for lists whose name the contract leaves open."""
    lists = [value for value in data.values() if isinstance(value, list)]
    assert len(lists) == 1, data
    return lists[0]


def is_duplicate(reply):
    """Whether a creating call says that it was a repeat."""
    places = [reply.json, reply.data, *[part for part in reply.data.values() if isinstance(part, dict)]]
    return any(place.get("duplicate") is True for place in places)
