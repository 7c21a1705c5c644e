"""How the results of a published function are returned."""

from __future__ import annotations

from typing import Final, cast, get_args

import msgspec
from picloud_model.wire.application import APPLICATION
from picloud_model.wire.rest import MAX_CONTENT_TYPE, OutEncoding

from cloud.errors import CloudValueError

_PRINTABLE: Final = range(32, 127)


class Encoding(msgspec.Struct, frozen=True):
    """The encoding of results; `content_type` is that of raw ones, "" if each result decides."""

    name: OutEncoding = "json"
    content_type: str = ""


def checked_encoding(name: str, content_type: str) -> Encoding:
    """Return the encoding that a user names.

    Raises:
        CloudException: When there is no such encoding, or it has no content type of the user's.

    >>> checked_encoding("raw", "image/png")
    Encoding(name='raw', content_type='image/png')
    """
    if name == APPLICATION or name not in get_args(OutEncoding):
        choices = "'json', 'raw' or 'pickle'"
        raise CloudValueError(f"out_encoding must be {choices}, not {name!r:.80}.")
    if content_type and name != "raw":
        raise CloudValueError("Only the results of out_encoding='raw' have a content_type.")
    if (
        not isinstance(content_type, str)
        or len(content_type) > MAX_CONTENT_TYPE
        or any(ord(each) not in _PRINTABLE for each in content_type)
    ):
        raise CloudValueError(
            f"content_type must be text as 'image/png', not {content_type!r:.80}."
        )
    return Encoding(cast("OutEncoding", name), content_type)
