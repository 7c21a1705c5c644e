"""The configuration of JupyterLab, and its first notebook."""

from __future__ import annotations

import json
from pathlib import Path

from cloud._notebook import jupyter
from picloud_model.wire.notebook import Notebook

RUNNING = Notebook(name="a", jid=1, ended=False, token="t0")


def test_jupyterlab_listens_for_its_owner_only() -> None:
    """It has a token and no password, and keeps kernels off TCP."""
    settings = jupyter.jupyter_settings(RUNNING, Path("/notebook"), 20_000, 3600)

    assert settings["IdentityProvider"] == {"token": "t0"}
    assert settings["PasswordIdentityProvider"] == {"allow_password_change": False}
    server = settings["ServerApp"]
    assert (server["ip"], server["port"], server["port_retries"]) == ("127.0.0.1", 20_000, 0)
    assert server["root_dir"] == "/notebook"
    assert settings["KernelManager"] == {"transport": "ipc"}


def test_what_is_idle_ends() -> None:
    """Kernels and terminals end first, as the server runs as long as it has any."""
    settings = jupyter.jupyter_settings(RUNNING, Path("/notebook"), 20_000, 90)

    assert settings["ServerApp"]["shutdown_no_activity_timeout"] == 90
    assert settings["MappingKernelManager"]["cull_idle_timeout"] == 90
    assert settings["TerminalManager"]["cull_inactive_timeout"] == 90


def test_the_first_notebook_is_a_notebook() -> None:
    """Its cells are in the format that JupyterLab reads, without outputs."""
    primer = json.loads(Path(jupyter.__file__).with_name("Primer.ipynb").read_text())

    assert (primer["nbformat"], primer["nbformat_minor"]) == (4, 5)
    code = [cell for cell in primer["cells"] if cell["cell_type"] == "code"]
    assert code
    assert not any(cell["outputs"] for cell in code)
