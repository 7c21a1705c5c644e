"""A day of work on a group of machines, played by a clock of its own."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from typing import TYPE_CHECKING, Final

from picloud_driver.nomad.administrator import ClientMachine

if TYPE_CHECKING:
    from collections.abc import Iterable

STEP_S: Final = 240.0
STEPS: Final = 360
CORES: Final = 2
"""How many jobs a machine runs at once."""
JOIN_STEPS: Final = 1
"""How long a machine takes from its start until it takes slots."""
JOB_STEPS: Final = 5
"""How long a job runs."""


@dataclasses.dataclass
class Client:
    """A machine that has been started: the steps at which its jobs end."""

    address: str
    joins: int
    ends: list[int] = dataclasses.field(default_factory=list)
    eligible: bool = True


class Day:
    """Jobs that arrive over a day, and the machines that run them; the oldest job is the next."""

    def __init__(self) -> None:
        self.step = 0
        self.clients: dict[str, Client] = {}
        self.waited: list[int] = []
        """For each job that has begun, how many steps it waited."""
        self.stopped = 0
        """Jobs whose machine ended while they ran."""
        self.machine_steps = 0
        self._queue: deque[int] = deque()

    @property
    def now(self) -> float:
        """The time in seconds."""
        return self.step * STEP_S

    @property
    def cores(self) -> int:
        """How many cores the jobs that run or wait could use."""
        return len(self._queue) + sum(len(each.ends) for each in self.clients.values())

    def machines(self) -> list[ClientMachine]:
        """Return those that have joined, as Nomad does."""
        return [
            ClientMachine(
                id=each, address=found.address, eligible=found.eligible, slots=len(found.ends)
            )
            for each, found in self.clients.items()
            if found.joins <= self.step
        ]

    def drain(self, machine: str, deadline_s: float) -> None:
        """Give a machine no further jobs; no job here runs until a deadline."""
        assert deadline_s >= JOB_STEPS * STEP_S
        self.clients[machine].eligible = False

    def keep(self, machine: str) -> None:
        """Give a machine jobs again."""
        self.clients[machine].eligible = True

    def exist(self, machines: Iterable[tuple[str, str]]) -> None:
        """Follow which machines there are, by ids and addresses."""
        present = dict(machines)
        for gone in self.clients.keys() - present.keys():
            self.stopped += len(self.clients.pop(gone).ends)
        for each, address in present.items():
            if each not in self.clients:
                self.clients[each] = Client(address, self.step + JOIN_STEPS)

    def advance(self) -> None:
        """Let a step pass: jobs end, arrive and begin."""
        self.step += 1
        for each in self.clients.values():
            each.ends = [end for end in each.ends if end > self.step]
        self._queue.extend([self.step] * arriving(self.step))
        for each in self.clients.values():
            if each.eligible and each.joins <= self.step:
                while self._queue and len(each.ends) < CORES:
                    self.waited.append(self.step - self._queue.popleft())
                    each.ends.append(self.step + JOB_STEPS)
        self.machine_steps += len(self.clients)

    @property
    def hours(self) -> float:
        """How many hours machines ran, together."""
        return self.machine_steps * STEP_S / 3600

    @property
    def waiting_s(self) -> float:
        """How long a job waited, on average."""
        return sum(self.waited) * STEP_S / len(self.waited)


def arriving(step: int) -> int:
    """Return how many jobs arrive in a step: few at night, more by day, and two large maps."""
    hour = step * STEP_S / 3600
    by_day = max(0.0, math.sin(math.pi * (hour - 7) / 12)) if 7 <= hour <= 19 else 0.0
    # Whole jobs, of a rate that is not whole.
    rate = 0.2 + 3.2 * by_day
    usual = int(rate * (step + 1)) - int(rate * step) if rate >= 1 else int(step * rate % 1 < rate)
    return usual + {150: 40, 240: 60}.get(step, 0)


def fixed(count: int) -> Day:
    """Play the day with a fixed number of machines."""
    day = Day()
    day.exist([(f"i-{number}", f"10.0.0.{number}") for number in range(count)])
    for _ in range(STEPS):
        day.advance()
    return day


def least_hours(most: int) -> float:
    """Return for how long machines have to run, at least, if each job is known before.

    Each job begins when it arrives, or as soon as one of `most` machines has a core.
    """
    day = fixed(most)
    busy = [0] * (STEPS + JOB_STEPS + 1)
    arrivals = [step for step in range(1, STEPS + 1) for _ in range(arriving(step))]
    for arrived, waited in zip(arrivals, day.waited, strict=False):
        for step in range(arrived + waited, arrived + waited + JOB_STEPS):
            busy[min(step, STEPS + JOB_STEPS)] += 1
    return sum(-(-count // CORES) for count in busy[: STEPS + 1]) * STEP_S / 3600
