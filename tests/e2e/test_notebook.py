"""`cloud.notebook` and `picloud notebook`: JupyterLab as a job, on every stack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from cloud import CloudException, notebook, volume

from tests.current_client import current_client
from tests.e2e.jupyter import Jupyter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited

WAIT_S = 120.0
PASSWORD = "two words for us"


def test_a_notebook_from_its_start_to_the_next_one(
    client: Client, other: Client, picloud: Callable[..., Exited], tmp_path: Path
) -> None:
    """Its first notebook runs; others get in by password until it is revoked; files are kept."""
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

        assert jupyter.request("GET", "/api/status", token=False)[0] == 403
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

        notebook.password("primer", PASSWORD)
        with pytest.raises(ConnectionResetError):
            kernel.run("1")
        kernel.close()
        assert [jupyter.sign_in("wrong") for _ in range(5)] == [401] * 5
        assert jupyter.sign_in(PASSWORD) == 302
        assert jupyter.request("GET", "/api/contents", token=False)[0] == 200
        by_password = {"password": "of a stranger"}
        assert jupyter.request("POST", "/picloud/password", by_password, token=False)[0] == 403
        picloud("notebook", "password", "primer", "--revoke")
        assert jupyter.request("GET", "/api/contents", token=False)[0] == 403
        assert jupyter.sign_in(PASSWORD) == 401

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
