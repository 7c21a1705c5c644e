"""Webhooks that the server posts itself, over one connection each."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

from picloud_model.errors import RequestRefused

from picloud_driver.network import reason
from picloud_driver.webhook.port import NotDelivered, WebhookPort

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from picloud_driver.webhook.network_policy import NetworkPolicy

POST_S: Final = 10.0
"""How long a receiver has to answer, with the time to resolve its name and to connect."""
_LINE_BYTES: Final = 4096
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<target>[/?][!\"$-~]*)?"
)
_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
_REFUSED: Final = (
    "Webhooks are sent to public addresses only, unless the operator of the server allows a "
    "network (PICLOUD_WEBHOOK_NETWORKS)"
)


class _Target(NamedTuple):
    """Where a URL leads."""

    is_secure: bool
    host: str
    port: int
    path: str

    @property
    def header(self) -> str:
        """The value of the header `Host`."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"


async def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class DirectWebhooks(WebhookPort):
    """Connects to receivers from this machine.

    Args:
        policy: Which addresses may be dialled.
        resolve: Returns the addresses of a host and a port.
    """

    adapter = "direct"

    def __init__(
        self,
        policy: NetworkPolicy,
        resolve: Callable[[str, int], Awaitable[list[str]]] = resolved,
    ) -> None:
        self._policy = policy
        self._resolve = resolve

    def check(self, url: str) -> None:
        """Check the URL, and its host if that is an address."""
        host = _parsed(url).host
        try:
            ip_address(host)
        except ValueError:
            is_refused = host.lower().rstrip(".") == "localhost" and not (
                self._policy.allows("127.0.0.1") or self._policy.allows("::1")
            )
        else:
            is_refused = not self._policy.allows(host)
        if is_refused:
            raise RequestRefused(f"{_REFUSED}, not to {host}.", field="options.on_done")

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Connect, send the body, and read the first line of the answer."""
        try:
            async with asyncio.timeout(POST_S):
                status = await self._post(_parsed(url), headers, body)
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            raise NotDelivered(f"It cannot be reached: {reason(error)}.") from error
        except RequestRefused as error:
            raise NotDelivered(error.message) from None
        if status not in range(200, 300):
            raise NotDelivered(f"It answered with the status {status}.")

    async def close(self) -> None:
        """Do nothing: each connection ends with its post."""

    async def _post(self, target: _Target, headers: Mapping[str, str], body: bytes) -> int:
        address = await self._address(target)
        context = _tls() if target.is_secure else None
        name = target.host if context else None
        reader, writer = await asyncio.open_connection(
            address, target.port, ssl=context, server_hostname=name, limit=_LINE_BYTES
        )
        try:
            writer.write(_head(target, headers, len(body)) + body)
            await writer.drain()
            matched = _STATUS.match(await reader.readuntil(b"\n"))
        finally:
            # Nothing else is read: what a receiver sends may have no end.
            writer.transport.abort()
        if matched is None:
            raise NotDelivered("It does not speak HTTP.")
        return int(matched[1])

    async def _address(self, target: _Target) -> str:
        """Return the address to dial: one that was checked, not a name that may change meanwhile.

        Raises:
            NotDelivered: When none of the host's addresses may be dialled.
        """
        for address in await self._resolve(target.host, target.port):
            if self._policy.allows(address):
                return address
        raise NotDelivered(f"{_REFUSED}, not to {target.host}.")


def _parsed(url: str) -> _Target:
    matched = _URL.fullmatch(url)
    if matched is None or not 0 < int(matched["port"] or 1) < 2**16:
        raise RequestRefused(
            "A webhook is an address such as https://example.org/jobs, without a user name, spaces "
            f"or a #, not {url!r:.80}.",
            field="options.on_done",
        )
    is_secure = matched["scheme"] == "https"
    port = int(matched["port"] or (443 if is_secure else 80))
    path = matched["target"] or "/"
    path = path if path.startswith("/") else f"/{path}"
    return _Target(is_secure, matched["host"].strip("[]"), port, path)


def _head(target: _Target, headers: Mapping[str, str], length: int) -> bytes:
    lines = [
        f"POST {target.path} HTTP/1.1",
        f"Host: {target.header}",
        "User-Agent: PiCloud",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
