"""`/bucket`: the objects of an account, a folder at a time."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from functools import partial
from hashlib import md5
from typing import TYPE_CHECKING, Final

import falcon
from falcon import uri
from falcon.media.multipart import MultipartParseError
from picloud_model.errors import RequestRefused, TooLarge
from picloud_model.size import size
from picloud_model.wire.bucket import (
    ListObjectsRequest,
    PublishObjectRequest,
    WriteObjectQuery,
    public_path,
)

from picloud_api.resources.body import hold_bytes, reauthenticate
from picloud_api.resources.object_reply import reply_with_object
from picloud_api.web.drawings.object_preview import HEAD_BYTES, image_type, object_preview
from picloud_api.web.rendering import go_to
from picloud_api.web.visitor import TOKEN, check_origin, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from falcon.asgi import App, Request, Response
    from picloud_driver.bucket import ObjectInfo

    from picloud_api.usecases.use_cases import UseCases
    from picloud_api.web.rendering import Renderer
    from picloud_api.web.visitor import Visitor, Visitors

ROWS: Final = 200
"""How many folders and objects a page has."""
UPLOAD_BYTES: Final = 32_000_000
"""The largest file that a form can send; the server has it in memory."""
_FIELD_BYTES: Final = 4096
"""The longest field of the upload form besides the file."""
_BINARY: Final = "application/octet-stream"


class BucketPage:
    """The bucket of an account."""

    def __init__(self, use_cases: UseCases, renderer: Renderer, visitors: Visitors) -> None:
        self._buckets = use_cases.storage.buckets
        self._published = use_cases.jobs.published_site
        self._renderer = renderer
        self._visitors = visitors

    async def on_get(self, request: Request, response: Response) -> None:
        """Show a folder."""
        visitor = await self._visitors.of(request)
        prefix = request.get_param("prefix") or ""
        marker = request.get_param("marker") or ""
        listed = await self._buckets.list(
            visitor.account,
            ListObjectsRequest(prefix=prefix, marker=marker, folderize=True, max_keys=ROWS),
        )
        last = max([*listed.folders, *(each.key for each in listed.objects)], default="")
        self._renderer.show(
            response,
            "bucket.html",
            visitor,
            prefix=prefix,
            parts=_parts(prefix),
            listed=listed,
            more=last if listed.truncated else "",
            most=UPLOAD_BYTES,
        )

    async def on_get_object(self, request: Request, response: Response) -> None:
        """Return an object as a file: a browser never shows it as a page of this site."""
        visitor = await self._visitors.of(request)
        key = request.get_param("key") or ""
        info = await self._buckets.head(visitor.account, key)
        read = partial(self._buckets.read, visitor.account, key)
        await reply_with_object(request, response, info, read)
        response.content_type = _BINARY
        response.downloadable_as = key.rpartition("/")[2]

    async def on_get_preview(self, request: Request, response: Response) -> None:
        """Show what an object is, and its beginning."""
        visitor = await self._visitors.of(request)
        key = request.get_param("key") or ""
        info, head = await self._head(visitor, key)
        self._renderer.show(
            response,
            "object.html",
            visitor,
            key=key,
            parts=_parts(key),
            info=info,
            preview=object_preview(key, head, info.size),
            address=f"{self._published.url}{public_path(visitor.account)}{uri.encode(key)}",
        )

    async def on_get_image(self, request: Request, response: Response) -> None:
        """Return an object as an image, if its first bytes are those of one."""
        visitor = await self._visitors.of(request)
        key = request.get_param("key") or ""
        info, head = await self._head(visitor, key)
        kind = image_type(head)
        if not kind:
            raise RequestRefused("This object is not an image that can be shown.", field="key")
        await reply_with_object(
            request, response, info, partial(self._buckets.read, visitor.account, key)
        )
        response.content_type = kind

    async def _head(self, visitor: Visitor, key: str) -> tuple[ObjectInfo, bytes]:
        """Return what is known of an object, and its first bytes."""
        info = await self._buckets.head(visitor.account, key)
        end = min(info.size, HEAD_BYTES)
        if not end:
            return info, b""
        opened = await self._buckets.read(visitor.account, key, 0, end, info.etag)
        async with aclosing(opened.chunks) as chunks:
            return info, b"".join([chunk async for chunk in chunks])

    async def on_post_publish(self, request: Request, response: Response) -> None:
        """Let everybody read an object, or only its owner."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        key = text_of(fields, "key")
        wanted = PublishObjectRequest(key=key, public=text_of(fields, "public") == "yes")
        await self._buckets.publish(visitor.account, wanted)
        go_to(response, f"/bucket/preview?key={uri.encode_value(key)}")

    async def on_post_remove(self, request: Request, response: Response) -> None:
        """Remove the chosen objects."""
        visitor = await self._visitors.of(request)
        fields = await self._visitors.form(request, visitor)
        keys = fields.get("keys", [])
        if not keys:
            raise RequestRefused("No object is chosen: go back and check the boxes of some.")
        await self._buckets.remove(visitor.account, keys)
        _show_folder(response, text_of(fields, "prefix"))

    async def on_post_upload(self, request: Request, response: Response) -> None:
        """Store a file that a form has sent, in the folder that the page shows."""
        visitor = await self._visitors.of(request)
        check_origin(request)
        announced = request.content_length
        if announced is None or announced > UPLOAD_BYTES:
            raise TooLarge(
                f"A form can send {size(UPLOAD_BYTES)} at most: "
                "store larger files with `picloud bucket put`."
            )
        await hold_bytes(request, announced)
        name, prefix, data = await self._upload(request, visitor)
        await reauthenticate(request)
        digest = await asyncio.to_thread(_md5, data)
        query = WriteObjectQuery(key=f"{prefix}{name}", md5=digest)
        await self._buckets.write(visitor.account, query, _one(data), {}, size=len(data))
        _show_folder(response, prefix)

    async def _upload(self, request: Request, visitor: Visitor) -> tuple[str, str, bytes]:
        """Return the name of the file, the folder and the bytes that a form has sent.

        Raises:
            NotAllowed: When the form did not come from a page of the visitor's session.
            RequestRefused: When it is not complete.
        """
        fields = {TOKEN: "", "prefix": ""}
        name, data = "", b""
        try:
            async for part in await request.get_media():
                # A part that was cut off ends like others; what follows it is then an error.
                if part.name in fields:
                    text = (await part.stream.read(_FIELD_BYTES)).decode(errors="replace")
                    fields[part.name] = text
                elif part.name == "file":
                    self._visitors.check_token(visitor, fields[TOKEN])
                    name = (part.filename or "").replace("\\", "/").rpartition("/")[2]
                    data = bytes(await part.stream.read())
        except (MultipartParseError, falcon.HTTPError, TypeError) as error:
            raise RequestRefused("The upload broke off, or is not a form.") from error
        self._visitors.check_token(visitor, fields[TOKEN])
        if not name:
            raise RequestRefused("No file is chosen: go back and choose one.")
        return name, fields["prefix"], data


def _md5(data: bytes) -> str:
    return md5(data, usedforsecurity=False).hexdigest()


async def _one(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _parts(prefix: str) -> list[tuple[str, str]]:
    """Return the folders that lead to a folder, each with its prefix.

    >>> _parts("a/b/")
    [('a', 'a/'), ('b', 'a/b/')]
    """
    names = prefix.split("/")[:-1]
    return [(name, "/".join(names[: at + 1]) + "/") for at, name in enumerate(names)]


def _show_folder(response: Response, prefix: str) -> None:
    go_to(response, f"/bucket?prefix={uri.encode_value(prefix)}" if prefix else "/bucket")


def add_to(
    app: App[Request, Response], use_cases: UseCases, renderer: Renderer, visitors: Visitors
) -> None:
    """Add the pages to the application."""
    page = BucketPage(use_cases, renderer, visitors)
    app.add_route("/bucket", page)
    app.add_route("/bucket/object", page, suffix="object")
    app.add_route("/bucket/preview", page, suffix="preview")
    app.add_route("/bucket/image", page, suffix="image")
    app.add_route("/bucket/publish", page, suffix="publish")
    app.add_route("/bucket/remove", page, suffix="remove")
    app.add_route("/bucket/upload", page, suffix="upload")
