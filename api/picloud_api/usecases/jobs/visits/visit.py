"""Visits: browsers at the hosts of notebooks and desktops, whom an owner or a password lets in.

A page of the server hands the browser a pass, in a URL of the notebook's host. There it becomes a
cookie of that host alone, so that no job ever sees a cookie of the pages, or of another notebook.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from picloud_driver.gateway import Admission, Reply
from picloud_model.errors import KeyRefused, NotAllowed, NotFound, Unavailable
from picloud_model.wire.role import Role

from picloud_api.usecases.environments.notebook_label import label_of, notebook_of
from picloud_api.usecases.jobs.visits import visit_reply
from picloud_api.usecases.jobs.visits.visit_token import (
    VISIT_S,
    Guest,
    Use,
    Visit,
    VisitTokens,
)

if TYPE_CHECKING:
    from picloud_driver.gateway import BrowserRequest, GatewayPort, SlotTicket

    from picloud_api.usecases.accounts.account import Accounts, Holder
    from picloud_api.usecases.environments.notebook import NotebookAccess, Notebooks
    from picloud_api.usecases.jobs.tunnel import JobTunnels
    from picloud_api.usecases.jobs.visits.content_site import ContentSite

ENTER: Final = "/.picloud/enter"
"""The path at the host of a notebook that exchanges a pass for a cookie."""
COOKIE: Final = "picloud_visit"
_START: Final = {"notebook": "/lab", "desktop": "/desktop"}
"""Where a visit begins, by the kind of the machine."""
_SHOWN: Final = {"notebook": "JupyterLab", "desktop": "its desktop"}
_TRIES: Final = 3
"""Requests to a slot for its end of a stream, before the browser gets an error."""
_NO_SITE: Final = (
    "This server has no hosts for notebooks: use `picloud notebook open`, or let the operator set "
    "PICLOUD_CONTENT_URL."
)
_WRONG: Final = "This is not the password of a notebook at this address."
_OUTSIDE: Final = (
    "You are not signed in to this notebook, or no longer: open it from the page Notebooks of "
    "PiCloud, or by the link that its owner gave you."
)


class Visits:
    """Lets browsers into notebooks.

    Args:
        accounts: The accounts, whose keys are checked.
        notebooks: The notebooks.
        tunnels: Asks slots for streams.
        gateway: Listens for browsers.
        site: The hosts of notebooks.
        key: What visits are signed with.
    """

    def __init__(
        self,
        accounts: Accounts,
        notebooks: Notebooks,
        *,
        tunnels: JobTunnels,
        gateway: GatewayPort,
        site: ContentSite,
        key: bytes,
    ) -> None:
        self._accounts = accounts
        self._clock = accounts.clock
        self._notebooks = notebooks
        self._tunnels = tunnels
        self._gateway = gateway
        self._site = site
        self._tokens = VisitTokens(key)

    @property
    def has_site(self) -> bool:
        """Whether this server has hosts for notebooks."""
        return bool(self._site.domain)

    async def open(self, holder: Holder, name: str) -> str:
        """Return a URL that lets the owner of a notebook in, once and at once.

        Raises:
            NotFound: When the account has no such notebook.
            NotAllowed: When this server has no hosts for notebooks.
            RequestRefused: When jobs of this stack cannot be reached.
            Unavailable: When no gateway can be started now.
        """
        await self._notebooks.access(holder.account, name)
        return await self._pass(label_of(holder.account, name), Guest.OWNER, holder.key)

    async def open_shared(self, label: str, password: str) -> str:
        """Return a URL that lets in with the second password; raises as `open`.

        Raises:
            KeyRefused: When it is not the password, or there is no such notebook.
        """
        account, name = notebook_of(label)
        generation = await self._notebooks.check_password(account, name, password)
        if generation is None:
            raise KeyRefused(_WRONG)
        return await self._pass(label, Guest.SHARED, generation)

    async def _pass(self, label: str, guest: Guest, subject: str) -> str:
        if not self._site.domain:
            raise NotAllowed(_NO_SITE)
        port = await self._gateway.browse(self._site.listen, self.decide)
        token = self._tokens.sign(Use.PASS, label, Visit(guest, subject, self._clock()))
        return f"{self._site.url(label, port)}{ENTER}?pass={token}"

    async def decide(self, request: BrowserRequest) -> Admission | Reply:
        """Decide on a request of a browser at the host of a notebook."""
        label = self._site.label(request.headers.get("host", ""))
        account, name = notebook_of(label)
        if not account:
            return visit_reply.page("404 Not Found", "Not found", "There is no such notebook.")
        if _is_foreign(request):
            text = "This request was sent by another site, so it was refused."
            return visit_reply.page("403 Forbidden", "Refused", text)
        path, _, query = request.target.partition("?")
        if path == ENTER:
            return await self._enter(label, query.removeprefix("pass="))
        now = self._clock()
        visits = [self._tokens.read(Use.VISIT, label, token, now) for token in _tokens(request)]
        access = await self._access(account, name, next(filter(None, visits), None))
        if access is None:
            return visit_reply.page("401 Unauthorized", "Not signed in", _OUTSIDE)
        return self._admission(account, name, access)

    async def _enter(self, label: str, token: str) -> Reply:
        visit = self._tokens.read(Use.PASS, label, token, self._clock())
        account, name = notebook_of(label)
        access = await self._access(account, name, visit)
        if visit is None or access is None:
            return visit_reply.page("401 Unauthorized", "Not signed in", _OUTSIDE)
        value = self._tokens.sign(Use.VISIT, label, visit)
        attributes = f"Path=/; Max-Age={VISIT_S}; HttpOnly; SameSite=Lax"
        secure = "; Secure" if self._site.scheme == "https" else ""
        return visit_reply.redirect(
            _START[access.kind], [f"Set-Cookie: {COOKIE}={value}; {attributes}{secure}"]
        )

    async def _access(self, account: str, name: str, visit: Visit | None) -> NotebookAccess | None:
        """Return what leads to a notebook, if the visitor may still use it."""
        if visit is None:
            return None
        try:
            access = await self._notebooks.access(account, name)
        except NotFound:
            return None
        if visit.guest is Guest.SHARED:
            return access if visit.subject == access.generation else None
        key = await self._accounts.stored_key(visit.subject)
        is_known = key.active and key.account == account and visit.begun_at > key.signed_out_at
        return access if is_known and key.role.includes(Role.MEMBER) else None

    def _admission(self, account: str, name: str, access: NotebookAccess) -> Admission | Reply:
        jid, port = access.jid, access.port
        if access.ended:
            kind = access.kind
            text = f"The {kind} {name} does not run: picloud {kind} start {name} starts it."
            return visit_reply.page("503 Service Unavailable", "Not running", text)
        if port is None:
            shown = _SHOWN[access.kind]
            text = f"Job {jid} has not started {shown} yet. This page reloads by itself."
            return visit_reply.page("503 Service Unavailable", "Starting", text, ["Refresh: 2"])

        async def invite(slot: SlotTicket) -> None:
            for _ in range(_TRIES - 1):
                # The slot of a busy machine may take longer than one answer to a heartbeat.
                with suppress(Unavailable):
                    return await self._tunnels.invite(account, jid, port, slot)
            await self._tunnels.invite(account, jid, port, slot)
            return None

        return Admission({"authorization": f"token {access.token}"}, invite)


def _is_foreign(request: BrowserRequest) -> bool:
    """Return whether a page of another site sent a request, except to go to this one."""
    headers = request.headers
    goes_here = headers.get("sec-fetch-mode") == "navigate" and request.method == "GET"
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not goes_here:
        return True
    origin = headers.get("origin")
    return origin is not None and origin.lower().partition("://")[2] != headers["host"].lower()


def _tokens(request: BrowserRequest) -> list[str]:
    """Return the values of our cookie: a page of another host may have added one of its own."""
    pairs = [pair.strip() for pair in request.headers.get("cookie", "").split(";")]
    return [pair.partition("=")[2] for pair in pairs if pair.startswith(f"{COOKIE}=")]
