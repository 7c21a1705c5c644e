"""Admission: the checks of a submit before any of it is stored."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
from picloud_model.errors import JobDeleted, JobNotFound, RequestRefused, TooLarge
from picloud_model.pack import Pack
from picloud_model.page import PAGE_JOBS
from picloud_model.ranges import merged
from picloud_model.wire import MAX_DEPENDENCIES, MAX_VARIABLES_BYTES, Content

from picloud_api.engine.jobs.locate import locate, read_pages, refuse_deleted
from picloud_api.engine.scheduling.pool import check_core_type
from picloud_api.store.records import DEPENDENCIES_KEPT, Waiting
from picloud_api.usecases.accounts.secrets.secret import check_secrets
from picloud_api.usecases.storage.volume_record import check_volumes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from picloud_model.ranges import Range
    from picloud_model.wire import Options, PackPart, SubmitRequest

    from picloud_api.engine.process.turns import Turn
    from picloud_api.store.view import View


class JobSite(msgspec.Struct, frozen=True):
    """What the jobs of a server can do.

    `shares_files` is whether slots find the files of this machine. `check_webhook` raises
    `RequestRefused` for a URL to which nothing can be posted.
    """

    shares_files: bool
    check_webhook: Callable[[str], None]


async def admit_options(view: View, account: str, options: Options, site: JobSite) -> None:
    """Refuse options that no job of an account can have.

    Raises:
        RequestRefused: As `check_options`, or names a volume or a secret that a job cannot have.
        TooLarge: As `check_options`.
    """
    check_options(options, site)
    if options.vols:
        await check_volumes(view, account, options.vols)
    if options.secrets:
        await check_secrets(view, account, options)


def check_options(options: Options, site: JobSite) -> None:
    """Refuse options that no job can have.

    Args:
        options: Of a submit.
        site: What jobs can do here.

    Raises:
        RequestRefused: Names the values that are allowed.
        TooLarge: When environment variables are too long.
    """
    check_core_type(options.core_type, options.cores)
    if options.cwd is not None and not site.shares_files:
        message = (
            "Slots of this server do not share your files, so that jobs cannot run in a directory "
            "of yours: leave out _cwd, and pass what a job reads as an argument."
        )
        raise RequestRefused(message, field="options.cwd")
    if options.on_done is not None:
        site.check_webhook(options.on_done)
    for name, value in options.os_env_vars.items():
        if not name or "=" in name or "\0" in name + value:
            message = f"{name[:40]!r} cannot be set: a variable has a name without =, and no NUL."
            raise RequestRefused(message, field="options.os_env_vars")
    if sum(map(len, chain(*options.os_env_vars.items()))) > MAX_VARIABLES_BYTES:
        message = f"Environment variables may hold {MAX_VARIABLES_BYTES:,} characters in all."
        raise TooLarge(message, field="options.os_env_vars")


def check_packs(parts: Sequence[PackPart]) -> None:
    """Refuse packs that cross a page, or whose data holds another number of items than declared.

    Raises:
        RequestRefused: Names the first of them.
    """
    for part in parts:
        if part.first // PAGE_JOBS != (part.first + part.count - 1) // PAGE_JOBS:
            message = f"The pack at {part.first} crosses a multiple of {PAGE_JOBS} jobs."
            raise RequestRefused(message, field="parts")
        data = part.content.data
        if data is not None and len(Pack(data)) != part.count:
            message = f"The pack at {part.first} does not hold {part.count} items."
            raise RequestRefused(message, field="parts")


def contents_of(request: SubmitRequest) -> list[Content]:
    """Return the function, the packs and the bundle of a submit."""
    bundle = [Content(request.bundle)] if request.bundle else []
    return [request.function, *(part.content for part in request.parts), *bundle]


def check_cover(parts: Sequence[PackPart], count: int) -> None:
    """Refuse packs that do not hold the arguments of every job exactly once, in order.

    Raises:
        RequestRefused: Says for how many of the first jobs they do.
    """
    at = 0
    for part in parts:
        if part.first != at:
            break
        at += part.count
    else:
        if at == count:
            return
    message = (
        f"The packs must hold the arguments of {count} jobs, each once and in a row; "
        f"they do so for the first {at}."
    )
    raise RequestRefused(message, field="parts")


async def waiting_of(
    view: View, account: str, request: SubmitRequest, turn: Turn
) -> Waiting | None:
    """Return what a batch depends on, or None; this does not look whether it has ended.

    Raises:
        JobNotFound: When the account has no such job.
        JobDeleted: When one of the jobs was deleted.
        TooLarge: When there are too many ranges.
    """
    jids = merged(request.depends_on)
    if not jids:
        return None
    if len(jids) > MAX_DEPENDENCIES:
        message = (
            f"Jobs may depend on {MAX_DEPENDENCIES:,} ranges of jids, not {len(jids):,}: "
            "let one job depend on them, and these on that."
        )
        raise TooLarge(message, field="depends_on")
    try:
        async with turn:
            pieces = await locate(view, account, jids, turn)
            async for piece, page in read_pages(view, pieces, fresh=False):
                refuse_deleted(page, piece)
                await turn.pause()
    except (JobNotFound, JobDeleted) as error:
        raise type(error)(error.message, field="depends_on") from None
    return Waiting(jids, request.depends_on_errors == "ignore")


def named(waiting: Waiting | None) -> list[Range]:
    """Return the jobs that the header of a batch names as those that it depends on."""
    return waiting.depends_on[:DEPENDENCIES_KEPT] if waiting else []
