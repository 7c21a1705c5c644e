"""Digests of content: equal in every process, and different for what differs."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import pytest
from cloud import CloudException
from cloud._futures.content_digest import content_digest

VALUES: list[Any] = [
    0, 1, -1, 1.0, True, None, "1", b"1", bytearray(b"1"), 1j, (), [], {}, set(), frozenset(), (1,),
    [1], {1: 2}, {1}, range(3), ..., int, Decimal(1), PurePosixPath("/1"), 10**5000, "\ud800", len,
    [].append, Decimal, sys, lambda: 0, lambda: 1,
]  # fmt: skip

PROGRAM = """
import sys
from cloud._futures.content_digest import content_digest

class Base:
    factor = {factor}
    def scaled(self, x):
        return self.factor * x

class Point(Base):
    def __init__(self, *names):
        self.names = set(names)
        self.me = self

    @property
    def size(self):
        return len(self.names)

def helper(x):
    return Point("a").scaled(x)

def f(x, y={{"k": "v"}}):
    if x < 0:
        return f(-x)
    return [helper(each) for each in range(x)]

print(content_digest((f, Point("a", "b", "c"), {{"a", "b", "c", "d"}})))
"""


def test_different_values_have_different_digests() -> None:
    """Also those that are equal in Python."""
    assert len({content_digest(each) for each in VALUES}) == len(VALUES)


def test_identity_does_not_count() -> None:
    """The same parts in another order of a dict or set, or once more, make the same digest."""
    part = ["x"]

    assert content_digest([part, part]) == content_digest([["x"], ["x"]])
    assert content_digest({"a": 1, "b": 2}) == content_digest({"b": 2, "a": 1})
    part.append(part)  # type: ignore[arg-type]
    assert content_digest(part) != content_digest(["x"])


def test_processes_agree() -> None:
    """On functions and classes of a main program, until code that they use is edited."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM.format(factor=factor)],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed},
        ).stdout
        for factor, seed in ((2, "1"), (2, "2"), (3, "2"))
    ]  # fmt: skip

    assert runs[0] == runs[1] != runs[2]


def test_what_cannot_be_pickled_is_named() -> None:
    """A generator, for one."""
    with pytest.raises(CloudException, match="Cannot tell whether"):
        content_digest(each for each in ())
