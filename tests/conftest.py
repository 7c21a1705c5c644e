"""What every test process needs."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Take Ctrl-C, whoever started us.

    A shell starts what runs in the background with SIGINT ignored, and every process we start would
    inherit that: tests of Ctrl-C would then wait for ever.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
