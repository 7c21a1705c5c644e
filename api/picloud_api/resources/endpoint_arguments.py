"""Arguments of calls over HTTP: parameters of the address, a form, files or an object of JSON."""

from __future__ import annotations

import asyncio
import io
from email.message import Message
from typing import TYPE_CHECKING, Any, Final

import falcon
from falcon.media.multipart import MultipartForm, MultipartParseError, MultipartParseOptions
from falcon.util.uri import parse_query_string
from picloud_model import wire
from picloud_model.errors import ArgumentRefused, TooLarge
from picloud_model.pack import INLINE_BYTES
from picloud_model.wire.rest import FILES, FORM, MAX_CALL_BYTES, MAX_UPLOAD_BYTES

from picloud_api.resources.body import decode_body, hold_bytes, read_bytes
from picloud_api.usecases.rest.arguments.call_arguments import too_large

if TYPE_CHECKING:
    from falcon.asgi import Request

    from picloud_api.usecases.rest.arguments.call_arguments import Texts

_MOST_FIELDS: Final = 1000
_COPIES: Final = 3
"""How often a form with files is in memory besides its body: parsed, pickled and packed."""


async def read_call(request: Request) -> tuple[Texts, dict[str, Any]]:
    """Return the arguments of a call: those that are text or files, and those of JSON.

    Raises:
        ArgumentRefused: When the body is neither a form nor an object of JSON.
        TooLarge: When it is larger than a call may have.
        msgspec.DecodeError: When it is not JSON.
    """
    texts: Texts = _fields(request.query_string)
    kind = (request.content_type or "").partition(";")[0].strip().lower()
    limit = MAX_UPLOAD_BYTES if kind == FILES else MAX_CALL_BYTES
    try:
        # Text of JSON and of forms may take twice as many bytes as its value.
        data = await read_bytes(request, limit if kind == FILES else 2 * limit)
    except TooLarge:
        raise too_large(limit) from None
    if not data:
        return texts, {}
    if kind == FORM:
        return {**texts, **_fields(data.decode("utf-8", "replace"))}, {}
    if kind == FILES:
        return {**texts, **await _files(request, data)}, {}
    if kind == wire.JSON:
        return texts, await decode_body(request, data, dict[str, Any])
    raise ArgumentRefused(
        "The arguments must be parameters of the address, a form "
        f"(Content-Type: {FORM}), a form with files ({FILES}) or an object of JSON "
        f"(Content-Type: {wire.JSON})."
    )


async def _files(request: Request, data: bytes) -> Texts:
    content_type = request.content_type or ""
    if len(data) <= INLINE_BYTES:
        return parts_of(data, content_type)
    await hold_bytes(request, _COPIES * len(data))
    return await asyncio.to_thread(parts_of, data, content_type)


def parts_of(data: bytes, content_type: str) -> Texts:
    r"""Return the parts of a form with files by name: files as bytes, others as text.

    Raises:
        ArgumentRefused: When it is not such a form.

    >>> body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    >>> parts_of(body, "multipart/form-data; boundary=x")
    {'a': ['1']}
    """
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary("").encode("utf-8", "replace")
    options = MultipartParseOptions()
    options.max_body_part_count = _MOST_FIELDS
    options.max_body_part_buffer_size = MAX_UPLOAD_BYTES
    found: Texts = {}
    try:
        for part in MultipartForm(io.BytesIO(data), boundary, len(data), options):
            is_file, content = part.filename is not None, part.get_data()
            if is_file and not part.filename and not content:
                continue  # a browser sends this for a field in which no file is chosen
            text = content if is_file else content.decode("utf-8", "surrogateescape")
            found.setdefault(part.name or "", []).append(text)
    except (MultipartParseError, falcon.HTTPError, ValueError):
        raise ArgumentRefused(
            f"The form with files cannot be read, or has more than {_MOST_FIELDS} parts; send it "
            "as `curl -F NAME=@FILE` does."
        ) from None
    return found


def _fields(text: str) -> Texts:
    if text.count("&") >= _MOST_FIELDS:
        raise ArgumentRefused(f"A call has at most {_MOST_FIELDS} arguments.")
    found = parse_query_string(text, keep_blank=True)
    return {name: [*each] if isinstance(each, list) else [each] for name, each in found.items()}
