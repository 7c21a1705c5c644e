"""State in Consul: shared by every server process of the stack.

Keys are under `<prefix>state/`, locks under `<prefix>lock/`. It needs Consul 1.14 or newer.
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
    from picloud_driver.state.port import Operation, StateLock

_PREFIX: Final = re.compile(r"([A-Za-z0-9_-]+/){1,4}")
_PREFIX_CHARACTERS: Final = 64
_AWKWARD: Final = re.compile(r"(?<=/)[/.]|[\x00-\x1f\x7f]")
"""What Consul's HTTP server refuses in a path, or removes from it."""
_SHORTEST_TTL_S: Final = 10
"""The shortest time to live that Consul accepts, in seconds."""
_ENDS_AFTER: Final = 2
"""Consul ends a session after so many times its time to live."""
_FLAGS: Final = 64
"""Bits of the number that Consul stores with a value for its writer."""


class ConsulState(StatePort):
    """State in Consul's KV store; makes no request before the first call.

    Args:
        access: Address and credentials.
        prefix: The prefix of all keys; the token's policy must permit to read and write it, and to
            use sessions.
        threads: How many requests may run at once.

    Raises:
        RequestRefused: When the prefix is not a path of plain names that ends with `/`.
    """

    adapter: ClassVar[str] = "consul"
    shared: ClassVar[bool] = True
    bounded: ClassVar[bool] = True
    # Consul accepts 128 steps, but removing a key at a version takes two; and 512 KiB of JSON: in
    # base64 these values take 440,000 bytes, and 128 steps with the longest keys take the rest.
    max_operations: ClassVar[int] = 64
    max_bytes: ClassVar[int] = 330_000

    def __init__(self, access: ConsulAccess, *, prefix: str = "picloud/", threads: int = 8) -> None:
        if not _PREFIX.fullmatch(prefix) or len(prefix) > _PREFIX_CHARACTERS:
            raise RequestRefused(f"{prefix!r} is not a valid prefix; use a name with a / behind")
        self._state = f"{prefix}state/"
        self._lock = f"{prefix}lock/"
        self._consul = ConsulThreads(access, threads)
        # The renewal of a lock keeps it referenced; released locks disappear by themselves.
        self._locks: weakref.WeakSet[SessionLock] = weakref.WeakSet()

    async def get(self, keys: Sequence[str]) -> dict[str, StateEntry]:
        """See `StatePort.get`; reads keys in parts, all parts at once."""
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
        """See `StatePort.scan`; lists all names, as Consul has no ranges."""
        listed = f"{self._state}{prefix}"
        names = await self._consul.ask(self._consul.gateway.keys, _plain(listed))
        keys = [name.removeprefix(self._state) for name in names if name.startswith(listed)]
        wanted = [key for key in keys if key > after]
        result: list[StateEntry] = []
        # Repeated if some were removed meanwhile, as a short result would mean the end.
        while wanted and len(result) < limit:
            page, wanted = wanted[: limit - len(result)], wanted[limit - len(result) :]
            entries = await self.get(page)
            result.extend(entries[key] for key in page if key in entries)
        return result

    async def commit(self, operations: Sequence[Operation]) -> dict[str, int]:
        """See `StatePort.commit`; one transaction, in the order of the operations."""
        refuse_too_large(operations, self.max_operations, self.max_bytes)
        steps = [step for operation in operations for step in self._steps(operation)]
        if not steps:
            return {}
        try:
            answer = await self._consul.ask(self._consul.gateway.transact, steps)
        except StepsFailed as failed:
            keys = {step.key.removeprefix(self._state): None for step in failed.steps}
            raise Conflict(list(keys)) from None
        versions = {each.key.removeprefix(self._state): each.modify_index for each in answer}
        return {done.key: versions[done.key] for done in operations if isinstance(done, Put)}

    async def watch(self, prefix: str, after: int, timeout_s: float) -> int:
        """See `StatePort.watch`; a long poll. A moment is Consul's index of the prefix.

        A prefix of no key, or one that needs URL quoting, also wakes up for changes elsewhere.
        """
        # A lower index means that Consul was restored or purged a deletion: also a change.
        return await self._consul.wait(_plain(f"{self._state}{prefix}"), after, timeout_s)

    async def lock(self, name: str, ttl_s: float) -> StateLock | None:
        """See `StatePort.lock`; uses a session, which ends at least 20 s after its holder died."""
        ttl = max(_SHORTEST_TTL_S, math.ceil(ttl_s / _ENDS_AFTER))
        key = f"{self._lock}{name}"
        session = await self._consul.ask(self._consul.gateway.take, key, ttl)
        if session is None:
            return None
        lock = SessionLock(self._consul, key, session, ttl)
        self._locks.add(lock)
        return lock

    async def ping(self) -> None:
        """See `StatePort.ping`; reads a key from the leader."""
        await self.get(["ping"])

    async def close(self) -> None:
        """See `StatePort.close`; releases all locks."""
        for lock in list(self._locks):
            with contextlib.suppress(Unavailable):
                await lock.release()
        self._consul.close()

    def _steps(self, operation: Operation) -> list[Step]:
        key, expect = f"{self._state}{operation.key}", operation.expect
        if isinstance(operation, Put):
            # Consul keeps the version of a key if a write changes nothing; random flags make every
            # write a change.
            verb, flags = Verb.SET if expect == ANY else Verb.CAS, secrets.randbits(_FLAGS)
            return [
                Step(verb=verb, key=key, value=operation.value, index=max(0, expect), flags=flags)
            ]
        steps = []
        if expect != ANY:
            verb = Verb.CHECK_INDEX if expect else Verb.CHECK_NOT_EXISTS
            steps.append(Step(verb, key, index=expect))
        # Not `delete-cas`, which succeeds if the key does not exist.
        if isinstance(operation, Delete) and expect:
            steps.append(Step(Verb.DELETE, key))
        return steps


def _plain(prefix: str) -> str:
    """Return the longest beginning of a prefix that needs no quoting; its keys must be filtered.

    >>> _plain("picloud/state/a/../b"), _plain("picloud/state/a//b"), _plain("picloud/state/a?")
    ('picloud/state/a/', 'picloud/state/a/', 'picloud/state/a?')
    """
    awkward = _AWKWARD.search(prefix)
    return prefix[: awkward.start()] if awkward else prefix
