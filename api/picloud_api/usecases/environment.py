"""Environments: the images that slots are made from."""

from __future__ import annotations

from picloud_model.errors import RequestRefused


def image_of(name: str | None) -> str:
    """Return the digest of an environment's image; "" for the base.

    Raises:
        RequestRefused: When the account has no such environment; none can be created yet.

    >>> image_of(None)
    ''
    """
    if name is not None:
        message = (
            f"There is no environment {name[:40]!r} in your account: it has none, and jobs run in "
            "the Python of the machine; leave out _env."
        )
        raise RequestRefused(message, field="options.env")
    return ""
