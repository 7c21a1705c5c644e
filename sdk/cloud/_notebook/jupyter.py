"""JupyterLab over the files of a volume, as the jobs of notebooks run it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cloud._config.settings import environment
from cloud._notebook.hosting import HOST, free_ports, program_path
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Iterator

    from picloud_model.wire.notebook import Notebook

_PRIMER: Final = "Primer.ipynb"
_CULL_S: Final = 20


class JupyterLab:
    """JupyterLab over the files of a notebook.

    Args:
        idle_s: Seconds without a running cell or an open connection until it ends; 0 for never.
    """

    title = "JupyterLab"

    def __init__(self, idle_s: int) -> None:
        self._idle_s = idle_s

    def check(self) -> None:
        """Check that it is installed.

        Raises:
            CloudException: When it is not.
        """
        if find_spec("jupyterlab") is None:
            raise CloudException(
                "JupyterLab is not installed where the job runs: name an environment that has the "
                "package jupyterlab, or install picloud[notebook] on the machines of the server."
            )

    @contextmanager
    def started(
        self, machine: Notebook, folder: Path, private: Path, ports: list[int]
    ) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        """Start it with a first notebook, if there is none."""
        if not any(folder.glob("*.ipynb")):
            shutil.copyfile(Path(__file__).with_name(_PRIMER), folder / _PRIMER)
        [port] = free_ports(ports, 1)
        configuration = private / "jupyter_server_config.json"
        settings = jupyter_settings(machine, folder, port, self._idle_s)
        configuration.write_bytes(msgspec.json.encode(settings))
        variables = {
            "JUPYTER_CONFIG_DIR": str(private / "config"),
            "JUPYTER_DATA_DIR": str(private / "data"),
            "JUPYTER_RUNTIME_DIR": str(private / "run"),
            "IPYTHONDIR": str(private / "ipython"),
            "JUPYTERLAB_SETTINGS_DIR": str(folder / ".jupyter" / "settings"),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / ".jupyter" / "workspaces"),
            # `!picloud` and `!pip` are those of the interpreter that runs the notebook.
            "PATH": program_path(),
        }
        command = [
            sys.executable,
            "-m",
            "cloud._notebook.jupyter_lab",
            f"--config={configuration}",
        ]
        with subprocess.Popen(  # noqa: S603 - nothing of it is a user's
            command, cwd=folder, env=environment() | variables, stdin=subprocess.DEVNULL
        ) as process:
            yield process, port


def jupyter_settings(notebook: Notebook, folder: Path, port: int, idle_s: int) -> dict[str, Any]:
    """Return the configuration of JupyterLab.

    Args:
        notebook: The token that lets in.
        folder: The files that it shows.
        port: The port that it listens on, at 127.0.0.1.
        idle_s: Seconds until idle kernels, terminals and then the server end; 0 for never.
    """
    culling = {"cull_inactive_timeout": idle_s, "cull_interval": _CULL_S}
    return {
        "ServerApp": {
            "ip": HOST,
            "port": port,
            "port_retries": 0,
            "root_dir": str(folder),
            "open_browser": False,
            "allow_root": True,
            "shutdown_no_activity_timeout": idle_s,
            # Browsers reach it by names of the server, too; its token is what protects it.
            "allow_remote_access": True,
        },
        "IdentityProvider": {"token": notebook.token},
        "PasswordIdentityProvider": {"allow_password_change": False},
        "MappingKernelManager": {"cull_idle_timeout": idle_s, "cull_interval": _CULL_S},
        "TerminalManager": culling,
        # Over TCP every user of the machine could read what kernels print.
        "KernelManager": {"transport": "ipc"},
        # Nothing is fetched from the internet.
        "LabApp": {
            "news_url": None,
            "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
            "extension_manager": "readonly",
        },
    }
