"""Names that `cloud` does not have: what they are called here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from picloud_model.errors import nearest_name

if TYPE_CHECKING:
    from collections.abc import Iterable

_CALL: Final = "cloud.call(function, *args), which returns a Job"
_RESULT: Final = "cloud.result(jids)"
_HERE: Final = {
    "apply": _CALL,
    "apply_async": _CALL,
    "cancel": "cloud.kill(jids)",
    "compute": _RESULT,
    "delay": _CALL,
    "delayed": _CALL,
    "gather": _RESULT,
    "get": _RESULT,
    "imap": "cloud.iresult(cloud.map(function, items))",
    "init": "cloud.start_simulator(), or `picloud up` for a server",
    "logs": "cloud.info(jids)",
    "put": "an argument of cloud.map, which all of its jobs share, or cloud.bucket.put(path, key)",
    "remote": _CALL,
    "run": _CALL,
    "scatter": "an argument of cloud.map, which all of its jobs share",
    "spawn": _CALL,
    "starmap": "cloud.map(function, first_items, second_items)",
    "submit": _CALL,
    "terminate": "cloud.kill(jids)",
}
"""By names that other libraries use for the same."""


def hint(name: str, known: Iterable[str]) -> str:
    """Return the end of the sentence that `cloud` does not have a name.

    >>> hint("submit", [])
    '; use cloud.call(function, *args), which returns a Job.'
    >>> hint("resutl", ["result"])
    '; did you mean cloud.result?'
    """
    if name in _HERE:
        return f"; use {_HERE[name]}."
    near = nearest_name(name, known)
    return f"; did you mean cloud.{near}?" if near else "."


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of the sentence that there is no such argument or option.

    >>> nearest("label", ["_label", "_env"])
    '; did you mean _label?'
    >>> nearest("x", ["_label"])
    '.'
    """
    near = nearest_name(name, known)
    return f"; did you mean {near}?" if near else "."
