"""The HTTP border: any request gets a usable error at worst, never a server error."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import msgspec
import pytest
import urllib3
from picloud_model.wire import JSON, MSGPACK, REQUEST_BYTES

from tests.e2e.request_bodies import GOOD, KEY, NOBODY, PACK, PARCEL, SLOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.stacks import Stack

OPTIONAL: Final = {
    "/v1/jobs": {"bundle", "options", "parts"},
    "/v1/jobs/status": {"jids"},
    "/v1/jobs/wait": {"timeout_s", "payloads"},
    "/v1/jobs/kill": {"jids"},
    "/v1/work": {"reports", "returned", "lease", "wait_s"},
    "/v1/heartbeat": {"holding", "wait_s"},
}
WRONG: Final = (None, "x" * 1000, -1, 2**63, 10**30, 1.5, True, {"a": 1}, [[1, 2], "y"])
BROKEN: Final = {
    "nothing": b"",
    "no JSON": b"{",
    "another format": b"\x81\xa1a",
    "text": b"hello",
    "a list": b"[]",
    "null": b"null",
    "a number": b"7",
    "broken text": b'{"a": "\xff\xfe"}',
    "deep": b"[" * 60_000,
    "deep in a field": b'{"jids": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "no number": b'{"jids": [[NaN, 1]]}',
    "a huge number": b'{"jids": [[1' + b"0" * 5000 + b", 1]]}",
}


@pytest.fixture(scope="module")
def http(stack: Stack) -> Iterator[Http]:
    """A sender of requests with the right credential."""
    client = stack.client()
    client.join(client.call(abs, 1), 60)
    yield Http(stack)
    client.close()


class Http:
    """Requests to one stack, as any program in any language may send them."""

    def __init__(self, stack: Stack) -> None:
        self._pool = urllib3.PoolManager()
        self._url = stack.url
        self._credentials = {KEY: stack.key, SLOT: stack.slot_token(), NOBODY: ""}

    def send(
        self, path: str, body: bytes, media: str = JSON, method: str = "POST", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Return the status of an answer and its body, which is JSON."""
        whose = GOOD.get(path, (KEY, {}))[0]
        sent = {"Content-Type": media, "Accept": JSON}
        if self._credentials[whose]:
            sent["Authorization"] = f"Bearer {self._credentials[whose]}"
        answer = self._pool.request(
            method, self._url + path, body=body, headers=sent | headers, retries=False
        )
        data = answer.data
        if MSGPACK in answer.headers.get("Content-Type", ""):
            return answer.status, msgspec.msgpack.decode(data)
        return answer.status, json.loads(data)


def refused(answer: tuple[int, dict[str, Any]], *statuses: int) -> dict[str, Any]:
    """Check that an answer refuses in one clear sentence; return the problem."""
    status, problem = answer
    assert status in statuses, answer
    assert problem["code"]
    assert problem["message"].endswith((".", "?")), problem
    assert "Traceback" not in problem["message"]
    return problem


@pytest.mark.parametrize("path", [path for path in GOOD if path != "/v1/slots"])
def test_a_good_body_is_taken(http: Http, path: str) -> None:
    """The bodies that the other tests here change are accepted as they are."""
    status, _ = http.send(path, json.dumps(GOOD[path][1]).encode())

    assert status == 200


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("path", GOOD)
def test_a_body_that_is_none_is_refused(http: Http, path: str, kind: str) -> None:
    """A body that is not JSON of the right form is refused; with 400 if it cannot be parsed."""
    refused(http.send(path, BROKEN[kind]), 400, 422)


@pytest.mark.parametrize("path", GOOD)
def test_a_body_in_msgpack_that_is_none_is_refused(http: Http, path: str) -> None:
    """Broken msgpack is refused like broken JSON."""
    for body in (b"", b"\xc1", b"\x81", b"\xdf\xff\xff\xff\xff", b"\x91" * 60_000, b"\x90"):
        refused(http.send(path, body, MSGPACK), 400, 422)


def fields(path: str) -> list[tuple[str, str]]:
    """Return the fields of the body of an address."""
    return [(path, field) for field in GOOD[path][1]]


@pytest.mark.parametrize(("path", "field"), [pair for path in GOOD for pair in fields(path)])
def test_a_field_of_another_type_is_named(http: Http, path: str, field: str) -> None:
    """The error for a wrong value names the field, for every kind of wrong value."""
    good = GOOD[path][1][field]
    for wrong in WRONG:
        if type(wrong) is type(good) or (wrong is None and field == "jids"):
            continue
        if type(good) is float and type(wrong) is int and wrong == 0:
            continue
        body = copy.deepcopy(GOOD[path][1])
        body[field] = wrong

        answer = http.send(path, json.dumps(body).encode())

        problem = refused(answer, 400, 401, 422)
        assert answer[0] == 400 or problem["field"].startswith(field), (wrong, problem)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (path, field)
        for path in GOOD
        for path, field in fields(path)
        if field not in OPTIONAL.get(path, ())
    ],
)
def test_a_missing_field_is_named(http: Http, path: str, field: str) -> None:
    """A body that lacks a field it must have is refused, and the field is named."""
    body = {name: value for name, value in GOOD[path][1].items() if name != field}

    problem = refused(http.send(path, json.dumps(body).encode()), 422)

    assert field in problem["message"]


