"""`key` and `cache`: calls that return an earlier job in place of a new one."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from picloud_model.wire import MAX_REUSE_S, Reuse

from cloud._arguments.option_values import real
from cloud._futures.content_digest import content_digest
from cloud._packing.packer import name_of
from cloud.errors import CloudException, CloudTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from picloud_model.wire import Options

KEY_S: Final = 30 * 86_400.0
"""How long a key names its job."""
_MAX_KEY: Final = 1000
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class ReuseRule:
    """Finds out, while a batch is packed, which earlier batch would be the same.

    Args:
        func: The function.
        key: The user's name for the batch, or None.
        cache_s: For how many seconds results count, if there is no key.
    """

    def __init__(self, func: Callable[..., Any], key: str | None, cache_s: float) -> None:
        self._func = func
        self._key = key
        self._cache_s = cache_s
        self._items: list[str] = []

    def note(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Take note of the arguments of the next job."""
        self._items.append(content_digest((args, dict(kwargs))))

    def request(self, bundle: str, options: Options) -> Reuse:
        """Return which earlier batch is the same as one with these modules and options."""
        if self._key is not None:
            content = content_digest((name_of(self._func), self._items))
            return Reuse(name=content_digest(("key", self._key)), content=content, kept_s=KEY_S)
        chosen: tuple[object, ...] = (
            options.core_type,
            options.env,
            options.seed,
            options.os_env_vars,
            options.vols,
        )
        if options.secrets:  # without any, results that were kept before there were secrets count
            chosen += (options.secrets,)
        python = sys.version_info[:2]
        content = content_digest((self._func, bundle, chosen, python, self._items))
        return Reuse(name=content, content=content, kept_s=self._cache_s, done_only=True)


def read_key(value: Any) -> str | None:
    """Return a key; None for none.

    Raises:
        CloudTypeError: When it is not text, or is too long.
    """
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= _MAX_KEY):
        raise CloudTypeError(
            f"key must be text of 1 to {_MAX_KEY:,} characters, not {value!r:.80}."
        )
    return value


def read_age(value: Any) -> float:
    """Return how long results count, in seconds; 0 for not at all.

    Raises:
        CloudTypeError: When it is neither a number of seconds nor text like '30d'.

    >>> read_age("30d"), read_age("1.5h"), read_age(60), read_age(None)
    (2592000.0, 5400.0, 60.0, 0.0)
    """
    if value is None:
        return 0.0
    seconds = real(value)
    if isinstance(value, str) and (read := re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", value)):
        seconds = float(read[1]) * _UNITS[read[2]]
    if seconds is None or not 0 < seconds <= MAX_REUSE_S:
        raise CloudTypeError(
            "cache must be a time such as '30d', '12h', '5m' or a number of seconds, up to a "
            f"year, not {value!r:.80}."
        )
    return seconds


def read_rule(func: Callable[..., Any], options: dict[str, Any]) -> ReuseRule | None:
    """Take `_key` and `_cache` out of options; return what they mean, or None.

    Raises:
        CloudException: When both are given, or one is invalid.
    """
    key, cache_s = read_key(options.pop("_key", None)), read_age(options.pop("_cache", None))
    if key is not None and cache_s:
        raise CloudException("key names one job and cache finds jobs by their arguments: use one.")
    return ReuseRule(func, key, cache_s) if key is not None or cache_s else None
