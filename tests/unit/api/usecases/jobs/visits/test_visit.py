"""Visits: who is let into a notebook by a browser, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from picloud_api.usecases.jobs.visits.content_site import ContentSite
from picloud_api.usecases.jobs.visits.visit import ENTER, Visits
from picloud_api.usecases.jobs.visits.visit_token import PASS_S, VISIT_S
from picloud_driver.gateway import Admission, BrowserRequest, GatewayPort, Reply, SlotTicket
from picloud_model.errors import KeyRefused, NotAllowed, NotFound, RequestConflict, Unavailable
from picloud_model.wire import notebook as notebook_wire

from tests.unit.api.api_harness import ACCOUNT
from tests.unit.api.key_owner import owner_of_second_account

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from picloud_api.usecases.accounts.account import Holder

    from tests.unit.api.api_harness import ApiHarness

PASSWORD = "two words for us"
LABEL = f"{ACCOUNT}-a-nb"
HOST = f"{LABEL}.localhost:4321"
PORT = 4321


class ListeningGateway(GatewayPort):
    """A gateway that listens for browsers, and carries nothing."""

    adapter = "listening"

    async def open(self) -> None:
        raise NotImplementedError

    async def publish(self, name: str, invite: Callable[[SlotTicket], Awaitable[None]]) -> int:
        raise NotImplementedError

    async def browse(
        self, port: int, decide: Callable[[BrowserRequest], Awaitable[Admission | Reply]]
    ) -> int:
        return PORT

    async def withdraw(self, name: str) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        return None


class Window:
    """A browser's window, with the cookie of the host of one notebook."""

    def __init__(self, visits: Visits) -> None:
        self.visits = visits
        self.cookie = ""

    async def send(
        self, target: str = "/lab", method: str = "GET", **headers: str
    ) -> Admission | Reply:
        """Send a request; keep the cookie that the reply sets."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        cookie = {"cookie": f"a=1; {self.cookie}"} if self.cookie else {}
        request = BrowserRequest(method, target, {"host": HOST} | cookie | named)
        reply = await self.visits.decide(request)
        if isinstance(reply, Reply) and b"Set-Cookie: " in reply.data:
            self.cookie = reply.data.partition(b"Set-Cookie: ")[2].partition(b";")[0].decode()
        return reply

    async def enter(self, url: str) -> Window:
        """Go to the URL of a pass."""
        parts = urlsplit(url)
        assert (parts.netloc, parts.path) == (HOST, ENTER)
        reply = await self.send(f"{parts.path}?{parts.query}")
        assert isinstance(reply, Reply)
        assert reply.data.startswith(b"HTTP/1.1 303 See Other\r\n")
        assert b"\r\nLocation: /lab\r\n" in reply.data
        assert b"; HttpOnly; SameSite=Lax\r\n" in reply.data
        return self

    async def status(self, **headers: str) -> int:
        """Return the status of what is opened; 200 if the request goes to the notebook."""
        return status(await self.send(**headers))


def status(reply: Admission | Reply) -> int:
    """Return the status of a reply, 200 if there is none."""
    return int(reply.data.split()[1]) if isinstance(reply, Reply) else 200


@pytest.fixture
async def visits(api: ApiHarness) -> AsyncIterator[Visits]:
    """Visits of a server with one notebook, which runs as job 1."""
    base = api.use_cases
    made = Visits(
        base.accounts.accounts,
        base.environments.notebooks,
        tunnels=base.jobs.tunnel,
        gateway=ListeningGateway(),
        site=ContentSite(domain="localhost"),
        key=b"k" * 32,
    )
    await api.submit(1)
    await run(api, 8888)
    yield made
    await api.server.ports.gateway.close()


async def run(api: ApiHarness, port: int | None = None, jid: int = 1) -> None:
    """Make a job the machine of the notebook."""
    request = notebook_wire.RunNotebookRequest(name="a", jid=jid, port=port)
    await api.use_cases.environments.notebooks.run(ACCOUNT, request)


async def owner(api: ApiHarness) -> Holder:
    """Return the owner of the notebook."""
    return await api.use_cases.accounts.accounts.holder(api.server.key)


async def share(api: ApiHarness, password: str | None) -> None:
    """Set the second password."""
    request = notebook_wire.NotebookPasswordRequest(name="a", password=password)
    await api.use_cases.environments.notebooks.set_password(ACCOUNT, request)


async def test_the_owner_enters_with_a_pass(api: ApiHarness, visits: Visits) -> None:
    """Its cookie lets the window in; the job gets a token that the browser never has."""
    token = (await api.use_cases.environments.notebooks.get(ACCOUNT, "a")).token
    url = await visits.open(await owner(api), "a")

    window = await Window(visits).enter(url)
    admitted = await window.send()

    assert isinstance(admitted, Admission)
    assert admitted.headers == {"authorization": f"token {token}"}
    assert token not in url + window.cookie
    with pytest.raises(RequestConflict, match="Job 1 has not started"):
        await admitted.invite(SlotTicket(1, "t"))


async def test_no_other_browser_enters(api: ApiHarness, visits: Visits) -> None:
    """Without a cookie, with that of another notebook, or with a pass as a cookie."""
    url = await visits.open(await owner(api), "a")
    window = await Window(visits).enter(url)
    stranger = Window(visits)
    with_pass = Window(visits)
    with_pass.cookie = f"picloud_visit={url.partition('=')[2]}"

    assert await stranger.status() == 401
    assert await with_pass.status() == 401
    assert status(await stranger.send(f"{ENTER}?pass=x")) == 401
    assert status(await stranger.send(ENTER)) == 401
    assert await window.status(host=f"{ACCOUNT}-b-nb.localhost") == 401
    assert await window.status(host="a0000002-a-nb.localhost") == 401
    for host in ("localhost", "127.0.0.1", "www.localhost", f"{LABEL}.example.org"):
        assert await window.status(host=host) == 404
    other = await owner_of_second_account(api)
    with pytest.raises(NotFound):
        await visits.open(other.holder, "a")


async def test_a_visit_ends(api: ApiHarness, visits: Visits) -> None:
    """After hours, when the owner signs out everywhere, and when the key is deactivated."""
    url = await visits.open(await owner(api), "a")
    api.now += PASS_S
    assert status(await Window(visits).send(f"{ENTER}?{urlsplit(url).query}")) == 401
    window = await Window(visits).enter(await visits.open(await owner(api), "a"))
    assert await window.status() == 200
    api.now += VISIT_S
    assert await window.status() == 401

    window = await Window(visits).enter(await visits.open(await owner(api), "a"))
    api.now += 1
    await api.use_cases.accounts.sessions.end_all(await owner(api))
    assert await window.status() == 401


async def test_others_enter_with_the_second_password(api: ApiHarness, visits: Visits) -> None:
    """Until it is changed or revoked; the owner stays."""
    owners = await Window(visits).enter(await visits.open(await owner(api), "a"))
    with pytest.raises(KeyRefused, match="not the password"):
        await visits.open_shared(LABEL, "")
    await share(api, PASSWORD)
    for label, wrong in ((LABEL, "wrong"), (LABEL, ""), ("www", PASSWORD), ("", "")):
        with pytest.raises(KeyRefused, match="not the password"):
            await visits.open_shared(label, wrong)
    others = await Window(visits).enter(await visits.open_shared(LABEL, PASSWORD))
    assert await others.status() == 200

    await share(api, PASSWORD)
    assert await others.status() == 401
    others = await Window(visits).enter(await visits.open_shared(LABEL, PASSWORD))
    await share(api, None)

    assert await others.status() == 401
    assert await owners.status() == 200


async def test_pages_of_other_sites_use_no_cookie(api: ApiHarness, visits: Visits) -> None:
    """They may lead to a notebook, but not send it anything, nor read or include what it has."""
    window = await Window(visits).enter(await visits.open(await owner(api), "a"))
    own, other = f"http://{HOST}", f"http://{ACCOUNT}-b-nb.localhost:4321"

    assert await window.status(origin=own, sec_fetch_site="same-origin") == 200
    assert await window.status(sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 200
    assert await window.status(origin=other) == 403
    assert await window.status(origin="null") == 403
    assert await window.status(sec_fetch_site="same-site", sec_fetch_mode="no-cors") == 403
    navigates = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"}
    assert status(await window.send("/lab", "POST", **navigates)) == 403


async def test_a_notebook_that_does_not_run_says_so(api: ApiHarness, visits: Visits) -> None:
    """One that starts is waited for, and one that was deleted is not there."""
    window = await Window(visits).enter(await visits.open(await owner(api), "a"))
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(1, 1)])
    ended = await window.send()
    await api.submit(1)
    await run(api, jid=2)
    starting = await window.send()
    await api.use_cases.jobs.kill.kill(ACCOUNT, [(2, 2)])
    await api.use_cases.environments.notebooks.delete(ACCOUNT, "a")

    assert isinstance(ended, Reply)
    assert b"picloud notebook start a" in ended.data
    assert isinstance(starting, Reply)
    assert b"\r\nRefresh: 2\r\n" in starting.data
    assert await window.status() == 401


class BusySlot:
    """The slot of a busy machine: it answers after some attempts."""

    def __init__(self, failures: int) -> None:
        self.failures = failures

    async def invite(self, account: str, jid: int, port: int, slot: SlotTicket) -> None:
        """Answer, or fail."""
        if self.failures:
            self.failures -= 1
            raise Unavailable


async def test_a_busy_slot_is_asked_again(api: ApiHarness, visits: Visits) -> None:
    """A page with a hundred files is not broken by one late answer; an absent slot is an error."""
    window = await Window(visits).enter(await visits.open(await owner(api), "a"))
    for failures, left in ((2, 0), (4, 1)):
        visits._tunnels = busy = BusySlot(failures)
        admitted = await window.send()
        assert isinstance(admitted, Admission)

        if left:
            with pytest.raises(Unavailable):
                await admitted.invite(SlotTicket(1, "t"))
        else:
            await admitted.invite(SlotTicket(1, "t"))

        assert busy.failures == left


async def test_a_server_without_hosts_opens_none(api: ApiHarness) -> None:
    """It says what works there, and what its operator can do."""
    await api.submit(1)
    await run(api)
    visits = api.use_cases.jobs.visits

    assert not visits.has_site
    with pytest.raises(NotAllowed, match="use `picloud notebook open`, or let the operator set"):
        await visits.open(await owner(api), "a")
    assert status(await Window(visits).send()) == 404


def test_requests_show_no_secrets() -> None:
    """What is logged of them has neither cookies nor paths."""
    request = BrowserRequest("GET", "/x?token=1", {"cookie": "a"})

    assert repr(request) == "BrowserRequest(method='GET')"
    assert repr(Admission({"authorization": "x"}, _nothing)) == "Admission()"


async def _nothing(_: SlotTicket) -> None:
    """Do nothing."""
