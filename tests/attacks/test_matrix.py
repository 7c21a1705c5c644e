"""Every operation of the OpenAPI document, with each kind of credential and of foreign object.

With a bad credential, or for an object of another account, the answer has no data and does not
reveal whether the object exists.
"""

from __future__ import annotations

import contextlib
import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import jwt
import pytest
from picloud_api.resources.least_role import least_role
from picloud_model.ranges import MAX_JID
from picloud_model.wire.role import Role

from tests.attacks.openapi_targets import DOCUMENT, GUARDED, TARGETS, Target
from tests.attacks.sender import REFUSALS, authorization, basic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud._client.client import Client

    from tests.attacks.sender import Reply, Sender

UNKNOWN: Final = "pk_000000000000_" + "A" * 43
FORGED: Final = jwt.encode({"aud": "picloud-work", "sub": "1"}, "", algorithm="none")
SIGNED: Final = jwt.encode({"aud": "picloud-work", "sub": "1"}, "x" * 32, algorithm="HS256")
BAD: Final = {
    "none": "",
    "no kind": "pk_1_2",
    "basic": "Basic YTpi",
    "basic, unknown": authorization("", UNKNOWN),
    "basic, broken": "Basic \u00e9%%%",
    "basic, huge": basic("A" * 20_000, ""),
    "basic, traversing": basic("../../../..", "A" * 43),
    "empty": "Bearer ",
    "unknown": f"Bearer {UNKNOWN}",
    "unsigned": f"Bearer {FORGED}",
    "signed by another": f"Bearer {SIGNED}",
    "huge": "Bearer " + "A" * 30_000,
    "traversing": "Bearer pk_../../../../_" + "A" * 43,
    "quoted": "Bearer pk_' OR 1=1 --_x",
}
"""Values of the Authorization header that open nothing."""
OBJECTS: Final = {"jid", "jids", "depends_on", "digests", "id"}
"""Fields of requests that name objects of an account."""
COMPARED: Final = {("/v1/queues/take", "jid")}
"""Fields that find nothing: they are compared with what an object of the account names itself."""
NAMING: Final = [
    (target, field)
    for target in GUARDED
    for field in sorted(OBJECTS & set(target.fields))
    if (target.path, field) not in COMPARED
]
KEYED: Final = [target for target in GUARDED if target.wants & {"apiKey", "basic"}]
"""Every operation that an API key opens."""
LOOSE_JIDS: Final = (
    0, -1, 2**63, 10**30, 1.5, "1", "1;2", "1-10", "' OR 1=1", None, True, {"a": 1}, [1], [[1]],
    [[1, 2, 3]], [[0, 1]], [[-5, -1]], [[2, 1]], [["1", "2"]], [[1, 2**53]], [[1.5, 2]],
)  # fmt: skip
LOOSE_NAMES: Final = (
    "", "x", "../" * 20, "%2e%2e%2f", "0" * 63, "0" * 65, "G" * 64, "\0" * 64, "0" * 64 + "\n",
    "A" * 1_000_000, 7, None, {"a": 1}, ["../etc/passwd"], [["0" * 64]], ["0" * 64 + "/.."],
)  # fmt: skip


@pytest.fixture(scope="module")
def theirs(sender: Sender, stack: Any) -> Iterator[dict[str, Any]]:
    """Objects of the attacked account that have no equal in the attacker's."""
    with (
        contextlib.closing(stack.client()) as mine,
        contextlib.closing(stack.client(sender.other)) as other,
    ):
        last = mine.call(abs, 1)
        jids = other.map(abs, range(last + 5000))
        other.kill()
        blob = uuid4().bytes * 2
        sender.send("PUT", f"/v1/blobs/{sha256(blob).hexdigest()}", blob, sender.other)
        key = other.keys.create().key.split("_")[1]
        yield {"jid": jids[-1], "digest": sha256(blob).hexdigest(), "id": key}


def value(target: Target, field: str, objects: dict[str, Any]) -> Any:
    """Return the value of a field that names an object."""
    if field == "jid" or field in target.query:
        return objects["jid"]
    if field in ("jids", "depends_on"):
        return [[objects["jid"], objects["jid"]]]
    return [objects["digest"]] if field == "digests" else objects["id"]


def without_names(reply: Reply) -> tuple[int, str]:
    """Return an answer without the names that were requested."""
    text = reply.data.decode()
    return reply.status, re.sub(r"[0-9a-f]{64}|[0-9a-f]{12}|\d+", "#", text)


