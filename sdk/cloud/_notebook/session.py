"""Notebooks and desktops as their owner sees them: started, reached by a tunnel, stopped."""

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
from cloud._notebook.hosting import volume_of
from cloud._notebook.machine import host_notebook
from cloud._resources.notebook import NotebookClient
from cloud._resources.tunnel import TunnelClient
from cloud._resources.volume import VolumeClient
from cloud.errors import CloudException, CloudTimeoutError, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.notebook import MachineKind, Notebook

    from cloud._arguments.options import CallOptions
    from cloud._http.transport import ServerAddress
    from cloud._jobs.job import Job

START: Final = {"notebook": "/lab", "desktop": "/desktop"}
"""Where a browser begins, by kind."""
TITLES: Final = {"notebook": "JupyterLab", "desktop": "the desktop"}
_forwards: dict[tuple[ServerAddress, int, int], Any] = {}
"""The local ports that `forwarded_url` has opened, while this process runs: by the server and key,
as each account counts its jobs by itself, by job and by local port."""
_PORTS: Final = range(20_000, 32_000)
"""Ports that Linux does not hand out to connections."""
_CANDIDATES: Final = 8
_LONGEST_IDLE_MINUTES: Final = 60 * 24 * 365
_LOOK_EVERY_S: Final = 0.2
_STOP_S: Final = 120.0
_HTTP_S: Final = 30.0


def notebooks(kind: MachineKind = "notebook") -> NotebookClient:
    """Return the notebooks, or the desktops, of the current account."""
    return NotebookClient(client().transport, kind)


def checked_name(name: Any, kind: MachineKind = "notebook") -> str:
    """Return the name of a notebook or desktop.

    Raises:
        CloudValueError: When it is not a valid one.

    >>> checked_name("sales-2012")
    'sales-2012'
    """
    if not isinstance(name, str) or not re.fullmatch(NOTEBOOK_NAME_PATTERN, name):
        raise CloudValueError(
            f"{name!r:.80} is not a valid name of a {kind}: use up to 40 lower-case letters, "
            "digits and hyphens, and begin with a letter or digit."
        )
    return name


def start(name: str, idle: float, chosen: CallOptions) -> Job:
    """Submit the job of a notebook, and return it; raises as `submit`."""
    return submit("notebook", name, idle, chosen, host_notebook)


def submit(
    kind: MachineKind,
    name: str,
    idle: float,
    chosen: CallOptions,
    function: Callable[..., None],
    *more: object,
) -> Job:
    """Submit the job of a notebook or desktop, and return it.

    Args:
        kind: Which of them.
        name: Its name.
        idle: Minutes until it ends if it is idle.
        chosen: The options of the job.
        function: What runs in the job, called with the name, ports, and seconds until it ends.
        more: Other arguments of the function.

    Raises:
        CloudException: When it is already running, or the name is not a valid one.
    """
    checked, idle_s = checked_name(name, kind), _idle_s(idle, kind)
    for each in notebooks(kind).list():
        if each.name == checked and not each.ended:
            raise CloudException(
                f"The {kind} {name!r} is already running as job {each.jid}; "
                f"picloud {kind} open {name} opens it."
            )
    VolumeClient(client().transport).create(
        volume_of(checked, kind), f"/{kind}", f"The files of the {kind} {checked}."
    )
    # Declared ahead, as only ports that are declared private are so on every server.
    ports = random.sample(_PORTS, _CANDIDATES)
    options = replace(
        chosen.options,
        label=chosen.options.label or checked,
        vols=[*chosen.options.vols, volume_of(checked, kind)],
        ports={**chosen.options.ports, **dict.fromkeys(ports, "private")},
    )
    job = client().submit_call(
        function,
        (checked, ports, idle_s, *more),
        {},
        replace(chosen, options=options, name=f"{kind} {checked}"),
    )
    try:
        notebooks(kind).run(checked, int(job))
    except CloudException:
        client().kill([int(job)])
        raise
    return job


def ready(
    name: str,
    timeout: float | None = None,
    show_wait: Callable[[int], object] | None = None,
    kind: MachineKind = "notebook",
) -> Notebook:
    """Wait until a machine listens for browsers; return what is known of it.

    Args:
        name: The notebook or desktop.
        timeout: How long to wait, in seconds; None for no limit.
        show_wait: Called once with the job, if it is to be waited for.
        kind: Which of them it is.

    Raises:
        CloudException: When there is no such machine, or its job has ended.
        CloudTimeoutError: When the timeout was reached.
    """
    checked = checked_name(name, kind)
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        notebook = notebooks(kind).get(checked)
        if notebook.ended:
            raise _not_running(notebook)
        if notebook.port is not None:
            return notebook
        if deadline is not None and time.monotonic() > deadline:
            raise CloudTimeoutError(
                f"The {kind} {name!r} does not run yet: picloud why {notebook.jid} says why."
            )
        if show_wait is not None:
            show_wait(notebook.jid)
            show_wait = None
        time.sleep(_LOOK_EVERY_S)


