"""The webhook port: posts bodies to URLs that users have chosen."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Mapping


class NotDelivered(Exception):
    """A body was not accepted; the message says why."""


class WebhookPort(ABC):
    """Posts bodies to addresses of the public Internet, and to those that the operator allows.

    A name is resolved once for each post, and the address that was checked is the one that is
    dialled. Redirects are not followed. What is not answered with a status from 200 to 299 within
    `POST_S` was not delivered. Nothing of an answer but its status is read.
    """

    adapter: ClassVar[str]
    """The name of the adapter."""

    @abstractmethod
    def check(self, url: str) -> None:
        """Check a URL without resolving its name.

        Raises:
            RequestRefused: When it is not a URL, or names an address that is not dialled.
        """

    @abstractmethod
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Post a body of JSON.

        Raises:
            NotDelivered: When it was not accepted.
        """

    @abstractmethod
    async def close(self) -> None:
        """End what the port keeps open."""
