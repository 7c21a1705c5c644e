"""Jobs can be found again, also after the program that made them has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MAKE = """
import cloud

def half(number):
    return 1 / number

jids = cloud.map(half, [2, 0, 4], _label="found again")
cloud.join(jids, 60, ignore_errors=True)
print(jids)
"""
FIND = """
import cloud

def half(number):
    pass

(row,) = cloud.jobs(label="found again")
print(row.jids, row.function, row.statuses["done"], row.statuses["error"])
print(cloud.result(row.jids, ignore_errors=True)[2])
print([each.jids for each in cloud.jobs(function=half)] == [row.jids])
print([each.jids for each in cloud.jobs(status="error", since=600, label="found again")])
print(cloud.jobs(label="found again", status="queued"))
"""


def test_a_map_is_found_as_one_row(script: Callable[..., str]) -> None:
    """By its label, its function, the statuses of its jobs, and its age."""
    jids = script(MAKE).strip()

    assert script(FIND).splitlines() == [
        f"{jids} __main__.half 2 1",
        "0.25",
        "True",
        f"[{jids}]",
        "[]",
    ]
