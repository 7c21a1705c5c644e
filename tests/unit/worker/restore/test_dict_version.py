"""A version tells whether a dict was changed, by whatever way."""

from __future__ import annotations

import builtins
import sys
from collections import OrderedDict, defaultdict
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from picloud_worker.restore.dict_version import version_of

if TYPE_CHECKING:
    from collections.abc import Callable

MODULE = ModuleType("module")
CHANGES: dict[str, Callable[[dict[Any, Any]], Any]] = {
    "add": lambda owner: owner.__setitem__("new", 1),
    "replace": lambda owner: owner.__setitem__("kept", "other"),
    "delete": lambda owner: owner.__delitem__("kept"),
    "pop": lambda owner: owner.pop("kept"),
    "clear": lambda owner: owner.clear(),
    "update": lambda owner: owner.update(kept="other"),
    "there and back": lambda owner: owner.update(kept="other") or owner.update(kept="value"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", [dict, OrderedDict, defaultdict])
def test_a_change_gives_another_version(kind: type[dict[str, Any]], change: str) -> None:
    """Also one that puts back what was there: what compares then finds nothing."""
    owner = kind(kept="value")
    version = version_of(owner)
    noted = version.value

    CHANGES[change](owner)

    assert version.value != noted


def test_attributes_of_a_module_count() -> None:
    """Code sets and deletes them without naming the dict."""
    version = version_of(vars(MODULE))

    noted = version.value
    MODULE.number = 1  # type: ignore[attr-defined]
    changed = version.value
    exec("global number\nnumber = 2", vars(MODULE))

    assert len({noted, changed, version.value}) == 3


def test_reading_does_not_change_the_version() -> None:
    """So that a dict that stays as it is needs no comparison; from 3.13 on all differ."""
    version = version_of(vars(builtins))
    noted = version.value

    assert vars(builtins).get("open") is open
    assert [*vars(builtins).values()]
    assert (version.value == noted) is (sys.version_info < (3, 13))


def test_what_is_not_a_dict_always_differs() -> None:
    """It has to be compared."""
    version = version_of([])

    assert version.value != version.value
