"""Notebooks as their owner sees them: started, reached through a tunnel, stopped."""

from __future__ import annotations

import http.client
import random
import re
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace
from picloud_model.job import ENDED
from picloud_model.wire.notebook import LEAST_PASSWORD, MOST_PASSWORD, NOTEBOOK_NAME_PATTERN

from cloud._client.current import client
from cloud._notebook.machine import host_notebook, volume_of
from cloud._resources.notebook import NotebookClient
from cloud._resources.tunnel import TunnelClient
from cloud._resources.volume import VolumeClient
from cloud.errors import CloudException, CloudTimeoutError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.notebook import Notebook

    from cloud._arguments.options import CallOptions
    from cloud._jobs.job import Job

MOUNT_PATH: Final = "/notebook"
_PORTS: Final = range(20_000, 32_000)
"""Ports that Linux does not hand out to connections."""
_CANDIDATES: Final = 8
_LONGEST_IDLE_MINUTES: Final = 60 * 24 * 365
_LOOK_EVERY_S: Final = 0.2
_STOP_S: Final = 120.0
_HTTP_S: Final = 30.0


def notebooks() -> NotebookClient:
    """Return the notebooks of the current account."""
    return NotebookClient(client().transport)


def checked_name(name: Any) -> str:
    """Return the name of a notebook.

    Raises:
        CloudValueError: When it is not a valid one.

    >>> checked_name("sales-2012")
    'sales-2012'
    """
    if not isinstance(name, str) or not re.fullmatch(NOTEBOOK_NAME_PATTERN, name):
        raise CloudValueError(
            f"{name!r:.80} is not a valid name of a notebook: use up to 40 lower-case letters, "
            "digits and hyphens, and begin with a letter or digit."
        )
    return name


def start(name: str, idle: float, chosen: CallOptions) -> Job:
    """Submit the job of a notebook, and return it.

    Raises:
        CloudException: When it is already running, or the name is not a valid one.
    """
    checked, idle_s = checked_name(name), _idle_s(idle)
    for each in notebooks().list():
        if each.name == checked and not each.ended:
            raise CloudException(
                f"The notebook {name!r} is already running as job {each.jid}; "
                f"picloud notebook open {name} opens it."
            )
    VolumeClient(client().transport).create(
        volume_of(checked), MOUNT_PATH, f"The files of the notebook {checked}."
    )
    # Declared ahead, as only ports that are declared private are so on every server.
    ports = random.sample(_PORTS, _CANDIDATES)
    options = replace(
        chosen.options,
        label=chosen.options.label or checked,
        vols=[*chosen.options.vols, volume_of(checked)],
        ports={**chosen.options.ports, **dict.fromkeys(ports, "private")},
    )
    job = client().submit_call(
        host_notebook,
        (checked, ports, idle_s),
        {},
        replace(chosen, options=options, name=f"notebook {checked}"),
    )
    try:
        notebooks().run(checked, int(job))
    except CloudException:
        client().kill([int(job)])
        raise
    return job


def ready(
    name: str, timeout: float | None = None, show_wait: Callable[[int], object] | None = None
) -> Notebook:
    """Wait until JupyterLab listens; return what is known of the notebook.

    Args:
        name: The notebook.
        timeout: How long to wait, in seconds; None for no limit.
        show_wait: Called once with the job, if it is to be waited for.

    Raises:
        CloudException: When there is no such notebook, or its job has ended.
        CloudTimeoutError: When the timeout was reached.
    """
    checked = checked_name(name)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        notebook = notebooks().get(checked)
        if notebook.ended:
            raise _not_running(notebook)
        if notebook.port is not None:
            return notebook
        if deadline is not None and time.monotonic() > deadline:
            raise CloudTimeoutError(
                f"The notebook {name!r} does not run yet: picloud why {notebook.jid} says why."
            )
        if show_wait is not None:
            show_wait(notebook.jid)
            show_wait = None
        time.sleep(_LOOK_EVERY_S)


def url(notebook: Notebook, local_port: int) -> str:
    """Return the URL that opens a notebook in a browser, by a local port that is forwarded to it.

    It names `localhost`, as the cookies of the web pages of the server are those of 127.0.0.1,
    whatever the port, and must not reach the notebook.
    """
    return f"http://localhost:{local_port}/lab?token={notebook.token}"


def stop(name: str) -> Notebook:
    """Shut JupyterLab down, wait until the job has ended and the files are stored; return it.

    Raises:
        CloudException: When there is no such notebook, it cannot be reached, or its files could
            not be stored.
    """
    checked = checked_name(name)
    notebook = notebooks().get(checked)
    if notebook.ended:
        return notebook
    if notebook.port is None:
        client().kill([notebook.jid])
        return notebook
    status, _ = _request(notebook, "/api/shutdown", {})
    if status != http.client.OK:
        raise _unreachable(notebook, f"JupyterLab answered with status {status}")
    client().wait_for_status(notebook.jid, list(ENDED), _STOP_S)
    client().result(notebook.jid, _STOP_S)
    return notebook


def set_password(name: str, password: str | None) -> str | None:
    """Let others in with a password, or revoke it; return where they type it.

    Raises:
        CloudException: When there is no such notebook.
        CloudValueError: When the password is too short or too long.
    """
    checked = checked_name(name)
    is_text = isinstance(password, str) and LEAST_PASSWORD <= len(password) <= MOST_PASSWORD
    if password is not None and not is_text:
        raise CloudValueError(f"A password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters.")
    notebooks().set_password(checked, password)
    if password is None:
        return None
    return f"{client().transport.address.url}{notebooks().get(checked).shared_path}"


def _request(notebook: Notebook, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
    """Post to JupyterLab through a tunnel, as its owner; return the status and the body."""
    assert notebook.port is not None
    connection = http.client.HTTPConnection("localhost")
    try:
        stream = TunnelClient(client().transport).connect(notebook.jid, notebook.port)
        stream.settimeout(_HTTP_S)
        connection.sock = stream
        headers = {
            "Authorization": f"token {notebook.token}",
            "Content-Type": "application/json",
        }
        connection.request("POST", path, msgspec.json.encode(body), headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(notebook, f"JupyterLab does not answer ({error})") from None
    finally:
        connection.close()


def _unreachable(notebook: Notebook, reason: str) -> CloudException:
    return CloudException(
        f"{reason}: picloud kill {notebook.jid} ends the notebook without what it has not stored."
    )


def _not_running(notebook: Notebook) -> CloudException:
    jid, name = notebook.jid, notebook.name
    status = client().status([jid])[0]
    if status == "error":
        try:
            client().result(jid, 0)
        except CloudException as error:
            return CloudException(f"The notebook {name!r} does not run. {error}")
    return CloudException(
        f"The notebook {name!r} does not run: job {jid} has ended ({status}); "
        f"picloud notebook start {name} starts it again."
    )


def _idle_s(minutes: Any) -> int:
    """Return seconds.

    >>> _idle_s(1.5)
    90
    """
    is_number = isinstance(minutes, (int, float)) and not isinstance(minutes, bool)
    if not is_number or not 0 <= minutes <= _LONGEST_IDLE_MINUTES:
        raise CloudValueError(
            f"{minutes!r:.80} is not a time: give minutes until an idle notebook ends, 0 for never."
        )
    return int(minutes * 60)
