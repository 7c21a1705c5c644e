"""Asking for info about jobs, and unpickling the values that only the client may unpickle."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from picloud_model import info as model
from picloud_model import ranges, wire
from picloud_model.errors import RequestRefused
from picloud_model.info import InfoKey
from picloud_model.job import ENDED
from picloud_model.pack import Envelope, Pack

from cloud._arguments.jids import portions
from cloud._config.border import BORDER
from cloud._packing.errors import PackingError
from cloud.errors import CloudException, CloudValueError, from_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from picloud_model.wire import Content, JobInfo

    from cloud._arguments.handles import JobOwner
    from cloud._http.transport import Transport
    from cloud._packing.packer import Packer
    from cloud._resources.blob import BlobClient

_POLL_S: Final = 0.5
"""Time between two requests for the output of a job that runs."""
_ROWS: Final = frozenset((InfoKey.SAMPLES, InfoKey.PROFILE_CALLS, InfoKey.DEPENDS_ON))
"""Keys whose values are lists of tuples."""
_TIMES: Final = (InfoKey.CREATED, InfoKey.FINISHED)


def log_pieces(
    client: Callable[[], JobOwner], jid: int, stream: str, *, follow: bool
) -> Iterator[str]:
    """Yield what a job has written to an output stream; with `follow` until it has ended."""
    offset, has_ended = 0, not follow
    while True:
        with BORDER:
            read = client().follow(jid, {stream: offset})
        if read.values[stream]:
            yield read.values[stream]
        end = read.ends[stream]
        if has_ended and end == offset:
            return
        # The status may be final before the last output has arrived: ask once more.
        has_ended = has_ended or read.values["status"] in ENDED
        if end == offset and not has_ended:
            time.sleep(_POLL_S)
        offset = end


class RequestedKeys:
    """The keys that a user requested.

    Attributes:
        names: The names as the user wrote them; a group is one name.
        keys: The keys that they stand for.
        lenient: Whether values that cannot be read are left out.

    >>> RequestedKeys("cputime").keys
    ['cputime.user', 'cputime.system']
    """

    def __init__(self, info_requested: object) -> None:
        self.names = _names(info_requested)
        try:
            self.keys = [key.value for key in model.read_keys(self.names)]
        except RequestRefused as error:
            raise from_model(error) from None
        self.lenient = model.ALL in self.names

    def select(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values under the requested names; a group is a dict."""
        if self.lenient:
            return {key: values.get(key) for key in self.keys}
        return {
            name: {
                key.partition(".")[2]: values.get(key) for key in model.members(name)
            } if name in model.GROUPS else values.get(name)
            for name in self.names
        }  # fmt: skip


def _names(info_requested: object) -> list[str]:
    if info_requested is None:
        return [key.value for key in model.DEFAULT_KEYS]
    if isinstance(info_requested, str):
        return [info_requested]
    names = list(info_requested) if isinstance(info_requested, Iterable) else [info_requested]
    if not all(isinstance(name, str) for name in names):
        raise CloudValueError(f"info_requested must be names of infos, not {info_requested!r:.80}.")
    return [str(name) for name in names]


class JobInputs(msgspec.Struct, frozen=True, kw_only=True):
    """What a job ran with: its function and arguments as parcels, its modules and its options.

    `bundle` is the digest of its modules, or ""; `attributes` are what `info` shows under that key.
    """

    jid: int
    status: str
    function: bytes
    arguments: bytes
    envelope: Envelope
    bundle: str
    attributes: dict[str, Any]


