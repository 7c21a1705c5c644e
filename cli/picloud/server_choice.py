"""Which server and API key a command uses."""

from __future__ import annotations

import logging

import cloud
import msgspec
from cloud import CloudValueError
from cloud._config import profile
from cloud._config.settings import ClientSettings


class ServerChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The options in front of a command. The key is in no `repr`."""

    profile: str | None = None
    api_key: str | None = None
    api_secretkey: str | None = None
    simulate: bool = False
    verbose: bool = False

    def __repr__(self) -> str:
        return f"ServerChoice(profile={self.profile!r}, simulate={self.simulate!r})"

    def apply(self) -> None:
        """Let `cloud` use what was chosen; the environment and the profile supply the rest.

        Raises:
            CloudException: When the profile does not exist, or the simulator cannot start.
        """
        cloud.config.stream_output = False  # standard output is for results
        if self.verbose:
            logging.basicConfig(format="%(message)s", level=logging.DEBUG)
        if self.simulate:
            cloud.start_simulator()
            return
        if self.api_secretkey is not None and self.api_key is None:
            raise CloudValueError("--api-secretkey needs --api-key, the id that belongs to it.")
        url = None
        key, secret = self.api_key, self.api_secretkey
        if self.profile is not None:
            chosen = profile.read(profile.path(ClientSettings.read())).chosen(self.profile)
            assert chosen is not None
            url = chosen.url
            key = chosen.key if key is None else key
        if key is not None:
            cloud.setkey(key, secret, url)
