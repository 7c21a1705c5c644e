"""The entry point: `picloud`, or `python -m picloud`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Run `picloud`; Ctrl-C ends it without a traceback also while it is loaded, and as it exits.

    Where the signal is ignored, as in commands that a shell runs in the background, it still is.
    """
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if handled:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from picloud import app, exits  # noqa: PLC0415 - takes most of the time of a short command
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "rich", "click"):
            raise
        sys.exit("error: The command needs packages of its own: pip install 'picloud[cli]'.")

    if handled:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app.main()
    except KeyboardInterrupt:  # while the command line was read
        sys.exit(exits.INTERRUPTED)
    finally:
        if handled:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    main()
