"""Environments: the file systems that jobs can find themselves in."""

from __future__ import annotations

from picloud_model.errors import RequestRefused


def check_environment(name: str | None) -> None:
    """Refuse a name that no environment of the account has.

    Raises:
        RequestRefused: There are none yet, so that is so for every name.
    """
    if name is not None:
        message = (
            f"There is no environment {name[:40]!r} in your account: it has none, and jobs run in "
            "the Python of the machine; leave out _env."
        )
        raise RequestRefused(message, field="options.env")