@pytest.mark.parametrize("path", GOOD)
def test_an_unknown_field_is_named(http: Http, path: str) -> None:
    """The error names an unknown field: a typing error must not pass silently."""
    body = GOOD[path][1] | {"tiemout_s": 1}

    problem = refused(http.send(path, json.dumps(body).encode()), 422)

    assert "tiemout_s" in problem["message"]


@pytest.mark.parametrize("path", GOOD)
def test_too_large_a_body_is_refused(http: Http, path: str) -> None:
    """A body over the limit is refused, whether its length is announced or not."""
    body = b" " * (REQUEST_BYTES + 1)

    problem = refused(http.send(path, body), 413)

    assert "The body is larger than" in problem["message"]


@pytest.mark.parametrize("path", [path for path in GOOD if path != "/v1/slots"])
@pytest.mark.parametrize(
    "credential",
    [
        "",
        "Basic YTpi",
        "Bearer",
        "Bearer x",
        "Bearer pk_000000000000_" + "A" * 43,
        "Bearer " + "é" * 9,
    ],
)
def test_without_a_good_credential_nothing_is_answered(
    http: Http, path: str, credential: str
) -> None:
    """Every address but health requires a credential; a malformed one and an unknown one look the
    same.
    """
    body = json.dumps(GOOD[path][1]).encode()

    problem = refused(http.send(path, body, Authorization=credential), 401)

    assert problem["code"] in ("key.refused", "slot.refused")


def test_a_key_is_no_slot_and_a_slot_no_key(http: Http, stack: Stack) -> None:
    """A user's key is refused where a slot's token is required, and the reverse."""
    body = json.dumps(GOOD["/v1/work"][1]).encode()
    refused(http.send("/v1/work", body, Authorization=f"Bearer {stack.key}"), 401)

    body = json.dumps(GOOD["/v1/jobs/status"][1]).encode()
    refused(http.send("/v1/jobs/status", body, Authorization=f"Bearer {stack.slot_token()}"), 401)


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/v1", "GET", 404),
        ("/v1/job", "POST", 404),
        ("/v1/jobs", "GET", 405),
        ("/v1/health", "POST", 405),
        ("/v1/jobs/../health/x", "GET", 404),
        ("/v1/blobs/" + "0" * 63, "GET", 422),
        ("/v1/blobs/..%2f..%2fsecrets", "GET", 404),
        ("/v1/blobs/" + "0" * 64, "GET", 404),
    ],
)
def test_a_wrong_address_says_so(http: Http, path: str, method: str, status: int) -> None:
    """An unknown address or method gets an error of the same form."""
    refused(http.send(path, b"", method=method), status, 409)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"options": {"core_type": "c9"}}, "options.core_type"),
        ({"options": {"core_type": "c1", "cores": 3}}, "options.cores"),
        ({"count": 2}, "parts"),
        ({"parts": []}, "parts"),
        ({"parts": [[0, 1, ["", 0, PARCEL]]]}, "packs"),
        ({"parts": [[999, 2, ["", 0, PACK]]]}, "parts"),
        ({"parts": [[0, 1, ["", 0, PACK]], [0, 1, ["", 0, PACK]]]}, "parts"),
        ({"submit_id": "x"}, "submit_id"),
        ({"count": 1_000_001}, "count"),
    ],
)
def test_a_submit_that_does_not_fit_together_is_refused(
    http: Http, changes: dict[str, Any], field: str
) -> None:
    """Parts, counts and options that contradict each other make no job, and the error
    names them.
    """
    body = GOOD["/v1/jobs"][1] | {"submit_id": uuid4().hex} | changes

    problem = refused(http.send("/v1/jobs", json.dumps(body).encode()), 422)

    assert problem["field"] == field


def test_a_submit_repeated_answers_the_same_jids(http: Http) -> None:
    """A submit sent twice makes its jobs once; another submit under the same id is refused."""
    body = GOOD["/v1/jobs"][1] | {"submit_id": uuid4().hex}
    first = http.send("/v1/jobs", json.dumps(body).encode())

    again = http.send("/v1/jobs", json.dumps(body).encode())
    other = http.send("/v1/jobs", json.dumps(body | {"function_name": "g"}).encode())

    assert first[0] == 200
    assert again == first
    assert refused(other, 422)["code"] == "submit.changed"


@pytest.mark.parametrize("verb", ["status", "wait", "kill"])
@pytest.mark.parametrize(
    "jids",
    [[[0, 1]], [[2, 1]], [[1, 2**53]], [[-5, -1]], [[1, 10**12]], [[2**53 - 1, 2**53 - 1]]],
    ids=str,
)
def test_ranges_that_name_no_jobs_are_refused(http: Http, verb: str, jids: list[Any]) -> None:
    """Empty, reversed and endless ranges are refused at once, however many jobs they seem
    to name.
    """
    problem = refused(http.send(f"/v1/jobs/{verb}", json.dumps({"jids": jids}).encode()), 404, 422)

    assert problem["field"].startswith("jids")


def test_the_server_is_well_after_all_this(http: Http, stack: Stack) -> None:
    """None of these requests was a fault of the server, and it is healthy."""
    status, health = http.send("/v1/health", b"", method="GET")

    assert (status, health["healthy"]) == (200, True)
    assert "request.failed" not in stack.faults()
