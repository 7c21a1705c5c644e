"""PiCloud: run functions on the cloud.

    import cloud

    jid = cloud.call(pow, 2, 10)
    cloud.result(jid)  # 1024
    jids = cloud.map(abs, [-1, 2, -3])
    cloud.result(jids)  # [1, 2, 3]

`picloud up` starts a server on this machine, `cloud.start_simulator()` one for this script only.
"""

from typing import TYPE_CHECKING

from cloud._client import functions as _functions
from cloud._client.functions import *  # noqa: F403 - its `__all__` is the list of functions
from cloud.errors import (
    CloudConnectionError,
    CloudException,
    CloudTimeoutError,
    CloudTypeError,
    CloudValueError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    # `__getattr__` imports a noun when a script first names it
    from cloud import account, mp, shell, shortcuts, wait_for

__all__ = [
    "CloudConnectionError",
    "CloudException",
    "CloudTimeoutError",
    "CloudTypeError",
    "CloudValueError",
    "account",
    "mp",
    "shell",
    "shortcuts",
    "wait_for",
]
__all__ += _functions.__all__
_LATER = {
    "Dict": "cloud._sharing.dictionary",
    "Executor": "cloud._futures.executor",
    "Leader": "cloud._sharing.lock",
    "Lock": "cloud._sharing.lock",
    "Pool": "cloud._futures.pool",
    "RetryPolicy": "cloud._futures.retry_policy",
    "Semaphore": "cloud._sharing.lock",
    "as_completed": "cloud._futures.completed",
    "connect": "cloud.tunnel",
    "estimate": "cloud._costs.estimate",
    "explain": "cloud._diagnosis.explanation",
    "prices": "cloud._costs.usage",
    "progress": "cloud._client.progress",
    "job": "cloud._futures.job_function",
    "register_joblib": "cloud._futures.joblib_backend",
    "stream": "cloud._futures.stream",
    "usage": "cloud._costs.usage",
    "wait": "cloud._futures.completed",
}
"""Members that are imported when a script first names them, and their modules."""
__all__ += ["Dict", "Executor", "Leader", "Lock", "Pool", "RetryPolicy", "Semaphore"]  # noqa: F405 - they come from `__getattr__`
__all__ += ["as_completed", "connect"]  # noqa: F405 - as above
__all__ += ["estimate", "explain", "job", "prices", "progress", "register_joblib"]  # noqa: F405 - as above
__all__ += ["stream", "usage", "wait"]  # noqa: F405 - as above

# What scripts for the original client import: cloud.pool_interface, cloud.serialization, ...
__path__.append(f"{__path__[0]}/_compat")  # noqa: F405 - each package has one


def __getattr__(name: str) -> object:
    """Import the module of a noun when a script first names it, as in `cloud.bucket.put`."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - few scripts come here

        return version("picloud")
    if name in _LATER:
        import importlib  # noqa: PLC0415 - few scripts come here

        member = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
        member.__module__ = __name__
        return member
    if not name.startswith("_"):
        import importlib.util  # noqa: PLC0415 - scripts that only call and map do not come here

        if importlib.util.find_spec(f"{__name__}.{name}") is not None:
            noun = importlib.import_module(f"{__name__}.{name}")
            noun.__dict__.setdefault("__getattr__", _lacking(noun))
            return noun
        from cloud._arguments.names import missing  # noqa: PLC0415 - only a misspelt name needs it
        from cloud._config.configuration import FromCaller  # noqa: PLC0415 - as above

        with FromCaller(config):  # noqa: F405 - of `functions`
            raise missing(__name__, name, __dir__())
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _lacking(noun: "ModuleType") -> "Callable[[str], object]":
    """Return the `__getattr__` of a noun's module, which names what is there in place of a name.

    Such a module defines none: a type checker would then accept every name.
    """

    def lacking(name: str) -> object:
        if name.startswith("_"):  # Python looks whether it is there
            raise AttributeError(f"module {noun.__name__!r} has no attribute {name!r}")
        from cloud._arguments.names import missing  # noqa: PLC0415 - only a misspelt name needs it
        from cloud._config.configuration import FromCaller  # noqa: PLC0415 - as above

        with FromCaller(config):  # noqa: F405 - of `functions`
            raise missing(noun.__name__, name, dir(noun))

    return lacking


def __dir__() -> list[str]:
    """List what users call; what else is here belongs to the SDK."""
    from pkgutil import iter_modules  # noqa: PLC0415 - completion alone needs it

    modules = iter_modules(__path__[:1])  # noqa: F405 - each package has one
    nouns = {module.name for module in modules} - {"command", "errors"}
    return sorted({*__all__, *(name for name in nouns if name[0] != "_"), "__version__"})


for _name in [name for name in __all__ if name[0].isupper() and name not in _LATER]:
    globals()[_name].__module__ = __name__  # users see cloud.CloudException
del _name
