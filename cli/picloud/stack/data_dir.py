"""Which stacks there are, and where each keeps its data."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import platformdirs


class StackName(StrEnum):
    """What PiCloud runs on."""

    EMBEDDED = "embedded"
    """This machine alone: SQLite, files, processes."""
    HASHICORP = "hashicorp"
    """Nomad, Consul, Vault and S3."""


def default(stack: StackName) -> Path:
    """Where a stack keeps its data unless it is told otherwise.

    >>> default(StackName.HASHICORP).parent == default(StackName.EMBEDDED)
    True
    """
    root = Path(platformdirs.user_data_dir("picloud", appauthor=False))
    return root if stack is StackName.EMBEDDED else root / stack.value
