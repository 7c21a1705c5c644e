"""Swapped bytes: a blob is accepted only if its bytes have the expected digest.

The state store keeps the digests of results, functions and arguments, and decides which attempt's
result counts. So write access to the blob store alone does not make any process unpickle foreign
bytes.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import pickle
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import pytest
from cloud import CloudException
from picloud_driver.blob.directory import DirectoryBlobs
from picloud_driver.blob.s3 import S3Blobs
from picloud_driver.stack.servers import s3
from picloud_model import pack

from tests.attacks.held_job import held_job
from tests.e2e.stack_hashicorp import HashiCorpStack
from tests.e2e.stacks import EmbeddedStack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cloud._client.client import Client
    from picloud_driver.blob import BlobPort

    from tests.attacks.sender import Sender
    from tests.e2e.stacks import Stack

MINE: Final = b"mine" * 200_000
PADDING: Final = b"." * 900_000
MAIN, OTHER = "a0000001", "a0000002"

REPLACEMENTS: Final = (
    "another job's", "another account's", "an earlier attempt's", "the attacker's own",
    "one bit", "cut", "empty", "nothing",
)  # fmt: skip
"""What replaces a result in the blob store."""


class Store:
    """The blob store of a stack, as an attacker with write access has it."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def _port(self) -> BlobPort:
        if isinstance(self._stack, HashiCorpStack):
            return S3Blobs(s3.access(self._stack.addresses().s3))
        assert isinstance(self._stack, EmbeddedStack)
        return DirectoryBlobs(self._stack.data / "blobs")

    def read(self, account: str, digest: str) -> bytes:
        """Return the bytes under a name."""

        async def reading() -> bytes:
            async with contextlib.aclosing(_Closing(self._port())) as port:
                return await port.of.get(f"{account}/{digest}")

        return asyncio.run(reading())

    def replace(self, account: str, digest: str, data: bytes | None) -> None:
        """Put other bytes under a name, or remove them with None."""

        async def replacing() -> None:
            async with contextlib.aclosing(_Closing(self._port())) as port:
                await port.of.delete(f"{account}/{digest}")
                if data is not None:
                    assert await port.of.put(f"{account}/{digest}", data)

        asyncio.run(replacing())


class _Closing:
    def __init__(self, of: BlobPort) -> None:
        self.of = of

    async def aclose(self) -> None:
        await self.of.close()


class Canary:
    """A pickle that leaves a trace when it is loaded."""

    def __init__(self, trace: str) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (eval, (f"open({self._trace!r}, 'ab').close()",))


def digest_of(sender: Sender, jid: int, credential: str) -> str:
    """Return the name of a large result."""
    body = {"jids": [[jid, jid]], "payloads": True}
    (outcome,) = sender.send("POST", "/v1/jobs/wait", body, credential).body()["outcomes"]
    return str(outcome[4][0])


@pytest.fixture(scope="module")
def trace(stack: Stack) -> Path:
    """The file that exists once a canary was loaded."""
    return stack.shared / f"trace-{uuid4().hex}"


@pytest.fixture(scope="module")
def blobs(stack: Stack, sender: Sender, trace: Path) -> Iterator[dict[str, Any]]:
    """A job's large result, and the bytes that may replace it."""
    store, path = Store(stack), str(trace)

    def canary() -> Any:
        class OwnCanary:
            def __reduce__(self) -> Any:
                return (eval, (f"open({path!r}, 'ab').close()",))

        return OwnCanary(), b"." * 900_000

    with (
        contextlib.closing(stack.client()) as client,
        contextlib.closing(stack.client(sender.other)) as other,
    ):
        jid, sibling = client.call(lambda: b"mine" * 200_000), client.call(canary)
        foreign = other.call(canary)
        client.join([jid, sibling], 60)
        other.join(foreign, 60)
        client.result(sibling, 60)
        assert trace.exists(), "results of one's own jobs are unpickled: the canaries work"
        trace.unlink()
        digest = digest_of(sender, jid, sender.key)
        good = store.read(MAIN, digest)
        # What a slot stores for an attempt that it then loses.
        lost = pack.seal(pickle.dumps((Canary(path), PADDING)))
        name = sha256(lost).hexdigest()
        assert sender.send("PUT", f"/v1/blobs/{name}", lost, sender.slot).status == 200
        yield {
            "jid": jid,
            "digest": digest,
            "good": good,
            "another job's": store.read(MAIN, digest_of(sender, sibling, sender.key)),
            "another account's": store.read(OTHER, digest_of(sender, foreign, sender.other)),
            "an earlier attempt's": store.read(MAIN, name),
            "the attacker's own": pickle.dumps((Canary(path), PADDING)),
            "one bit": good[:-1] + bytes([good[-1] ^ 1]),
            "cut": good[:-1],
            "empty": b"",
            "nothing": None,
        }


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_a_swapped_result_is_refused_before_it_is_unpickled(
    stack: Stack, client: Client, blobs: dict[str, Any], trace: Path, replacement: str
) -> None:
    """Whatever replaces a result, the client reports it and loads nothing."""
    store = Store(stack)
    store.replace(MAIN, blobs["digest"], blobs[replacement])

    with pytest.raises(CloudException, match=r"damaged|does not hold"):
        client.result(blobs["jid"], 60)

    assert not trace.exists()
    store.replace(MAIN, blobs["digest"], blobs["good"])
    assert client.result(blobs["jid"], 60) == MINE


@pytest.mark.parametrize("replacement", REPLACEMENTS)
def test_a_swapped_result_is_not_shown_as_json(
    stack: Stack, sender: Sender, blobs: dict[str, Any], trace: Path, replacement: str
) -> None:
    """The server shows the bytes of the digest only."""
    store, path = Store(stack), f"/job/result/?jid={blobs['jid']}"
    store.replace(MAIN, blobs["digest"], blobs[replacement])

    assert sender.send("GET", path).status == 404

    assert not trace.exists()
    store.replace(MAIN, blobs["digest"], blobs["good"])
    assert base64.b64decode(sender.send("GET", path).body()["result"]) == MINE


def test_swapped_arguments_are_refused_before_they_are_unpickled(
    stack: Stack, client: Client, sender: Sender, trace: Path
) -> None:
    """A slot checks, too: the job ends with an error, and nothing is loaded."""
    with held_job(stack, client) as before:
        jid = client.call(len, uuid4().bytes + PADDING, _depends_on=before)
        body = {"jids": [[jid, jid]], "keys": ["args"]}
        (info,) = sender.send("POST", "/v1/jobs/info", body).body()["jobs"]
        digest = info["arguments"][1][0]
        parcel = pack.seal(pickle.dumps(((Canary(str(trace)), PADDING), {})))
        Store(stack).replace(MAIN, digest, pack.write([parcel]))

    with pytest.raises(CloudException):
        client.result(jid, 60)

    assert not trace.exists()
