"""`cloud.notebook` and `picloud notebook`: JupyterLab as a job, on every stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import websocket
from cloud import CloudException, notebook, volume

from tests.current_client import current_client
from tests.e2e.browser import Browser, browser
from tests.e2e.jupyter import Jupyter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

__all__ = ["browser"]
WAIT_S = 120.0
PASSWORD = "two words for us"


def test_a_notebook_from_its_start_to_the_next_one(
    client: Client, other: Client, picloud: Callable[..., Exited], tmp_path: Path
) -> None:
    """Its first notebook runs, and files are kept."""
    (tmp_path / "earlier.txt").write_text("by an earlier start")
    with current_client(client):
        volume.create("notebook-primer", "/notebook", "The files of the notebook primer.")
        volume.sync(f"{tmp_path}/", "notebook-primer:")
        jid = int(picloud("notebook", "start", "primer", "--idle", "5").out)
        jupyter = Jupyter(notebook.url("primer", timeout=WAIT_S))
    with current_client(other), pytest.raises(CloudException, match="no notebook 'primer'"):
        notebook.url("primer")
    with current_client(client):
        with pytest.raises(CloudException, match=rf"already running as job {jid}; picloud notebo"):
            notebook.start("primer")

        assert jupyter.request("GET", "/api/status", signed_in=False)[0] == 403
        assert jupyter.request("GET", "/api/status")[0] == 200
        first = jupyter.request("GET", "/api/contents/Primer.ipynb")[1]["content"]
        kernel = jupyter.kernel()
        outputs = [
            kernel.run("".join(cell["source"]))
            for cell in first["cells"]
            if cell["cell_type"] == "code"
        ]
        assert outputs[0][-1]["data"]["text/plain"] == "3"
        assert 2.5 < float(outputs[1][-1]["data"]["text/plain"]) < 3.8
        assert "<rect" in outputs[2][-1]["data"]["image/svg+xml"]
        assert "Primer.ipynb" in outputs[3][0]["text"]
        assert "done" in "".join(each["text"] for each in outputs[3])
        assert kernel.run("open('earlier.txt').read()")[0]["data"]["text/plain"] == (
            "'by an earlier start'"
        )
        kernel.run("open('kept.txt', 'w').write('by a cell')")

        kernel.close()

        listed = json.loads(picloud("notebook", "list", "--json").out)
        assert listed == [
            {
                "name": "primer",
                "jid": jid,
                "status": "processing",
                "volume": "notebook-primer",
                "password": False,
            }
        ]
        assert jupyter.token not in picloud("logs", str(jid)).out
        assert picloud("notebook", "stop", "primer").code == 0
        assert client.status(jid) == "done"
        assert volume.ls("notebook-primer:") == ["Primer.ipynb", "earlier.txt", "kept.txt"]

        notebook.stop("primer")
        notebook.delete("primer")
        with pytest.raises(CloudException, match="no notebook 'primer'"):
            notebook.stop("primer")
        with pytest.raises(CloudException, match="no notebook 'primer'"):
            notebook.delete("primer")


def test_browsers_reach_a_notebook_through_the_gateway(
    client: Client, picloud: Callable[..., Exited], stack: Stack, browser: Browser
) -> None:
    """Its owner by the session of the pages; others by a password, until that is revoked."""
    with current_client(client):
        jid = notebook.start("shared")
        notebook.url("shared", timeout=WAIT_S)
    opened = browser.send("GET", "/notebooks/open/shared")
    assert opened.status == 303, opened.data
    owner = Jupyter(opened.headers["Location"])
    assert owner.netloc.partition("-")[2].startswith(f"shared-nb.localhost:{owner.port}")
    assert owner.request("GET", "/api/contents", signed_in=False)[0] == 401
    assert owner.request("GET", "/api/contents/Primer.ipynb")[0] == 200
    of_the_owner = owner.kernel()
    assert of_the_owner.run("import os; 'picloud_visit' in str(os.environ)")[0]["data"] == {
        "text/plain": "False"
    }

    address = picloud("notebook", "password", "shared", given=f"{PASSWORD}\n".encode()).out.strip()
    assert address.startswith(f"{stack.url}/notebooks/shared/")
    path = address.removeprefix(stack.url)
    stranger = Browser(stack)
    assert [stranger.send("POST", path, password="wrong").status for _ in range(2)] == [401, 401]
    let_in = stranger.send("POST", path, password=PASSWORD)
    guest = Jupyter(let_in.headers["Refresh"].removeprefix("0; url="))
    of_the_guest = guest.kernel()
    assert of_the_guest.run("1 + 1")[0]["data"] == {"text/plain": "2"}

    picloud("notebook", "password", "shared", "--revoke")
    assert guest.request("GET", "/api/contents")[0] == 401
    assert stranger.send("POST", path, password=PASSWORD).status == 401
    with pytest.raises((ConnectionError, websocket.WebSocketException)):
        of_the_guest.connection.recv()
    assert of_the_owner.run("2 + 2")[0]["data"] == {"text/plain": "4"}

    for kernel in (of_the_owner, of_the_guest):
        kernel.close()
    with current_client(client):
        notebook.stop("shared")
    assert client.status(int(jid)) == "done"
    assert owner.request("GET", "/lab")[0] == 503
    with current_client(client):
        notebook.delete("shared")


def test_a_notebook_that_nobody_uses_ends(client: Client) -> None:
    """JupyterLab looks once a minute, and ends an idle kernel first; what that wrote is kept."""
    with current_client(client):
        jid = int(notebook.start("idle", idle=0.2))
        jupyter = Jupyter(notebook.url("idle", timeout=WAIT_S))
        kernel = jupyter.kernel()
        kernel.run("open('kept.txt', 'w').write('by a cell')")
        kernel.close()

        client.join(jid, 3 * WAIT_S)

        assert client.status(jid) == "done"
        assert "kept.txt" in volume.ls("notebook-idle:")
        with pytest.raises(
            CloudException, match=r"has ended \(done\); picloud notebook start idle"
        ):
            notebook.url("idle")
        notebook.delete("idle")
