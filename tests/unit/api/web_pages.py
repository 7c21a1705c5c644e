"""The web pages of a server without sockets, as a browser requests them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import falcon.testing
import msgspec
from picloud_api.web.site import site

if TYPE_CHECKING:
    from picloud_api.usecases.accounts.account import Holder

    from tests.unit.api.api_harness import ApiHarness

FORM = "application/x-www-form-urlencoded"


class WebPages:
    """A browser: it keeps the cookie of its session."""

    def __init__(self, api: ApiHarness) -> None:
        self.api = api
        self.app = site(api.use_cases)
        self.session = ""

    async def send(self, verb: str, path: str, body: str = "", **headers: str) -> Page:
        """Send a request; return the reply."""
        cookie = {"Cookie": f"picloud_session_80={self.session}"} if self.session else {}
        content = {"Content-Type": FORM} if verb == "POST" else {}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with falcon.testing.ASGIConductor(self.app) as conductor:
            result = await conductor.simulate_request(
                verb, path, body=body, headers={**content, **cookie, **named}
            )
        if "picloud_session_80" in result.cookies:
            self.session = result.cookies["picloud_session_80"].value
        return Page(result.status_code, result.text, dict(result.headers))

    async def open(self, holder: Holder | None = None) -> WebPages:
        """Sign in with a link; return this browser."""
        accounts = self.api.use_cases.accounts
        holder = holder or await accounts.accounts.holder(self.api.server.key)
        link = await accounts.sessions.create_link(holder)
        assert (await self.send("GET", link.path)).status == 303
        return self

    async def token(self) -> str:
        """Return the token of the forms of the dashboard."""
        return (await self.send("GET", "/jobs")).token


class Page(msgspec.Struct, frozen=True):
    """A reply: a page, or a redirection to one."""

    status: int
    text: str
    headers: dict[str, str]

    @property
    def token(self) -> str:
        """The token of its forms."""
        matched = re.search(r'name="form_token" value="([0-9a-f]+)"', self.text)
        assert matched, self.text
        return matched[1]

    @property
    def stamp(self) -> str:
        """What the page sends to learn whether it has changed."""
        matched = re.search(r"stamp=([0-9a-f]+-\d+-\d+)", self.text)
        assert matched, self.text
        return matched[1]
