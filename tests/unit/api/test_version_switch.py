"""Calls of an endpoint while its current version changes: by publishing, and by rolling back."""

from __future__ import annotations

import asyncio
import base64
import pickle
import re
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from msgspec.structs import replace
from picloud_model import pack, wire
from picloud_model.wire.application import APPLICATION
from picloud_model.wire.rest import FORM, OriginalCall, OutEncoding, Parameter, PublishRequest

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.http_api import HttpApi
from tests.unit.api.process_pair import Pair
from tests.unit.api.recording_state import RecordingState, SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    import falcon.testing

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

CALLERS: Final = 8
ROUNDS: Final = 3
BETWEEN: Final = 2 * CALLERS
"""Calls that are answered between two switches, at least: some of them began after the first."""
TEXT: Final = "text/plain; charset=utf-8"


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two processes over one state store."""
    made = Pair(tmp_path)
    await made.start()
    yield made
    await made.stop()


class Answered(NamedTuple):
    """A call that was answered, and the versions that were current at some moment of it."""

    result: falcon.testing.Result
    current: list[int]


class Endpoint:
    """An endpoint whose versions differ in all that a call uses of them.

    Version 1, 3, ... take a number, and their results are JSON; version 2, 4, ... take a text, and
    their results are text. The name of the function is that of its version.

    Args:
        api: The process that its callers use.
        publisher: The one that its owner uses, if it is another one.
    """

    def __init__(self, api: ApiHarness, publisher: ApiHarness | None = None) -> None:
        self._api = api
        self._http = HttpApi(api)
        self._endpoints = (publisher or api).use_cases.rest.endpoints
        self._history: list[int] = []
        self._settled = 0
        self.published = 0

    async def publish(self, out_encoding: OutEncoding | None = None) -> None:
        """Publish the next version."""
        number = self.published = self.published + 1
        job = self._api.request(1, function=f"f{number}", label=f"version {number}")
        request = PublishRequest(
            label="e",
            parameters=[Parameter(name="x", kind="int" if number % 2 else "str")],
            job=replace(job, kind="call", submit_id=uuid.uuid4().hex),
            out_encoding=out_encoding or ("json" if number % 2 else "raw"),
        )
        with self._switched(number):
            assert (await self._endpoints.publish(ACCOUNT, request)).version == number

    async def rollback(self, number: int) -> None:
        """Make another version the current one."""
        with self._switched(number):
            assert (await self._endpoints.rollback(ACCOUNT, "e", number)).version == number

    @contextmanager
    def _switched(self, number: int) -> Iterator[None]:
        self._history.append(number)
        yield
        self._settled = len(self._history) - 1

    async def remove(self) -> None:
        """Remove it."""
        await self._endpoints.remove(ACCOUNT, "e")

    async def call(self, arguments: bytes = b"x=5") -> Answered:
        """Call it, and wait for the result."""
        name, secret = self._api.server.key.removeprefix("pk_").split("_", 1)
        login = base64.b64encode(f"{name}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": FORM, "Prefer": "wait=60"}
        begun = self._settled
        result = await self._http.send("POST", f"/r/{ACCOUNT}/e", arguments, "", **headers)
        return Answered(result, self._history[begun:])


async def run_jobs(api: ApiHarness) -> None:
    """Run jobs as a slot would: each returns the name of its function and its arguments."""
    slot = await api.slot()
    reports: list[wire.Report] = []
    while True:
        leases = (await api.work(slot, reports=reports, wait_s=60.0)).leases
        reports = [_report(lease) for lease in leases]


def _report(lease: wire.Lease) -> wire.Report:
    report = report_of(lease)
    if lease.function_name == "f":
        return report  # of a job that is no call
    jobs = []
    for leased, job in zip(lease.jobs, report.ended, strict=True):
        _, given = pickle.loads(pack.unseal(leased.arguments))
        result = f"{lease.function_name} {lease.options.label}: {given!r}"
        jobs.append(replace(job, payload=pack.seal(pickle.dumps(result))))
    return replace(report, ended=jobs)


def version_of(result: falcon.testing.Result) -> int:
    """Return the version that answered a call, if all of the answer is of that version."""
    assert result.status_code == 200, result.content
    is_text = result.headers["content-type"] == TEXT
    text = result.text if is_text else wire.decode(result.content, OriginalCall, wire.JSON).result
    matched = re.fullmatch(r"f(\d+) version (\d+): {'x': ('?)5\3}", str(text))
    assert matched, text
    number = int(matched[1])
    is_even = number % 2 == 0
    assert (int(matched[2]), bool(matched[3]), is_text) == (number, is_even, is_even)
    return number


@pytest.mark.parametrize("state_type", [RecordingState, SharedRecordingState])
async def test_each_call_is_answered_by_one_version(
    start_api: StartApi, state_type: type[RecordingState]
) -> None:
    """While many calls run, versions are published and rolled back: no call fails, and its
    function, its arguments and the form of its result are of one version, which was current at some
    moment of the call.
    """
    api = await start_api(state_type)
    # Other tasks run while a request to the state store is under way.
    api.state.before_read = api.state.before_commit = lambda: asyncio.sleep(0)

    await check_switches(api, Endpoint(api))


async def test_a_version_that_another_process_made_current_is_called_at_once(
    pair: Pair,
) -> None:
    """The same holds if the process that is called has an earlier version in memory."""
    pair.state.before_read = pair.state.before_commit = lambda: asyncio.sleep(0)

    await check_switches(pair.one, Endpoint(pair.one, pair.two))


async def test_a_call_reads_its_endpoint_only_if_it_has_changed(pair: Pair) -> None:
    """The transaction that makes its job checks that it has not."""
    endpoint = Endpoint(pair.one, pair.two)
    await endpoint.publish()
    slot = asyncio.create_task(run_jobs(pair.one))
    await endpoint.call()
    pair.take_requests()

    for _ in range(3):
        assert version_of((await endpoint.call()).result) == 1
    unchanged = pair.take_requests()
    await endpoint.publish()
    pair.take_requests()
    assert version_of((await endpoint.call()).result) == 2
    changed = pair.take_requests()
    slot.cancel()

    assert (unchanged["read"], unchanged["conflict"]) == (0, 0)
    # What has changed is read after the conflict, and then the endpoint.
    assert (changed["read"], changed["conflict"]) == (2, 1)


async def test_arguments_that_only_the_new_version_takes_are_not_refused(pair: Pair) -> None:
    """What the version in memory does not take, the current one may."""
    endpoint = Endpoint(pair.one, pair.two)
    await endpoint.publish()
    slot = asyncio.create_task(run_jobs(pair.one))
    refused = (await endpoint.call(b"x=word")).result
    await endpoint.publish()

    taken = (await endpoint.call(b"x=word")).result
    slot.cancel()

    assert (refused.status_code, taken.status_code) == (400, 200)
    assert taken.text == "f2 version 2: {'x': 'word'}"


async def test_what_another_process_has_removed_is_not_called(pair: Pair) -> None:
    """If an application has replaced a function during a call, the client tries again."""
    endpoint = Endpoint(pair.one, pair.two)
    await endpoint.publish()
    slot = asyncio.create_task(run_jobs(pair.one))
    assert version_of((await endpoint.call()).result) == 1

    await endpoint.publish(APPLICATION)
    replaced = (await endpoint.call()).result
    await endpoint.rollback(1)
    assert version_of((await endpoint.call()).result) == 1
    await endpoint.remove()
    removed = (await endpoint.call()).result
    slot.cancel()

    assert (replaced.status_code, removed.status_code) == (503, 404)


async def check_switches(api: ApiHarness, endpoint: Endpoint) -> None:
    """Publish and roll back while calls run; check what answered each call."""
    answered, ended = [], False
    await endpoint.publish()

    async def call_until_the_end() -> None:
        while not ended:
            answered.append(await endpoint.call())

    async def some_are_answered() -> None:
        count = len(answered) + BETWEEN
        await eventually(lambda: len(answered) >= count, "calls are answered")

    slots = [asyncio.create_task(run_jobs(api)) for _ in range(2)]
    callers = [asyncio.create_task(call_until_the_end()) for _ in range(CALLERS)]
    for number in range(1, ROUNDS + 1):
        await some_are_answered()
        await endpoint.publish()
        for version in (number, number + 1):
            await some_are_answered()
            await endpoint.rollback(version)
    await some_are_answered()
    ended = True
    await asyncio.gather(*callers)
    for slot in slots:
        slot.cancel()

    versions = [(version_of(each.result), each.current) for each in answered]
    assert all(version in current for version, current in versions)
    assert {version for version, _ in versions} == {*range(1, ROUNDS + 2)}
