"""Errors at the border of the API: each has one status, and each body is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from picloud_api import errors
from picloud_model import wire
from picloud_model.errors import PiCloudError, every_error

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi


async def post(
    http: HttpApi, path: str, body: bytes, key: str = "", media: str = wire.JSON
) -> tuple[int, wire.Problem]:
    """Post a body; return the status and the error."""
    result = await http.send("POST", path, body, key, **{"Content-Type": media})
    return result.status_code, wire.decode(result.content, wire.Problem, media)


OURS = [kind for kind in every_error().values() if kind.__module__ == PiCloudError.__module__]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_each_error_has_a_status_in_the_table(kind: type[PiCloudError]) -> None:
    """The table lists each class of the tree: no status is inherited by accident."""
    assert kind in errors.STATUS
    assert errors.status_of(kind()) == errors.STATUS[kind]


PATHS = ["/v1/jobs", "/v1/jobs/staged", "/v1/jobs/status", "/v1/jobs/wait", "/v1/jobs/kill",
         "/v1/blobs", "/v1/blobs/missing", "/v1/blobs/read"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
async def test_a_request_without_a_valid_key_is_refused(http: HttpApi, path: str) -> None:
    """A missing, a malformed and an unknown key are refused alike, before the body is read."""
    unknown = f"pk_{'0' * 12}_{'A' * 43}"

    answers = [await post(http, path, b"\xff", key) for key in ("", "x", unknown)]

    assert [status for status, _ in answers] == [401, 401, 401]
    assert answers[1] == answers[2]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("media", [wire.JSON, wire.MSGPACK])
async def test_a_body_that_cannot_be_read_is_400(
    http: HttpApi,
    api: ApiHarness,
    path: str,
    media: str,
) -> None:
    """Bytes that are neither JSON nor msgpack are a bad request."""
    status, problem = await post(http, path, b"\xc1{", api.server.key, media)

    assert status == 400
    assert problem.message.startswith("The body cannot be read")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/jobs", {"submit_id": "x"}, "submit_id"),
        ("/v1/jobs/status", {"jids": [[1, "2"]]}, "jids[0][1]"),
        ("/v1/jobs/status", {"jids": [[0, 1]]}, "jids[0][0]"),
        ("/v1/jobs/wait", {"jids": [[1, 1]], "timeout_s": -1}, "timeout_s"),
        ("/v1/jobs/kill", {"jid": 1}, None),
        ("/v1/blobs/missing", {"digests": ["../../etc/passwd"]}, "digests[0]"),
    ],
)
async def test_a_wrong_field_is_named(
    http: HttpApi,
    api: ApiHarness,
    path: str,
    body: object,
    field: str | None,
) -> None:
    """A body of the wrong form is 422, and the error names the field."""
    status, problem = await post(http, path, msgspec.json.encode(body), api.server.key)

    assert (status, problem.code, problem.field) == (422, "request.refused", field)


async def test_an_unknown_address_is_an_error_of_the_usual_form(
    http: HttpApi,
) -> None:
    """The body of a 404 has a code and a message, as that of any other error."""
    status, problem = await post(http, "/v2/jobs", b"")

    assert (status, problem.code) == (404, "path.not_found")


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("GET", "/v1/jobs", "POST, OPTIONS"),
        ("PUT", "/v1/health", "GET, OPTIONS"),
    ],
)
async def test_a_wrong_method_is_answered_with_those_that_are_right(
    http: HttpApi, verb: str, path: str, allowed: str
) -> None:
    """The sentence and the header `Allow` name them."""
    result = await http.send(verb, path)

    problem = wire.decode(result.content, wire.Problem, wire.MSGPACK)
    assert (result.status_code, result.headers["allow"]) == (405, allowed)
    assert problem.message == f"This address takes {allowed}, not {verb}."


BAD: tuple[object, ...] = ({}, [], [[]], [{}], "?", "?" * 5000, -1, 10**15, 10**30, 1.5, None, True)
"""Values most fields refuse, each for a reason of its own."""


def bodies() -> list[type[wire.Request]]:
    """Return the structs of all request bodies."""
    found = [wire.Request]
    for kind in found:
        found += kind.__subclasses__()
    return found[1:]


@pytest.mark.parametrize("body", bodies(), ids=lambda body: body.__name__)
def test_what_is_wrong_with_a_value_is_said_in_words(body: type[wire.Request]) -> None:
    """No user reads a type or a regular expression of the library that checks values."""
    for field in body.__struct_encode_fields__:
        for value in BAD:
            try:
                msgspec.json.decode(msgspec.json.encode({field: value}), type=body)
            except msgspec.ValidationError as error:
                message = str(error).partition(" - at `")[0]
                sentence = errors.plain(message)

                assert not sentence.startswith("is not valid"), message
                assert "^" not in sentence, message