def ask(sender: Sender, target: Target, field: str, named: Any, credential: str = "") -> Reply:
    """Send a request that names an object."""
    if field in target.query:
        return sender.send(target.verb, target.address(**{field: named}), None, credential)
    body = target.body(**{field: named})
    return sender.send(target.verb, target.address(), body, credential or sender.key)


def test_the_matrix_is_of_the_document_that_is_served(sender: Sender) -> None:
    """The server serves exactly the operations that are attacked here."""
    served = sender.send("GET", "/v1/openapi.json").body()

    assert served["paths"] == DOCUMENT["paths"]
    assert served["components"] == DOCUMENT["components"]


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("target", GUARDED, ids=str)
def test_a_bad_credential_opens_nothing(sender: Sender, target: Target, kind: str) -> None:
    """No credential, a malformed one and an unknown one get 401, with one of three codes."""
    body = target.body()
    data = body if isinstance(body, bytes | None) else str(body).encode()

    reply = sender.raw(target.verb, target.address(), data, BAD[kind])

    assert (reply.status, reply.code in REFUSALS) == (401, True), reply


@pytest.mark.parametrize("target", GUARDED, ids=str)
def test_a_credential_in_an_address_opens_nothing(sender: Sender, target: Target) -> None:
    """A credential in the address is ignored: addresses are logged and cached on their way."""
    for credential in (sender.key, sender.slot):
        names = ("api_key", "key", "token", "access_token", "Authorization")
        shown = "&".join(f"{name}={credential}" for name in names)
        body = target.body()
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()

        address = target.address()
        joined = f"{address}{'&' if '?' in address else '?'}{shown}"
        reply = sender.raw(target.verb, joined, data, "")

        assert (reply.status, reply.code in REFUSALS) == (401, True), reply


@pytest.mark.parametrize("target", GUARDED, ids=str)
def test_a_wrong_secret_and_an_unknown_key_look_the_same(sender: Sender, target: Target) -> None:
    """The answer does not reveal which key ids exist, nor which were revoked."""
    name = sender.key.split("_")[1]
    keys = [f"pk_{name}_{'A' * 43}", UNKNOWN, sender.revoked, sender.key[:-1] + "~"]

    replies = [sender.send(target.verb, target.address(), target.body(), key) for key in keys]

    assert {each.status for each in replies} == {401}
    assert len({each.data for each in replies}) == 1


@pytest.mark.parametrize("target", GUARDED, ids=str)
def test_a_key_is_no_slot_and_a_slot_no_key(sender: Sender, target: Target) -> None:
    """A valid credential of one kind opens nothing that requires the other kind."""
    body = target.body()
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    for kind, header in (
        ("apiKey", f"Bearer {sender.key}"),
        ("slotToken", f"Bearer {sender.slot}"),
        ("basic", authorization("", sender.key)),
    ):
        if kind in target.wants:
            continue

        reply = sender.raw(target.verb, target.address(), data, header)

        assert (reply.status, reply.code in REFUSALS) == (401, True), reply


@pytest.mark.parametrize("role", [Role.READER, Role.MEMBER])
@pytest.mark.parametrize("target", KEYED, ids=str)
def test_a_key_does_what_its_role_allows(sender: Sender, target: Target, role: Role) -> None:
    """A reader's key gets 403 from each operation that is not listed as reading, and a member's
    from what owners decide, before the body is read.
    """
    body = target.body()
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    key = sender.reader if role is Role.READER else sender.member
    header = f"Bearer {key}" if "apiKey" in target.wants else authorization("", key)
    may = role.includes(least_role(target.verb, target.path))
    if may and role is Role.MEMBER:
        return  # other tests send these

    reply = sender.raw(target.verb, target.address(), data, header)

    assert (reply.code == "role.refused") == (not may), reply
    if not may:
        assert reply.status == 403


@pytest.mark.parametrize(("target", "field"), NAMING, ids=str)
def test_what_is_another_accounts_is_not_there(
    sender: Sender, theirs: dict[str, Any], target: Target, field: str
) -> None:
    """An object of another account and a missing one get the same status and the same message."""
    missing = {"jid": theirs["jid"] + 10**6, "digest": "ab" * 32, "id": "ab" * 6}

    reply = ask(sender, target, field, value(target, field, theirs))
    nothing = ask(sender, target, field, value(target, field, missing))

    assert without_names(reply) == without_names(nothing)
    finds = target.path == "/v1/blobs/missing"  # it says which ones to upload
    assert reply.status == (200 if finds else 409 if field == "digests" else 404), reply


