"""The client: everything a user can ask of one PiCloud server."""

from __future__ import annotations

import time
from collections.abc import Iterable
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from picloud_model import ranges, wire
from picloud_model.job import FINAL, Status

from cloud._http.transport import ServerAddress, Transport
from cloud._jobs import jids as jids_asked
from cloud._jobs import options
from cloud._jobs.callback import Callbacks
from cloud._jobs.info import InfoClient, Wanted
from cloud._jobs.option_values import whole
from cloud._jobs.results import IN_PARALLEL, MOST_IN_PARALLEL, Ordered, Unordered
from cloud._jobs.submit import Submitter
from cloud._jobs.wait import Waiter, WaitOptions
from cloud._packing import Packer
from cloud._resources.blob import BlobClient
from cloud._resources.key import KeyClient
from cloud.errors import CloudException, CloudTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from cloud._config.configuration import Config
    from cloud._jobs.job_socket import Line


class Client:
    """Talks to one server for one account. Threads may share it, and forked processes too.

    Args:
        address: Where the server is, and the API key for it.
        config: Limits and timeouts.
        transport: What carries requests; over the network by default.
        line: The way to the supervisor, where this is a job.

    Attributes:
        keys: The API keys of the account.
    """

    def __init__(
        self,
        address: ServerAddress,
        config: Config,
        transport: Transport | None = None,
        line: Line | None = None,
    ) -> None:
        self.address = address
        self._transport = transport or Transport(address, config)
        self.keys = KeyClient(self._transport)
        self._blobs = BlobClient(self._transport)
        packer = Packer()
        self._submit = Submitter(self._transport, self._blobs, packer, config)
        self._callbacks = Callbacks(self._transport)
        self._infos = InfoClient(self._transport, self._blobs, packer)
        self._wait = Waiter(self._transport, self._blobs, packer, time.monotonic, line)

    def call(self, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> int:
        """Make a job that runs `func(*args, **kwargs)`; see `cloud.call`."""
        chosen, arguments = options.split(kwargs)
        jid = self._submit.call(func, args, arguments, chosen)
        self._callbacks.add(range(jid, jid + 1), chosen)
        return jid

    def map(self, func: Callable[..., Any], /, *iterables: Any, **kwargs: Any) -> range:
        """Make a job for each item of the iterables; see `cloud.map`."""
        chosen, arguments = options.split(kwargs)
        if not iterables:
            raise CloudException("map needs a function and at least one iterable of arguments.")
        for number, items in enumerate(iterables, 1):
            if not hasattr(items, "__iter__") and not hasattr(items, "__getitem__"):
                raise CloudException(
                    f"Argument {number} of map must be an iterable, not {items!r:.80}; "
                    "use cloud.call for a single job."
                )
        jids = self._submit.map(func, iterables, arguments, chosen)
        self._callbacks.add(jids, chosen)
        return jids

    def check_key(self) -> None:
        """Ask the server whether it knows the key.

        Raises:
            CloudException: When it does not, or there is no server.
        """
        self._transport.post("/v1/jobs/status", wire.JobsRequest(jids=[]), wire.Statuses)

    def status(self, jids: Any) -> Any:
        """The status of a job, or a list of them; see `cloud.status`."""
        asked = jids_asked.read(jids)
        found: dict[int, str] = {}
        for portion in jids_asked.portions(ranges.collapse(asked.order)):
            body = wire.JobsRequest(jids=portion)
            answer = self._transport.post("/v1/jobs/status", body, wire.Statuses)
            for run in answer.runs:
                found.update(dict.fromkeys(range(run.first, run.last + 1), run.status))
        listed = [found[jid] for jid in asked.order]
        return listed[0] if asked.single else listed

    def join(
        self,
        jids: Any,
        timeout: float | None = None,
        ignore_errors: bool = False,
        deadlock_check: bool = True,  # noqa: ARG002 - see cloud.join
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Wait for jobs to end; see `cloud.join`. `on_progress` hears how many of how many have."""
        asked = jids_asked.read(jids)
        self._ended(
            asked.order,
            WaitOptions(
                timeout_s=_seconds(timeout),
                payloads=False,
                ignore_errors=ignore_errors,
                on_progress=on_progress,
            ),
        )

    def result(
        self,
        jids: Any,
        timeout: float | None = None,
        ignore_errors: bool = False,
        deadlock_check: bool = True,  # noqa: ARG002 - see cloud.join
        *,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Any:
        """The result of a job, or a list of them; see `cloud.result`, and `join` for the rest."""
        asked = jids_asked.read(jids)
        wish = WaitOptions(
            timeout_s=_seconds(timeout), ignore_errors=ignore_errors, on_progress=on_progress
        )
        found = self._ended(asked.order, wish)
        return found[0] if asked.single else found

    def iresult(
        self,
        jids: Any,
        timeout: float | None = None,
        num_in_parallel: int = IN_PARALLEL,
        ignore_errors: bool = False,
    ) -> Iterator[Any]:
        """Results one by one, in the order asked; see `cloud.iresult`."""
        window = whole(num_in_parallel)
        if window is None:
            raise CloudException(f"num_in_parallel must be a number, not {num_in_parallel!r}.")
        if window < 0:
            raise CloudException(f"num_in_parallel must be at least 0, not {num_in_parallel}.")
        wish = WaitOptions(timeout_s=_seconds(timeout), ignore_errors=ignore_errors)
        order = jids_asked.read(jids).order
        return Ordered(order, self._wait, wish, window or MOST_IN_PARALLEL, time.monotonic)

    def iresult_unordered(self, jids: Any) -> Iterator[tuple[int, Any]]:
        """Pairs of jid and result, as jobs end; see `cloud.iresult_unordered`."""
        order = jids_asked.read(jids).order
        return Unordered(order, self._wait, WaitOptions(), IN_PARALLEL, time.monotonic)

    def wait_for_status(
        self, jids: Any, test_status: str | Sequence[str], timeout: float | None = None
    ) -> Any:
        """Wait until jobs have a status, or one of several; see `cloud.wait_for.status`."""
        asked, wanted, timeout_s = jids_asked.read(jids), _statuses(test_status), _seconds(timeout)
        until = None if timeout_s is None else time.monotonic() + timeout_s
        for portion in jids_asked.portions(ranges.collapse(asked.order)):
            while True:
                left = wire.LONGEST_POLL_S if until is None else max(0.0, until - time.monotonic())
                hold_s = min(left, wire.LONGEST_POLL_S)
                self._wait.until_shown(portion, wanted, hold_s, timed=until is not None)
                found = list(ranges.expand(portion))
                lacking = {
                    jid: status
                    for jid, status in zip(found, self.status(found), strict=True)
                    if status not in wanted
                }
                if not lacking:
                    break
                _check_reachable(lacking, wanted)
                if not left:
                    jid, status = next(iter(lacking.items()))
                    raise CloudTimeoutError(f"still {status} after {timeout_s:g} s", jid, status)
        return self.status(jids)

    def kill(self, jids: Any = None) -> int:
        """End jobs, all unfinished ones by default; returns how many were; see `cloud.kill`."""
        if jids is None:
            return self._killed(None)
        asked = jids_asked.read(jids)
        portions = jids_asked.portions(ranges.collapse(asked.order))
        return sum(self._killed(portion) for portion in portions)

    def info(self, jids: Any, info_requested: Any = None) -> dict[int, dict[str, Any]]:
        """What is known of jobs, by jid; see `cloud.info`."""
        wanted = Wanted(info_requested)
        return self._infos.of(jids_asked.read(jids).order, wanted)

    def follow(self, jid: int, since: Mapping[str, int]) -> wire.JobInfo:
        """What a job wrote after so many bytes of its streams, and its status."""
        return self._infos.follow(jid, since)

    def delete(self, jids: Any) -> int:
        """Remove what finished jobs left; returns how many did; see `cloud.delete`."""
        asked = jids_asked.read(jids)
        count = 0
        for portion in jids_asked.portions(ranges.collapse(asked.order)):
            body = wire.DeleteRequest(jids=portion)
            count += self._transport.post("/v1/jobs/delete", body, wire.Deleted).count
        return count

    def listed(self, request: wire.ListRequest) -> wire.JobsListed:
        """Some jobs of this account, newest first."""
        return self._transport.post("/v1/jobs/list", request, wire.JobsListed)

    def renew(self, address: ServerAddress) -> None:
        """Go on with another key: a job's token ends with the job, the connection does not."""
        if address is not self.address:
            self.address = address
            self._transport.renew(address)

    def close(self) -> None:
        """Give back connections and call no callbacks; the next request opens new ones."""
        self._callbacks.close()
        self._transport.close()

    def _killed(self, portion: list[ranges.Range] | None) -> int:
        body = wire.JobsRequest(jids=portion)
        return self._transport.post("/v1/jobs/kill", body, wire.Killed).count

    def _ended(self, order: Sequence[int], wish: WaitOptions) -> list[Any]:
        if isinstance(order, range):
            return self._wait.until_ended(order, wish)
        different = list(dict.fromkeys(order))
        found = self._wait.until_ended(different, wish)
        if len(different) == len(order):
            return found
        by_jid = dict(zip(different, found, strict=True))
        return [by_jid[jid] for jid in order]


def _statuses(asked: object) -> list[str]:
    named = [asked] if isinstance(asked, str) else asked
    known = [status.value for status in Status]
    if not isinstance(named, Iterable) or not (found := list(named)) or set(found) - set(known):
        raise CloudException(
            f"test_status must be one of {', '.join(known)}, or a list of them, not {asked!r:.80}."
        )
    return found


def _check_reachable(lacking: Mapping[int, str], wanted: Sequence[str]) -> None:
    """Refuse to wait for what cannot come: a final status never changes."""
    for jid, status in lacking.items():
        if status in _FINAL:
            raise CloudException(f"ended as {status} and will never be {_or(wanted)}.", jid, status)


def _or(names: Sequence[str]) -> str:
    return " or ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]


_FINAL: Final = frozenset(state.shown.value for state in FINAL)


def _seconds(timeout: object) -> float | None:
    if timeout is None:
        return None
    number = isinstance(timeout, Real) and not isinstance(timeout, bool)
    seconds = float(timeout) if number else -1.0  # type: ignore[arg-type]
    if not seconds >= 0:
        raise CloudException(f"timeout must be seconds from 0, or None, not {timeout!r}.")
    return seconds
