"""Volumes: directories that are kept on the server, for jobs to mount."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_volumes(names: Sequence[str]) -> None:
    """Refuse a name that no volume of the account has.

    Raises:
        RequestRefused: There are none yet, so that is so for every name.
    """
    if names:
        message = (
            f"There is no volume {names[0][:40]!r} in your account: it has none; leave out _vol."
        )
        raise RequestRefused(message, field="options.vols")
