"""`cloud.util`: the original client's helpers. Scripts import the module, not what it held."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    raise AttributeError(
        f"cloud.util has no {name!r}: it held the original client's own helpers, which do not "
        "exist here."
    )
