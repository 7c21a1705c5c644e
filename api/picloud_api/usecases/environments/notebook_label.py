"""Labels: the first part of the host names at which browsers reach notebooks.

A label begins with the account and ends with letters, so that it is a valid one, whatever the name.
"""

from __future__ import annotations

import re
from typing import Final

_LABEL: Final = re.compile(r"(a[0-9a-f]{7})-(.{1,40})-nb")


def label_of(account: str, name: str) -> str:
    """Return the name of the host of a notebook.

    >>> label_of("a0000001", "sales")
    'a0000001-sales-nb'
    """
    return f"{account}-{name}-nb"


def notebook_of(label: str) -> tuple[str, str]:
    """Return the account and the name of a notebook; "" where a label is not one of a notebook.

    >>> notebook_of("a0000001-sales-2012-nb"), notebook_of("www")
    (('a0000001', 'sales-2012'), ('', ''))
    """
    matched = _LABEL.fullmatch(label)
    return (matched[1], matched[2]) if matched else ("", "")
