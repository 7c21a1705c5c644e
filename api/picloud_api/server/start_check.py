"""The check of what a server stands on, in a process of its own before it starts."""

from __future__ import annotations

import asyncio
import os
import traceback
from typing import TYPE_CHECKING

import msgspec
from picloud_model.errors import PiCloudError, Unavailable

from picloud_api.wiring import check_free

if TYPE_CHECKING:
    from picloud_api.settings import ServerSettings


class StartProblem(msgspec.Struct, frozen=True):
    """Why a server cannot start, in one sentence, and whether that can pass by itself."""

    message: str
    passes: bool


def start_problem(settings: ServerSettings) -> StartProblem | None:
    """Return why a server cannot start with its settings; None if it can.

    The check loads clients that a server needs only when it uses them. They take megabytes, which
    end with the process of the check instead of being held by each process that serves.
    """
    receiving, sending = os.pipe()
    if not (child := os.fork()):
        try:
            os.write(sending, msgspec.msgpack.encode(_problem(settings)))
        except BaseException:  # noqa: BLE001 - it is printed; the parent ends then
            traceback.print_exc()
        finally:
            # Nothing of the server ends here: this process has only a copy of it.
            os._exit(0)
    os.close(sending)
    with os.fdopen(receiving, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        return StartProblem("The check of the server's settings failed; see above.", passes=False)
    return msgspec.msgpack.decode(answer, type=StartProblem | None)


def _problem(settings: ServerSettings) -> StartProblem | None:
    try:
        asyncio.run(check_free(settings))
    except PiCloudError as error:
        return StartProblem(error.message, isinstance(error, Unavailable))
    return None
