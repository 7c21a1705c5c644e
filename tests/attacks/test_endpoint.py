"""Published functions: whom each credential lets in, and what strangers learn."""

from __future__ import annotations

import base64
import contextlib
from dataclasses import dataclass, field
from datetime import date  # noqa: TC003 - annotations of a published function are read
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import pytest
import schemathesis
from cloud import rest
from hypothesis import HealthCheck, Phase, assume, given, settings
from picloud_model.wire import JSON
from schemathesis import GenerationMode

from tests.attacks.openapi_targets import GUARDED, Target
from tests.attacks.sender import authorization, basic
from tests.current_client import current_client

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.sender import Reply, Sender
    from tests.e2e.stacks import Stack

SECRET = "what only the owner may see"


def failing() -> None:
    """Fail with a message that is the owner's."""
    raise ValueError(SECRET)


class Published(NamedTuple):
    """Endpoints of the attacked account: paths, and the logins that call them."""

    path: str
    """One that has keys of its own."""
    other: str
    """Another one that has keys of its own."""
    public: str
    own: str
    revoked: str
    others: str


@pytest.fixture(scope="module")
def published(stack: Stack, sender: Sender) -> Iterator[Published]:
    """Endpoints of the attacked account."""

    def login(label: str) -> str:
        key = rest.create_key(label)
        return basic(key["api_key"], key["api_secretkey"])

    with contextlib.closing(stack.client(sender.other)) as client:
        at = len(client.address.url)
        with current_client(client):
            urls = [rest.publish(failing, label) for label in ("guarded", "other")]
            urls.append(rest.publish(failing, "open", public=True))
            own, revoked = login("guarded"), login("guarded")
            others = login("other")
            rest.revoke_key("guarded", rest.list_keys("guarded")[1])
        path, other, public = (url[at:] for url in urls)
        yield Published(
            path=path, other=other, public=public, own=own, revoked=revoked, others=others
        )
        with current_client(client):
            for label in ("guarded", "other", "open"):
                rest.remove(label)


def call(sender: Sender, path: str, credential: str, verb: str = "POST") -> Reply:
    """Call an endpoint without arguments."""
    return sender.raw(verb, path, b"" if verb == "POST" else None, credential)


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("suffix", ["", "/v/1", "/openapi"])
def test_only_a_key_of_the_endpoint_calls_it(
    sender: Sender, published: Published, verb: str, suffix: str
) -> None:
    """Others are refused with one reply, which does not reveal whether the endpoint exists."""
    if verb == "POST" and suffix == "/openapi":
        return  # there is nothing to call
    path = published.path + suffix
    missing = f"{path.rpartition('/guarded')[0]}/missing{suffix}"
    name = published.own.encode()

    assert call(sender, path, published.own, verb).status in {200, 202}
    for refused in (
        "",
        published.revoked,
        published.others,
        basic("r" + "0" * 12, "x"),
        basic("r" + "0" * 12, ""),
        authorization("", "pk_000000000000_" + "A" * 43),
        "Basic " + name.decode().swapcase()[6:],
    ):
        replies = [call(sender, each, refused, verb) for each in (path, missing)]
        assert [each.status for each in replies] == [401, 401], (refused, replies)
        assert replies[0].data == replies[1].data
    replies = [call(sender, each, authorization("", sender.key), verb) for each in (path, missing)]
    assert [each.status for each in replies] == [404, 404]
    assert replies[0].data.replace(b"guarded", b"missing") == replies[1].data


def test_the_secret_of_one_key_does_not_fit_another(sender: Sender, published: Published) -> None:
    """Ids and secrets belong together, also those of the same endpoint."""
    pairs = [
        base64.b64decode(each.removeprefix("Basic ")).decode().partition(":")
        for each in (published.own, published.others)
    ]
    (name, _, secret), (other_name, _, other_secret) = pairs
    for mixed in (basic(name, other_secret), basic(other_name, secret)):
        for path in (published.path, published.other):
            assert call(sender, path, mixed).status == 401


@pytest.mark.parametrize("target", [each for each in GUARDED if "/r/" not in each.path], ids=str)
def test_a_key_of_an_endpoint_opens_nothing_else(
    sender: Sender, published: Published, target: Target
) -> None:
    """As a user name with a password, and as a bearer, it is refused by every other operation."""
    pair = base64.b64decode(published.own.removeprefix("Basic ")).decode()
    name, _, secret = pair.partition(":")
    for header in (
        published.own,
        f"Bearer {name}_{secret}",
        f"Bearer pk_{name}_{secret}",
        f"Bearer pk_{name[1:]}_{secret}",
        basic(name[1:], secret),
    ):
        reply = sender.raw(target.verb, target.address(), b"{}", header)
        assert reply.status == 401, (header, reply)


