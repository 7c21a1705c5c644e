"""Hundreds of hostile texts in place of every name: kept byte by byte, or refused."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import uuid4

import pytest

from tests.attacks.corpus import NAMES
from tests.attacks.held_job import held_job
from tests.attacks.openapi_targets import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.attacks.sender import Reply, Sender
    from tests.e2e.stacks import Stack

SUBMIT: Final = Target("POST", "/v1/jobs")
REFUSED: Final = {400, 404, 405, 413, 422}


def held(name: str) -> list[Any]:
    """Return a job in the form in which a slot names it."""
    return [name, 0, 1]


OPAQUE: Final[dict[str, Callable[[Sender, str], Reply]]] = {
    "submit_id": lambda sender, name: sender.send("POST", "/v1/jobs", SUBMIT.body(submit_id=name)),
    "staged": lambda sender, name: sender.send(
        "POST", "/v1/jobs/staged", {"submit_id": name, "parts": []}
    ),
    "bundle": lambda sender, name: sender.send("POST", "/v1/jobs", SUBMIT.body(bundle=name)),
    "function": lambda sender, name: sender.send(
        "POST", "/v1/jobs", SUBMIT.body(function=[name, 9])
    ),
    "arguments": lambda sender, name: sender.send(
        "POST", "/v1/jobs", SUBMIT.body(parts=[[0, 1, [name, 9]]])
    ),
    "core_type": lambda sender, name: submitted(sender, core_type=name),
    "env": lambda sender, name: submitted(sender, env=name),
    "vols": lambda sender, name: submitted(sender, vols=[name]),
    "digests": lambda sender, name: sender.send("POST", "/v1/blobs/missing", {"digests": [name]}),
    "read": lambda sender, name: sender.send("POST", "/v1/blobs/read", {"digests": [name]}),
    "address": lambda sender, name: sender.send("GET", f"/v1/blobs/{quote(name, safe='')}"),
    "bare address": lambda sender, name: sender.send(
        "PUT", f"/v1/blobs/{quote(name, safe='/%.~;&=@:')}", b"bytes"
    ),
    "key": lambda sender, name: sender.send("POST", "/v1/keys/activate", {"id": name}),
    "request_id": lambda sender, name: sender.send("POST", "/v1/keys", {"request_id": name}),
    "info": lambda sender, name: sender.send(
        "POST", "/v1/jobs/info", {"jids": [[1, 1]], "keys": [name]}
    ),
    "report": lambda sender, name: sender.send(
        "POST", "/v1/heartbeat", {"running": [held(name)], "wait_s": 0.0}, sender.slot
    ),
    "original jids": lambda sender, name: sender.send("GET", f"/job/?jids={quote(name)}"),
    "original field": lambda sender, name: sender.send("GET", f"/job/?jids=1&field={quote(name)}"),
    "original jid": lambda sender, name: sender.send("GET", f"/job/result/?jid={quote(name)}"),
    "published function": lambda sender, name: sender.send("POST", f"/r/7/{quote(name, safe='')}"),
    "proof": lambda sender, name: sender.send("POST", "/v1/slots", {"proof": name}),
}
"""Operations in which a name is an id or one of a closed list."""


def submitted(sender: Sender, **options: Any) -> Reply:
    """Return the answer to a submit with some options."""
    body = SUBMIT.body()
    return sender.send("POST", "/v1/jobs", body | {"options": body["options"] | options})


@pytest.fixture(scope="module")
def closed(stack: Stack) -> Iterator[int]:
    """A job that does not end, so that jobs that depend on it use no slot."""
    with closing(stack.client()) as client:
        with held_job(stack, client) as jid:
            yield jid
        client.join(jid, 60)


def test_there_are_enough() -> None:
    """At least 500 different texts, and each of them is UTF-8."""
    assert len(set(NAMES)) >= 500
    assert all(name.encode() for name in NAMES if name)


@pytest.mark.parametrize("place", OPAQUE)
def test_what_is_no_id_is_refused(sender: Sender, place: str) -> None:
    """In place of an id, or a name of a closed list, every text is refused and never looked up."""
    empty = {"bundle", "env", "proof"}  # "" says that there is none
    for name in NAMES:
        if not name and place in empty:
            continue

        reply = OPAQUE[place](sender, name)

        expected = {401, 413} if place == "proof" else REFUSED
        assert reply.status in expected, (name, reply)
        assert b"Traceback" not in reply.data


def test_labels_and_functions_come_back_byte_by_byte(
    client: Client, sender: Sender, closed: int
) -> None:
    """A text is kept unchanged, or refused because it is too long."""
    kept: dict[int, str] = {}
    for name in NAMES:
        body = SUBMIT.body(function_name=name, depends_on=[[closed, closed]])
        body["options"] = body["options"] | {"label": name}

        reply = sender.send("POST", "/v1/jobs", body)

        if len(name) > 200:
            assert reply.status == 422, (name, reply)
        else:
            assert reply.status == 200, (name, reply)
            kept[reply.body()["first"]] = name
    infos = client.info(list(kept), ["label", "function"])
    client.kill(list(kept))

    assert {jid: (each["label"], each["function"]) for jid, each in infos.items()} == {
        jid: (name, name) for jid, name in kept.items()
    }


def test_variables_are_set_as_they_are_or_refused(client: Client, sender: Sender) -> None:
    """Values and names reach the job's environment byte by byte; impossible names are refused."""
    wrong = [name for name in NAMES if not name or "=" in name or "\0" in name]
    for name in wrong:
        assert submitted(sender, os_env_vars={name: "x"}).status == 422, name
    assert submitted(sender, os_env_vars={"x": "a\0b"}).status == 422
    good = [name for name in NAMES if name not in wrong and len(name) <= 200]
    given = {f"V{at}": name for at, name in enumerate(good)}

    def look() -> dict[bytes, bytes]:
        import os

        return dict(os.environb)

    for chosen in (given, {f"x{name}": "1" for name in good}):
        variables = client.result(client.call(look, _os_env_vars=chosen), 60)
        assert {name: variables.get(name.encode()) for name in chosen} == {
            name: value.encode() for name, value in chosen.items()
        }


def test_names_of_accounts_are_kept_or_refused(sender: Sender) -> None:
    """A text that cannot be displayed in one line is refused as the name of an account."""
    for name in NAMES:
        if name.isprintable() and name == name.strip() and 0 < len(name) <= 100:
            continue
        reply = sender.send("POST", "/v1/accounts", {"request_id": uuid4().hex, "name": name})

        assert reply.status == 422, (name, reply)
