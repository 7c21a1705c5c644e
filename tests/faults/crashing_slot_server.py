"""The embedded server, whose first slot ends at a crash point.

Arguments: a file that exists until that slot starts, the name of the crash point, and the arguments
of `python -m picloud_api`.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from picloud_api.server.gunicorn_server import serve
from picloud_api.settings import read
from picloud_driver.scheduler.local import scheduler

SLOT = """
import os, runpy, sys
flag, point = sys.argv[1:3]
del sys.argv[1:3]
try:
    os.rename(flag, f"{flag}.{os.getpid()}")
    os.environ["PICLOUD_CRASHPOINT"] = point
except FileNotFoundError:
    pass
runpy.run_module("picloud_worker", run_name="__main__", alter_sys=True)
"""


def main() -> None:
    """Serve until a signal ends the process."""
    flag, point = sys.argv[1:3]
    command = (sys.executable, "-P", "-c", SLOT, flag, point)
    crashing = partial(scheduler.LocalScheduler, command=command)
    scheduler.__dict__["LocalScheduler"] = crashing  # the server's wiring imports it from there
    serve(read(sys.argv[3:], os.environ))


if __name__ == "__main__":
    main()
