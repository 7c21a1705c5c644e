"""`cloud.environment`: what your jobs find besides your own modules.

    cloud.environment.build("science", {"pip": ["numpy", "pandas"]})
    cloud.call(f, _env="science")

An environment is built from a recipe, a version each time that the recipe changes. Or it is
created, changed by hand in a setup machine, and saved:

    cloud.environment.create("plots", "base/python3.11")
    cloud.environment.ssh("plots", "pip install matplotlib")
    cloud.environment.save_shutdown("plots")
"""

from __future__ import annotations

import builtins  # noqa: TC003 - other modules of this package have a function `list`
import sys
from typing import TYPE_CHECKING, Any

from cloud._client.current import client
from cloud._config.border import of_users
from cloud._ssh.setup_functions import (
    create,
    get_key_path,
    get_setup_hostname,
    modify,
    rsync,
    run_script,
    save,
    save_shutdown,
    shutdown,
    ssh,
    wait_for_edit,
    wait_for_idle,
)
from cloud.errors import CloudException

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_model.wire.environment import Environment, StoredVersion

    from cloud._resources.environment import EnvironmentClient

__all__ = [
    "build",
    "clone",
    "create",
    "delete",
    "edit_info",
    "get",
    "get_key_path",
    "get_setup_hostname",
    "history",
    "list_bases",
    "list_envs",
    "log",
    "make_private",
    "make_public",
    "modify",
    "recipe",
    "rollback",
    "rsync",
    "run_script",
    "save",
    "save_shutdown",
    "shutdown",
    "ssh",
    "wait_for_edit",
    "wait_for_idle",
]


@of_users
def build(
    name: str,
    recipe: Any,
    desc: str | None = None,
    wait: bool = True,
    show: Callable[[str], object] | None = None,
) -> dict[str, Any]:
    """Build an environment from a recipe, as its next version.

    What was built before from an equal recipe is not built again. Jobs that were submitted before
    keep the version that they have.

    Args:
        name: Up to 30 letters, digits, dots, hyphens and underscores.
        recipe: The path of a TOML file, or a dict with the same keys: `base`, `pip` (a list of
            requirements), `requirements` (the path of a requirements file), `lock` (the path of a
            `uv.lock` or `pylock.toml`), `files` (a table of paths), `texts` (a table of the
            contents of files), `commands` (a list of lines for a shell) and `test` (a command).
        desc: A description for yourself.
        wait: Whether to return only when the build has ended.
        show: Called with each part of the log, while this waits; by default it is printed to
            standard error.

    Returns:
        What `get` returns.

    Raises:
        CloudException: When the recipe has an unknown key or value, or a step of the build fails;
            it has the last lines of that step.

    >>> made = cloud.environment.build("tiny", {"test": "python -c 'import sys'"}, show=len)
    >>> cloud.result(cloud.call(pow, 2, 10, _env="tiny"))
    1024
    """
    from cloud._resources.recipe import recipe as read_recipe  # noqa: PLC0415 - see `_client`

    environments = _client()
    environments.build(name, read_recipe(recipe), desc)
    if wait:
        environments.follow(name, show or sys.stderr.write)
    return _described(environments.get(name))


@of_users
def log(name: str) -> str:
    """Return the log of the latest build of an environment, as far as it is.

    Args:
        name: The name of the environment.

    Raises:
        CloudException: When there is no such environment.
    """
    parts: builtins.list[str] = []
    environments = _client()
    try:
        environments.follow(name, parts.append, wait=False)
    except CloudException:
        if not parts:
            raise
    return "".join(parts)


@of_users
def get(name: str) -> dict[str, Any]:
    """Return the state of an environment and its packages.

    Args:
        name: Its name, or `/owner/name` for a public one.

    Returns:
        A dict with its `name`, `path` (the name for other accounts), `desc`, `status` of the latest
        build ("ready", "building" or "failed", "new" before the first) and the `problem` of a
        failed one, the `action` that happens to it ("idle", "build", "save", or "edit" while a
        setup machine is open), the `version` that jobs run in (None before the first), its `base`,
        `python`, installed `packages` and `size` in bytes, whether it is `public`, and when it was
        `created` and `modified`.

    Raises:
        CloudException: When there is no such environment.
    """
    return _described(_client().get(name))


@of_users
def list_envs(
    name: str | builtins.list[str] | None = None, public: bool = False
) -> builtins.list[dict[str, Any]]:
    """Return your environments by name, each as `get` does.

    Args:
        name: The names of the environments to list; all by default.
        public: Whether to list the public environments of all accounts instead.

    Raises:
        CloudException: When there is no environment of one of the names.
    """
    if name is not None:
        names = [name] if isinstance(name, str) else name
        return [_described(_client().get(each)) for each in names]
    return [_described(each) for each in _client().list(public=public)]


