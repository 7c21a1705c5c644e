"""Volumes: directories stored on the server, which jobs can mount."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_volumes(names: Sequence[str]) -> None:
    """Refuse the name of a volume that the account does not have.

    Raises:
        RequestRefused: For every name, because no volume can be created yet.
    """
    if names:
        message = (
            f"There is no volume {names[0][:40]!r} in your account: it has none; leave out _vol."
        )
        raise RequestRefused(message, field="options.vols")
