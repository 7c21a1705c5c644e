"""Objects of other accounts, addresses that lead elsewhere, and uploads that lie."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import uuid4

import pytest

if TYPE_CHECKING:
    from tests.attacks.sender import Reply, Sender

MD5: Final = hashlib.md5(b"x").hexdigest()
SMALL: Final[dict[str, Any]] = {"size": 1, "md5": MD5, "data": "eA=="}
READING: Final = ("info", "open", "publish")
"""Operations that name one object, which has to exist."""
OUTSIDE: Final = (
    "../a0000002/x", "..", ".", "/", "//", "/etc/passwd", "../../state.sqlite", "a/../../../x",
    "..\\..\\x", "%2e%2e/x", "%2e%2e%2fx", "~", "!", "x!", "a+/b", ".sgwtmp/x", "\n", "\u202e",
    "\ud7ff", "x" * 1024, "/".join(["a"] * 500), "\u00fc" * 512, "CON", "a:b", "*?", "-rf", "${x}",
    "{{x}}",
)  # fmt: skip
"""Keys that would lead out of a bucket if they were paths; all are good names of objects."""


def ask(sender: Sender, name: str, key: str, credential: str = "", **fields: Any) -> Reply:
    """Post a request about an object."""
    body = {"key": key, **({"public": True} if name == "publish" else {}), **fields}
    return sender.send("POST", f"/v1/bucket/{name}", body, credential or sender.key)


def object_path(key: str) -> str:
    """Return the address of the bytes of an object."""
    return f"/v1/bucket/object?key={quote(key, safe='')}"


def test_an_object_of_another_account_is_not_there(sender: Sender) -> None:
    """Each operation replies as for an object that does not exist, and changes only what is one's
    own.
    """
    key = uuid4().hex
    assert ask(sender, "put", key, sender.other, **SMALL).status == 200

    for name in READING:
        foreign, missing = ask(sender, name, key), ask(sender, name, "0" * 32)
        assert (foreign.status, foreign.code) == (404, "object.not_found")
        assert foreign.data.replace(key.encode(), b"0" * 32) == missing.data
    assert sender.send("GET", object_path(key), None).status == 404
    assert sender.send("POST", "/v1/bucket/list", {"prefix": key}).body() == {"objects": []}
    assert sender.send("POST", "/v1/bucket/remove", {"keys": [key]}).status == 200
    assert (
        ask(sender, "put", key, size=1, md5=hashlib.md5(b"y").hexdigest(), data="eQ==").status
        == 200
    )
    assert sender.send("GET", object_path(key), None, sender.other).data == b"x"
    assert sender.send("POST", "/v1/bucket/remove", {"keys": [key]}).status == 200


def test_an_upload_of_another_account_is_not_there(sender: Sender) -> None:
    """Only the account that began an upload can add to it, end it or give it up."""
    key = uuid4().hex
    upload = ask(sender, "put", key, sender.other, size=2**30, md5=MD5).body()["upload"]
    address = f"/v1/bucket/part?key={key}&upload={quote(upload, safe='')}&number=1&md5={MD5}"

    assert sender.send("PUT", address, b"x").status == 404
    assert ask(sender, "finish", key, upload=upload, parts=[MD5]).status == 404
    assert ask(sender, "abort", key, upload=upload).status == 200
    assert sender.send("PUT", address, b"x", sender.other).status == 200
    assert ask(sender, "finish", key, sender.other, upload=upload, parts=[MD5]).status == 200
    assert sender.send("GET", object_path(key), None, sender.other).data == b"x"


@pytest.mark.parametrize("upload", ["../x", "..", "/", "\0", "x" * 999, "a0000002/x", "%2e%2e"])
def test_an_upload_id_leads_nowhere(sender: Sender, upload: str) -> None:
    """An id that was not given out names no upload."""
    address = f"/v1/bucket/part?key=a&upload={quote(upload, safe='')}&number=1&md5={MD5}"

    assert sender.send("PUT", address, b"x").status in (404, 422)
    assert ask(sender, "finish", "a", upload=upload, parts=[MD5]).status in (404, 422)
    assert ask(sender, "abort", "a", upload=upload).status in (200, 404, 422)


@pytest.mark.parametrize("key", OUTSIDE)
def test_a_key_leads_nowhere(sender: Sender, key: str) -> None:
    """A key that looks like a path elsewhere is a name in the bucket, and comes back as it is."""
    assert ask(sender, "put", key, **SMALL).status == 200

    assert sender.send("GET", object_path(key), None).data == b"x"
    listed = sender.send("POST", "/v1/bucket/list", {"prefix": key}).body()["objects"]
    assert key in [each[0] for each in listed]
    assert ask(sender, "info", key, sender.other).status == 404
    assert sender.send("POST", "/v1/bucket/remove", {"keys": [key]}).status == 200


@pytest.mark.parametrize("key", ["", "a\0b", "x" * 1025, "\u00fc" * 513, 7, None, ["a"], {"a": 1}])
def test_what_is_not_a_key_is_refused(sender: Sender, key: Any) -> None:
    """Also where bytes are sent with it."""
    for name in ("put", *READING):
        assert ask(sender, name, key, **(SMALL if name == "put" else {})).status == 422
    assert sender.send("POST", "/v1/bucket/remove", {"keys": [key]}).status == 422
    if isinstance(key, str):
        assert sender.send("GET", object_path(key), None).status == 422
        assert sender.send("PUT", f"{object_path(key)}&md5={MD5}", b"x").status == 422


def test_bytes_are_as_announced(sender: Sender) -> None:
    """An object whose bytes have another MD5 or length is not stored."""
    key = uuid4().hex
    for wrong in ({"md5": "0" * 32}, {"size": 2}, {"md5": "X"}, {"size": -1}, {"size": 10**16}):
        assert ask(sender, "put", key, **(SMALL | wrong)).status == 422
    assert sender.send("PUT", f"{object_path(key)}&md5={'0' * 32}", b"x").status == 422
    too_long = {"size": 70_000, "md5": MD5, "data": "eA==" * 30_000}
    assert ask(sender, "put", key, **too_long).status in (413, 422)

    assert ask(sender, "info", key).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "a0000001/%2e%2e/a0000002/x", "a0000001/../a0000002/x", "%61%30%30/x", "a0000001%2fx",
        "a0000001//", "../v1/none", "a0000001/%00", "a0000001/%ff%fe", "a0000001/" + "x" * 2000,
        "a0000001/%2e", "a9999999/x", "%00/x", "a0000001",
    ],
)  # fmt: skip
def test_a_public_address_leads_nowhere(sender: Sender, path: str) -> None:
    """What is not the address of a public object is not there."""
    for verb in ("GET", "HEAD"):
        assert sender.raw(verb, f"/public/{path}", None, "").status in (400, 404)


def test_a_public_object_cannot_act_for_its_server(sender: Sender) -> None:
    """A browser treats a public page as a site of its own, and takes its type as it is sent."""
    key = uuid4().hex
    ask(sender, "put", key, headers={"Content-Type": "text/html"}, **SMALL)
    ask(sender, "publish", key)
    folder = sender.send("POST", "/v1/bucket/folder", {}).body()["path"]

    headers = sender.headers("GET", f"{folder}{key}")

    assert headers["content-security-policy"].startswith("sandbox ")
    assert "allow-same-origin" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