def own_invite(sender: Sender) -> str:
    """Make an invitation; return its id, "" where there are none."""
    made = sender.send("POST", "/v1/invites", {})
    listed = sender.send("POST", "/v1/invites/list", {})
    return str(json.loads(listed.data)["invites"][-1]["id"]) if made.status == 200 else ""


@pytest.mark.parametrize(("target", "field"), NAMING, ids=str)
def test_what_is_ones_own_is_there(
    client: Client, sender: Sender, target: Target, field: str
) -> None:
    """The same requests succeed for the owner, so that they are refused for the right reason."""
    blob = uuid4().bytes
    digest = sha256(blob).hexdigest()
    sender.send("PUT", f"/v1/blobs/{digest}", blob)
    jid = client.call(abs, 1)
    client.join(jid, 60)
    key = client.keys.create().key.split("_")[1]

    invite = own_invite(sender) if target.path == "/v1/invites/revoke" else None
    objects = {"jid": jid, "digest": digest, "id": invite or key}
    reply = ask(sender, target, field, value(target, field, objects))

    # Only running jobs can be reached, or run a notebook; only jobs of generators have a stream.
    has_ended = target.path.startswith(("/v1/tunnels", "/v1/notebooks", "/v1/streams"))
    if invite == "":  # the embedded stack has no members
        assert reply.code == "invite.not_found"
        return
    assert reply.status == (422 if has_ended else 200), reply
    assert not has_ended or b"has ended" in reply.data


@pytest.mark.parametrize(("target", "field"), NAMING, ids=str)
def test_malformed_names_are_refused(sender: Sender, target: Target, field: str) -> None:
    """A malformed name is refused as such: it is not a server error and gets no data."""
    loose = LOOSE_JIDS if field in ("jid", "jids", "depends_on") else LOOSE_NAMES
    for wrong in loose:
        if wrong is None and target.path in ("/v1/jobs/kill", "/v1/jobs/delete"):
            continue  # no jids are all one's own unfinished ones, or all finished ones
        if wrong is None and target.path == "/v1/jobs/status":
            continue  # an empty list names nothing
        if wrong == "1" and field in target.query:
            continue  # a number is text in an address

        reply = ask(sender, target, field, wrong)

        assert reply.status in (400, 404, 422), (wrong, reply)


@pytest.mark.parametrize(("target", "field"), NAMING, ids=str)
def test_huge_names_are_answered_in_bounded_time(
    sender: Sender, target: Target, field: str
) -> None:
    """Ranges like 1-10^12, and lists as long as a body allows, are refused without walking them."""
    huge: list[Any] = [[[1, 10**12]], [[1, MAX_JID]], [[1, MAX_JID]] * 1000, [[1, 10**6]] * 100_001]
    if field == "digests":
        huge = [["0" * 64] * 200_000, ["0" * 1_000_000]]
    if field == "id":
        huge = ["0" * 10_000_000]
    if field in target.query:
        huge = ["9" * 30_000, "1-1000000000000", ",".join(map(str, range(10**9, 10**9 + 3000)))]
    for named in huge:
        reply = ask(sender, target, field, named)

        finds = target.path == "/v1/blobs/missing" and len(named[0]) == 64
        assert reply.status in ((200, 422, 413) if finds else (404, 409, 413, 422)), reply.status


@pytest.mark.parametrize("target", [each for each in TARGETS if "{digest}" in each.path], ids=str)
def test_addresses_lead_nowhere_else(
    sender: Sender, theirs: dict[str, Any], target: Target
) -> None:
    """An object of another account does not exist in an address either, and no path leads
    elsewhere.
    """
    if target.verb == "GET":
        reply = sender.send("GET", target.address(theirs["digest"]))
        nothing = sender.send("GET", target.address("ab" * 32))
        assert without_names(reply) == without_names(nothing)
        assert reply.status == 409
    for name in (
        "x", "0" * 63, "0" * 65, "%2e%2e%2fa0000002%2f" + theirs["digest"], "..", "%00", "~",
        f"a0000002/{theirs['digest']}", f"../a0000002/{theirs['digest']}", "A" * 4096, "%ff%fe",
        f"..%2fa0000002%2f{theirs['digest']}", f"{theirs['digest']}%00", "0" * 64 + "%0a",
    ):  # fmt: skip
        reply = sender.send(target.verb, target.address(name), target.body())

        assert reply.status in (400, 404, 405, 422), (name, reply)
        assert b"Traceback" not in reply.data
