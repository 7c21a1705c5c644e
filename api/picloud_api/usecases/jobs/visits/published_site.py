"""The published site: the host at which browsers reach what users publish, apart from the pages."""

from __future__ import annotations

import re
from typing import Final

import msgspec

LOCAL: Final = "127.0.0.2"
"""The host on one machine: to browsers it is another one than 127.0.0.1, and needs no name."""
_URL: Final = re.compile(r"https?://([a-z0-9.-]+)(?::[0-9]{1,5})?")


class PublishedSite(msgspec.Struct, frozen=True):
    """The URL of public objects, published functions and applications; "" without such a host.

    Browsers send no cookie of the pages there, and there are no pages. If it `is_own`, the server
    listens there, too.
    """

    url: str = ""
    is_own: bool = False

    @classmethod
    def read(cls, url: str) -> PublishedSite | None:
        """Return the site at a URL; None if that is not valid.

        >>> PublishedSite.read("https://published.example.org/")
        PublishedSite(url='https://published.example.org', is_own=False)
        >>> PublishedSite.read("published.example.org")
        """
        bare = url.lower().removesuffix("/")
        return cls(bare) if _URL.fullmatch(bare) else None

    @property
    def host(self) -> str:
        """The host name of the site.

        >>> PublishedSite("http://127.0.0.2:8787").host
        '127.0.0.2'
        """
        matched = _URL.fullmatch(self.url)
        return matched[1] if matched else ""

    @property
    def own_host(self) -> str:
        """The host at which the server itself listens for this site; "" for none."""
        return self.host if self.is_own else ""

    def at_port(self, port: int) -> PublishedSite:
        """Return the site of a server that listens on a port."""
        return PublishedSite(f"http://{self.host}:{port}", self.is_own) if self.is_own else self

    def is_named(self, host: str) -> bool:
        """Whether a `Host` header names this site.

        >>> PublishedSite("http://127.0.0.2:8787").is_named("127.0.0.2:8787")
        True
        """
        return bool(self.url) and host.lower().partition(":")[0] == self.host
