"""What the adapter `s3` makes of refusals and silence: one sentence each, that says what to do."""

import dataclasses
from pathlib import Path

import botocore.exceptions
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
)
from picloud_driver.blob.s3 import S3Blobs
from picloud_driver.s3.client import S3Access
from picloud_driver.s3.faults import FAULTS, refusal
from picloud_model.errors import BlobMissing, PiCloudError, RequestRefused, Unavailable

from tests.contract.blob_adapters import Bucket
from tests.contract.scripted_server import ScriptedAnswer, ScriptedServer, certified
from tests.servers.process import free_ports

GENERIC = {BotoCoreError, HTTPClientError, Exception}


def answered(code: str) -> ClientError:
    """The exception of botocore for an error code of S3."""
    return ClientError({"Error": {"Code": code, "Message": "of S3's own"}}, "PutObject")


def error_body(code: str) -> bytes:
    """An error as S3 writes it."""
    return f"<Error><Code>{code}</Code><Message>told so</Message></Error>".encode()


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind", "advice"),
    [
        (answered("NoSuchKey"), BlobMissing, "there is no such blob"),
        (answered("NoSuchBucket"), Unavailable, "make it, or correct its name"),
        (answered("AccessDenied"), Unavailable, "let it list the bucket and read, write and"),
        (answered("403"), Unavailable, "let it list the bucket and read, write and"),
        (answered("InvalidAccessKeyId"), Unavailable, "does not know our access key: correct it"),
        (answered("XAdminUserNotFound"), Unavailable, "does not know our access key: correct it"),
        (answered("SignatureDoesNotMatch"), Unavailable, "our secret key is not"),
        (answered("RequestTimeTooSkewed"), Unavailable, "set this machine's clock"),
        (answered("ExpiredToken"), Unavailable, "give the server fresh ones"),
        (answered("PermanentRedirect"), Unavailable, "set the server's region"),
        (answered("SlowDown"), Unavailable, "too busy now: try again"),
        (answered("503"), Unavailable, "too busy now: try again"),
        (answered("InternalError"), Unavailable, "a fault of its own: try again"),
        (answered("500"), Unavailable, "a fault of its own: try again"),
        (answered("KeyTooLongError"), RequestRefused, "choose a shorter one"),
        (answered("EntityTooLarge"), RequestRefused, "divide it"),
        (answered("QuotaExceeded"), Unavailable, "free some space"),
        (answered("SomethingNew"), Unavailable, "see its log"),
        (EndpointConnectionError(endpoint_url="u"), Unavailable, "is it running?"),
        (ConnectTimeoutError(endpoint_url="u"), Unavailable, "is it running and reachable?"),
        (ReadTimeoutError(endpoint_url="u"), Unavailable, "it took too long: try again"),
    ],
)
def test_each_fault_says_what_to_do(
    error: Exception, kind: type[PiCloudError], advice: str
) -> None:
    """One sentence: the place, what is wrong, what to do, and the vendor's name for it."""
    told = refusal(error, "S3 at u, bucket b")

    assert type(told) is kind
    assert told.message.startswith("S3 at u, bucket b: ")
    assert advice in told.message
    assert "of S3's own" not in told.message
    assert told.message.count("\n") == 0


def _subclasses(kind: type) -> set[type]:
    return {kind}.union(*(_subclasses(child) for child in kind.__subclasses__()))


def test_the_table_knows_every_failure_to_ask() -> None:
    """Whatever botocore raises when it cannot connect, wait or read has advice of its own."""
    kinds = _subclasses(HTTPClientError) | _subclasses(botocore.exceptions.ConnectionError)
    kinds -= {HTTPClientError, botocore.exceptions.ConnectionError}
    kinds = {kind for kind in kinds if kind.__module__ == "botocore.exceptions"}

    assert {"SSLError", "ReadTimeoutError", "ConnectTimeoutError"} < {k.__name__ for k in kinds}
    for kind in kinds:
        classes = (fault.cause for fault in FAULTS if isinstance(fault.cause, type))
        assert next(each for each in classes if issubclass(kind, each)) not in GENERIC, kind


def test_a_class_comes_before_the_classes_it_is_derived_from() -> None:
    """The first fault that matches decides, so that a later one would never be chosen."""
    classes = [fault.cause for fault in FAULTS if isinstance(fault.cause, type)]

    for position, kind in enumerate(classes):
        assert not any(issubclass(kind, earlier) for earlier in classes[:position]), kind


# --- seen on a real server ------------------------------------------------------------------------


async def said(blobs: S3Blobs) -> list[str]:
    """What every call that asks S3 is refused with."""
    heard = []
    for call in (
        lambda: blobs.put("a", b""),
        lambda: blobs.get("a"),
        lambda: blobs.get("a", 1, 1),
        lambda: blobs.missing(["a"]),
        lambda: blobs.missing([f"a/{number}" for number in range(200)]),
        lambda: blobs.delete("a"),
        lambda: anext(blobs.names("")),
        blobs.ping,
        blobs.ensure_bucket,
    ):
        with pytest.raises(Unavailable) as refused:
            await call()
        heard.append(refused.value.message)
    await blobs.close()
    return heard


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"access_key": "unknown"}, "our access key"),
        ({"secret_key": "wrong"}, "our secret key|let it list the bucket"),
        ({"bucket": "Not A Bucket"}, "check the address, region, bucket and keys"),
        ({"bucket": "xx"}, "no bucket can have this name|finds the request wrong"),
        ({"secret_key": ""}, "we have no credentials"),
        ({"endpoint": "nonsense"}, "check the address"),
        ({"region": "no region"}, "check the address, region"),
    ],
)
async def test_wrong_settings_are_reported(
    bucket_site: Bucket, changed: dict[str, str], advice: str
) -> None:
    """Every call, or the constructor, says which setting is wrong."""
    access = dataclasses.replace(bucket_site.access, **changed)

    try:
        blobs = S3Blobs(access)
    except Unavailable as refused:
        heard = [refused.message]
    else:
        heard = await said(blobs)

    for message in heard:
        assert any(each in message for each in advice.split("|")), message
        assert bucket_site.access.secret_key not in message


