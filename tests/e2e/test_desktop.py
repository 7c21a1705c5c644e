"""`cloud.desktop` and `picloud desktop`: an X server as a job, on every stack."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, desktop, notebook, tunnel, volume

from tests.current_client import current_client
from tests.e2e.browser import Browser, browser
from tests.e2e.vnc_client import Shown, log_in
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited

__all__ = ["browser"]
WAIT_S = 120.0


def status_of(url: str) -> int:
    """Return the status of a page."""
    try:
        with urllib.request.urlopen(url, timeout=WAIT_S) as page:
            return int(page.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:  # the slot of a busy machine was too late
        return 0


def test_a_desktop_from_its_start_to_the_next_one(
    client: Client, other: Client, picloud: Callable[..., Exited]
) -> None:
    """A VNC client reaches it by a port and a password of its own, and files are kept."""
    started = picloud(
        *("desktop", "start", "plots", "--geometry", "800x600", "--depth", "16"),
        *("--run", "echo $DISPLAY > shown.txt"),
    )
    jid = int(started.out)
    with current_client(client):
        url = desktop.url("plots", timeout=WAIT_S)
        found = desktop.vnc("plots")
        ports = client.info([jid], ["ports"])[jid]["ports"]["tcp"]
        assert (found["jid"], ports[found["port"]]["address"]) == (jid, None)
    with current_client(other), pytest.raises(CloudException, match="no desktop 'plots'"):
        desktop.vnc("plots")
    with current_client(client):
        with pytest.raises(CloudException, match=rf"already running as job {jid}; picloud desktop"):
            desktop.start("plots")
        with pytest.raises(CloudException, match="'plots' is that of a desktop of your account"):
            notebook.start("plots")
        with pytest.raises(CloudException, match="no notebook 'plots'"):
            notebook.stop("plots")
        assert notebook.list() == []

        with tunnel.forward(jid, found["port"]) as forwarded:
            assert log_in(forwarded.port, found["password"]) == Shown(800, 600, 16, "plots")
            assert log_in(forwarded.port, "another1") is None
        until(lambda: status_of(url) == 200, "the page is there", WAIT_S)
        assert status_of(url.partition("?")[0]) == 403

        listed = json.loads(picloud("desktop", "list", "--json").out)
        assert listed == [
            {
                "name": "plots",
                "jid": jid,
                "status": "processing",
                "volume": "desktop-plots",
                "password": False,
            }
        ]
        assert found["password"] not in picloud("logs", str(jid)).out
        assert picloud("desktop", "stop", "plots").code == 0
        assert client.status(jid) == "done"
        assert "shown.txt" in volume.ls("desktop-plots:")
        with pytest.raises(CloudException, match=rf"does not run: job {jid} has ended \(done\)"):
            desktop.url("plots")
        desktop.delete("plots")


@pytest.fixture(autouse=True)
def killed_in_the_end(client: Client) -> Iterator[None]:
    """What a failing test leaves would keep a slot from the tests of others."""
    yield
    with current_client(client):
        client.kill([each["jid"] for each in desktop.list() if each["status"] == "processing"])


def test_a_desktop_that_nobody_uses_ends(client: Client, browser: Browser) -> None:
    """After the time that was given; its files are stored."""
    with current_client(client):
        jid = desktop.start("idle", idle=0.05)

        client.join(int(jid), WAIT_S)

        assert client.status(int(jid)) == "done"
        assert volume.ls("desktop-idle:") != []
    assert "/notebooks/open/idle" not in browser.text("/notebooks")
    with current_client(client):
        desktop.delete("idle")


def test_a_desktop_is_stopped_and_started_again_by_the_page(
    client: Client, browser: Browser
) -> None:
    """The next job is as the last one: with its screen, and the files that were stored."""
    with current_client(client):
        first = int(desktop.start("page", geometry="640x480", run="date >> started.txt"))
        desktop.url("page", timeout=WAIT_S)
        named = {"name": "page", "kind": "desktop"}

        press(browser, "stop", **named)
        client.join(first, WAIT_S)
        assert client.status(first) == "done"
        assert volume.ls("desktop-page:started.txt")
        press(browser, "start", **named)

        found = desktop.vnc("page", WAIT_S)
        assert found["jid"] > first
        with tunnel.forward(found["jid"], found["port"]) as forwarded:
            assert log_in(forwarded.port, found["password"]) == Shown(640, 480, 24, "page")
        desktop.stop("page")
        desktop.delete("page")


def press(browser: Browser, verb: str, **fields: str) -> None:
    """Press a button of the page."""
    page = browser.text("/notebooks")
    token = page.partition('name="form_token" value="')[2].partition('"')[0]
    reply = browser.send("POST", f"/notebooks/{verb}", form_token=token, **fields)
    assert reply.status == 303, reply.data
