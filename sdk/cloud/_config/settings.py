"""Settings from the environment: the one place of the SDK and the CLI that reads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def environment() -> dict[str, str]:
    """All of the environment, for servers that are started: it may name others they need."""
    return dict(os.environ)


def variables(names: Iterable[str]) -> dict[str, str]:
    """Those of the variables that are set, with their values: what `_os_env_vars` names."""
    return {name: os.environ[name] for name in names if name in os.environ}


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment says.

    `PICLOUD_URL` and `PICLOUD_API_KEY` name a server and the key for it, `PICLOUD_PROFILE` picks
    one of the profiles, `PICLOUD_CONFIG_DIR` says where these lie. In a job `PICLOUD_RUNNING` is
    set, `PICLOUD_JID` is its jid and `PICLOUD_LINE` names the socket of its supervisor.
    """

    url: str | None = None
    api_key: str | None = None
    profile: str | None = None
    config_dir: str | None = None
    running: bool = False
    jid: int | None = None
    line: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None) -> ClientSettings:
        """Read the environment as it is now; an empty variable counts as unset.

        >>> ClientSettings.read({"PICLOUD_URL": "http://localhost:8787", "PICLOUD_PROFILE": ""}).url
        'http://localhost:8787'
        """
        found = os.environ if environ is None else environ
        jid = found.get("PICLOUD_JID", "")
        return cls(
            url=found.get("PICLOUD_URL") or None,
            api_key=found.get("PICLOUD_API_KEY") or None,
            profile=found.get("PICLOUD_PROFILE") or None,
            config_dir=found.get("PICLOUD_CONFIG_DIR") or None,
            running=found.get("PICLOUD_RUNNING", "") not in ("", "0"),
            jid=int(jid) if jid.isascii() and jid.isdigit() else None,
            line=found.get("PICLOUD_LINE") or None,
        )