@of_users
def list_bases() -> builtins.list[dict[str, str]]:
    """Return what environments can be built on, the default first: `name`, `python`, `desc`.

    >>> [base["name"].startswith("base/") for base in cloud.environment.list_bases()][0]
    True
    """
    return [
        {"name": each.name, "python": each.python, "desc": each.desc} for each in _client().bases()
    ]


@of_users
def clone(
    parent_name: str, new_name: str | None = None, new_desc: str | None = None
) -> dict[str, Any]:
    """Copy the current version of an environment; later changes of one do not change the other.

    Args:
        parent_name: The name of the environment to copy, or `/owner/name` of a public one.
        new_name: The name of the copy; by default `<name>_clone`.
        new_desc: A description; by default that of the environment.

    Raises:
        CloudException: When there is no such environment, or the name is taken.
    """
    name = new_name or f"{parent_name.rpartition('/')[2]}_clone"
    return _described(_client().clone(parent_name, name, new_desc))


@of_users
def edit_info(name: str, new_name: str | None = None, new_desc: str | None = None) -> None:
    """Change the name or the description of an environment.

    Args:
        name: The name that it has.
        new_name: Another name.
        new_desc: Another description.

    Raises:
        CloudException: When there is no such environment, the new name is taken, or jobs use it.
    """
    _client().edit(name, new_name, new_desc)


@of_users
def history(name: str) -> builtins.list[dict[str, Any]]:
    """Return the last versions of an environment, the current one last.

    Returns:
        For each a dict with its `version`, when it was `created`, its `base`, `python`, `image`
        (the digest of what was built) and the `pip` requirements of its recipe.
    """
    return [_version(each) for each in _client().get(name).versions]


@of_users
def recipe(name: str, version: int | None = None) -> dict[str, Any]:
    """Return the recipe of an environment, from which `build` makes it again.

    Args:
        name: The name of the environment, or `/owner/name` of a public one.
        version: A version in its `history`; the current one by default.

    Returns:
        A dict with those of the keys of a recipe that it has. Requirements and locks have become
        `pip`, and files `texts`.

    Raises:
        CloudException: When there is no such environment or version.

    >>> _ = cloud.environment.build("noted", {"texts": {"share/answer": "42"}}, show=len)
    >>> cloud.environment.recipe("noted")
    {'texts': {'share/answer': '42'}}
    """
    from cloud._resources.recipe import described  # noqa: PLC0415 - see `_client`

    versions = {each.number: each for each in _client().get(name).versions}
    wanted = max(versions, default=0) if version is None else version
    if wanted not in versions:
        has = ", ".join(map(str, versions)) or "none yet"
        which = "version" if version is None else f"version {version}"
        raise CloudException(f"The environment {name!r} has no {which}; it has {has}.")
    return described(versions[wanted].recipe)


@of_users
def rollback(name: str, version: int) -> dict[str, Any]:
    """Make an earlier version of an environment the current one; it becomes its next version.

    Args:
        name: The name of the environment.
        version: A version in its `history`.

    Raises:
        CloudException: When there is no such environment or version.
    """
    return _described(_client().roll_back(name, version))


@of_users
def make_public(name: str) -> str:
    """Let all accounts of this server run jobs in an environment, and clone it.

    Returns:
        The name by which they find it: `/owner/name`.

    Raises:
        CloudException: When it was changed by hand in a container: its programs would have the
            rights of slots of others.
    """
    return _client().publish(name, public=True).path


@of_users
def make_private(name: str) -> None:
    """Let only your own jobs run in an environment; clones of it stay."""
    _client().publish(name, public=False)


@of_users
def delete(name: str) -> None:
    """Delete an environment.

    Args:
        name: The name of the environment.

    Raises:
        CloudException: When there is no such environment, or jobs that use it have not ended.
    """
    _client().delete(name)


def __dir__() -> builtins.list[str]:
    """List what users call."""
    return __all__


def _client() -> EnvironmentClient:
    from cloud._resources.environment import EnvironmentClient  # noqa: PLC0415 - few scripts do

    return EnvironmentClient(client().transport)


def _described(found: Environment) -> dict[str, Any]:
    from cloud._resources.environment import described  # noqa: PLC0415 - see `_client`

    return described(found)


def _version(each: StoredVersion) -> dict[str, Any]:
    from cloud._resources.environment import time_of  # noqa: PLC0415 - see `_client`

    return {
        "version": each.number,
        "created": time_of(each.made_at),
        "base": each.base,
        "python": each.python,
        "image": each.image,
        "pip": each.recipe.pip,
    }
