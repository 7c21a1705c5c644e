"""Options of call and map."""

from __future__ import annotations

from typing import Any

import pytest
from cloud import CloudException
from cloud.options import split
from picloud_model.core import CORE_TYPES, CoreType
from picloud_model.wire import Options


def test_without_options_there_are_the_original_defaults() -> None:
    """One c1 core, priority 5, restartable."""
    options, arguments = split({"x": 1})

    assert options == Options(core_type="c1", cores=1, label=None, priority=5, restartable=True)
    assert arguments == {"x": 1}


@pytest.mark.parametrize(
    ("name", "near"),
    [("_cors", "_cores"), ("_typ", "_type"), ("_lable", "_label"), ("_restart", "_restartable")],
)
def test_a_misspelt_option_is_answered_with_the_nearest(name: str, near: str) -> None:
    """The message says which option was probably meant."""
    with pytest.raises(CloudException, match=f"no option {name}; did you mean {near}"):
        split({name: 1})


def test_an_unknown_option_is_answered_with_all() -> None:
    """Where nothing is near, the options are listed."""
    with pytest.raises(CloudException, match="_type, _cores, _label, _priority, _restartable"):
        split({"_zzzzzzzz": 1})


@pytest.mark.parametrize(
    "wrong",
    [
        {"_type": "c9"},
        {"_type": None},
        {"_type": ["c1"]},
        {"_cores": "2"},
        {"_cores": True},
        {"_cores": 0},
        {"_cores": 3, "_type": "f2"},
        {"_cores": 2},
        {"_label": 7},
        {"_label": "é"},
        {"_label": "x" * 201},
        {"_priority": -1},
        {"_priority": 1001},
        {"_priority": 1.5},
        {"_priority": True},
        {"_restartable": 0},
    ],
)
def test_values_an_option_cannot_have_are_refused(wrong: Any) -> None:
    """The message names the option."""
    with pytest.raises(CloudException, match=next(iter(wrong))):
        split(wrong)


@pytest.mark.parametrize("core", CORE_TYPES.values(), ids=lambda core: core.name)
def test_every_core_type_takes_its_multiples(core: CoreType) -> None:
    """The Primer's table of supported multiples holds, and a wrong number names the right ones."""
    for cores in core.multiples:
        assert split({"_type": core.name, "_cores": cores})[0].cores == cores
    with pytest.raises(CloudException, match=", ".join(map(str, core.multiples))):
        split({"_type": core.name, "_cores": 15})
