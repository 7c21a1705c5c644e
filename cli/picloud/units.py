"""Times and durations as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

_MINUTE = 60
_KILO = 1000


def duration(seconds: float) -> str:
    """Return a time span with a unit.

    >>> [duration(each) for each in (0.00007820, 0.0123, 1.5, 42.25, 125, 7300, 200_000)]
    ['0.08 ms', '12.3 ms', '1.50 s', '42.2 s', '2m 5s', '2h 1m', '2d 7h']
    """
    if seconds >= _MINUTE:
        return since(seconds)
    if seconds >= 10:  # noqa: PLR2004 - two digits before the point need fewer behind it
        return f"{seconds:.1f} s"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * _KILO:.3g} ms" if seconds >= 0.001 else f"{seconds * _KILO:.2f} ms"  # noqa: PLR2004


def since(seconds: float) -> str:
    """Return a time span in whole seconds or larger units.

    >>> since(7.2), since(125), since(7300), since(200_000)
    ('7s', '2m 5s', '2h 1m', '2d 7h')
    """
    whole = max(0, int(seconds))
    for unit, size_, small, smaller in (("d", 86400, "h", 3600), ("h", 3600, "m", 60)):
        if whole >= size_:
            return f"{whole // size_}{unit} {whole % size_ // smaller}{small}"
    return f"{whole // _MINUTE}m {whole % _MINUTE}s" if whole >= _MINUTE else f"{whole}s"


def moment(at: float, now: float) -> str:
    """Return a local time as lists show it: today's without date, others without seconds."""
    local, today = datetime.fromtimestamp(at).astimezone(), datetime.fromtimestamp(now).astimezone()
    if local.date() == today.date():
        return local.strftime("%H:%M:%S")
    return local.strftime("%Y-%m-%d %H:%M")


def exact(at: float) -> str:
    """Return a local time with its date and seconds, as pages about one thing show it."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def iso(at: float) -> str:
    """Return a time as JSON output writes it.

    >>> iso(0.0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(at, UTC).isoformat()
