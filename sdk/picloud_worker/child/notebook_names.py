"""Names that notebooks have without an import, and so the functions that were written in one."""

from __future__ import annotations

import builtins


def display(*values: object, **_options: object) -> None:
    """Print values as `IPython.display.display` does where only text can be shown."""
    for value in values:
        print(repr(value))  # noqa: T201 - it is for the job's own output


def install() -> None:
    """Let code of jobs find these names."""
    vars(builtins).setdefault("display", display)
