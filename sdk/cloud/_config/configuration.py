"""`cloud.config`: settings that a script can change while it runs."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Final

from picloud_model.errors import nearest_name
from picloud_model.job import DEFAULT_ARGUMENT_BYTES, MAX_ARGUMENT_BYTES

from cloud.errors import CloudException, CloudValueError

if TYPE_CHECKING:
    from collections.abc import Callable

_ALIASES: Final = {"max_transmit_size": "max_transmit_data"}
_WITHOUT_EFFECT: Final[dict[str, object]] = {
    "aggressive_module_search": False,
    "ap_version": "",
    "automatic_dependency_transfer": True,
    "cloud_result_cache_size": 4096,
    "cloud_status_cache_size": 65536,
    "force_redirect_job_output": True,
    "force_serialize_debugging": True,
    "force_serialize_logging": True,
    "hostname": "",
    "http_close": False,
    "io_buffer_factor": 2.5,
    "log_filename": "cloud.log",
    "log_level": "DEBUG",
    "mp_cache_size_limit": 0,
    "parent_jid": -1,
    "print_log_level": "ERROR",
    "printing_min_size": 0,
    "proxy_server": "",
    "purge_days": 7,
    "redirect_job_output": True,
    "running_on_cloud": False,
    "save_log": True,
    "serialize_debugging": True,
    "server_list_url": "",
    "show_primitives": False,
    "show_transmitted_types_composition": False,
    "support_join": True,
    "use_gzip": True,
    "verbose": False,
}
"""Settings of the original client that have no effect here, with its default values.

