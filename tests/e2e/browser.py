"""A browser for tests of the web pages of a whole stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import urllib3

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack


class Browser:
    """A browser of one stack: it keeps its cookie and follows nothing."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._cookie: dict[str, str] = {}

    def send(self, method: str, path: str, **fields: str) -> Any:
        """Send a request, a form if it has fields; return the reply."""
        body = urlencode(fields)
        form = {"Content-Type": "application/x-www-form-urlencoded"} if fields else {}
        reply = urllib3.request(
            method,
            f"{self._stack.url}{path}",
            body=body,
            headers={**self._cookie, **form},
            redirect=False,
        )
        if "set-cookie" in reply.headers:
            self._cookie = {"Cookie": reply.headers["set-cookie"].partition(";")[0]}
        return reply

    def text(self, path: str) -> str:
        """Return a page that must be there."""
        reply = self.send("GET", path)
        assert reply.status == 200, reply.data
        return reply.data.decode()  # type: ignore[no-any-return]


@pytest.fixture
def browser(stack: Stack, picloud: Callable[..., Exited]) -> Browser:
    """A browser that `picloud open` has signed in."""
    link = picloud("open", "--no-browser").out.strip()
    opened = Browser(stack)
    assert link.startswith(f"{stack.url}/sign-in/")
    assert opened.send("GET", link.removeprefix(stack.url)).status == 303
    assert Browser(stack).send("GET", link.removeprefix(stack.url)).status == 404
    return opened
