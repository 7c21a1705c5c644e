"""Previews of objects: what is shown of them, to whom, and that nothing in them runs."""

from __future__ import annotations

from hashlib import md5
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from picloud_model.wire.bucket import PutObjectRequest

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.key_owner import owner_of_second_account
from tests.unit.api.web_pages import WebPages

if TYPE_CHECKING:
    from tests.unit.api.api_harness import ApiHarness

GIF = b"GIF89a" + bytes(20)
SCRIPT = "<script>alert(1)</script>"


async def put(api: ApiHarness, key: str, data: bytes, **headers: str) -> None:
    """Store an object."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    digest = md5(data, usedforsecurity=False).hexdigest()
    request = PutObjectRequest(key=key, size=len(data), md5=digest, headers=named, data=data)
    await api.use_cases.storage.buckets.put(ACCOUNT, request)


@pytest.mark.parametrize("key", ["a.txt", "a.html", "a.csv", f"{SCRIPT}.csv", "no end"])
async def test_what_an_object_holds_is_text(api: ApiHarness, key: str) -> None:
    """Whatever its name and its type are."""
    await put(api, key, f"{SCRIPT},2\n3,4\n".encode(), content_type="text/html")
    browser = await WebPages(api).open()

    page = await browser.send("GET", f"/bucket/preview?key={quote(key)}")

    assert page.status == 200
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text
    assert ("<td>3</td>" in page.text) == key.endswith("csv")


async def test_an_image_is_shown(api: ApiHarness) -> None:
    """With the type that its bytes have; what is not an image is refused, whatever it says."""
    await put(api, "a b.gif", GIF, content_type="text/html")
    await put(api, "wrong.png", b"<svg onload='alert(1)'/>", content_type="image/svg+xml")
    browser = await WebPages(api).open()

    page = await browser.send("GET", "/bucket/preview?key=a%20b.gif")
    image = await browser.send("GET", "/bucket/image?key=a%20b.gif")
    wrong = await browser.send("GET", "/bucket/image?key=wrong.png")

    assert '<img class="preview" src="/bucket/image?key=a%20b.gif"' in page.text
    assert image.headers["content-type"] == "image/gif"
    assert image.headers["x-content-type-options"] == "nosniff"
    assert wrong.status == 422
    assert "<svg" not in wrong.text


async def test_an_object_is_made_public(api: ApiHarness) -> None:
    """Its page has its address while it is, and belongs to its owner alone."""
    await put(api, "a/b c", b"text")
    browser = await WebPages(api).open()
    other = await WebPages(api).open((await owner_of_second_account(api)).holder)
    page = await browser.send("GET", "/bucket/preview?key=a/b%20c")
    form = f"key=a/b%20c&form_token={page.token}"

    foreign = [
        await other.send("GET", "/bucket/preview?key=a/b%20c"),
        await other.send("GET", "/bucket/image?key=a/b%20c"),
        await other.send(
            "POST",
            "/bucket/publish",
            f"key=a/b%20c&public=yes&form_token={await other.token()}",
        ),
    ]
    await browser.send("POST", "/bucket/publish", f"{form}&public=yes")
    public = (await browser.send("GET", "/bucket/preview?key=a/b%20c")).text
    await browser.send("POST", "/bucket/publish", f"{form}&public=no")
    private = (await browser.send("GET", "/bucket/preview?key=a/b%20c")).text

    assert [each.status for each in foreign] == [404, 404, 404]
    assert f"/{ACCOUNT}/a/b%20c" in public
    assert f"/{ACCOUNT}/a/b%20c" not in private
    assert (await browser.send("POST", "/bucket/publish", "key=a&public=yes")).status == 403


async def test_an_empty_or_missing_object_is_said_to_be_so(api: ApiHarness) -> None:
    """Neither is a fault of the server."""
    await put(api, "empty.csv", b"")
    browser = await WebPages(api).open()

    assert "It is empty." in (await browser.send("GET", "/bucket/preview?key=empty.csv")).text
    assert (await browser.send("GET", "/bucket/preview?key=none")).status == 404
    assert (await browser.send("GET", "/bucket/preview")).status == 422
