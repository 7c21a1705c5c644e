"""`/v1/blobs`: bytes of an account, for its clients and its slots."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from picloud_model import wire

from tests.unit.api.budgets import put

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.http_api import HttpApi

DATA = b"some bytes"
DIGEST = sha256(DATA).hexdigest()


async def test_a_blob_is_stored_and_read_at_its_address(http: HttpApi) -> None:
    """PUT stores bytes of any kind, and GET returns them unchanged."""
    stored = await http.send("PUT", f"/v1/blobs/{DIGEST}", DATA)

    read = await http.send("GET", f"/v1/blobs/{DIGEST}")

    assert wire.decode(stored.content, wire.BlobsStored).digests == [DIGEST]
    assert (read.content, read.headers["content-type"]) == (DATA, "application/octet-stream")


async def test_small_blobs_are_stored_and_read_together(http: HttpApi) -> None:
    """One request stores several blobs, one says which are missing, and one reads them."""
    missing = wire.MissingBlobsRequest(digests=[DIGEST, "0" * 64])

    stored = await http.post(
        "/v1/blobs", wire.StoreBlobsRequest(blobs=[DATA, b""]), wire.BlobsStored
    )

    uploads = (await http.post("/v1/blobs/missing", missing, wire.BlobsMissing)).uploads
    assert [upload.digest for upload in uploads] == ["0" * 64]
    request = wire.ReadBlobsRequest(digests=stored.digests)
    assert (await http.post("/v1/blobs/read", request, wire.BlobsRead)).blobs == [DATA, b""]


async def test_a_slot_reads_blobs_of_its_account(api: ApiHarness, http: HttpApi) -> None:
    """The token of a slot opens the blobs of its account; a forged one opens nothing."""
    slot = await api.slot()
    token = (await api.use_cases.slots.slots.register(slot.slot.place)).token
    await http.send("PUT", f"/v1/blobs/{DIGEST}", DATA)

    read = await http.send("GET", f"/v1/blobs/{DIGEST}", credential=token)
    forged = await http.send("GET", f"/v1/blobs/{DIGEST}", credential="a.b.c")

    assert read.content == DATA
    assert forged.status_code == 401


async def test_a_reached_budget_refuses_arguments_before_they_are_sent(
    api: ApiHarness, http: HttpApi
) -> None:
    """Those of jobs that it is for; blobs for anything else are stored."""
    await put(api, 0.0, label="train")
    (part,) = api.request(1).parts

    for label, code in (("train", "budget.reached"), ("other", None), (None, None)):
        jobs = wire.PricedJobs("c1", label)
        asked = wire.MissingBlobsRequest(digests=[DIGEST], jobs=jobs)
        staged = wire.StageRequest(submit_id=f"{len(label or ''):032x}", parts=[part], jobs=jobs)
        if code:
            assert await http.refusal("/v1/blobs/missing", asked) == (402, code)
            assert await http.refusal("/v1/jobs/staged", staged) == (402, code)
        else:
            assert (await http.post("/v1/blobs/missing", asked, wire.BlobsMissing)).uploads
            await http.post("/v1/jobs/staged", staged, wire.Answer)
    assert await http.post(
        "/v1/blobs/missing", wire.MissingBlobsRequest(digests=[DIGEST]), wire.BlobsMissing
    )


async def test_a_missing_blob_is_an_error(http: HttpApi) -> None:
    """The error lists the digest."""
    missing = await http.send("GET", f"/v1/blobs/{DIGEST}")

    problem = wire.decode(missing.content, wire.Problem)
    assert (missing.status_code, problem.digests) == (409, [DIGEST])
