"""`cloud.config`: settings a script changes while it runs."""

from __future__ import annotations

import os
import warnings
from difflib import get_close_matches
from typing import Final

from picloud_model.wire import DEFAULT_ARGUMENT_BYTES, MAX_ARGUMENT_BYTES

from cloud.errors import CloudException

_ALIASES: Final = {"max_transmit_size": "max_transmit_data"}
_WITHOUT_EFFECT: Final = frozenset(
    {
        "aggressive_module_search",
        "force_redirect_job_output",
        "force_serialize_debugging",
        "force_serialize_logging",
        "http_close",
        "log_filename",
        "log_level",
        "print_log_level",
        "purge_days",
        "save_log",
        "serialize_debugging",
        "use_gzip",
        "verbose",
    }
)
"""Settings of the original client that nothing here needs; setting one warns."""

_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "max_transmit_data": (1, MAX_ARGUMENT_BYTES),
    "retry_attempts": (0, 100),
    "network_timeout": (0.1, 3600),
    "num_procs": (1, 64),
}


class Config:
    """Settings of this process; each takes effect with the next call.

    `max_transmit_data` is the largest pickled function or argument in bytes (1 to 16,000,000),
    `retry_attempts` how often a request is repeated when the server cannot be reached,
    `network_timeout` how long one request may take in seconds, `use_simulator` whether the first
    call starts the simulator, `num_procs` how many processes `cloud.mp` uses (1 to 64, by default
    as many as there are processors). With `serialize_logging` each call and map writes to the
    directory `serialize_logging_path` what its function and arguments weigh, part by part.

    >>> Config().max_transmit_data
    1000000
    """

    max_transmit_data: int
    retry_attempts: int
    network_timeout: float
    use_simulator: bool
    num_procs: int
    serialize_logging: bool
    serialize_logging_path: str

    def __init__(self) -> None:
        self.max_transmit_data = DEFAULT_ARGUMENT_BYTES
        self.retry_attempts = 3
        self.network_timeout = 30.0
        self.use_simulator = False
        self.num_procs = min(os.cpu_count() or 1, 64)
        self.serialize_logging = False
        self.serialize_logging_path = "datalogs/"

    def __setattr__(self, name: str, value: object) -> None:
        name = _ALIASES.get(name, name)
        if name in _WITHOUT_EFFECT:
            warnings.warn(f"cloud.config.{name} has no effect any more.", stacklevel=2)
            return
        if name not in type(self).__annotations__:
            near = get_close_matches(name, type(self).__annotations__, 1, 0.4)
            hint = f"; did you mean {near[0]}?" if near else "."
            raise CloudException(f"cloud.config has no setting {name!r}{hint}")
        _check(name, value)
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> object:
        if name in _ALIASES:
            return getattr(self, _ALIASES[name])
        raise AttributeError(f"cloud.config has no setting {name!r}.")

    def commit(self) -> None:
        """Do nothing: settings take effect at once. Scripts for the original client call it."""


def _check(name: str, value: object) -> None:
    if name == "serialize_logging_path":
        if not isinstance(value, (str, os.PathLike)) or not str(value):
            raise CloudException(f"cloud.config.{name} must name a directory, not {value!r}.")
        return
    if name in ("use_simulator", "serialize_logging"):
        if not isinstance(value, bool):
            raise CloudException(f"cloud.config.{name} must be True or False, not {value!r}.")
        return
    low, high = _BOUNDS[name]
    kinds = (int, float) if name == "network_timeout" else (int,)
    number = value if isinstance(value, kinds) and not isinstance(value, bool) else None
    if number is None or not low <= number <= high:
        raise CloudException(
            f"cloud.config.{name} must be a number from {low:,} to {high:,}, not {value!r}."
        )
