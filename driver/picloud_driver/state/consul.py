"""State in Consul: shared by every server process of the stack.

Keys lie under `<prefix>state/`, locks under `<prefix>lock/`. It needs Consul 1.14 or newer.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import secrets
import weakref
from typing import TYPE_CHECKING, ClassVar, Final

from picloud_model.errors import RequestRefused, Unavailable

from picloud_driver.consul.gateway import STEPS, Step, StepsFailed, Verb
from picloud_driver.consul.threads import ConsulThreads
from picloud_driver.state.consul_lock import SessionLock
from picloud_driver.state.port import ANY, Conflict, Delete, Put, StateEntry, StatePort
from picloud_driver.state.size import refuse_too_large

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_driver.consul.gateway import ConsulAccess
    from picloud_driver.state.port import Lock, Operation

_PREFIX: Final = re.compile(r"([A-Za-z0-9_-]+/){1,4}")
_PREFIX_CHARACTERS: Final = 64
_AWKWARD: Final = re.compile(r"(?<=/)[/.]|[\x00-\x1f\x7f]")
"""What Consul's HTTP server refuses in a path, or takes out of it."""
_SHORTEST_TTL_S: Final = 10
"""Consul takes no shorter one, in seconds."""
_ENDS_AFTER: Final = 2
"""Consul ends a session when so many times its time to live have passed."""
_FLAGS: Final = 64
"""Bits of a number that Consul keeps with a value for whoever wrote it."""


class ConsulState(StatePort):
    """State in Consul's KV store; nothing is asked before the first call.

    Args:
        access: Where Consul answers.
        prefix: Of all keys: what a policy has to let the token read and write, beside sessions.
        threads: How many requests may be under way at once.

    Raises:
        RequestRefused: When the prefix is no path of plain names, each with a `/` behind.
    """

    adapter: ClassVar[str] = "consul"
    shared: ClassVar[bool] = True
    bounded: ClassVar[bool] = True
    # Consul takes 128 steps, but to remove a key at a version takes two; and 512 KiB of JSON, of
    # which these values need 440,000 in base64 and 128 steps with the longest keys the rest.
    max_operations: ClassVar[int] = 64
    max_bytes: ClassVar[int] = 330_000

    def __init__(self, access: ConsulAccess, *, prefix: str = "picloud/", threads: int = 8) -> None:
        if not _PREFIX.fullmatch(prefix) or len(prefix) > _PREFIX_CHARACTERS:
            raise RequestRefused(f"{prefix!r} is no prefix; use a name with a / behind")
        self._state = f"{prefix}state/"
        self._lock = f"{prefix}lock/"
        self._consul = ConsulThreads(access, threads)
        # A lock is kept by its renewal; what was released drops out by itself.
        self._locks: weakref.WeakSet[SessionLock] = weakref.WeakSet()

    async def get(self, keys: Sequence[str]) -> dict[str, StateEntry]:
        """Read keys by the hundred, all hundreds at once."""
        steps = [Step(Verb.GET, f"{self._state}{key}") for key in keys]
        parts = [steps[start : start + STEPS] for start in range(0, len(steps), STEPS)]
        transact = self._consul.gateway.transact
        answers = await asyncio.gather(*[self._consul.ask(transact, part) for part in parts])
        entries = [
            StateEntry(found.key.removeprefix(self._state), found.value or b"", found.modify_index)
            for answer in answers
            for found in answer
            if found.modify_index
        ]
        return {entry.key: entry for entry in entries}

    async def scan(self, prefix: str, after: str = "", limit: int = 1000) -> list[StateEntry]:
        """List the names, then read those that are wanted; Consul knows no range of keys."""
        listed = f"{self._state}{prefix}"
        names = await self._consul.ask(self._consul.gateway.keys, _plain(listed))
        keys = [name.removeprefix(self._state) for name in names if name.startswith(listed)]
        wanted = [key for key in keys if key > after]
        found: list[StateEntry] = []
        # More than once if some were removed meanwhile: a short answer says that there is no more.
        while wanted and len(found) < limit:
            page, wanted = wanted[: limit - len(found)], wanted[limit - len(found) :]
            entries = await self.get(page)
            found.extend(entries[key] for key in page if key in entries)
        return found

    async def commit(self, operations: Sequence[Operation]) -> dict[str, int]:
        """Do all operations in one transaction, in their order."""
        refuse_too_large(operations, self.max_operations, self.max_bytes)
        steps = [step for operation in operations for step in self._steps(operation)]
        if not steps:
            return {}
        try:
            answer = await self._consul.ask(self._consul.gateway.transact, steps)
        except StepsFailed as failed:
            keys = {step.key.removeprefix(self._state): None for step in failed.steps}
            raise Conflict(list(keys)) from None
        versions = {found.key.removeprefix(self._state): found.modify_index for found in answer}
        return {done.key: versions[done.key] for done in operations if isinstance(done, Put)}

    async def watch(self, prefix: str, after: int, timeout_s: float) -> int:
        """Hold a question open; a moment is Consul's index of the prefix.

        A prefix that begins no key, or that no URL can carry, wakes up for changes elsewhere too.
        """
        # A lower index means that Consul was restored or forgot a delete: worth a look as well.
        return await self._consul.wait(_plain(f"{self._state}{prefix}"), after, timeout_s)

    async def lock(self, name: str, ttl_s: float) -> Lock | None:
        """Take a lock by a session of its own, which ends 20 s after its holder at the soonest."""
        ttl = max(_SHORTEST_TTL_S, math.ceil(ttl_s / _ENDS_AFTER))
        key = f"{self._lock}{name}"
        session = await self._consul.ask(self._consul.gateway.take, key, ttl)
        if session is None:
            return None
        lock = SessionLock(self._consul, key, session, ttl)
        self._locks.add(lock)
        return lock

    async def ping(self) -> None:
        """Read a key, from the leader."""
        await self.get(["ping"])

    async def close(self) -> None:
        """Give up the locks and close the connections."""
        for lock in list(self._locks):
            with contextlib.suppress(Unavailable):
                await lock.release()
        self._consul.close()

    def _steps(self, operation: Operation) -> list[Step]:
        key, expect = f"{self._state}{operation.key}", operation.expect
        if isinstance(operation, Put):
            # Consul keeps the version of a key that is written just as it was; with other flags
            # it is never just as it was.
            verb, flags = Verb.SET if expect == ANY else Verb.CAS, secrets.randbits(_FLAGS)
            return [Step(verb, key, operation.value, max(0, expect), flags)]
        steps = []
        if expect != ANY:
            verb = Verb.CHECK_INDEX if expect else Verb.CHECK_NOT_EXISTS
            steps.append(Step(verb, key, index=expect))
        # Not `delete-cas`, which is content when there is no such key.
        if isinstance(operation, Delete) and expect:
            steps.append(Step(Verb.DELETE, key))
        return steps


def _plain(prefix: str) -> str:
    """The longest beginning of a prefix that reaches Consul as it is; its keys have to be sifted.

    >>> _plain("picloud/state/a/../b"), _plain("picloud/state/a//b"), _plain("picloud/state/a?")
    ('picloud/state/a/', 'picloud/state/a/', 'picloud/state/a?')
    """
    awkward = _AWKWARD.search(prefix)
    return prefix[: awkward.start()] if awkward else prefix
