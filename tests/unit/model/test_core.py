"""Core types: the table of the Primer."""

from __future__ import annotations

from picloud_model.core import CORE_TYPES, DEFAULT_CORE_TYPE


def test_the_core_types_are_those_of_the_primer() -> None:
    """Compute units and memory in MB, as the original platform offered them."""
    offered = {name: (core.compute_units, core.memory_mb) for name, core in CORE_TYPES.items()}

    assert offered == {
        "c1": (1, 300),
        "c2": (2.5, 800),
        "f2": (5.5, 3700),
        "m1": (3.25, 8000),
        "s1": (2, 300),
    }


def test_each_core_type_has_its_own_name_and_single_cores() -> None:
    """A job may always have one core of a type, and the default type exists."""
    assert DEFAULT_CORE_TYPE in CORE_TYPES
    for name, core in CORE_TYPES.items():
        assert core.name == name
        assert 1 in core.multiples
        assert list(core.multiples) == sorted(set(core.multiples))
