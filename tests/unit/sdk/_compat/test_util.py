"""`cloud.util`: it can be imported, and names what a script misses in it."""

from __future__ import annotations

import pytest


def test_what_it_held_is_named() -> None:
    """The error for a script that uses one of those helpers names it."""
    from cloud import util

    with pytest.raises(AttributeError, match="no 'OrderedDict'"):
        _ = util.OrderedDict
