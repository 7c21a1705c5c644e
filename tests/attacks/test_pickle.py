"""Canaries: pickles that record which process loaded them. Only the child that runs a job does."""

from __future__ import annotations

import base64
import contextlib
import pickle
import zlib
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
import pytest
from cloud import CloudException
from cloud._packing.packer import Packer
from picloud_model import pack
from picloud_model.wire import JSON, MSGPACK

from tests.attacks.openapi_targets import TARGETS, Target, resolved
from tests.attacks.sender import authorization
from tests.e2e.request_bodies import GOOD

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.attacks.sender import Sender
    from tests.e2e.stacks import Stack


class Canary:
    """A pickle that records the command line of the process that loads it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        code = f"open({str(self.trace)!r}, 'ab').write(open('/proc/self/cmdline', 'rb').read())"
        return (eval, (code,))


@pytest.fixture
def trace(stack: Stack) -> Path:
    """The file in which canaries are recorded."""
    return stack.shared / f"canary-{uuid4().hex}"


def pickled_canaries(trace: Path) -> list[bytes]:
    """A canary in every form in which pickles are sent."""
    bare = pickle.dumps(Canary(trace))
    return [bare, pack.seal(bare), pack.write([pack.seal(bare)]), zlib.compress(bare)]


def filled(schema: dict[str, Any], pickled: bytes, depth: int = 0) -> Any:  # noqa: PLR0911 - a type each
    """Return a value of a schema, filled with a pickle in place of all bytes and texts."""
    schema = resolved(schema)
    if "anyOf" in schema:
        return filled(schema["anyOf"][-1 if depth > 3 else 0], pickled, depth + 1)
    if schema.get("contentEncoding") == "base64":
        return pickled
    if "enum" in schema or "pattern" in schema:
        return uuid4().hex if "32" in schema.get("pattern", "") else "0" * 64
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {name: filled(fields[name], pickled, depth + 1) for name in fields}
        case "array" if "prefixItems" in schema:
            return [filled(each, pickled, depth + 1) for each in schema["prefixItems"]]
        case "array":
            items = schema.get("items")
            return (
                [filled(items, pickled, depth + 1)] if isinstance(items, dict) and depth < 6 else []
            )
        case "string":
            return base64.b64encode(pickled).decode()[:90]
        case "integer" | "number":
            return schema.get("minimum", 1)
    return schema.get("default")


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_no_endpoint_unpickles(sender: Sender, trace: Path, target: Target) -> None:
    """A canary as the body, in every field, in every form and with every credential is
    not loaded.
    """
    for pickled in pickled_canaries(trace):
        text = base64.b64encode(pickled).decode()
        for bearer in (sender.key, sender.slot, text):
            credential = authorization(target.path, bearer)
            for media in (MSGPACK, JSON, "application/x-python-pickle"):
                sender.raw(target.verb, target.address(), pickled, credential, media)
            for name in target.query:
                sender.raw(target.verb, target.address(**{name: text}), None, credential)
            if target.schema is None:
                continue
            body = filled(target.schema, pickled)
            for name in {"wait_s", "timeout_s", "leaving"} & set(body):
                body[name] = 0.0 if name != "leaving" else False
            sender.raw(
                target.verb,
                target.address(),
                msgspec.msgpack.encode(body),
                f"Bearer {bearer}",
                MSGPACK,
            )

    assert not trace.exists(), trace.read_bytes()


def test_only_the_child_of_a_job_unpickles(
    client: Client, sender: Sender, trace: Path, stack: Stack
) -> None:
    """A canary as a function, an argument and a result is loaded by no process but the
    job's own.
    """
    parcel = pack.seal(pickle.dumps(Canary(trace)))
    body = GOOD["/v1/jobs"][1] | {
        "submit_id": uuid4().hex,
        "function": ["", 0, base64.b64encode(parcel).decode()],
        "parts": [[0, 1, ["", 0, base64.b64encode(pack.write([parcel])).decode()]]],
        "envelope": list(msgspec.to_builtins(Packer().envelope)),
    }
    made = sender.send("POST", "/v1/jobs", body).body()
    with contextlib.suppress(CloudException):
        client.join(made["first"], 60)
    jids = [[made["first"], made["first"]]]
    requests: dict[str, dict[str, Any]] = {
        "/v1/jobs/wait": {"jids": jids, "payloads": True},
        "/v1/jobs/info": {"jids": jids, "keys": ["all"]},
        "/v1/jobs/status": {"jids": jids},
        "/v1/jobs/list": {},
        "/v1/jobs/batches": {},
    }
    for path, request in requests.items():
        assert sender.send("POST", path, request).status == 200
    assert sender.send("GET", f"/job/?jids={made['first']}&field=args").status == 422
    assert sender.send("GET", f"/job/result/?jid={made['first']}").status == 404

    recorded = trace.read_bytes()

    assert recorded
    pids = [process.pid for process in stack.api()]
    for pid in pids:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
        assert not recorded.startswith(line)
    assert b"picloud_worker" in recorded
    assert b"picloud_api" not in recorded


@pytest.mark.parametrize("padding", [0, 900_000], ids=["inline", "blob"])
def test_a_result_is_read_as_json_but_not_loaded(
    client: Client, sender: Sender, trace: Path, padding: int
) -> None:
    """The server reads plain values out of a pickled result; a canary in it is refused unloaded."""
    path = str(trace)

    def result(plain: bool) -> Any:
        class Replaced:
            def __reduce__(self) -> Any:
                return (eval, (f"open({path!r}, 'ab').close()",))

        return ["." * padding, {"a": 1 if plain else Replaced()}]

    plain, replaced = client.map(result, [True, False])
    client.join([plain, replaced], 60)

    reply = sender.send("GET", f"/job/result/?jid={plain}")
    refusal = sender.send("GET", f"/job/result/?jid={replaced}")

    assert (reply.status, reply.body()["result"]) == (200, ["." * padding, {"a": 1}])
    assert refusal.status == 422
    assert "is a Python object" in refusal.body()["message"]
    assert not trace.exists()


def test_bytes_go_under_their_own_name_only(sender: Sender) -> None:
    """Bytes are accepted only under the name that is their digest."""
    good = uuid4().bytes
    name = sha256(good).hexdigest()

    reply = sender.send("PUT", f"/v1/blobs/{name}", b"other bytes")

    assert reply.status == 422
    assert sender.send("GET", f"/v1/blobs/{name}").status == 409
