"""Whether the time of a refusal reveals its reason: wrong secret, unknown id or revoked key.

    python -m bench.timing_of_keys --samples 10000

Measured in this process, over SQLite and without sockets, so that nothing but the code is timed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import tempfile
import time
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from statistics import NormalDist, median
from typing import TYPE_CHECKING, Final

import msgspec
from picloud_api.store import layout
from picloud_api.store.commits import Commits
from picloud_api.store.view import View
from picloud_api.usecases.accounts.account import Accounts, new_key
from picloud_driver.state.sqlite import SqliteState
from picloud_model.errors import KeyRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_api.store.draft import Draft

ACCOUNT: Final = "a0000001"
SIGNIFICANT: Final = 0.01


async def timed(accounts: Accounts, key: str) -> int:
    """Return the nanoseconds until a key is refused."""
    began = time.perf_counter_ns()
    with suppress(KeyRefused):
        await accounts.holder(key)
        raise AssertionError
    return time.perf_counter_ns() - began


async def prepared(accounts: Accounts) -> dict[str, str]:
    """Return a key of each kind that is refused."""
    used, revoked = new_key(), new_key()
    await accounts.create(ACCOUNT, "main")
    for key in (used, revoked):
        await accounts.store_key(ACCOUNT, key)
        await accounts.authenticate(key)
    name = layout.key(revoked.split("_")[1])

    async def switch_off(draft: Draft) -> None:
        draft.put(name, msgspec.structs.replace(await draft.get(name), active=False))

    await accounts.commits.run(switch_off)
    wrong = new_key().split("_", 2)[2]
    return {
        "wrong secret": f"pk_{used.split('_')[1]}_{wrong}",
        "unknown id": new_key(),
        "revoked": revoked,
    }


async def measure(folder: Path, samples: int) -> dict[str, list[int]]:
    """Return the nanoseconds of each refusal, by kind; the kinds take turns, in random order."""
    state = SqliteState(folder / "state.sqlite")
    accounts = Accounts(Commits(View(state), "bench"), os.urandom(32), time.time)
    keys = await prepared(accounts)
    times: dict[str, list[int]] = {kind: [] for kind in keys}
    order = list(keys)
    for _ in range(samples):
        random.shuffle(order)
        for kind in order:
            times[kind].append(await timed(accounts, keys[kind]))
    await state.close()
    return times


def p_of_ranks(one: Sequence[int], other: Sequence[int]) -> float:
    """Return the two-sided p of the rank sum test of Mann and Whitney, by its normal approximation.

    >>> p_of_ranks([1, 2, 3, 4], [1, 2, 3, 4])
    1.0
    >>> p_of_ranks(range(50), range(50, 100)) < 1e-9
    True
    """
    ordered = sorted([(value, 0) for value in one] + [(value, 1) for value in other])
    total, ranks, ties, at = len(ordered), 0.0, 0, 0
    while at < total:
        end = at
        while end < total and ordered[end][0] == ordered[at][0]:
            end += 1
        same = end - at
        ranks += (at + 1 + end) / 2 * sum(1 for _, of in ordered[at:end] if of == 0)
        ties += same**3 - same
        at = end
    first, second = len(one), len(other)
    above = ranks - first * (first + 1) / 2 - first * second / 2
    spread = (first * second / 12 * (total + 1 - ties / (total * (total - 1)))) ** 0.5
    return 2 * (1 - NormalDist().cdf(abs(above) / spread))


def main() -> None:
    """Measure, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--samples", type=int, default=10_000, help="refusals of each kind")
    samples = parser.parse_args().samples
    gc.disable()
    with tempfile.TemporaryDirectory() as folder:
        times_by_kind = asyncio.run(measure(Path(folder), samples))
    for kind, times in times_by_kind.items():
        print(f"{kind:14} {len(times):,} refusals, median {median(times) / 1000:.2f} us")
    for one, other in combinations(times_by_kind, 2):
        p = p_of_ranks(times_by_kind[one], times_by_kind[other])
        verdict = "a difference" if p < SIGNIFICANT else "no significant difference"
        print(f"{one} / {other}: p = {p:.3g}, {verdict}")


if __name__ == "__main__":
    main()