@pytest.mark.parametrize("operation", ["keys", "keys/list", "keys/revoke"])
def test_keys_of_anothers_endpoint_are_not_there(
    sender: Sender, published: Published, operation: str
) -> None:
    """They are neither made nor listed nor revoked; the reply is that for a missing endpoint."""
    more: dict[str, Any] = {"keys": {"request_id": "0" * 32}, "keys/revoke": {"key": "r"}}

    replies = [
        sender.send("POST", f"/v1/rest/{operation}", {"label": label, **more.get(operation, {})})
        for label in ("guarded", "missing")
    ]

    assert [each.status for each in replies] == [404, 404]
    assert replies[0].data.replace(b"guarded", b"missing") == replies[1].data
    assert call(sender, published.path, published.own).status == 202


def test_everybody_calls_a_public_endpoint_but_sees_no_more(
    sender: Sender, published: Published
) -> None:
    """Neither a traceback nor the message of an exception, nor another endpoint's result."""
    owner = authorization("", sender.other)
    for credential in ("", authorization("", sender.key)):
        reply = sender.raw("POST", published.public, b"", credential, wait_s=30)
        assert (reply.status, reply.code) == (500, "endpoint.job_failed")
        assert "the owner of this function can see why" in reply.body()["message"]
        assert SECRET.encode() not in reply.data
    reply = sender.raw("POST", published.path, b"", published.own, wait_s=30)
    assert (reply.status, SECRET.encode() in reply.data) == (500, False)
    reply = sender.raw("POST", published.public, b"", owner, wait_s=30)
    assert (reply.status, SECRET.encode() in reply.data) == (500, True)
    for suffix in ("", "/openapi"):
        reply_to_guest = sender.raw("GET", published.public + suffix, None, "")
        assert (reply_to_guest.status, b"failing" in reply_to_guest.data) == (200, False)
    jid = reply.body()["message"].split()[1].strip(":,")
    for place in (f"/jobs/{jid}", f"/jobs/{jid}-1-{'0' * 32}", "/../guarded"):
        assert sender.raw("GET", published.public + place, None, "").status in {401, 404}
    for wrong in ("", "Bearer x", basic("r" + "0" * 12, "x")):
        assert call(sender, published.path, wrong).status == 401
    assert call(sender, published.public, basic("r" + "0" * 12, "x")).status == 401


@dataclass
class Point:
    """A dataclass as an argument."""

    x: float
    tags: list[str] = field(default_factory=list)


def typed(  # noqa: PLR0917 - one of each type
    x: int,
    y: float | None,
    z: list[Any],
    point: Point,
    day: date | None,
    kind: Literal["a", 1],
    sizes: dict[str, int | list[int]],
    pair: tuple[int, Point] | None = None,
    data: bytes = b"",
    *,
    name: str = "",
    more: Any = None,
) -> int:
    """Return a number."""
    del x, y, z, day, kind, sizes, pair, data, name, more
    return len(point.tags)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_a_function_takes_what_its_document_describes(
    sender: Sender, stack: Stack, mode: GenerationMode
) -> None:
    """Arguments that fit it are taken; no others are a fault of the server."""
    with contextlib.closing(stack.client()) as client, current_client(client):
        url = rest.publish(typed, "typed", public=True)
        described = schemathesis.openapi.from_url(f"{url}/openapi")
        operation = described[url.removeprefix(client.address.url)]["POST"]

        @settings(
            max_examples=20,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            assume(case.media_type == JSON)
            case.headers.pop("Prefer", None)
            case.headers.pop("Idempotency-Key", None)
            answer = case.call(base_url=sender.url, timeout=20)
            fits = mode is GenerationMode.POSITIVE
            assert (answer.status_code == 202) if fits else answer.status_code < 500, answer.text

        ask()
        rest.remove("typed")
        client.kill()


@pytest.mark.parametrize("account", ["a0000009", "..", "%2e%2e", "A0000001", "a" * 5000, "x"])
def test_strangers_do_not_learn_which_accounts_exist(sender: Sender, account: str) -> None:
    """An endpoint of no account is refused like a missing one of an account."""
    replies = [call(sender, f"/r/{each}/missing", "") for each in ("a0000001", account)]

    assert replies[0].status == 401
    assert replies[1].status in {401, 404}  # 404 where the path leads elsewhere
    assert replies[1].status == 404 or replies[0].data == replies[1].data
