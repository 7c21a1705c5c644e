"""`cloud.desktop`: a Linux desktop in your browser, running as a job of your account.

    cloud.desktop.start("plots", geometry="1600x900", _cores=2, _vol="data")
    print(cloud.desktop.url("plots"))
    cloud.desktop.stop("plots")

The home directory is kept in a volume from one start to the next.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
from typing import TYPE_CHECKING, Any

from cloud._arguments.options import only_options
from cloud._config.border import of_users

if TYPE_CHECKING:
    from types import ModuleType

    from cloud._jobs.job import Job

__all__ = ["delete", "list", "password", "start", "stop", "url", "vnc"]


@of_users
def start(
    name: str,
    idle: float = 60,
    geometry: str = "1280x800",
    depth: int = 24,
    run: str = "",
    **kwargs: Any,
) -> Job:
    """Start an X server with a window manager as a job; return its jid at once.

    Its programs find the home directory in the volume `desktop-NAME`, which is stored each minute
    and when the job ends. Without `_env` the job runs in `/picloud/desktop`, if the server has it.

    Args:
        name: Up to 40 lower-case letters, digits and hyphens; it is the label of the job, too. No
            notebook of the account has it.
        idle: Minutes after which the job ends if no browser or VNC client is connected; 0 for
            never.
        geometry: Width and height of the screen, in pixels.
        depth: Bits of a pixel: 16 or 24.
        run: A command line to run on the screen; a terminal by default.
        kwargs: Options, as for `cloud.call`: `_type`, `_cores`, `_env`, `_vol`, ...

    Returns:
        The jid of the job.

    Raises:
        CloudException: When the desktop is already running, or the job cannot be sent.

    >>> jid = cloud.desktop.start("drawings", geometry="1024x768")
    >>> [(each["name"], each["jid"] == jid) for each in cloud.desktop.list()]
    [('drawings', True)]
    >>> cloud.kill(jid)
    """
    options = only_options(kwargs, "options begin with an underscore.")
    started: Job = _screen().start(name, idle, options, geometry=geometry, depth=depth, run=run)
    return started


@of_users
def url(name: str, local_port: int = 0, timeout: float | None = None) -> str:
    """Wait until a desktop runs; return a URL that opens it in a browser of this machine.

    The URL leads to a port of this machine that is forwarded to the job until this process ends. It
    contains a token that is valid until the desktop is stopped: keep it to yourself.

    Args:
        name: The name of the desktop.
        local_port: The port of this machine, on 127.0.0.1 only; 0 for a free one.
        timeout: How many seconds to wait; None for no limit.

    Returns:
        A URL of `localhost`.

    Raises:
        CloudException: When there is no such desktop, or it has ended; it says why.
        CloudTimeoutError: When the timeout is reached.
    """
    from cloud.tunnel import forward  # noqa: PLC0415 - as in `_session`

    address: str = _session().forwarded_url("desktop", name, local_port, timeout, forward)
    return address


@of_users
def vnc(name: str, timeout: float | None = None) -> dict[str, Any]:
    """Wait until a desktop runs; return what a VNC client needs to reach it.

    Forward the port to your machine, such as by `cloud.tunnel.forward` or `picloud forward`.

    Args:
        name: The name of the desktop.
        timeout: How many seconds to wait; None for no limit.

    Returns:
        A dict with the `jid` of the job, the `port` that its X server listens on, which is private,
        and the `password`, which is another one at each start.

    Raises:
        CloudException: When there is no such desktop, or it has ended; it says why.
        CloudTimeoutError: When the timeout is reached.
    """
    found: dict[str, Any] = _screen().vnc(name, timeout)
    return found


@of_users
def stop(name: str) -> None:
    """Shut a desktop down, and wait until its files are stored; one that has ended stays so.

    Raises:
        CloudException: When there is no such desktop, it does not answer, or its files cannot be
            stored.
    """
    _session().stop(name, "desktop")


@of_users
def list() -> builtins.list[dict[str, Any]]:  # noqa: A001 - users write cloud.desktop.list
    """Return your desktops by name, with their last jobs.

    Returns:
        For each a dict with its `name`, the `jid` and `status` of its last job, its `volume`, and
        whether it has a second `password`.
    """
    return _session().listed("desktop")  # type: ignore[no-any-return]


@of_users
def password(name: str, password: str | None) -> str | None:
    """Set, change or revoke a second password, which lets others use a desktop in their browsers.

    Those whom the password before it let in are signed out within 5 seconds. Anyone you let in can
    do in your account what your jobs can.

    Args:
        name: The name of the desktop.
        password: 8 to 200 characters; None to revoke it.

    Returns:
        The address to give to others, at which they type the password; None if it is revoked.

    Raises:
        CloudException: When there is no such desktop.
    """
    address: str | None = _session().set_password(name, password, "desktop")
    return address


@of_users
def delete(name: str) -> None:
    """Forget a desktop that does not run; its files stay in the volume `desktop-NAME`.

    Raises:
        CloudException: When there is no such desktop, or it runs.
    """
    checked = _session().checked_name(name, "desktop")
    _session().notebooks("desktop").delete(checked)


def _session() -> ModuleType:
    from cloud._notebook import session  # noqa: PLC0415 - `picloud --help` needs none of it

    return session


def _screen() -> ModuleType:
    from cloud._notebook import screen  # noqa: PLC0415 - as above

    return screen


def __dir__() -> builtins.list[str]:
    """List what users call."""
    return __all__