class InfoClient:
    """Asks one server for info about jobs."""

    def __init__(self, transport: Transport, blobs: BlobClient, packer: Packer) -> None:
        self._transport = transport
        self._blobs = blobs
        self._packer = packer

    def of(self, order: Sequence[int], requested: RequestedKeys) -> dict[int, dict[str, Any]]:
        """Return what is known about jobs, by jid in the order of the jids."""
        infos: dict[int, dict[str, Any]] = {}
        for job, envelope in self._read(order, requested.keys):
            values = dict(job.values)
            values |= _with_times({key: values[key] for key in _TIMES if key in values})
            for key in _ROWS.intersection(values):
                values[key] = [tuple(each) for each in values[key] or ()]
            if values.get(InfoKey.PROGRESS) is not None:
                values[InfoKey.PROGRESS] = tuple(map(_shortest, values[InfoKey.PROGRESS]))
            if values.get(InfoKey.WEBHOOK) is not None:
                values[InfoKey.WEBHOOK] = _with_times(values[InfoKey.WEBHOOK])
            values |= self._unpickle(job, envelope, requested)
            infos[job.jid] = requested.select(values)
        return {jid: infos[jid] for jid in order}

    def inputs(self, jid: int) -> JobInputs:
        """Return what a job ran with, or will run with.

        Raises:
            CloudException: When the server no longer has it.
        """
        asked = (InfoKey.STATUS, InfoKey.ATTRIBUTES, InfoKey.ARGS, InfoKey.FUNC_BODY)
        ((job, envelope),) = self._read([jid], [key.value for key in asked])
        if job.function is None:
            raise CloudException("The server no longer has its function.", jid)
        try:
            return JobInputs(
                jid=jid,
                status=job.values[InfoKey.STATUS],
                function=self._bytes(job.function),
                arguments=self._parcel(job),
                envelope=envelope,
                bundle=job.bundle,
                attributes=job.values[InfoKey.ATTRIBUTES],
            )
        except PackingError as error:
            raise CloudException(str(error), jid) from error.__cause__

    def streams(self, order: Sequence[int], since: Mapping[str, int]) -> Iterator[JobInfo]:
        """Yield the status of jobs and what they wrote to streams after these byte offsets."""
        for job, _ in self._read(order, [InfoKey.STATUS.value, *since], since):
            yield job

    def _read(
        self, order: Sequence[int], keys: list[str], since: Mapping[str, int] | None = None
    ) -> Iterator[tuple[JobInfo, Envelope]]:
        for portion in portions(ranges.collapse(order)):
            remaining = portion
            while remaining:
                body = wire.InfoRequest(
                    jids=remaining, keys=keys, since=None if since is None else dict(since)
                )
                answer = self._transport.post("/v1/jobs/info", body, wire.JobInfos)
                if not answer.jobs:
                    raise CloudException("The server sent info about none of the jobs requested.")
                for job in answer.jobs:
                    yield job, answer.envelopes[job.envelope]
                remaining = _after(remaining, len(answer.jobs))

    def _unpickle(
        self, job: JobInfo, envelope: Envelope, requested: RequestedKeys
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        keys = model.UNPICKLED.intersection(requested.keys)
        try:
            if {InfoKey.ARGS, InfoKey.KWARGS} & keys:
                parcel = self._parcel(job)
                args, kwargs = self._packer.result(parcel, envelope, "arguments")
                values |= {InfoKey.ARGS.value: args, InfoKey.KWARGS.value: kwargs}
            if InfoKey.FUNC_BODY in keys and job.function is not None:
                data = self._bytes(job.function)
                values[InfoKey.FUNC_BODY.value] = self._packer.result(data, envelope, "function")
        except PackingError as error:
            # A request for all keys returns those that can be read here.
            if not requested.lenient:
                raise CloudException(str(error), job.jid) from error.__cause__
        return values

    def _parcel(self, job: JobInfo) -> bytes:
        arguments = job.arguments
        if arguments is None:
            raise PackingError("The server no longer has its arguments.")
        if arguments.parcel is not None:
            return arguments.parcel
        assert arguments.pack is not None
        return Pack(self._bytes(arguments.pack))[arguments.item]

    def _bytes(self, content: Content) -> bytes:
        return content.data if content.data is not None else next(self._blobs.fetch([content]))


def _with_times(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values whose numbers of seconds since the epoch are times in UTC."""
    return {
        key: datetime.fromtimestamp(value, UTC) if isinstance(value, float) else value
        for key, value in values.items()
    }


def _shortest(number: float | None) -> float | None:
    """Return a whole number as an int.

    >>> _shortest(2.0), _shortest(2.5), _shortest(None)
    (2, 2.5, None)
    """
    return int(number) if number is not None and float(number).is_integer() else number


def _after(spans: list[ranges.Range], count: int) -> list[ranges.Range]:
    """Return ranges without their first `count` jids.

    >>> _after([(1, 3), (7, 9)], 4)
    [(8, 9)]
    """
    remaining: list[ranges.Range] = []
    for first, last in spans:
        length = last - first + 1
        if count < length:
            remaining.append((first + count, last))
        count = max(0, count - length)
    return remaining
