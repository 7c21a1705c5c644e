"""The content site: the hosts at which browsers reach jobs, apart from the host of the pages."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_URL: Final = re.compile(r"(https?)://\*\.([a-z0-9-]+(?:\.[a-z0-9-]+)*)(?::([0-9]{1,5}))?/?")


class ContentSite(msgspec.Struct, frozen=True, kw_only=True):
    """Hosts that have a name for each notebook, below one domain.

    A job serves whatever it likes there: the cookies of one host must reach no other one, nor the
    web pages. Without a domain there are none. `port` is that of URLs, 0 for the one on which the
    gateway listens; the latter is `listen`, 0 for a free one.
    """

    domain: str = ""
    scheme: str = "http"
    port: int = 0
    listen: int = 0

    @classmethod
    def read(cls, url: str, listen: int | None) -> ContentSite | None:
        """Return the site of a URL; None if that is not valid.

        >>> ContentSite.read("https://*.jobs.example.org", 8790)
        ContentSite(domain='jobs.example.org', scheme='https', port=443, listen=8790)
        >>> ContentSite.read("https://jobs.example.org", None)
        """
        matched = _URL.fullmatch(url)
        if matched is None:
            return None
        scheme, domain = matched[1], matched[2]
        port = int(matched[3] or {"http": 80, "https": 443}[scheme])
        return cls(
            domain=domain, scheme=scheme, port=port, listen=port if listen is None else listen
        )

    def url(self, label: str, gateway_port: int) -> str:
        """Return the address of a machine.

        >>> ContentSite(domain="localhost").url("a0000001-x-nb", 4321)
        'http://a0000001-x-nb.localhost:4321'
        """
        return f"{self.scheme}://{label}.{self.domain}:{self.port or gateway_port}"

    def label(self, host: str) -> str:
        """Return the name of a machine in a `Host` header; "" if it is not one of this site.

        >>> ContentSite(domain="localhost").label("A0000001-x-nb.localhost:4321")
        'a0000001-x-nb'
        """
        name, _, domain = host.lower().partition(":")[0].partition(".")
        return name if domain == self.domain else ""
