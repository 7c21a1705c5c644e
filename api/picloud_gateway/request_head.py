"""The head of a request of HTTP/1.1: what the server decides on, and what of it a job receives."""

from __future__ import annotations

import re
from typing import Final

import msgspec

MOST_HEAD: Final = 32 * 1024
"""The longest head of a request, in bytes."""
_REQUEST: Final = re.compile(r"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.1")
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_LENGTH: Final = re.compile("[0-9]{1,15}")
_OURS: Final = "picloud_"
"""What the names of cookies begin with that never reach a job."""
_OF_A_CONNECTION: Final = frozenset({"connection", "keep-alive", "proxy-connection"})
_OF_PROXIES: Final = frozenset({"forwarded", "via", "x-forwarded-for", "x-real-ip"})
"""A proxy may send requests of several browsers over one connection."""


class RequestHead(msgspec.Struct, frozen=True):
    """A request line and headers, in their order and with names in lower case."""

    method: str
    target: str
    lines: list[tuple[str, str]]

    @classmethod
    def read(cls, data: bytes) -> RequestHead | None:
        r"""Return a head; None if it is not one of HTTP/1.1.

        >>> RequestHead.read(b"GET /a HTTP/1.1\r\nHost: b")
        RequestHead(method='GET', target='/a', lines=[('host', 'b')])
        >>> RequestHead.read(b"GET /a HTTP/1.1\r\n folded: b")
        """
        first, *others = data.decode("latin-1").split("\r\n")
        request = _REQUEST.fullmatch(first)
        headers = [_HEADER.fullmatch(line) for line in others]
        if request is None or any("\n" in line or "\r" in line or "\0" in line for line in others):
            return None
        lines = [(found[1].lower(), found[2]) for found in headers if found is not None]
        if len(lines) < len(others) or sum(name == "host" for name, _ in lines) != 1:
            return None
        lengths = [value for name, value in lines if name == "content-length"]
        is_chunked = any(name == "transfer-encoding" for name, _ in lines)
        if len(lengths) + is_chunked > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            return None
        return cls(request[1], request[2], lines)

    @property
    def headers(self) -> dict[str, str]:
        """The value of each header; cookies may be in several ones."""
        headers: dict[str, str] = {}
        for name, value in self.lines:
            joint = "; " if name == "cookie" else ", "
            headers[name] = f"{headers[name]}{joint}{value}" if name in headers else value
        return headers

    @property
    def body_bytes(self) -> int | None:
        """The bytes of the request that follow; None if it is the last one of its connection."""
        headers = self.headers
        if not {"upgrade", "transfer-encoding"}.isdisjoint(headers):
            return None
        if "close" in headers.get("connection", "").lower() or not _OF_PROXIES.isdisjoint(headers):
            return None
        return int(headers.get("content-length", 0))

    def passed_on(self, changed: dict[str, str]) -> bytes:
        r"""Return the head as a job receives it.

        Args:
            changed: Headers in place of those of the request, by their names in lower case.

        >>> head = RequestHead.read(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: picloud_x=1; b=2")
        >>> head.passed_on({"authorization": "token t"}).decode().split("\r\n")[1:-2]
        ['host: a', 'cookie: b=2', 'authorization: token t', 'connection: keep-alive']
        """
        upgrades = "upgrade" in self.headers
        kept = []
        for name, value in self.lines:
            if name in changed or name in _OF_A_CONNECTION:
                continue
            passed = _without_ours(value) if name == "cookie" else value
            if passed or name != "cookie":
                kept.append((name, passed))
        kept += changed.items()
        last = "close" if self.body_bytes is None else "keep-alive"
        kept.append(("connection", "Upgrade" if upgrades else last))
        text = "".join(f"{name}: {value}\r\n" for name, value in kept)
        return f"{self.method} {self.target} HTTP/1.1\r\n{text}\r\n".encode("latin-1")


def _without_ours(cookies: str) -> str:
    """Return the cookies that a job may see.

    >>> _without_ours("a=1; picloud_visit=2;b=3")
    'a=1; b=3'
    """
    pairs = [pair.strip() for pair in cookies.split(";")]
    return "; ".join(pair for pair in pairs if pair and not pair.startswith(_OURS))
