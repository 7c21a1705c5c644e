"""The names of environment variables that secrets set in jobs."""

from __future__ import annotations

import re
from typing import Final

from picloud_model.errors import RequestRefused

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def check_variable(name: str, field: str) -> None:
    """Refuse what cannot name an environment variable of a job.

    Raises:
        RequestRefused: Names the field of the request.

    >>> check_variable("DB_PASSWORD", "values")
    """
    if _VARIABLE.fullmatch(name) is None:
        message = (
            f"{name[:40]!r} cannot name a variable: use letters, digits and underscores, and "
            "do not begin with a digit."
        )
        raise RequestRefused(message, field=field)
