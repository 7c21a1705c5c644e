"""Settings from the environment; the only module of the SDK and the CLI that reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def environment() -> dict[str, str]:
    """Return the whole environment, for servers and commands that are started with it."""
    return dict(os.environ)


def set_variables(values: Mapping[str, str]) -> None:
    """Set variables of this process."""
    os.environ.update(values)


def read_variables(names: Iterable[str]) -> dict[str, str]:
    """Return those of the variables that are set, with their values."""
    return {name: os.environ[name] for name in names if name in os.environ}


class ClientSettings(NamedTuple):
    """The settings in the environment.

    `PICLOUD_URL` and `PICLOUD_API_KEY` name a server and the key for it, `PICLOUD_PROFILE` names
    one of the profiles, `PICLOUD_CONFIG_DIR` the directory of their file. In a job
    `PICLOUD_RUNNING` is set, `PICLOUD_JID` is its jid and `PICLOUD_LINE` the name of its
    supervisor's socket, `PICLOUD_VOLUMES` the directory of its volumes. `TERM=dumb` says that the
    terminal has no control sequences.
    """

    url: str | None = None
    api_key: str | None = None
    profile: str | None = None
    config_dir: str | None = None
    running: bool = False
    jid: int | None = None
    job_socket: str | None = None
    volumes: str | None = None
    dumb_terminal: bool = False

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None) -> ClientSettings:
        """Read the environment as it is now; an empty variable is treated as unset.

        >>> ClientSettings.read({"PICLOUD_URL": "http://localhost:8787", "PICLOUD_PROFILE": ""}).url
        'http://localhost:8787'
        """
        variables = os.environ if environ is None else environ
        jid = variables.get("PICLOUD_JID", "")
        return cls(
            url=variables.get("PICLOUD_URL") or None,
            api_key=variables.get("PICLOUD_API_KEY") or None,
            profile=variables.get("PICLOUD_PROFILE") or None,
            config_dir=variables.get("PICLOUD_CONFIG_DIR") or None,
            running=variables.get("PICLOUD_RUNNING", "") not in ("", "0"),
            jid=int(jid) if jid.isascii() and jid.isdigit() else None,
            job_socket=variables.get("PICLOUD_LINE") or None,
            volumes=variables.get("PICLOUD_VOLUMES") or None,
            dumb_terminal=variables.get("TERM") == "dumb",
        )
