"""`picloud restart-slots`, on every stack."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited


WAIT_S = 60.0


def test_jobs_run_in_new_processes(client: Client, picloud: Callable[..., Exited]) -> None:
    """The next job has another supervisor; the command says how many slots end."""
    before = client.result(client.call(os.getsid, 0), WAIT_S)

    restarted = picloud("restart-slots")

    assert (restarted.code, restarted.out) == (0, "")
    assert "before the next job." in restarted.err
    assert client.result(client.call(os.getsid, 0), WAIT_S) != before
