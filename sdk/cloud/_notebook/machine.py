"""The function of the jobs that are notebooks: it runs JupyterLab over the files of a volume."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cloud._client.current_job import CurrentJob
from cloud._config.configuration import config
from cloud._config.settings import ClientSettings, environment
from cloud._http.transport import Transport
from cloud._resources.job_volume import JobVolumes
from cloud._resources.notebook import NotebookClient
from cloud._resources.volume import VolumeClient
from cloud.errors import CloudException

if TYPE_CHECKING:
    from picloud_model.wire.notebook import Notebook

HOST: Final = "127.0.0.1"
COMMIT_EVERY_S: Final = 60.0
"""Time between two commits of the files while a notebook runs."""
_PRIMER: Final = "Primer.ipynb"
_START_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.1
_END_S: Final = 20.0
_SHORT_TMP: Final = "/tmp"  # noqa: S108 - a directory of mode 0700 is made in it


def volume_of(name: str) -> str:
    """Return the volume that keeps the files of a notebook.

    >>> volume_of("sales")
    'notebook-sales'
    """
    return f"notebook-{name}"


def host_notebook(name: str, ports: list[int], idle_s: int) -> None:
    """Run JupyterLab until it is shut down or idle; the volume is committed when the job ends.

    Args:
        name: The name of the notebook.
        ports: Ports to listen on, the first of them that is free on this machine.
        idle_s: Seconds without a running cell or an open connection until it ends; 0 for never.

    Raises:
        CloudException: When another job runs the notebook, or JupyterLab is not installed or fails.
    """
    jid = ClientSettings.read().jid
    if jid is None:
        raise CloudException("Only a job can run a notebook.")
    notebook = NotebookClient(_transport()).run(name, jid)
    if find_spec("jupyterlab") is None:
        raise CloudException(
            "JupyterLab is not installed where the job runs: name an environment that has the "
            "package jupyterlab, or install picloud[notebook] on the machines of the server."
        )
    folder = Path(_volumes().path(volume_of(name)))
    if not any(folder.glob("*.ipynb")):
        shutil.copyfile(Path(__file__).with_name(_PRIMER), folder / _PRIMER)
    port = _free_port(ports)
    # The paths of the sockets of kernels are in it, and must not be longer than 107 bytes.
    with TemporaryDirectory(prefix="picloud-", dir=_SHORT_TMP) as private:
        configuration = Path(private, "jupyter_server_config.json")
        settings = jupyter_settings(notebook, folder, port, idle_s)
        configuration.write_bytes(msgspec.json.encode(settings))
        with _started(configuration, folder) as process:
            try:
                _await_listening(process, port)
                NotebookClient(_transport()).run(name, jid, port)
                _keep_files(process)
            finally:
                _end(process)
    if process.returncode:
        raise CloudException(
            f"JupyterLab ended with status {process.returncode}: picloud logs {jid} shows why."
        )


def jupyter_settings(notebook: Notebook, folder: Path, port: int, idle_s: int) -> dict[str, Any]:
    """Return the configuration of JupyterLab.

    Args:
        notebook: The token that lets in.
        folder: The files that it shows.
        port: The port that it listens on, at 127.0.0.1.
        idle_s: Seconds until idle kernels, terminals and then the server end; 0 for never.
    """
    culling = {"cull_inactive_timeout": idle_s, "cull_interval": _END_S}
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
        "MappingKernelManager": {"cull_idle_timeout": idle_s, "cull_interval": int(_END_S)},
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


def _transport() -> Transport:
    """Return a transport with a token of this job, which is requested anew each time."""
    job = CurrentJob.here()
    if job is None:
        raise CloudException("Only a job can run a notebook.")
    return Transport(job.address(), config)


def _volumes() -> JobVolumes:
    return JobVolumes(ClientSettings.read().volumes or "", VolumeClient(_transport()))


def _started(configuration: Path, folder: Path) -> subprocess.Popen[bytes]:
    private = configuration.parent
    variables = {
        "JUPYTER_CONFIG_DIR": str(private / "config"),
        "JUPYTER_DATA_DIR": str(private / "data"),
        "JUPYTER_RUNTIME_DIR": str(private / "run"),
        "IPYTHONDIR": str(private / "ipython"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / ".jupyter" / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / ".jupyter" / "workspaces"),
        # `!picloud` and `!pip` are those of the interpreter that runs the notebook.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment()["PATH"]]),
    }
    return subprocess.Popen(  # noqa: S603 - nothing of it is a user's
        [sys.executable, "-m", "cloud._notebook.jupyter_lab", f"--config={configuration}"],
        cwd=folder,
        env=environment() | variables,
        stdin=subprocess.DEVNULL,
    )


def _free_port(ports: list[int]) -> int:
    for port in ports:
        with socket.socket() as candidate:
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                candidate.bind((HOST, port))
                return port
    tried = ", ".join(map(str, ports))
    raise CloudException(f"The ports {tried} are all in use: start the notebook again.")


def _await_listening(process: subprocess.Popen[bytes], port: int) -> None:
    """Wait until JupyterLab accepts connections, or has ended."""
    deadline = time.monotonic() + _START_S
    while process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        if time.monotonic() > deadline:
            raise CloudException(f"JupyterLab did not listen within {_START_S:.0f} s.")
        time.sleep(_LOOK_EVERY_S)


def _keep_files(process: subprocess.Popen[bytes]) -> None:
    """Commit the volumes of this job at intervals, until JupyterLab has ended."""
    while True:
        try:
            process.wait(COMMIT_EVERY_S)
        except subprocess.TimeoutExpired:
            try:
                volumes = _volumes()
                for name in volumes.names():
                    volumes.commit(name)
            except CloudException as error:  # a file that changes while it is read, for example
                sys.stderr.write(f"The files are not stored yet: {error}\n")
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    """End JupyterLab, if it still runs."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
