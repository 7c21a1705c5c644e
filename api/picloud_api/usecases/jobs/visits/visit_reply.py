"""What a browser is sent at the host of a machine, where the machine itself does not reply."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from picloud_driver.gateway import Reply

if TYPE_CHECKING:
    from collections.abc import Sequence

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - PiCloud</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"></head>
<body><main><h1>{title}</h1><p>{text}</p></main></body></html>
"""
_HEADERS: Final = (
    "Cache-Control: no-store",
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy: no-referrer",
    "X-Content-Type-Options: nosniff",
    "Connection: close",
)


def page(status: str, title: str, text: str, more: Sequence[str] = ()) -> Reply:
    """Return a page without scripts."""
    body = _PAGE.format(title=escape(title), text=escape(text)).encode()
    return _reply(status, ("Content-Type: text/html; charset=utf-8", *more), body)


def redirect(address: str, more: Sequence[str] = ()) -> Reply:
    """Return a reply that leads to another address."""
    return _reply("303 See Other", (f"Location: {address}", *more), b"")


def _reply(status: str, more: Sequence[str], body: bytes) -> Reply:
    lines = (f"HTTP/1.1 {status}", *_HEADERS, *more, f"Content-Length: {len(body)}", "", "")
    return Reply("\r\n".join(lines).encode("latin-1") + body)
