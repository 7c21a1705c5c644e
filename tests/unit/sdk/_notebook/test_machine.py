"""The job of a notebook: the configuration of JupyterLab, and where it listens."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from cloud._notebook import machine
from cloud.errors import CloudException
from picloud_model.wire.notebook import Notebook

RUNNING = Notebook(name="a", jid=1, ended=False, token="t0")


def test_jupyterlab_listens_for_its_owner_only() -> None:
    """It has a token and no password, and keeps kernels off TCP."""
    settings = machine.jupyter_settings(RUNNING, Path("/notebook"), 20_000, 3600)

    assert settings["IdentityProvider"] == {"token": "t0"}
    assert settings["PasswordIdentityProvider"] == {"allow_password_change": False}
    server = settings["ServerApp"]
    assert (server["ip"], server["port"], server["port_retries"]) == ("127.0.0.1", 20_000, 0)
    assert server["root_dir"] == "/notebook"
    assert settings["KernelManager"] == {"transport": "ipc"}


def test_what_is_idle_ends() -> None:
    """Kernels and terminals end first, as the server runs as long as it has any."""
    settings = machine.jupyter_settings(RUNNING, Path("/notebook"), 20_000, 90)

    assert settings["ServerApp"]["shutdown_no_activity_timeout"] == 90
    assert settings["MappingKernelManager"]["cull_idle_timeout"] == 90
    assert settings["TerminalManager"]["cull_inactive_timeout"] == 90


def test_the_first_free_port_is_used() -> None:
    """Other jobs of the machine may listen on some of them; if all are in use, that is said."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        taken = [one.getsockname()[1], two.getsockname()[1]]
        with socket.create_server(("127.0.0.1", 0)) as three:
            free = three.getsockname()[1]

        assert machine._free_port([taken[0], free]) == free
        with pytest.raises(CloudException, match="are all in use: start the notebook again"):
            machine._free_port(taken)


def test_the_first_notebook_is_a_notebook() -> None:
    """Its cells are in the format that JupyterLab reads, without outputs."""
    primer = json.loads(Path(machine.__file__).with_name("Primer.ipynb").read_text())

    assert (primer["nbformat"], primer["nbformat_minor"]) == (4, 5)
    code = [cell for cell in primer["cells"] if cell["cell_type"] == "code"]
    assert code
    assert not any(cell["outputs"] for cell in code)


def test_outside_of_a_job_there_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """The function that runs it says so."""
    monkeypatch.delenv("PICLOUD_JID", raising=False)

    with pytest.raises(CloudException, match="Only a job can run a notebook"):
        machine.host_notebook("a", [20_000], 0)
