r"""Keys of objects: checked, and written so that a server that keeps files can hold each of them.

Such a server takes a key for a path: it cannot hold `a` and `a/b`, takes `x//y` for `x/y`, and
refuses long parts. `encoded` makes a path of any key. No two keys have the same path, paths sort
as keys do, and if a key begins with a prefix that is not a path, its path begins with `encoded` of
that prefix.

| in a key | in its path |
|---|---|
| bytes below 0x26 (`&`) | `%` and two hex digits |
| `.` at the beginning of a part | `.!` |
| a part that is empty and not the last | `.~` |
| U+FFFD, U+FFFE, U+FFFF, of which XML holds the first only | U+FFFD and `0`, `1`, `2` |
| after 251 bytes of a part that goes on | `-` before a byte below `/`, else `0`; then `/` |
| the end | `%` |
"""

from __future__ import annotations

import re
from typing import Final

from picloud_model.errors import RequestRefused

KEY_BYTES: Final = 1024
"""Maximum number of bytes of a key in UTF-8."""

_END: Final = "%"
_LOW: Final = "-"
_HIGH: Final = "0"
_FULL: Final = 251
"""From this many bytes on a part is continued in another one; file systems allow 255."""
_ESCAPED: Final[dict[str, str]] = {chr(byte): f"%{byte:02X}" for byte in range(0x26)} | {
    "\ufffd": "\ufffd0",
    "\ufffe": "\ufffd1",
    "\uffff": "\ufffd2",
}
_SPECIAL: Final = re.compile("[\x00-\x25\ufffd-\uffff]")
_ORIGINAL: Final = {path: key for key, path in _ESCAPED.items()}
_TOKEN: Final = re.compile("%[0-9A-F]{2}|\ufffd[012]|.", re.DOTALL)


def checked_key(key: str) -> str:
    """Return the key if an object may have it.

    Raises:
        RequestRefused: When it is empty, too long, or has a NUL or half a surrogate pair.
    """
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        message = f"The key {key[:60]!r} is not text: it has half a surrogate pair."
        raise RequestRefused(message, field="key") from None
    if not size:
        raise RequestRefused("A key has at least one character.", field="key")
    if size > KEY_BYTES:
        message = f"The key {key[:60]!r}... has {size} bytes; at most {KEY_BYTES} are allowed."
        raise RequestRefused(message, field="key")
    if "\0" in key:
        raise RequestRefused(f"The key {key[:60]!r} has a NUL character.", field="key")
    return key


def encoded(key: str) -> str:
    r"""Return the path of an object.

    >>> [encoded(key) for key in ("a", "a/b", "x//y", "x/", "../50%\n")]
    ['a%', 'a/b%', 'x/.~/y%', 'x/%', '.!./50%25%0A%']
    """
    return encoded_prefix(key) + _END


def encoded_prefix(prefix: str) -> str:
    """Return what the paths of all keys with this prefix begin with.

    >>> encoded_prefix("x//y")
    'x/.~/y'
    """
    *parts, last = prefix.split("/")
    return "".join(f"{_part(part) or '.~'}/" for part in parts) + _part(last)


def decoded(path: str) -> str | None:
    """Return the key of a path, None for a path that `encoded` never returns.

    >>> [decoded(path) for path in ("x/.~/y%", "x/%", "x//y%", "x")]
    ['x//y', 'x/', None, None]
    """
    if not path.endswith(_END):
        return None
    key = _decoded(path[: -len(_END)])
    return key if key and encoded(key) == path else None


def decoded_folder(path: str) -> str | None:
    """Return the folder of a path that ends with `/`, None if it ends within a part of the key.

    >>> decoded_folder("x/.~/")
    'x//'
    """
    *_, last = path[:-1].split("/")
    return None if _continues(last) else _decoded(path)


def _part(part: str) -> str:
    """Return the path of what is between two slashes."""
    text = _SPECIAL.sub(lambda match: _ESCAPED[match[0]], part)
    if len(text) * 4 <= _FULL or len(text.encode()) <= _FULL:
        return f".!{text[1:]}" if text.startswith(".") else text
    chunks, chunk, size = [], "", 0
    for code in _TOKEN.findall(text):
        if size >= _FULL:
            chunks.append(chunk + (_LOW if code < "/" else _HIGH))
            chunk, size = "", 0
        chunk += ".!" if code == "." and not chunk else code
        size = len(chunk.encode())
    return "/".join([*chunks, chunk])


def _decoded(path: str) -> str:
    *parts, last = path.split("/")
    return "".join(map(_original_folder, parts)) + _original(last)


def _original_folder(part: str) -> str:
    if _continues(part):
        return _original(part[:-1])
    return _original(part) + "/"


def _original(part: str) -> str:
    if part == ".~":
        return ""
    if part.startswith(".!"):
        part = "." + part[2:]
    return _TOKEN.sub(lambda match: _ORIGINAL.get(match[0], match[0]), part)


def _continues(part: str) -> bool:
    """Whether the next part belongs to the same part of the key."""
    if len(part) * 4 <= _FULL or len(part.encode()) <= _FULL:
        return False
    *_, last = _TOKEN.finditer(part)
    return last[0] in (_LOW, _HIGH) and len(part[: last.start()].encode()) >= _FULL
