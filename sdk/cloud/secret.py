"""`cloud.secret`: passwords, tokens and keys that only your jobs can read.

    cloud.secret.set("db", {"DB_PASSWORD": "..."})
    cloud.call(query, _secrets="db")

A job that names a secret finds its values as environment variables. Nothing returns them to you:
they are in no argument, log, `cloud.info` or page.
"""

from __future__ import annotations

import builtins  # noqa: TC003 - `list` and `set` have another meaning here
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from cloud._client.current import client
from cloud._config.border import of_users
from cloud._config.env_file import parse
from cloud._resources.secret import SecretClient
from cloud.errors import CloudException, CloudTypeError, CloudValueError

if TYPE_CHECKING:
    import os

__all__ = ["list", "remove", "set"]


_EXAMPLE: Final = "such as {'DB_PASSWORD': '...'}"


@of_users
def set(  # noqa: A001 - users write cloud.secret.set
    name: str,
    values: Mapping[str, str] | None = None,
    *,
    env_file: str | os.PathLike[str] | None = None,
    as_file: bool = False,
) -> None:
    """Store a secret under a name, in place of an earlier one.

    Jobs that start from now on find the new values, also those that wait already.

    Args:
        name: Up to 64 letters, digits, hyphens and underscores.
        values: Texts by the names of environment variables, up to 60,000 bytes in all.
        env_file: The path of a file with a line `NAME=value` for each, in place of `values`.
        as_file: Whether each variable has the path of a file that holds the value, as programs
            want it for keys and certificates. The files are in memory, and only while the job runs.

    Raises:
        CloudException: When the name or a variable is not allowed, the file cannot be read, or the
            account has 100 secrets already.

    >>> import os
    >>> cloud.secret.set("db", {"DB_USER": "me", "DB_PASSWORD": "tops3cret"})
    >>> cloud.result(cloud.call(os.getenv, "DB_USER", _secrets="db"))
    'me'
    """
    if (values is None) == (env_file is None):
        raise CloudTypeError("cloud.secret.set needs either values or env_file=.")
    given = _read(env_file) if env_file is not None else values
    if not isinstance(given, Mapping) or not all(
        isinstance(text, str) for pair in given.items() for text in pair
    ):
        # Without the values: they would be in a traceback.
        raise CloudTypeError(f"values must be a dict of texts by names of variables, {_EXAMPLE}.")
    if not given:
        raise CloudValueError(f"A secret needs at least one variable with its value, {_EXAMPLE}.")
    _client().set(_name(name), given, as_file=bool(as_file))


@of_users
def list() -> builtins.list[dict[str, Any]]:  # noqa: A001 - users write cloud.secret.list
    """Return the secrets that your jobs may name, without their values.

    Returns:
        For each secret a dict with its `name`, its `variables`, whether it is `as_file`, when it
        was `set` last, and whether it is `minted`: made anew for each job, by a source that the
        operator of the server has defined.

    >>> cloud.secret.set("api", {"API_TOKEN": "t0ken"})
    >>> [each["variables"] for each in cloud.secret.list() if each["name"] == "api"]
    [['API_TOKEN']]
    """
    return [
        {
            "name": each.name,
            "variables": each.variables,
            "as_file": each.as_file,
            "set": datetime.fromtimestamp(each.set_at).astimezone(),
            "minted": each.minted,
        }
        for each in _client().list()
    ]


@of_users
def remove(name: str) -> None:
    """Remove a secret; jobs that name it and have not started will fail.

    Raises:
        CloudException: When there is no such secret.

    >>> cloud.secret.set("old", {"OLD_TOKEN": "t0ken"})
    >>> cloud.secret.remove("old")
    """
    _client().remove(_name(name))


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise CloudTypeError(f"A secret has a text as its name, not {name!r:.80}.")
    return name


def _read(path: str | os.PathLike[str]) -> dict[str, str]:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CloudException(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise CloudValueError(f"{path} is not a text in UTF-8.") from None
    return parse(text, str(path))


def _client() -> SecretClient:
    return SecretClient(client().transport)


def __dir__() -> builtins.list[str]:
    return sorted(__all__)
