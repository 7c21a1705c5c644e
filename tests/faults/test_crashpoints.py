"""A process ends at each named crash point in turn, and nothing is lost."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.e2e.processes import alive
from tests.e2e.stacks import Options
from tests.faults.ledger import Ledger
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.stacks import Stack

ROOT = Path(__file__).parents[2]


def points(room: str) -> list[str]:
    """Return every crash point that the source of a package names."""
    names = set()
    for source in (ROOT / room).rglob("*.py"):
        names |= set(re.findall(r'\bcrashpoint\("([a-z._]+)"\)', source.read_text()))
    return sorted(names)


@pytest.mark.parametrize("passes", [1, 5])
@pytest.mark.parametrize("point", points("api/picloud_api"))
def test_the_server_dies_there(begin: Callable[..., Stack], point: str, passes: int) -> None:
    """The server ends at a point of a submit, a lease, a report or a commit. After a restart it has
    every job that it acknowledged and no other, and each has one result.
    """
    stack = begin()
    ledger = Ledger(stack)
    stack.restart(Options(crashpoint=f"{point}:{passes}"))
    victim = stack.api()[-1]

    submitting = ledger.submit_meanwhile(8, 50)
    until(lambda: not alive(victim), f"the server has died at {point}")
    stack.restart(Options())
    submitting.join()

    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_max <= 2
    assert ledger.jids == list(range(1, 401))


@pytest.mark.parametrize("passes", [1, 3])
@pytest.mark.parametrize("point", points("sdk/picloud_worker"))
def test_a_slot_dies_there(begin: Callable[..., Stack], point: str, passes: int) -> None:
    """A slot ends at a point between its lease and its report; another one runs the jobs that it
    held.
    """
    stack = begin(slot_crashpoint=f"{point}:{passes}")
    ledger = Ledger(stack)

    ledger.submit(400)
    ledger.client.join(ledger.jids, 60, ignore_errors=True)
    [flag] = stack.shared.parent.glob("armed.*")
    victim = int(flag.suffix[1:])
    # The other slot may have run so many of the jobs that this one has not passed often enough.
    until(lambda: _ended(victim) or ledger.submit(20), f"the slot has died at {point}")

    totals = ledger.settle()
    assert totals.kept, totals
    assert totals.executions_max <= 2


def _ended(pid: int) -> bool:
    try:
        return not alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return True
