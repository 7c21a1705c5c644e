"""`cloud.notebook`: JupyterLab in your browser, running as a job of your account.

    cloud.notebook.start("sales", _cores=2, _vol="data")
    print(cloud.notebook.url("sales"))
    cloud.notebook.stop("sales")

The files of a notebook are kept in a volume from one start to the next.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` has another meaning here
from typing import TYPE_CHECKING, Any

from cloud._arguments.options import only_options
from cloud._config.border import of_users

if TYPE_CHECKING:
    from types import ModuleType

    from cloud._jobs.job import Job

__all__ = ["delete", "list", "password", "start", "stop", "url"]


@of_users
def start(name: str, idle: float = 60, **kwargs: Any) -> Job:
    """Start JupyterLab as a job; return its jid at once.

    The files are those that the notebook had when it ended, or a first notebook, `Primer.ipynb`.
    They are in the volume `notebook-NAME`, and are stored each minute and when the job ends.

    Args:
        name: Up to 40 lower-case letters, digits and hyphens; it is the label of the job, too.
        idle: Minutes after which the job ends if no cell runs and no browser is connected; 0 for
            never.
        kwargs: Options, as for `cloud.call`: `_type`, `_cores`, `_env`, `_vol`, ...

    Returns:
        The jid of the job.

    Raises:
        CloudException: When the notebook is already running, or the job cannot be sent.

    >>> jid = cloud.notebook.start("analysis", idle=30)
    >>> [(each["name"], each["jid"] == jid) for each in cloud.notebook.list()]
    [('analysis', True)]
    >>> cloud.kill(jid)
    """
    options = only_options(kwargs, "options begin with an underscore.")
    return _session().start(name, idle, options)  # type: ignore[no-any-return]


@of_users
def url(name: str, local_port: int = 0, timeout: float | None = None) -> str:
    """Wait until a notebook runs; return a URL that opens it in a browser of this machine.

    The URL leads to a port of this machine that is forwarded to the job until this process ends. It
    contains a token that is valid until the notebook is stopped: keep it to yourself.

    Args:
        name: The name of the notebook.
        local_port: The port of this machine, on 127.0.0.1 only; 0 for a free one.
        timeout: How many seconds to wait; None for no limit.

    Returns:
        A URL of `localhost`.

    Raises:
        CloudException: When there is no such notebook, or it has ended; it says why.
        CloudTimeoutError: When the timeout is reached.
    """
    from cloud.tunnel import forward  # noqa: PLC0415 - as in `_session`

    address: str = _session().forwarded_url("notebook", name, local_port, timeout, forward)
    return address


@of_users
def stop(name: str) -> None:
    """Shut a notebook down, and wait until its files are stored; one that has ended stays so.

    Raises:
        CloudException: When there is no such notebook, it does not answer, or its files cannot be
            stored.
    """
    _session().stop(name)


@of_users
def list() -> builtins.list[dict[str, Any]]:  # noqa: A001 - users write cloud.notebook.list
    """Return your notebooks by name, with their last jobs.

    Returns:
        For each a dict with its `name`, the `jid` and `status` of its last job, its `volume`, and
        whether it has a second `password`.
    """
    return _session().listed("notebook")  # type: ignore[no-any-return]


@of_users
def password(name: str, password: str | None) -> str | None:
    """Set, change or revoke a second password, which lets others into a notebook.

    Those whom the password before it let in are signed out within 5 seconds. Anyone you let in can
    do in your account what your jobs can.

    Args:
        name: The name of the notebook.
        password: 8 to 200 characters; None to revoke it.

    Returns:
        The address to give to others, at which they type the password; None if it is revoked.

    Raises:
        CloudException: When there is no such notebook.
    """
    address: str | None = _session().set_password(name, password)
    return address


@of_users
def delete(name: str) -> None:
    """Forget a notebook that does not run; its files stay in the volume `notebook-NAME`.

    Raises:
        CloudException: When there is no such notebook, or it runs.
    """
    checked = _session().checked_name(name)
    _session().notebooks().delete(checked)


def _session() -> ModuleType:
    from cloud._notebook import session  # noqa: PLC0415 - `picloud --help` needs none of it

    return session


def __dir__() -> builtins.list[str]:
    """List what users call."""
    return __all__
