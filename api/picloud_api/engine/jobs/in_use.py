"""What unfinished jobs use is not removed: they are found, and named in the refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.errors import RequestConflict
from picloud_model.page import PAGE_JOBS
from picloud_model.ranges import collapse

from picloud_api.store import layout
from picloud_api.store.layout import PageId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from picloud_model.page import Page
    from picloud_model.ranges import Range

    from picloud_api.store.records import Header
    from picloud_api.store.view import View

_MOST_FOUND: Final = 1000
"""Jobs after which no more are looked for."""
_NAMED: Final = 5
"""Ranges of jobs that a message names."""


async def refuse_in_use(
    view: View, account: str, what: str, uses: Callable[[Header], bool]
) -> None:
    """Refuse to change what unfinished jobs of an account use.

    Args:
        view: Where they are looked for.
        account: Whose jobs.
        what: What they would use, for the message: `The volume 'data'`.
        uses: Whether the jobs of a batch do.

    Raises:
        RequestConflict: When there are such jobs; it names them.
    """
    if jids := await jobs_using(view, account, uses):
        raise RequestConflict(f"{what} is in use by {_named(jids)}", field="name")


async def jobs_using(view: View, account: str, uses: Callable[[Header], bool]) -> list[Range]:
    """Return the jids of unfinished jobs of batches that use something; the first if many do."""
    jids: list[int] = []
    for key, ready in sorted((await view.scan(layout.ready(account))).items()):
        batch = key.rpartition("/")[2]
        header: Header | None = await view.get(layout.header(account, batch))
        if header is None or not uses(header):
            continue
        for number in range(ready.pages):
            page: Page | None = await view.get(layout.page(PageId(account, batch, number)))
            start = header.first + number * PAGE_JOBS
            indexes = range(len(page)) if page is not None else range(0)
            jids += [start + index for index in indexes if page and not page.ended(index)]
            if len(jids) >= _MOST_FOUND:
                return collapse(jids)
    return collapse(jids)


def _named(jids: Sequence[Range]) -> str:
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in jids[:_NAMED]]
    others = " and others" if len(jids) > _NAMED else ""
    if len(jids) == 1 and jids[0][0] == jids[0][1]:
        return f"job {jids[0][0]}: wait until it has ended, or kill it."
    return f"jobs {', '.join(shown)}{others}: wait until they have ended, or kill them."
