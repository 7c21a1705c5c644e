"""Core types: the kinds of cores that a job can request (the Primer's tables)."""

from __future__ import annotations

from typing import Final

import msgspec


class CoreType(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of core.

    `compute_units` is the guaranteed share (1 is a 2007 Xeon of 1.0-1.2 GHz), `memory_mb` the
    memory limit of one core in MB, `multiples` the numbers of cores that one job may have. With
    `own_address`, each core is to have an IP address of its own, so a machine of a cluster has one.
    """

    name: str
    use: str
    compute_units: float
    memory_mb: int
    multiples: tuple[int, ...]
    own_address: bool = False

    @property
    def allowed(self) -> str:
        """How many cores one job may have, in words.

        >>> CORE_TYPES["c1"].allowed, CORE_TYPES["c2"].allowed
        ('1 core', '1, 2, 4, 8 cores')
        """
        return f"{', '.join(map(str, self.multiples))} core{'s' * (self.multiples != (1,))}"


CORE_TYPES: Final[dict[str, CoreType]] = {
    core.name: core
    for core in (
        CoreType(name="c1", use="prototyping", compute_units=1, memory_mb=300, multiples=(1,)),
        CoreType(
            name="c2", use="simple tasks", compute_units=2.5, memory_mb=800, multiples=(1, 2, 4, 8)
        ),
        CoreType(
            name="f2",
            use="well-rounded",
            compute_units=5.5,
            memory_mb=3700,
            multiples=(1, 2, 4, 8, 16),
        ),
        CoreType(
            name="m1",
            use="memory-bound",
            compute_units=3.25,
            memory_mb=8000,
            multiples=(1, 2, 4, 8),
        ),
        CoreType(
            name="s1",
            use="scraping",
            compute_units=2,
            memory_mb=300,
            multiples=(1,),
            own_address=True,
        ),
    )
}
"""Every core type by its name."""

DEFAULT_CORE_TYPE: Final = "c1"
DEFAULT_PRICES: Final = {
    name: round(0.22 * core.compute_units / CORE_TYPES["f2"].compute_units, 4)
    for name, core in CORE_TYPES.items()
}
"""Dollars for an hour of one core: PiCloud's price of an f2, the others by their compute units."""
DEFAULT_FREE_HOURS: Final = {"c1": 20.0}
"""Core hours for which an account does not pay in a month, by core type."""
