"""Info: asking what is known of jobs, and reading what only this side may unpickle."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from picloud_model import info as model
from picloud_model import ranges, wire
from picloud_model.errors import RequestRefused
from picloud_model.info import InfoKey
from picloud_model.pack import Envelope, Pack

from cloud._jobs.jids import portions
from cloud._packing import PackingError
from cloud.errors import CloudException, from_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from picloud_model.wire import Content, JobInfo

    from cloud._http.transport import Transport
    from cloud._packing import Packer
    from cloud._resources.blob import BlobClient

_TIMES: Final = (InfoKey.CREATED, InfoKey.FINISHED)


class Wanted:
    """The keys somebody asked for, as they are to be told.

    >>> Wanted("cputime").keys
    ['cputime.user', 'cputime.system']
    """

    def __init__(self, asked: object) -> None:
        self.names = _names(asked)
        try:
            self.keys = [key.value for key in model.read_keys(self.names)]
        except RequestRefused as error:
            raise from_model(error) from None
        self.lenient = model.ALL in self.names

    def told(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values under the names that were asked for: a group is a dict of its own."""
        if self.lenient:
            return {key: values.get(key) for key in self.keys}
        return {
            name: {
                key.partition(".")[2]: values.get(key) for key in model.members(name)
            } if name in model.GROUPS else values.get(name)
            for name in self.names
        }  # fmt: skip


def _names(asked: object) -> list[str]:
    if asked is None:
        return [key.value for key in model.DEFAULT_KEYS]
    if isinstance(asked, str):
        return [asked]
    names = list(asked) if isinstance(asked, Iterable) else [asked]
    if not all(isinstance(name, str) for name in names):
        raise CloudException(f"info_requested must be names of infos, not {asked!r:.80}.")
    return [str(name) for name in names]


class InfoClient:
    """Asks one server about jobs."""

    def __init__(self, transport: Transport, blobs: BlobClient, packer: Packer) -> None:
        self._transport = transport
        self._blobs = blobs
        self._packer = packer

    def of(self, order: Sequence[int], wanted: Wanted) -> dict[int, dict[str, Any]]:
        """What is known of some jobs, by jid in the order asked."""
        found: dict[int, dict[str, Any]] = {}
        for job, envelope in self._asked(order, wanted.keys):
            values = dict(job.values)
            for key in _TIMES:
                if values.get(key) is not None:
                    values[key] = datetime.fromtimestamp(values[key], UTC)
            if values.get(InfoKey.SAMPLES) is not None:
                values[InfoKey.SAMPLES] = [tuple(each) for each in values[InfoKey.SAMPLES]]
            values |= self._unpickled(job, envelope, wanted)
            found[job.jid] = wanted.told(values)
        return {jid: found[jid] for jid in order}

    def follow(self, jid: int, since: Mapping[str, int]) -> JobInfo:
        """The status of a job, and what it wrote to its streams since so many bytes of each."""
        body = wire.InfoRequest(
            jids=[(jid, jid)], keys=[InfoKey.STATUS.value, *since], since=dict(since)
        )  # fmt: skip
        return self._transport.post("/v1/jobs/info", body, wire.JobInfos).jobs[0]

    def _asked(self, order: Sequence[int], keys: list[str]) -> Iterator[tuple[JobInfo, Envelope]]:
        for portion in portions(ranges.collapse(order)):
            left = portion
            while left:
                body = wire.InfoRequest(jids=left, keys=keys)
                answer = self._transport.post("/v1/jobs/info", body, wire.JobInfos)
                if not answer.jobs:
                    raise CloudException("The server told of none of the jobs it was asked about.")
                for job in answer.jobs:
                    yield job, answer.envelopes[job.envelope]
                left = _after(left, len(answer.jobs))

    def _unpickled(self, job: JobInfo, envelope: Envelope, wanted: Wanted) -> dict[str, Any]:
        found: dict[str, Any] = {}
        asked = model.UNPICKLED.intersection(wanted.keys)
        try:
            if {InfoKey.ARGS, InfoKey.KWARGS} & asked:
                parcel = self._parcel(job)
                args, kwargs = self._packer.result(parcel, envelope, "arguments")
                found |= {InfoKey.ARGS.value: args, InfoKey.KWARGS.value: kwargs}
            if InfoKey.FUNC_BODY in asked and job.function is not None:
                data = self._bytes(job.function)
                found[InfoKey.FUNC_BODY.value] = self._packer.result(data, envelope, "function")
        except PackingError as error:
            # Who asks for everything wants what can be had here.
            if not wanted.lenient:
                raise CloudException(str(error), job.jid) from error.__cause__
        return found

    def _parcel(self, job: JobInfo) -> bytes:
        arguments = job.arguments
        if arguments is None:
            raise PackingError("The server has no arguments of it any more.")
        if arguments.parcel is not None:
            return arguments.parcel
        assert arguments.pack is not None
        return Pack(self._bytes(arguments.pack))[arguments.item]

    def _bytes(self, content: Content) -> bytes:
        return content.data if content.data is not None else next(self._blobs.fetch([content]))


def _after(asked: list[ranges.Range], told: int) -> list[ranges.Range]:
    """The ranges without the first jobs of them.

    >>> _after([(1, 3), (7, 9)], 4)
    [(8, 9)]
    """
    left: list[ranges.Range] = []
    for first, last in asked:
        count = last - first + 1
        if told < count:
            left.append((first + told, last))
        told = max(0, told - count)
    return left
