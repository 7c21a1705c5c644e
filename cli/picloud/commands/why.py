"""`picloud why`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cloud import CloudException
from cloud._client.current import client
from picloud_model.info import InfoKey
from picloud_model.job import Cause, Status
from picloud_model.size import size

from picloud import output, units
from picloud.options.arguments import Jids
from picloud.options.arguments import jids as read_jids

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KEYS: Final = (
    InfoKey.STATUS,
    InfoKey.WHY,
    InfoKey.CAUSE,
    InfoKey.RUNTIME,
    InfoKey.MEMORY_PEAK,
    InfoKey.ATTRIBUTES,
)
_FAILED: Final = (Status.ERROR, Status.KILLED, Status.STALLED)
_ADVICE: Final = {
    Cause.EXCEPTION: "`picloud replay {jid} --pdb` runs it here, in a debugger.",
    Cause.EXIT: "It left by exit or os._exit: let the function return instead.",
    Cause.SIGNAL: "Its process crashed: `picloud logs {jid}` has its last output.",
    Cause.MEMORY: "Use more cores or another core type: a job has the memory of its cores.",
    Cause.TIME_LIMIT: "It ran longer than its _max_runtime: raise that, or split the work.",
    Cause.NODE_LOST: "`picloud replay {jid} --submit` runs it once more.",
    Cause.DEPENDENCY: "Repair the job that failed first, then submit both again.",
    Cause.DEADLOCK: "Too many jobs wait for jobs of their own: wait for them in the program.",
    Cause.ENVIRONMENT: "`picloud env list` shows the environments; _env='auto' has your packages.",
    Cause.PAYLOAD: "Run the same Python and packages here and in the jobs.",
    Cause.VOLUME: "`picloud volume list` shows the volumes.",
}
"""What to do about jobs that failed, by their cause."""


def why(jids: Jids) -> None:
    """Say why jobs wait, or why they failed.

    \b
    Examples:
      $ picloud why 7
      $ picloud why 1-20
    """  # noqa: D301 - \b keeps the lines apart
    order = list(dict.fromkeys(read_jids(*jids)))
    infos = client().info(order, [key.value for key in _KEYS])
    failed = [jid for jid in order if infos[jid][InfoKey.STATUS] in _FAILED]
    errors = dict(zip(failed, client().result(failed, ignore_errors=True), strict=True))
    for jid in order:
        for line in _lines(jid, infos[jid], errors.get(jid)):
            output.text(line)


def _lines(jid: int, info: Mapping[str, Any], error: object) -> Iterator[str]:
    status = info[InfoKey.STATUS]
    if isinstance(error, CloudException):
        after = f" after {units.duration(info[InfoKey.RUNTIME])}" if info[InfoKey.RUNTIME] else ""
        summary = " ".join(error.summary.split())
        cause = info[InfoKey.CAUSE]
        yield f"Job {jid}: {status}{after}: {cause}"
        yield f"  {summary.removeprefix(f'{cause}: ')}"
        if info[InfoKey.CAUSE] == Cause.MEMORY.phrase and info[InfoKey.MEMORY_PEAK]:
            attributes = info[InfoKey.ATTRIBUTES]
            cores = f"{attributes['cores']} x {attributes['core_type']}"
            yield f"  It used {size(info[InfoKey.MEMORY_PEAK])} on {cores}."
        advice = next(
            (text for cause, text in _ADVICE.items() if cause.phrase == info["cause"]), ""
        )
        if advice:
            yield f"  {advice.format(jid=jid)}"
        return
    if status == Status.PROCESSING:
        ran = f" for {units.duration(info[InfoKey.RUNTIME])}" if info[InfoKey.RUNTIME] else ""
        why = f": {info[InfoKey.WHY]}" if info[InfoKey.WHY] else ""
        yield f"Job {jid}: processing{ran}{why}"
        return
    yield f"Job {jid}: {status}" + (f": {info[InfoKey.WHY]}" if info[InfoKey.WHY] else "")