async def test_a_missing_bucket_is_no_missing_blob(bucket_site: Bucket) -> None:
    """A missing bucket is an error, although S3 answers a HEAD as for a missing key."""
    blobs = S3Blobs(bucket_site.access)
    bucket_site.make_unavailable()

    for call in (lambda: blobs.missing(["a"]), lambda: blobs.get("a", 0, 0), blobs.ping):
        with pytest.raises(Unavailable, match="there is no such bucket"):
            await call()
    await blobs.close()


async def test_nothing_there(bucket_site: Bucket) -> None:
    """Where nothing listens, every call asks whether S3 is running."""
    (port,) = free_ports(1)
    access = dataclasses.replace(bucket_site.access, endpoint=f"http://127.0.0.1:{port}")

    for message in await said(S3Blobs(access)):
        assert "nothing answers there: is it running?" in message


# --- seen on a server that is told what to answer -------------------------------------------------


def port_on(server: ScriptedServer) -> S3Blobs:
    """A port on such a server."""
    return S3Blobs(S3Access("jobs", server.url, access_key="a", secret_key="b"))


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (503, "ServiceUnavailable")]
)
async def test_a_passing_weakness_is_hidden(status: int, code: str) -> None:
    """What S3 refuses at first and then does is done."""
    weak = ScriptedAnswer(status, error_body(code))
    with ScriptedServer(weak, ScriptedAnswer(200)) as server:
        blobs = port_on(server)

        assert await blobs.put("a", b"bytes") is True
        await blobs.close()

    assert server.requests == ["PUT"] * 2


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (503, "", "too busy now"),
        (500, "InternalError", "a fault of its own"),
        (502, "", "a fault of its own"),
    ],
)
async def test_a_lasting_weakness_is_reported(status: int, code: str, advice: str) -> None:
    """After three attempts the caller gets the error."""
    with ScriptedServer(ScriptedAnswer(status, error_body(code) if code else b"")) as server:
        blobs = port_on(server)

        with pytest.raises(Unavailable, match=advice):
            await blobs.get("a")
        await blobs.close()

    assert server.requests == ["GET"] * 3


async def test_a_conflict_is_tried_again() -> None:
    """A writer that meets another one tries again, and then knows which of them won."""
    conflict = ScriptedAnswer(409, error_body("ConditionalRequestConflict"))
    with ScriptedServer(
        conflict, conflict, ScriptedAnswer(412, error_body("PreconditionFailed"))
    ) as server:
        blobs = port_on(server)

        assert await blobs.put("a", b"bytes") is False
        await blobs.close()

    assert server.requests == ["PUT"] * 3


async def test_a_lasting_conflict_is_reported() -> None:
    """A name that is always being written is `Unavailable` in the end."""
    with ScriptedServer(ScriptedAnswer(409, error_body("OperationAborted"))) as server:
        blobs = port_on(server)

        with pytest.raises(Unavailable, match="the blob is being written: try again"):
            await blobs.put("a", b"bytes")
        await blobs.close()


async def test_a_taken_bucket_name_is_reported() -> None:
    """A name that was taken meanwhile belongs to another account."""
    gone = ScriptedAnswer(404, error_body("NoSuchBucket"))
    with ScriptedServer(gone, ScriptedAnswer(409, error_body("BucketAlreadyExists"))) as server:
        blobs = port_on(server)

        with pytest.raises(Unavailable, match="the bucket is another account's: choose another"):
            await blobs.ensure_bucket()
        await blobs.close()


async def test_a_broken_connection_is_tried_again() -> None:
    """Whose request gets no answer, because the connection broke, asks again."""
    with ScriptedServer(ScriptedAnswer(200, b"bytes")) as server:
        server.hang_ups = 2
        blobs = port_on(server)

        assert await blobs.get("a") == b"bytes"
        await blobs.close()


async def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS a certificate is checked against the file we were given, whatever others say."""
    monkeypatch.setenv("AWS_CA_BUNDLE", "/nowhere/ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    tls, known = certified(tmp_path)
    with ScriptedServer(ScriptedAnswer(200, b"bytes"), tls=tls) as server:
        access = S3Access("jobs", server.url, access_key="a", secret_key="b")
        trusting, doubting = S3Blobs(dataclasses.replace(access, ca_file=known)), S3Blobs(access)

        assert await trusting.get("a") == b"bytes"
        with pytest.raises(Unavailable, match="name the file of who signed it"):
            await doubting.get("a")
        await trusting.close()
        await doubting.close()


async def test_an_answer_cut_short_is_reported() -> None:
    """Of a blob that breaks off on its way nothing is handed out."""
    with ScriptedServer(ScriptedAnswer(200, b"half")) as server:
        server.missing_bytes = 4
        blobs = port_on(server)

        with pytest.raises(Unavailable, match="broke off: try again"):
            await blobs.get("a")
        await blobs.close()
