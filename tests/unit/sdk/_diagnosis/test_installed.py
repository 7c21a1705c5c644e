"""Which versions a process has."""

from __future__ import annotations

import platform

import msgspec
from cloud._diagnosis.installed import PYTHON, versions_of


def test_each_name_has_its_version_here() -> None:
    """Distributions, Python itself, and None for what is not installed."""
    assert versions_of([PYTHON, "msgspec", "no-such-distribution"]) == {
        "python": platform.python_version(),
        "msgspec": msgspec.__version__,
        "no-such-distribution": None,
    }
