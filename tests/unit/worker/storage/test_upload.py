"""What is too large for a lease or a report travels as a blob."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import cloudpickle
from picloud_model import pack, wire
from picloud_model.job import Cause
from picloud_worker.api.client import ApiClient
from picloud_worker.storage.upload import upload

from tests.unit.worker.jobs import echo

if TYPE_CHECKING:
    from tests.unit.worker.conftest import Worker
    from tests.unit.worker.fake_api import FakeApi


def test_large_results_become_blobs(api: FakeApi, worker: Worker) -> None:
    """A result too large to travel inline is uploaded and named."""
    batch = api.submit(lambda: b"x" * 5_000_000)

    assert api.result(batch) == b"x" * 5_000_000
    assert api.ended[batch, 0].payload == b""
    assert any(path.startswith("/v1/blobs/") for path, _ in api.requests)


def test_large_functions_and_arguments_are_fetched(api: FakeApi, worker: Worker) -> None:
    """A function and a pack that are blobs are fetched once each."""
    data = pack.seal(cloudpickle.dumps(echo))
    function = wire.Content(api.store(data), len(data))
    bodies = [pack.seal(cloudpickle.dumps(((n,), {}))) for n in range(4)]
    whole = pack.write(bodies)
    part = wire.PackPart(0, 4, wire.Content(api.store(whole), len(whole)))

    batch = api.submit(echo, [()] * 4, content=function, pack=part, size=2)

    assert [api.result(batch, n) for n in range(4)] == [0, 1, 2, 3]
    assert len([path for path, _ in api.requests if "/v1/blobs/" in path]) == 2


def test_missing_blobs_fail_the_job(api: FakeApi, worker: Worker) -> None:
    """What the server does not have is the environment's failure; the slot goes on."""
    lacking = api.failure(api.submit(echo, content=wire.Content("0" * 64, 5)))
    module = wire.Manifest([wire.Module("../escape.py", api.store(b""))])
    outside = api.failure(api.submit(echo, bundle=api.store(wire.encode(module))))

    assert lacking.cause == outside.cause == Cause.ENVIRONMENT
    assert "no such blob" in lacking.message
    assert "'../escape.py'" in outside.message
    assert api.result(api.submit(echo, [(1,)])) == 1


def test_an_upload_is_made_once(api: FakeApi) -> None:
    """A blob that the server has is not sent again."""
    client = ApiClient(f"http://127.0.0.1:{api.port}", "t")
    expected = wire.Content(sha256(b"result").hexdigest(), 6)

    assert upload(client, b"result") == upload(client, b"result") == expected
    assert len([path for path, _ in api.requests if path.endswith(expected.digest)]) == 1
    assert api.blobs[expected.digest] == b"result"
    client.close()
