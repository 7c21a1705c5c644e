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
from picloud_model.wire.rest import FORM, OriginalCall, Parameter, PublishRequest

from tests.polling import eventually
from tests.unit.api.api_harness import ACCOUNT, report_of
from tests.unit.api.http_api import HttpApi
from tests.unit.api.recording_state import RecordingState, SharedRecordingState

if TYPE_CHECKING:
    from collections.abc import Iterator

    import falcon.testing

    from tests.unit.api.api_harness import ApiHarness
    from tests.unit.api.conftest import StartApi

CALLERS: Final = 8
ROUNDS: Final = 3
BETWEEN: Final = 2 * CALLERS
"""Calls that are answered between two switches, at least: some of them began after the first."""
TEXT: Final = "text/plain; charset=utf-8"


class Answered(NamedTuple):
    """A call that was answered, and the versions that were current at some moment of it."""

    result: falcon.testing.Result
    current: list[int]


class Endpoint:
    """An endpoint whose versions differ in all that a call uses of them.

    Version 1, 3, ... take a number, and their results are JSON; version 2, 4, ... take a text, and
    their results are text. The name of the function is that of its version.
    """

    def __init__(self, api: ApiHarness) -> None:
        self._api = api
        self._http = HttpApi(api)
        self._endpoints = api.use_cases.rest.endpoints
        self._history: list[int] = []
        self._settled = 0
        self.published = 0

    async def publish(self) -> None:
        """Publish the next version."""
        number = self.published = self.published + 1
        job = self._api.request(1, function=f"f{number}", label=f"version {number}")
        request = PublishRequest(
            label="e",
            parameters=[Parameter(name="x", kind="int" if number % 2 else "str")],
            job=replace(job, kind="call", submit_id=uuid.uuid4().hex),
            out_encoding="json" if number % 2 else "raw",
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

    async def call(self) -> Answered:
        """Call it, and wait for the result."""
        name, secret = self._api.server.key.removeprefix("pk_").split("_", 1)
        login = base64.b64encode(f"{name}:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": FORM, "Prefer": "wait=60"}
        begun = self._settled
        result = await self._http.send("POST", f"/r/{ACCOUNT}/e", b"x=5", "", **headers)
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
    endpoint, answered, ended = Endpoint(api), [], False
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
