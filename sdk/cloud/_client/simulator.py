"""The simulator: a server that belongs to the calling script and ends with it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from cloud._client.local_server import LocalServer
from cloud._http.transport import ServerAddress


class Simulator:
    """A server with a temporary data directory; both are removed when the script ends.

    Args:
        slots: How many jobs run at once; by default the number of processors.
    """

    def __init__(self, slots: int | None = None) -> None:
        self._data = Path(tempfile.mkdtemp(prefix="picloud-simulator-"))
        try:
            # The log is in the data directory: if this script is killed, the server removes both.
            arguments = ["--data", str(self._data), "--port", "0", "--discard"]
            arguments += ["--slots", str(slots)] if slots else []
            self._server = LocalServer.start(arguments, self._data / "server.log")
        except BaseException:
            shutil.rmtree(self._data, ignore_errors=True)
            raise
        self._pid = os.getpid()
        self.address = ServerAddress(self._server.ready.url, self._server.ready.key)
        atexit.register(self.stop)

    def stop(self) -> None:
        """Stop the server and its jobs and remove its data; a second call does nothing."""
        if self._pid != os.getpid():
            return  # the simulator belongs to the parent of a forked child
        atexit.unregister(self.stop)
        self._server.stop()
        shutil.rmtree(self._data, ignore_errors=True)
