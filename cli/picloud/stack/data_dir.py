"""The stacks, and the default data directory of each."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import platformdirs


class StackName(StrEnum):
    """What PiCloud runs on."""

    EMBEDDED = "embedded"
    """This machine only: SQLite, files and processes."""
    HASHICORP = "hashicorp"
    """Nomad, Consul, Vault, S3 and NATS."""


def default(stack: StackName) -> Path:
    """Return the default data directory of a stack.

    >>> default(StackName.HASHICORP).parent == default(StackName.EMBEDDED)
    True
    """
    root = Path(platformdirs.user_data_dir("picloud", appauthor=False))
    return root if stack is StackName.EMBEDDED else root / stack.value
