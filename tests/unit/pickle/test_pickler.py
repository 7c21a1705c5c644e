"""The pickler of both sides: what it tries again, and what it notes."""

from __future__ import annotations

import pickle
import sys
import threading
from typing import Any

import pytest
from picloud_pickle import Pickler, dumps, pickled

Unpicklable = type("Unpicklable", (), {"lock": threading.Lock(), "__module__": "__main__"})


def test_a_part_that_only_annotations_use_is_left_out_where_it_fails() -> None:
    """A function whose annotation names what cannot be pickled travels without it."""
    scope: dict[str, Any] = {"__name__": "__main__", "Unpicklable": Unpicklable}
    exec("from __future__ import annotations\ndef f(x: Unpicklable) -> int: return 5", scope)

    data, pickler = pickled(Pickler(), scope["f"])

    assert not pickler.extras
    assert pickle.loads(data)(1) == 5


def test_a_failure_is_the_first_ones() -> None:
    """What fails with and without extras is reported as it failed first."""
    with pytest.raises(TypeError, match="lock"):
        dumps({"a": threading.Lock()})


def test_the_recursion_limit_stays_as_it_was() -> None:
    """A value that is nested deep changes nothing for the program."""
    value: Any = None
    for _ in range(3000):
        value = [value]
    limit = sys.getrecursionlimit()

    loaded = pickle.loads(dumps(value))

    assert sys.getrecursionlimit() == limit
    for _ in range(3000):
        (loaded,) = loaded
    assert loaded is None


def test_modules_that_a_pickle_imports_are_noted() -> None:
    """Functions, classes, instances and modules, each by the module it is of."""
    import decimal
    import json.decoder

    pickler = Pickler()
    pickler.pickled([json.dumps, decimal.Decimal(1), json.decoder, threading.Thread])

    assert {"json", "decimal", "json.decoder", "threading"} <= pickler.modules


def test_a_class_that_is_gone_is_not_held() -> None:
    """Pickling instances of a class keeps neither them nor the class alive."""
    import gc
    import weakref

    kind = type("Passing", (), {"__module__": "__main__"})
    dumps(kind())
    reference = weakref.ref(kind)

    del kind
    gc.collect()

    assert reference() is None