def forwarded_url(
    kind: MachineKind,
    name: str,
    local_port: int,
    timeout: float | None,
    forward: Callable[[int, int, int], Any],
) -> str:
    """Wait until a machine runs; return a URL of a local port that is forwarded to it.

    Args:
        kind: Which of them it is.
        name: Its name.
        local_port: The port of this machine; 0 for a free one.
        timeout: How long to wait, in seconds; None for no limit.
        forward: Forwards a local port, as `cloud.tunnel.forward`.

    Raises:
        CloudException: As `ready`.
        CloudTimeoutError: As `ready`.
    """
    machine = ready(name, timeout, kind=kind)
    assert machine.port is not None
    key = (client().address, machine.jid, local_port)
    if key not in _forwards:
        _forwards[key] = forward(machine.jid, machine.port, local_port)
    return url(machine, _forwards[key].port)


def url(notebook: Notebook, local_port: int) -> str:
    """Return the URL that opens a machine in a browser, by a local port that is forwarded to it.

    It names `localhost`, as the cookies of the web pages of the server are those of 127.0.0.1,
    whatever the port, and must not reach it.
    """
    return f"http://localhost:{local_port}{START[notebook.kind]}?token={notebook.token}"


def stop(name: str, kind: MachineKind = "notebook") -> None:
    """Shut a machine down, wait until the job has ended and the files are stored.

    Raises:
        CloudException: When there is no such machine, it cannot be reached, or its files could
            not be stored.
    """
    checked = checked_name(name, kind)
    machine = notebooks(kind).get(checked)
    if not machine.ended:
        _shut_down(machine)
    for key in [key for key in _forwards if key[:2] == (client().address, machine.jid)]:
        _forwards.pop(key).close()


def _shut_down(machine: Notebook) -> None:
    if machine.port is None:
        client().kill([machine.jid])
        return
    status, _ = request(machine, "POST", "/api/shutdown")
    if status != http.client.OK:
        raise _unreachable(machine, f"{_title(machine)} answered with status {status}")
    client().wait_for_status(machine.jid, list(ENDED), _STOP_S)
    client().result(machine.jid, _STOP_S)


def set_password(name: str, password: str | None, kind: MachineKind = "notebook") -> str | None:
    """Let others in with a password, or revoke it; return where they type it.

    Raises:
        CloudException: When there is no such machine.
        CloudValueError: When the password is too short or too long.
    """
    checked = checked_name(name, kind)
    is_text = isinstance(password, str) and LEAST_PASSWORD <= len(password) <= MOST_PASSWORD
    if password is not None and not is_text:
        raise CloudValueError(f"A password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters.")
    notebooks(kind).set_password(checked, password)
    if password is None:
        return None
    return f"{client().transport.address.url}{notebooks(kind).get(checked).shared_path}"


def listed(kind: MachineKind) -> list[dict[str, Any]]:
    """Return the notebooks or desktops of the account by name, with their last jobs."""
    found = notebooks(kind).list()
    statuses = client().status([each.jid for each in found])
    return [
        {
            "name": each.name,
            "jid": each.jid,
            "status": status,
            "volume": volume_of(each.name, kind),
            "password": each.has_password,
        }
        for each, status in zip(found, statuses, strict=True)
    ]


def request(notebook: Notebook, method: str, path: str) -> tuple[int, bytes]:
    """Ask a machine through a tunnel, as its owner; return the status and the body.

    Raises:
        CloudException: When it cannot be reached.
    """
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
        body = msgspec.json.encode({}) if method == "POST" else None
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        reason = f"{_title(notebook)} does not answer ({error})"
        raise _unreachable(notebook, reason) from None
    finally:
        connection.close()


def _title(notebook: Notebook) -> str:
    title = TITLES[notebook.kind]
    return f"{title[0].upper()}{title[1:]}"


def _unreachable(notebook: Notebook, reason: str) -> CloudException:
    return CloudException(
        f"{reason}: picloud kill {notebook.jid} ends the {notebook.kind} without what it has not "
        "stored."
    )


def _not_running(notebook: Notebook) -> CloudException:
    jid, name, kind = notebook.jid, notebook.name, notebook.kind
    status = client().status([jid])[0]
    if status == "error":
        try:
            client().result(jid, 0)
        except CloudException as error:
            return CloudException(f"The {kind} {name!r} does not run. {error}")
    return CloudException(
        f"The {kind} {name!r} does not run: job {jid} has ended ({status}); "
        f"picloud {kind} start {name} starts it again."
    )


def _idle_s(minutes: Any, kind: MachineKind) -> int:
    """Return seconds.

    >>> _idle_s(1.5, "notebook")
    90
    """
    is_number = isinstance(minutes, (int, float)) and not isinstance(minutes, bool)
    if not is_number or not 0 <= minutes <= _LONGEST_IDLE_MINUTES:
        raise CloudValueError(
            f"{minutes!r:.80} is not a time: give minutes until an idle {kind} ends, 0 for never."
        )
    return int(minutes * 60)
