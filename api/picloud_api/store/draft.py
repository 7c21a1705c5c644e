"""The draft: what a change would read and write, before it is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from picloud_driver.state import ANY, Delete, Operation, Put
from picloud_model.page import Page

from picloud_api.store import layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from picloud_api.store.records import Event
    from picloud_api.store.view import View

_GONE: Final = object()


class Draft:
    """Reads through to the view, keeps writes to itself.

    Drafts stack: several changes that wait at once are planned one over the other, so that each
    sees what the earlier ones will have done, and become one transaction.
    """

    def __init__(self, view: View, below: Draft | None = None) -> None:
        self._view = view
        self._below = below
        self._writes: dict[str, Any] = {}
        self._expects: dict[str, int] = {}
        self.events: list[Event] = []
        self.afterwards: list[Callable[[], None]] = []
        self._claimed: set[int] = set()

    @property
    def bounded(self) -> bool:
        """Whether the state store is to hold work in flight only."""
        return self._view.state.bounded

    async def get(self, key: str) -> Any:
        """The value a key will have, or None. Not to be changed: see `edit`."""
        found = self._pending(key)
        if found is not None:
            return None if found is _GONE else found
        cell = await self._view.cell(key)
        self._expects[key] = cell.version if cell else 0
        return cell.value if cell else None

    async def fresh(self, key: str) -> Any:
        """The same, read again if another process may have written it meanwhile.

        For whoever decides to do nothing: only what is written is checked by the commit.
        """
        if self._pending(key) is None:
            await self._view.fresh(key)
        return await self.get(key)

    def peek(self, key: str) -> Any:
        """The value a key will have if that is known, else None, as for a key that is not there.

        For a key that is to be created and most likely does not exist: looking first would cost a
        request, and the commit finds out anyway. After that conflict the key is known.
        """
        found = self._pending(key)
        return self._view.peek(key) if found is None else None if found is _GONE else found

    async def edit(self, key: str) -> Page | None:
        """A page of this draft's own to change, or None where there is none."""
        if (own := self._writes.get(key)) is not None:
            return own if isinstance(own, Page) else None
        page = await self.get(key)
        if not isinstance(page, Page):
            return None
        self._writes[key] = page = page.copy()
        return page

    def put(self, key: str, value: Any) -> None:
        """Write what was read before with `get`: the commit fails if it changed meanwhile."""
        self._writes[key] = value

    def create(self, key: str, value: Any) -> None:
        """Write a key that must not exist yet."""
        self._writes[key] = value
        self._expects.setdefault(key, 0)

    def delete(self, key: str) -> None:
        """Remove what was read before with `get`."""
        self._writes[key] = _GONE

    def emit(self, event: Event) -> None:
        """Tell others of a change, once it is committed."""
        if event not in self.events:
            self.events.append(event)

    def on_commit(self, act: Callable[[], None]) -> None:
        """Do something once this is committed, or found to change nothing: only then."""
        self.afterwards.append(act)

    def claim(self, number: int) -> bool:
        """Take something only one change of a transaction may have; whether nobody had it yet."""
        if self._is_claimed(number):
            return False
        self._claimed.add(number)
        return True

    def _is_claimed(self, number: int) -> bool:
        below = self._below
        return number in self._claimed or (below is not None and below._is_claimed(number))  # noqa: SLF001 - of its own kind

    def adopt(self, draft: Draft) -> None:
        """Take over what a draft stacked on this one decided."""
        self._writes.update(draft._writes)
        for key, expect in draft._expects.items():
            self._expects.setdefault(key, expect)
        for event in draft.events:
            self.emit(event)
        self.afterwards += draft.afterwards
        self._claimed |= draft._claimed

    def operations(self) -> list[Operation]:
        """The transaction this draft stands for."""
        return [
            Delete(key, self._expects.get(key, ANY))
            if value is _GONE
            else Put(key, layout.encode(value), self._expects.get(key, ANY))
            for key, value in self._writes.items()
        ]

    def expected(self) -> list[str]:
        """Keys this draft writes over what it read, or takes to be absent."""
        return [key for key in self._writes if key in self._expects]

    def install(self, versions: dict[str, int]) -> None:
        """Make what was committed part of the view."""
        for key, value in self._writes.items():
            if value is _GONE:
                self._view.forget([key])
            else:
                self._view.install(key, value, versions[key])

    def _pending(self, key: str) -> Any:
        if key in self._writes:
            return self._writes[key]
        return self._below._pending(key) if self._below else None  # noqa: SLF001 - of its own kind
