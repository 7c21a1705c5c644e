"""The draft: what a change would read and write, before it is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from picloud_driver.state import ANY, Check, Delete, Operation, Put
from picloud_model.page import Page

from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_api.store.records import Event
    from picloud_api.store.view import View

_DELETED: Final = object()


class Draft:
    """Reads through to the view and keeps writes to itself.

    Drafts stack: changes that wait at the same time are planned one over the other, so that each
    sees what the earlier ones will have written. Together they become one transaction.
    """

    def __init__(self, view: View, below: Draft | None = None) -> None:
        self._view = view
        self._below = below
        self._writes: dict[str, Any] = {}
        self._expects: dict[str, int] = {}
        self._checked: dict[str, None] = {}
        self.events: list[Event] = []
        self.afterwards: list[Callable[[], None]] = []
        self._claimed: set[int] = set()

    @property
    def bounded(self) -> bool:
        """Whether the state store should only hold work in flight."""
        return self._view.state.bounded

    async def get(self, key: str) -> Any:
        """Return the value that a key will have, or None. To change a page, use `edit`."""
        pending = self._pending(key)
        if pending is not None:
            return None if pending is _DELETED else pending
        cell = await self._view.cell(key)
        self._expects[key] = cell.version if cell else 0
        return cell.value if cell else None

    async def fresh(self, key: str) -> Any:
        """Return the same, read again if another process may have written it.

        A plan that may decide to do nothing needs this: a commit only checks what is written.
        """
        if self._pending(key) is None and await self._view.fresh(key) is None:
            # `get` would read a key that does not exist once more.
            self._expects[key] = 0
            return None
        return await self.get(key)

    async def check(self, key: str) -> Any:
        """Return what `get` returns; the commit fails if it has changed since, written or not.

        A plan that relies on a value in memory needs this: it saves the read of `fresh`.
        """
        self._checked[key] = None
        return await self.get(key)

    def peek(self, key: str) -> Any:
        """Return the value that a key will have if it is in memory, else None.

        This is for a key that is created and most likely does not exist: reading it first would
        cost a request, and the commit finds out anyway. After that conflict it is in memory.
        """
        pending = self._pending(key)
        if pending is None:
            return self._view.peek(key)
        return None if pending is _DELETED else pending

    async def edit(self, key: str) -> Page | None:
        """Return this draft's own copy of a page, to be changed; None if there is no such page."""
        if (own := self._writes.get(key)) is not None:
            return own if isinstance(own, Page) else None
        page = await self.get(key)
        if not isinstance(page, Page):
            return None
        self._writes[key] = page = page.copy()
        return page

    def put(self, key: str, value: Any) -> None:
        """Write a key. If it was read with `get`, the commit fails if it has changed since."""
        self._writes[key] = value

    def create(self, key: str, value: Any) -> None:
        """Write a key; the commit fails if it exists."""
        self._writes[key] = value
        self._expects.setdefault(key, 0)

    def delete(self, key: str) -> None:
        """Delete a key. If it was read with `get`, the commit fails if it has changed since."""
        self._writes[key] = _DELETED

    def emit(self, event: Event) -> None:
        """Publish an event once this is committed."""
        if event not in self.events:
            self.events.append(event)

    def on_commit(self, act: Callable[[], None]) -> None:
        """Call `act` once this is committed, or turned out to change nothing."""
        self.afterwards.append(act)

    def claim(self, number: int) -> bool:
        """Claim a slot for one change of a transaction; return whether no other has claimed it."""
        if self._is_claimed(number):
            return False
        self._claimed.add(number)
        return True

    def _is_claimed(self, number: int) -> bool:
        below = self._below
        return number in self._claimed or (below is not None and below._is_claimed(number))  # noqa: SLF001 - of its own kind

    def adopt(self, draft: Draft) -> None:
        """Take over the writes and events of a draft that was stacked on this one."""
        self._writes.update(draft._writes)
        for key, expect in draft._expects.items():
            self._expects.setdefault(key, expect)
        self._checked |= draft._checked
        for event in draft.events:
            self.emit(event)
        self.afterwards += draft.afterwards
        self._claimed |= draft._claimed

    def operations(self) -> list[Operation]:
        """Return the operations of the transaction."""
        operations: list[Operation] = [Check(key, self._expects[key]) for key in self._only_read()]
        encoded, data = None, b""
        for key, value in self._writes.items():
            expect = self._expects.get(key, ANY)
            if value is _DELETED:
                operations.append(Delete(key, expect))
                continue
            # The full pages of a new map are one object.
            if value is not encoded:
                encoded, data = value, layout.encode(value)
            operations.append(Put(key, data, expect))
        return operations

    def expected(self) -> list[str]:
        """Return the keys whose versions the commit checks: they were read, or taken as absent."""
        return [*self._only_read(), *(key for key in self._writes if key in self._expects)]

    def _only_read(self) -> list[str]:
        return [key for key in self._checked if key not in self._writes]

    def install(self, versions: dict[str, int]) -> None:
        """Put what was committed into the view."""
        for key, value in self._writes.items():
            if value is _DELETED:
                self._view.forget([key])
            else:
                self._view.install(key, value, versions[key])

    def _pending(self, key: str) -> Any:
        if key in self._writes:
            return self._writes[key]
        return self._below._pending(key) if self._below else None  # noqa: SLF001 - of its own kind
