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
    "exec": "cloud.shell.execute(command)",
    "get": _RESULT,
    "imap": "cloud.iresult(cloud.map(function, items))",
    "init": "cloud.start_simulator(), or `picloud up` for a server",
    "logs": "cloud.info(jids)",
    "put": "an argument of cloud.map, which all of its jobs share, or cloud.bucket.put(path, key)",
    "remote": _CALL,
    "replay": "`picloud replay JID` in a shell",
    "run": _CALL,
    "scatter": "an argument of cloud.map, which all of its jobs share",
    "spawn": _CALL,
    "starmap": "cloud.map(function, first_items, second_items)",
    "submit": _CALL,
    "terminate": "cloud.kill(jids)",
    "top": "`picloud top` in a shell",
    "why": "cloud.info(jids, 'why')",
    "cron.add": "cloud.cron.register(function, label, schedule)",
    "cron.remove": "cloud.cron.deregister(label)",
    "cron.run": "cloud.cron.manual_run(label)",
    "lock.acquire": "cloud.Lock(name), as in `with cloud.Lock(name):`",
    "notebook.open": "cloud.notebook.url(name), or `picloud notebook open NAME` in a shell",
    "queue.attach": "cloud.queue.get(name).attach(function)",
    "queue.create": "cloud.queue.get(name), which creates it",
    "queue.delete": "cloud.queue.get(name).delete()",
    "queue.pop": "cloud.queue.get(name).pop()",
    "queue.push": "cloud.queue.get(name).push(messages)",
    "secret.get": "_secrets=name in a call: its job finds the values, and nothing else does",
    "volume.get": "cloud.volume.sync(source, destination)",
    "volume.list": "cloud.volume.get_list()",
    "volume.put": "cloud.volume.sync(source, destination)",
}
"""By names that other libraries, other modules of ours, or the command use for the same."""


def hint(name: str, known: Iterable[str], module: str = "cloud") -> str:
    """Return the end of the sentence that `cloud`, or a module of it, does not have a name.

    >>> hint("submit", [])
    '; use cloud.call(function, *args), which returns a Job.'
    >>> hint("resutl", ["result"])
    '; did you mean cloud.result?'
    >>> hint("create", ["get"], "cloud.queue")
    '; use cloud.queue.get(name), which creates it.'
    """
    known = [*known]
    ours = f"{module}.{name}".removeprefix("cloud.").removeprefix("mp.")
    if ours in _HERE:
        here = _HERE[ours]
        return f"; use {here.replace('cloud.', 'cloud.mp.') if module == 'cloud.mp' else here}."
    near = nearest_name(name, known)
    return f"; did you mean {module}.{near}?" if near else "."


def missing(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """Return the error of a name that `cloud`, or a module of it, does not have."""
    return AttributeError(f"{module} has no {name!r}{hint(name, known, module)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of the sentence that there is no such argument or option.

    >>> nearest("label", ["_label", "_env"])
    '; did you mean _label?'
    >>> nearest("x", ["_label"])
    '.'
    """
    near = nearest_name(name, known)
    return f"; did you mean {near}?" if near else "."
