"""The client that `cloud`'s functions use: opened on first use, replaced with its server."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from cloud._config.configuration import config
from cloud._config.settings import ClientSettings
from cloud._jobs.job import Current
from cloud._packing.values import Results
from cloud.errors import CloudException

if TYPE_CHECKING:
    # `_open` imports them: a script, or a worker of its own, may import `cloud` and send nothing
    from cloud._client.client import Client
    from cloud._client.current_job import CurrentJob
    from cloud._client.simulator import Simulator
    from cloud._http.transport import ServerAddress
    from cloud._resources.bucket import BucketClient

log = logging.getLogger(__name__)


class CurrentClient:
    """Holds one client and what the next one is opened with.

    Args:
        module: What a program calls to reach its server.

    Attributes:
        client: The client, while one is open.
        simulator: The simulator that it talks to, if it does.
        job: The job that this process runs, if the client was opened for one.
        url: The server chosen in this process, if one was.
        key: The API key chosen in this process, if one was.
    """

    def __init__(self, module: str = "cloud") -> None:
        self._module = module
        self.client: Client | None = None
        self.simulator: Simulator | None = None
        self.job: CurrentJob | None = None
        self.url: str | None = None
        self.key: str | None = None
        self._immutable = False
        self._lock = threading.RLock()

    def get(self) -> Client:
        """Return the client; open one if none is open.

        The server is the one chosen last with `choose` or `start_simulator`, else that of the
        environment, else that of the job that runs here, else that of the profile.

        Raises:
            CloudException: When no server is known.
        """
        client = self.client
        if client is not None and self.job is None:
            return client
        with self._lock:
            if self.client is None:
                if config.use_simulator and not running_on_cloud():
                    return self.start_simulator()
                self.client = self._open()
            elif self.job is not None:
                self.client.ready()
            return self.client

    def address(self) -> ServerAddress:
        """Return the address that the next client is opened with, outside of a job.

        Raises:
            CloudException: When no server is known, or no API key for it.
        """
        settings = ClientSettings.read()
        return _address(settings, self.url or settings.url, self.key or settings.api_key)

    def choose(self, url: str | None, key: str | None, *, immutable: bool = False) -> None:
        """Use this API key from now on, and this server unless `url` is None.

        After a call with `immutable` later ones are ignored, with a warning in the log.

        Raises:
            CloudValueError: When the URL or the key is not valid; nothing is changed then.
        """
        from cloud._http.transport import ServerAddress, check_key  # noqa: PLC0415 - see above

        if url is not None:
            ServerAddress(url, "")
        if key is not None:
            check_key(key)
        with self._lock:
            if self._immutable:
                log.warning("The API key was set as immutable; it is not changed.")
                return
            self.close()
            self.key = key
            self.url = url or self.url
            self._immutable = immutable

    def start_simulator(self, slots: int | None = None, *, force_restart: bool = False) -> Client:
        """Use a simulator from now on; return the client for it.

        Args:
            slots: How many jobs it runs at once; by default as many as there are processors.
            force_restart: Replace a simulator that is running already.

        Raises:
            CloudException: When it cannot start.
        """
        from cloud._client.client import Client  # noqa: PLC0415 - see above
        from cloud._client.simulator import Simulator  # noqa: PLC0415 - few scripts need it

        with self._lock:
            if self.client is not None and self.simulator is not None and not force_restart:
                return self.client
            self.close()
            self.simulator = Simulator(slots)
            self.client = Client(self.simulator.address, config, simulator_of=self._module)
            return self.client

    def close(self) -> None:
        """Close the client and stop the simulator; the next call opens a new client."""
        with self._lock:
            client, simulator = self.client, self.simulator
            self.client, self.simulator, self.job = None, None, None
            if client is not None:
                client.close()
            if simulator is not None:
                simulator.stop()

    def _open(self) -> Client:
        from cloud._client.client import Client  # noqa: PLC0415 - see above
        from cloud._client.current_job import CurrentJob  # noqa: PLC0415 - see above

        settings = ClientSettings.read()
        url, key = self.url or settings.url, self.key or settings.api_key
        if not url and not key and (job := CurrentJob.here()) is not None:
            self.job = job
            return Client(job.address(), config, supervisor=job.supervisor, renewed=job.address)
        return Client(_address(settings, url, key), config)


current = CurrentClient()
config.on_commit(current.choose)


def client() -> Client:
    """Return the client that `cloud`'s functions use; see `CurrentClient.get`."""
    return current.get()


Current.client = client
Results.of = lambda jids: client().result(jids, original=False)


def bucket() -> BucketClient:
    """Return the bucket that the functions of `cloud.bucket` use."""
    return client().bucket


def running_on_cloud() -> bool:
    """Return whether this is the process of a job.

    >>> cloud.running_on_cloud(), cloud.result(cloud.call(cloud.running_on_cloud))
    (False, True)
    """
    return ClientSettings.read().running


def _address(settings: ClientSettings, url: str | None, key: str | None) -> ServerAddress:
    """Return the address from a URL and a key, completed from the profile where one is missing."""
    from cloud._http.transport import ServerAddress  # noqa: PLC0415 - see above

    profile = None
    if not (url and key):
        # Jobs, and scripts with a server in their environment, never need it.
        from cloud._config import profile as profiles  # noqa: PLC0415

        profile = profiles.read(profiles.path(settings)).chosen(settings.profile)
    if url is None and profile is not None:
        url = profile.url
    if url is None:
        raise CloudException(
            "No PiCloud server is known; start one with `picloud up`, name one with "
            "`picloud setup`, or call cloud.start_simulator()."
        )
    # A profile's key goes to the profile's server and to no other.
    if key is None and profile is not None and profile.url.rstrip("/") == url.rstrip("/"):
        key = profile.key
    if key is None:
        raise CloudException(
            f"There is no API key for {url}; run `picloud setup`, set PICLOUD_API_KEY, or call "
            "cloud.setkey()."
        )
    return ServerAddress(url, key)
