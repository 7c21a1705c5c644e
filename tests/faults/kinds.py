"""The kinds of faults that campaigns inject: processes are killed, terminated and stopped.

Each is a function of the stack, a source of chance, and the timeline. It returns once the fault is
over: what it killed or stopped is there again, or the platform replaces it by itself.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias

import psutil

from tests.e2e.stack_hashicorp import SERVERS, HashiCorpStack
from tests.e2e.stacks import kill
from tests.faults.census import root_client
from tests.polling import until

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable

    from tests.e2e.stacks import Stack
    from tests.faults.timeline import Timeline

    Fault: TypeAlias = Callable[[Stack, random.Random, Timeline], None]

SHORT_STOP_S: Final = 3.0
"""Processes are stopped for less than this: a lease outlives it."""
LONG_STOP_S: Final = 25.0
"""A slot that is stopped for so long is counted as lost."""


def kill_all(stack: Stack, _: random.Random, timeline: Timeline) -> None:
    """Every process of the stack dies at once, and it is started again."""
    stack.kill9()
    with timeline.down():
        stack.start()


def kill_api(stack: Stack, _: random.Random, timeline: Timeline) -> None:
    """The API dies, its master included, and is started again; slots go on."""
    stack.kill9_api()
    with timeline.down():
        stack.start()


def kill_api_worker(stack: Stack, _: random.Random, __: Timeline) -> None:
    """The processes that serve the API die; their master starts others."""
    for worker in stack.api()[1:]:
        kill(worker)


def stop_api(stack: Stack, chance: random.Random, timeline: Timeline) -> None:
    """The API is stopped for a moment, and goes on."""
    with timeline.down():
        _stop(stack.api(), chance.uniform(0.1, SHORT_STOP_S))


def kill_slot(stack: Stack, chance: random.Random, _: Timeline) -> None:
    """The supervisor of a slot dies."""
    kill(_slot(stack, chance))


def kill_child(stack: Stack, chance: random.Random, _: Timeline) -> None:
    """The process of a job dies."""
    for zygote in _slot(stack, chance).children():
        for child in zygote.children()[:1]:
            kill(child)


def terminate_slot(stack: Stack, chance: random.Random, _: Timeline) -> None:
    """A slot is asked to end, as when its machine is drained."""
    _signal(family(_slot(stack, chance)), signal.SIGTERM)


def stop_slot(stack: Stack, chance: random.Random, _: Timeline) -> None:
    """A slot is stopped for a moment, and goes on."""
    _stop(family(_slot(stack, chance)), chance.uniform(0.1, SHORT_STOP_S))


def stop_slot_for_long(stack: Stack, chance: random.Random, _: Timeline) -> None:
    """A slot is stopped until it counts as lost; what it reports afterwards must not count."""
    _stop(family(_slot(stack, chance)), LONG_STOP_S)


def kill_server(stack: Stack, chance: random.Random, _: Timeline) -> None:
    """One of Nomad, Consul, Vault, S3 and NATS dies, and is started again."""
    servers = _servers(stack)
    servers.kill_server(chance.choice(SERVERS))
    servers.revive()


def stop_server(stack: Stack, chance: random.Random, _: Timeline) -> None:
    """One of these servers hangs for a moment, its connections open, and goes on."""
    servers = _servers(stack)
    _stop(servers.server(chance.choice(SERVERS)), chance.uniform(0.1, SHORT_STOP_S))


def seal_vault(stack: Stack, chance: random.Random, _: Timeline) -> None:
    """Vault is sealed for a moment, and unsealed again."""
    servers = _servers(stack)
    seal(servers)
    time.sleep(chance.uniform(0.1, SHORT_STOP_S))
    servers.revive()


def seal(servers: HashiCorpStack) -> None:
    """Seal Vault; `revive` unseals it."""
    client = root_client(servers)
    try:
        client.sys.seal()
    finally:
        client.adapter.close()


OFTEN: Final[tuple[Fault, ...]] = (
    kill_slot,
    kill_child,
    terminate_slot,
    kill_api_worker,
    kill_api,
    stop_slot,
    stop_api,
)
SELDOM: Final[tuple[Fault, ...]] = (kill_all, stop_slot_for_long)
"""One in twenty faults of a campaign is one of these, which take long."""
OF_SERVERS: Final[tuple[Fault, ...]] = (kill_server, stop_server, seal_vault)
"""On stacks that have servers of other vendors."""


def drawn(stack: Stack, count: int, chance: random.Random) -> list[Fault]:
    """Return so many faults in an order of chance, each kind as often as the others like it."""
    often = [*OFTEN, *(OF_SERVERS if isinstance(stack, HashiCorpStack) else ())]
    seldom = count // 20
    faults = [
        *(often[at % len(often)] for at in range(count - seldom)),
        *(SELDOM[at % len(SELDOM)] for at in range(seldom)),
    ]
    chance.shuffle(faults)
    return faults


def _slot(stack: Stack, chance: random.Random) -> psutil.Process:
    return chance.choice(until(stack.slots, "there is a slot"))


def family(slot: psutil.Process) -> list[psutil.Process]:
    """Return a slot's supervisor and all of its descendants, these first."""
    with suppress(psutil.NoSuchProcess):
        return [*slot.children(recursive=True), slot]
    return []


def _servers(stack: Stack) -> HashiCorpStack:
    assert isinstance(stack, HashiCorpStack)
    return stack


def _stop(processes: Iterable[psutil.Process], seconds: float) -> None:
    stopped = [*processes]
    _signal(stopped, signal.SIGSTOP)
    time.sleep(seconds)
    _signal(stopped, signal.SIGCONT)


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