They keep the value that a script sets. The first one that is set causes a warning.
"""

_SWITCHES: Final = (
    *("use_simulator", "progress", "stream_output", "full_tracebacks", "serialize_logging"),
    *("raise_original", "tracing"),
)
_MAY_BE_NONE: Final = ("environment", "patience_s", "stream_output", "raise_original", "tracing")
_NAMES: Final = {"environment": "an environment", "serialize_logging_path": "a directory"}
_TEXTS: Final = ("api_key", "api_secretkey", "url")

_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "max_transmit_data": (1, MAX_ARGUMENT_BYTES),
    "package_data": (0, 50_000_000),
    "retry_attempts": (0, 100),
    "network_timeout": (0.1, 3600),
    "num_procs": (1, 64),
    "patience_s": (0, 31_536_000),
}


class Config:
    """Settings of this process; each takes effect with the next call.

    `max_transmit_data` is the size in bytes of the largest pickled function or argument (1 to
    16,000,000), `retry_attempts` the number of repetitions if the server cannot be reached,
    `network_timeout` the seconds that one request may take. `patience_s` is how many seconds
    `result`, `join` and the like wait while the server, or a service behind it, cannot be reached;
    None, the default, for as long as their own timeout allows. With `use_simulator` the first call
    starts the simulator. `num_procs` is the number of processes of `cloud.mp` (1 to 64, by default
    the number of processors). With `serialize_logging` each call and map writes the sizes of its
    function and arguments, part by part, to the directory `serialize_logging_path`.
    `package_data` is how many bytes of data files one of your own packages may have (0 to
    50,000,000, by default 10,000,000): they travel with its modules, or if there are more, none.
    With `progress`, the default, `result`, `join` and `iresult` show a bar on terminals and in
    notebooks when they wait for several jobs for more than a second. With `stream_output` `result`
    and `join` print what the jobs print, while they run; None, the default, is True in the
    simulator and False elsewhere.
    With `raise_original` a failed job raises what its function raised, in place of a CloudException
    whose cause that is; None, the default, is True for the methods of `Job`, `await` and
    `cloud.Executor`, and False for `result`, `join` and `iresult`.
    `environment` is the `_env` of jobs that name none; None, the default, is the server's base.
    With `tracing` calls, maps and results are spans of OpenTelemetry, as the program has configured
    it, and so are their jobs if the server sends spans; None, the default, is True if
    `PICLOUD_TRACING` is set in the environment.
    With `full_tracebacks` errors show the frames of this library, too.
    `api_key` (the id), `api_secretkey` and `url` have the effect of `cloud.setkey` when `commit` is
    called.

    >>> Config().max_transmit_data
    1000000
    """

    max_transmit_data: int
    package_data: int
    retry_attempts: int
    network_timeout: float
    patience_s: float | None
    use_simulator: bool
    num_procs: int
    progress: bool
    stream_output: bool | None
    full_tracebacks: bool
    raise_original: bool | None
    environment: str | None
    tracing: bool | None
    serialize_logging: bool
    serialize_logging_path: str
    api_key: str | None
    api_secretkey: str | None
    url: str

    def __init__(self) -> None:
        self.__dict__.update(_old={}, _on_commit=None)
        self.max_transmit_data = DEFAULT_ARGUMENT_BYTES
        self.package_data = 10_000_000
        self.retry_attempts = 3
        self.network_timeout = 30.0
        self.patience_s = None
        self.use_simulator = False
        self.num_procs = min(os.cpu_count() or 1, 64)
        self.progress = True
        self.stream_output = None
        self.full_tracebacks = False
        self.raise_original = None
        self.environment = None
        self.tracing = None
        self.serialize_logging = False
        self.serialize_logging_path = "datalogs/"
        self.api_key = None
        self.api_secretkey = None
        self.url = ""

    def __repr__(self) -> str:
        """Return the settings, a line each, without a secret."""
        values = {name: getattr(self, name) for name in type(self).__annotations__}
        if values["api_secretkey"]:
            values["api_secretkey"] = "..."
        return "\n".join(f"cloud.config.{name} = {value!r}" for name, value in values.items())

    def __setattr__(self, name: str, value: object) -> None:
        with FromCaller(self):
            self._set(_ALIASES.get(name, name), value)

    def _set(self, name: str, value: object) -> None:
        if name in _WITHOUT_EFFECT:
            self._keep(name, value)
            return
        if name not in type(self).__annotations__:
            near = nearest_name(name, type(self).__annotations__)
            hint = f"; did you mean {near}?" if near else "."
            raise CloudException(f"cloud.config has no setting {name!r}{hint}")
        _check(name, value)
        super().__setattr__(name, value)

    def __getattr__(self, name: str) -> object:
        if name in _ALIASES:
            return getattr(self, _ALIASES[name])
        if name in _WITHOUT_EFFECT:
            return self.__dict__["_old"].get(name, _WITHOUT_EFFECT[name])
        with FromCaller(self):
            raise AttributeError(f"cloud.config has no setting {name!r}.")

    def commit(self) -> None:
        """Use `api_key`, `api_secretkey` and `url` from now on, if they are set.

        All other settings take effect immediately.

        Raises:
            CloudException: When there is a secret without an id.
        """
        if self.api_secretkey and not self.api_key:
            with FromCaller(self):
                raise CloudException("cloud.config.api_key is not set, but api_secretkey is.")
        if (self.api_key or self.url) and self.__dict__["_on_commit"] is not None:
            key = f"pk_{self.api_key}_{self.api_secretkey}" if self.api_secretkey else self.api_key
            self.__dict__["_on_commit"](self.url or None, key)

    def on_commit(self, choose: Callable[[str | None, str | None], None]) -> None:
        """Call `choose(url, key)` when a script commits a server or a key."""
        self.__dict__["_on_commit"] = choose

    def _keep(self, name: str, value: object) -> None:
        """Store a setting without effect; warn about the first one."""
        if not self.__dict__["_old"]:
            warnings.warn(
                f"cloud.config.{name} is accepted but has no effect here; this is said once, for "
                "the first such setting.",
                stacklevel=4,
            )
        self.__dict__["_old"][name] = value


class FromCaller:
    """Lets an exception begin with the frame of the caller, unless `full_tracebacks` is set.

    Python adds no frame for a function that an exception leaves after a `with` block.

    Args:
        config: The settings.
    """

    def __init__(self, config: Config) -> None:
        self._config = config

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None and not self._config.__dict__.get("full_tracebacks"):
            error.__traceback__ = None


def _check(name: str, value: object) -> None:
    if value is None and name in _MAY_BE_NONE:
        return
    if name in _TEXTS:
        # A key's id was a number in the original.
        if value is not None and (isinstance(value, bool) or not isinstance(value, (str, int))):
            raise CloudValueError(f"cloud.config.{name} must be text, not {value!r}.")
        return
    if name in _NAMES:
        if not isinstance(value, (str, os.PathLike)) or not str(value):
            raise CloudValueError(f"cloud.config.{name} must name {_NAMES[name]}, not {value!r}.")
        return
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise CloudValueError(f"cloud.config.{name} must be True or False, not {value!r}.")
        return
    low, high = _BOUNDS[name]
    kinds = (int, float) if name in ("network_timeout", "patience_s") else (int,)
    number = value if isinstance(value, kinds) and not isinstance(value, bool) else None
    if number is None or not low <= number <= high:
        raise CloudValueError(
            f"cloud.config.{name} must be a number from {low:,} to {high:,}, not {value!r}."
        )


config: Final = Config()
"""Settings of this process: `cloud.config.max_transmit_data = 16_000_000`."""
