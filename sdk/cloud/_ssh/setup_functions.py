"""The functions of `cloud.environment` that change environments by hand, in setup machines."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloud._client.current import client
from cloud._config.border import of_users

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from picloud_model.wire.environment import Environment

    from cloud._resources.environment import EnvironmentClient


@of_users
def create(name: str, base: str, desc: str | None = None) -> str:
    """Create an environment, and start a setup machine in which you install packages.

    The machine is a copy of the base, which you reach with `ssh`, `run_script` and `rsync`: a job,
    or, where jobs are isolated, a container in which you are root. Jobs can run in the environment
    once `save` has stored what the machine has become.

    Args:
        name: Up to 30 letters, digits, dots, hyphens and underscores.
        base: One of `list_bases`.
        desc: A description for yourself.

    Returns:
        The name of the machine, as `get_setup_hostname` does.

    Raises:
        CloudException: When the name is taken, there is no such base, or too many machines run.

    >>> base = cloud.environment.list_bases()[0]["name"]
    >>> _ = cloud.environment.create("by-hand", base)
    >>> cloud.environment.ssh("by-hand", "pip check")
    0
    >>> cloud.environment.save_shutdown("by-hand", show=len)["version"]
    1
    >>> cloud.result(cloud.call(pow, 2, 10, _env="by-hand"))
    1024
    """
    return _host(_hosts().start(name, base, desc))


@of_users
def modify(name: str) -> str:
    """Start a setup machine with the current version of an environment, unless it has one.

    Jobs go on to run in the current version, until `save` has stored the next one.

    Returns:
        The name of the machine, as `get_setup_hostname` does.

    Raises:
        CloudException: When there is no such environment, or it has not been built.
    """
    return _host(_hosts().start(name))


@of_users
def save(name: str, show: Callable[[str], object] | None = None) -> dict[str, Any]:
    """Store what the setup machine of an environment has become, as its next version.

    Jobs that were submitted before keep the version that they have. The machine goes on; one that
    is a container is paused meanwhile.

    Args:
        name: The name of the environment.
        show: Called with each part of the log; by default it is printed to standard error.

    Returns:
        What `get` returns.

    Raises:
        CloudException: When there is no setup machine, or a command runs in it.
    """
    _hosts().machines().save(name)
    environments = _environments()
    environments.follow(name, show or sys.stderr.write)
    return _described(environments.get(name))


@of_users
def save_shutdown(name: str, show: Callable[[str], object] | None = None) -> dict[str, Any]:
    """Do what `save` does, and end the setup machine if that has succeeded."""
    saved = save(name, show)
    _hosts().machines().close(name)
    return saved


@of_users
def shutdown(name: str) -> None:
    """End the setup machine of an environment; what was not saved is lost.

    Raises:
        CloudException: When there is none.
    """
    _hosts().machines().close(name)


@of_users
def get_setup_hostname(name: str) -> str:
    """Return the name by which `picloud ssh-config` makes a setup machine known to OpenSSH.

    A machine that is a container is reached by `picloud env ssh` and `rsync` only.

    Raises:
        CloudException: When there is none.
    """
    return _host(_hosts().running(name))


@of_users
def get_key_path() -> str:
    """Return the path of the private key for setup machines; it is made if there is none."""
    return str(_hosts().key_path())


@of_users
def ssh(name: str, cmd: str | Sequence[str] | None = None) -> int:
    """Open a shell in a setup machine, or run a command there; return the exit status.

    Args:
        name: The name of the environment.
        cmd: The command, which a shell of the machine reads; None to open a shell.

    Raises:
        CloudException: When there is no setup machine, or OpenSSH is not installed.
    """
    command = [cmd] if isinstance(cmd, str) else cmd or ()
    return int(_hosts().run(name, command))


@of_users
def rsync(src_path: str, dest_path: str, delete: bool = False, pipe_output: bool = False) -> Any:
    """Copy files to a setup machine or from it, with rsync.

    rsync calls `picloud`, which finds the server and the key in a profile or in variables.

    Args:
        src_path: A path here, or `NAME:PATH` in the setup machine of an environment.
        dest_path: The same; exactly one of both is in a setup machine.
        delete: Whether to delete files at the destination that the source lacks.
        pipe_output: Whether to return what rsync prints, as bytes, in place of its exit status.

    Raises:
        CloudException: When there is no setup machine, or rsync is not installed.
    """
    status, printed = _hosts().rsync(src_path, dest_path, delete=delete, pipe_output=pipe_output)
    return printed if pipe_output else status


@of_users
def run_script(name: str, filename: str) -> int:
    """Run a script of your machine in a setup machine; return its exit status.

    Args:
        name: The name of the environment.
        filename: The path of the script; its first line may name an interpreter.

    Raises:
        CloudException: When there is no setup machine, or the file cannot be read.
    """
    return int(_hosts().run_script(name, Path(filename)))


@of_users
def wait_for_idle(name: str, invalid_actions: Sequence[str] | None = None) -> str:
    """Wait until nothing happens to an environment; return its `status`.

    Args:
        name: The name of the environment.
        invalid_actions: Those of "edit" (a setup machine is open), "save" and "build" that are
            errors.

    Raises:
        CloudException: When one of the invalid actions is met.
    """
    return str(_wait_for(name, "idle", invalid_actions)["status"])


@of_users
def wait_for_edit(name: str, invalid_actions: Sequence[str] | None = None) -> str:
    """Wait until the setup machine of an environment can be reached; return its name.

    Args:
        name: The name of the environment.
        invalid_actions: Those of "idle" (no setup machine is open), "save" and "build" that are
            errors.

    Raises:
        CloudException: When one of the invalid actions is met.
    """
    _wait_for(name, "edit", invalid_actions)
    return _host(_hosts().running(name))


def _wait_for(name: str, action: str, invalid: Sequence[str] | None) -> dict[str, Any]:
    environments = _environments()

    def look() -> dict[str, Any]:
        return _described(environments.get(name))

    found: dict[str, Any] = _hosts().wait_for_action(look, action, invalid or ())
    return found


def _host(target: int | str) -> str:
    return str(_hosts().host(target))


def _described(found: Environment) -> dict[str, Any]:
    from cloud._resources.environment import described  # noqa: PLC0415 - see `_hosts`

    return described(found)


def _hosts() -> ModuleType:
    from cloud._ssh import setup_machine  # noqa: PLC0415 - few scripts do

    return setup_machine


def _environments() -> EnvironmentClient:
    from cloud._resources.environment import EnvironmentClient  # noqa: PLC0415 - as above

    return EnvironmentClient(client().transport)
