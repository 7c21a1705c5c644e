"""The HTTP interface of the original PiCloud: Basic authentication, parameters, JSON."""

from __future__ import annotations

import base64
import json
import pickle
import urllib.parse
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from picloud_api.usecases.jobs.info import ANSWER_JOBS
from picloud_model import pack, wire
from picloud_model.info import InfoKey
from picloud_model.job import Cause, State
from picloud_model.plain_value import MAX_BYTES

from tests.unit.api.api_harness import ACCOUNT, ENVELOPE, ApiHarness, report_of

if TYPE_CHECKING:
    import falcon.testing

    from tests.unit.api.http_api import HttpApi

ORIGINAL_FIELDS = (
    "status", "stdout", "stderr", "logging", "pilog", "exception", "runtime", "created",
    "finished", "env", "vol", "function", "label", "attributes", "profile", "memory", "cputime",
    "cpu_percentage", "ports",
)  # fmt: skip
"""The fields of the original that are not pickled."""


class Program:
    """A program in another language: it has the id and the secret of a key."""

    def __init__(self, http: HttpApi) -> None:
        self.api = http.api
        self._http = http
        _, name, secret = http.api.server.key.split("_", 2)
        self.user = f"{name}:{secret}"

    async def get(
        self, address: str, user: str | None = None, verb: str = "GET", **headers: str
    ) -> falcon.testing.Result:
        """Send a request with a user name and a password; return the response."""
        pair = self.user if user is None else user
        credential = f"Basic {base64.b64encode(pair.encode()).decode()}"
        sent = {"Content-Type": wire.JSON, "Authorization": credential, **headers}
        return await self._http.send(verb, address, credential="", **sent)

    async def json(self, address: str, status: int = 200) -> Any:
        """Return the body of a response with an expected status."""
        response = await self.get(address)
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == wire.JSON
        return json.loads(response.content)

    async def ended(
        self, *payloads: bytes, state: State = State.DONE, cause: Cause = Cause.NONE
    ) -> range:
        """Return the jids of jobs that ended with these parcels; a large one is a blob."""
        jids = await self.api.submit(len(payloads))
        slot = await self.api.slot()
        jobs: list[wire.JobReport] = []
        while len(jobs) < len(payloads):
            (lease,) = (await self.api.work(slot)).leases
            report = report_of(lease, state)
            for each in report.ended:
                job = msgspec.structs.replace(each, payload=payloads[each.index], cause=cause)
                jobs.append(await self._offloaded(job))
            done = wire.Report(lease.batch, ENVELOPE, jobs[-len(report.ended) :])
            await self.api.work(slot, reports=[done], lease=False)
        return jids

    async def _offloaded(self, job: wire.JobReport) -> wire.JobReport:
        if len(job.payload) <= pack.INLINE_BYTES:
            return job
        (digest,) = (await self.api.use_cases.storage.blobs.store(ACCOUNT, [job.payload])).digests
        blob = wire.Content(digest, len(job.payload))
        return msgspec.structs.replace(job, payload=b"", blob=blob)


def parcel(value: object) -> bytes:
    """Return the parcel of a result."""
    return pack.seal(pickle.dumps(value, 5))


def failure(cause: Cause, message: str) -> bytes:
    """Return the parcel of a failure."""
    return pack.seal(msgspec.msgpack.encode(wire.Failure(cause=int(cause), message=message)))


@pytest.fixture
def program(http: HttpApi) -> Program:
    """A program with a key of the server's account."""
    return Program(http)


@pytest.mark.parametrize("address", ["/job/", "/job", "/job/result/", "/r/7/label", "/r/7/label/"])
@pytest.mark.parametrize("user", ["", ":", "x", "a:b", "000000000000:" + "A" * 43, "é:ü"])
async def test_a_wrong_key_is_refused(program: Program, address: str, user: str) -> None:
    """The response asks for Basic authentication, which many clients wait for."""
    response = await program.get(f"{address}?jids=1&jid=1", user)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Basic realm="PiCloud"'
    assert response.json["code"] == "key.refused"


@pytest.mark.parametrize("credential", ["", "Basic", "Basic %%%", "Basic =", "Bearer {key}"])
async def test_other_credentials_are_refused(program: Program, credential: str) -> None:
    """Also those of the rest of the interface: a key here is a user name and a password."""
    header = credential.format(key=program.api.server.key)

    response = await program.get("/job/?jids=1", Authorization=header)

    assert response.status_code == 401
    assert "user name" in response.json["message"]


async def test_basic_authentication_opens_nothing_else(program: Program) -> None:
    """A browser sends a password by itself: what changes jobs takes a bearer credential."""
    for address in ("/v1/jobs/status", "/v1/jobs/kill", "/v1/blobs/missing", "/v1/keys/list"):
        assert (await program.get(address, verb="POST")).status_code == 401


@pytest.mark.parametrize(
    "query", ["jids={0}&jids={1}&jids={2}", "jids={0},{1},{2}", "jids={2},{0}&jids={1},{1}&x=1"]
)
async def test_jids_are_repeated_or_separated_by_commas(program: Program, query: str) -> None:
    """The fields of each job are under its jid, which is text in JSON."""
    jids = await program.ended(parcel(0), parcel(1), parcel(2))

    answer = await program.json(f"/job/?{query.format(*jids)}&field=status&field=label,runtime")

    expected = {"status": "done", "label": None, "runtime": pytest.approx(0.0001)}
    assert answer == {"info": {str(jid): expected for jid in jids}, "version": "0.1"}


async def test_fields_of_a_job_without_a_choice(program: Program) -> None:
    """Those of the original: the status, the output, the run time, the exception."""
    jids = await program.api.submit(1)

    answer = await program.json(f"/job?jids={jids[0]}")

    assert answer["info"][str(jids[0])] == {
        "status": "queued", "stdout": "", "stderr": "", "runtime": None, "exception": None,
    }  # fmt: skip


async def test_every_field_of_the_original_is_known(program: Program) -> None:
    """A group is an object, as in `cloud.info`."""
    (jid,) = await program.ended(parcel(0))

    names = urllib.parse.urlencode([("field", name) for name in ORIGINAL_FIELDS])
    fields = (await program.json(f"/job/?jids={jid}&{names}"))["info"][str(jid)]

    assert set(fields) == {*ORIGINAL_FIELDS}
    assert set(fields["cputime"]) == {"user", "system"}
    assert set(fields["memory"]) == {"usage", "max_usage", "failcnt"}
    assert fields["attributes"]["core_type"] == "c1"
    assert fields["created"] == program.api.now


async def test_all_fields_are_those_that_are_not_pickled(program: Program) -> None:
    """`field=all`, as in `cloud.info`."""
    (jid,) = await program.ended(parcel(0))

    fields = (await program.json(f"/job/?jids={jid}&field=all"))["info"][str(jid)]

    assert set(fields) == {key.value for key in InfoKey} - {"args", "kwargs", "func_body"}


@pytest.mark.parametrize(
    ("pickled", "args", "kwargs"),
    [(((1, "a"), {"b": [None]}), [1, "a"], {"b": [None]}), (((), {}), [], {})],
)
async def test_plain_arguments_are_read(
    program: Program, pickled: Any, args: list[Any], kwargs: dict[str, Any]
) -> None:
    """As JSON, although they are stored as a pickle."""
    jid = await submitted(program.api, parcel(pickled))

    fields = (await program.json(f"/job/?jids={jid}&field=args&field=kwargs"))["info"][str(jid)]

    assert fields == {"args": args, "kwargs": kwargs}


@pytest.mark.parametrize(
    ("parcels", "message"),
    [
        (parcel(((np.arange(3),), {})), "are Python objects"),
        (parcel(5), "are Python objects"),
        (parcel((1, 2, 3)), "are Python objects"),
    ],
)
async def test_other_arguments_are_refused(program: Program, parcels: bytes, message: str) -> None:
    """The error says how to read them."""
    jid = await submitted(program.api, parcels)

    problem = await program.json(f"/job/?jids={jid}&field=args", 422)

    assert problem["message"] == (
        f"The arguments of job {jid} {message}; read them with cloud.info({jid}, 'args')."
    )


async def submitted(api: ApiHarness, *parcels: bytes) -> int:
    """Return the jid of a job with these arguments."""
    part = wire.PackPart(0, 1, wire.Content("", 0, pack.write(parcels)))
    return (await api.send(msgspec.structs.replace(api.request(1), parts=[part])))[0]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", None),
        ("field=status", None),
        ("jids=", "jids[0]"),
        ("jids=x", "jids[0]"),
        ("jids=1&jids=1.5", "jids[1]"),
        ("jids=0", "jids[0]"),
        ("jids=-1", "jids[0]"),
        ("jids=9007199254740992", "jids[0]"),
        ("jids=99999999999999999999", "jids[0]"),
        ("jids=1-3", "jids[0]"),
        ("jids=1,,2", "jids[1]"),
        ("jids=%00", "jids[0]"),
        ("jids=%ff", "jids[0]"),
        ("jids=1&field=nothing", "field"),
        ("jids=1&field=", "field"),
        ("jids=1&field=func_body", "field"),
        ("jids=1&field=" + "x" * 101, "field[0]"),
    ],
)
async def test_wrong_parameters_are_named(program: Program, query: str, field: str | None) -> None:
    """Nothing is looked up, and the error is one sentence."""
    await program.api.submit(1)

    problem = await program.json(f"/job/?{query}", 422)

    assert problem["code"] == "request.refused"
    assert problem.get("field") == field
    assert problem["message"].endswith(".")


async def test_a_number_of_any_length_is_refused(program: Program) -> None:
    """An address may be 64 KB long."""
    await program.json("/job/?jids=" + "9" * 50_000, 422)
    await program.json("/job/result/?jid=" + "9" * 50_000, 422)


@pytest.mark.parametrize("query", ["", "jid=", "jid=x", "jid=1,2", "jid=1&jid=2", "jids=1"])
async def test_one_job_has_a_result(program: Program, query: str) -> None:
    """A result is that of one jid."""
    await program.api.submit(1)

    assert (await program.json(f"/job/result/?{query}", 422))["code"] == "request.refused"


@pytest.mark.parametrize("address", ["/job/?jids=1,2", "/job/result/?jid=2"])
async def test_a_job_that_does_not_exist_is_not_found(program: Program, address: str) -> None:
    """Such as one of another account."""
    await program.api.submit(1)

    problem = await program.json(address, 404)

    assert problem["message"] == "There is no job 2 in your account."


async def test_an_answer_of_bounded_size(program: Program) -> None:
    """The whole answer or none: which jobs it lacks would be easily overlooked."""
    jids = await program.api.submit(ANSWER_JOBS + 1)
    address = f"/job/?field=status&jids={','.join(map(str, jids))}"

    problem = await program.json(address, 413)

    assert "fewer jobs" in problem["message"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (25, 25),
        (2**200, 2**200),
        (0.1, 0.1),
        (float("nan"), None),
        (float("-inf"), None),
        ("Grüße\n\U0001f600", "Grüße\n\U0001f600"),
        (b"\xff\0", "/wA="),
        ((1, [True, {}]), [1, [True, {}]]),
        ({"a": 1, 2: (3,), 0.5: None}, {"a": 1, "2": [3], "0.5": None}),
        ("x" * 1_000_000, "x" * 1_000_000),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_plain_result_is_json(program: Program, value: object, expected: object) -> None:
    """Whether it is stored with the job or, as a large one is, as a blob."""
    (jid,) = await program.ended(parcel(value))

    answer = await program.json(f"/job/result/?jid={jid}")

    assert answer == {"result": expected, "version": "0.1"}


@pytest.mark.parametrize(
    ("value", "predicate"),
    [
        (np.float64(1), "is a Python object"),
        ({1, 2}, "is a Python object"),
        ({(1, 2): 3}, "has a dict whose keys are not all text or numbers"),
        ("x" * MAX_BYTES, "is larger than 4 MiB"),
        ("x" * (MAX_BYTES + 1000), "is larger than 4 MiB"),
        ("\ud800", "has a number or a text that JSON cannot hold"),
        ([10**5000], "has a number or a text that JSON cannot hold"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_another_result_is_refused(program: Program, value: object, predicate: str) -> None:
    """The error says why, and how to read the result."""
    (jid,) = await program.ended(parcel(value))

    problem = await program.json(f"/job/result/?jid={jid}", 422)

    assert problem["message"] == (
        f"The result of job {jid} {predicate}; read it with cloud.result({jid}) "
        f"or `picloud result {jid}`."
    )
    assert problem["field"] == "jid"


async def test_a_job_that_has_not_ended_is_not_waited_for(program: Program) -> None:
    """The status says that a later request may succeed; HTTP clients repeat it by themselves."""
    (jid,) = await program.api.submit(1)

    response = await program.get(f"/job/result/?jid={jid}")

    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert f"Job {jid} has not ended" in response.json["message"]


@pytest.mark.parametrize(
    ("state", "cause", "payload", "message"),
    [
        (
            State.ERROR, Cause.EXCEPTION, failure(Cause.EXCEPTION, "ValueError: bad input"),
            "has no result, as its status is error: ValueError: bad input",
        ),
        (
            State.KILLED, Cause.KILLED, failure(Cause.KILLED, "killed by its user"),
            "has no result, as its status is killed: killed by its user",
        ),
        (
            State.ERROR, Cause.MEMORY, b"damaged",
            "has no result, as its status is error: out of memory",
        ),
        (
            State.ERROR, Cause.EXCEPTION, failure(Cause.EXCEPTION, "x" * pack.INLINE_BYTES),
            "has no result, as its status is error: xxx",
        ),
    ],
)  # fmt: skip
async def test_a_failed_job_says_why(
    program: Program, state: State, cause: Cause, payload: bytes, message: str
) -> None:
    """There is no result, and the error has the summary of the exception."""
    (jid,) = await program.ended(payload, state=state, cause=cause)

    problem = await program.json(f"/job/result/?jid={jid}", 404)

    assert problem["code"] == "not_found"
    assert problem["message"].startswith(f"Job {jid} {message}")


@pytest.mark.parametrize("stored", [None, b"", b"other bytes", "longer"])
async def test_a_result_that_was_swapped_is_not_read(
    program: Program, stored: bytes | str | None
) -> None:
    """Only the bytes of the digest that the job was reported with."""
    data = parcel("x" * 1_000_000)
    (jid,) = await program.ended(data)
    port = program.api.server.ports.blobs
    name = f"{ACCOUNT}/{sha256(data).hexdigest()}"
    await port.delete(name)
    if stored is not None:
        await port.put(name, stored if isinstance(stored, bytes) else data + b"x")

    problem = await program.json(f"/job/result/?jid={jid}", 200 if stored == "longer" else 404)

    assert stored == "longer" or "is no longer stored" in problem["message"]


async def test_a_damaged_result_is_refused(program: Program) -> None:
    """A parcel has a digest of its own, too."""
    (jid,) = await program.ended(parcel(5)[:-1] + b"!")

    assert "damaged" in (await program.json(f"/job/result/?jid={jid}", 422))["message"]


async def test_a_deleted_job_has_no_result(program: Program) -> None:
    """The error is that of the rest of the interface."""
    (jid,) = await program.ended(parcel(5))
    await program.api.use_cases.jobs.delete.delete(ACCOUNT, [(jid, jid)])

    assert (await program.json(f"/job/result/?jid={jid}", 410))["code"] == "job.deleted"


@pytest.mark.parametrize("verb", ["GET", "POST"])
@pytest.mark.parametrize("address", ["/r/3222/square_func", "/r/3222/square_func/"])
async def test_an_unknown_function_is_not_found(program: Program, verb: str, address: str) -> None:
    """The error says so, whatever account the address names."""
    response = await program.get(address, verb=verb)

    assert response.status_code == 404
    assert response.json["code"] == "endpoint.not_found"
    assert "No function is published as 'square_func'" in response.json["message"]


async def test_an_answer_is_json_whatever_is_accepted(program: Program) -> None:
    """Programs for the original read JSON only."""
    (jid,) = await program.ended(parcel(5))

    response = await program.get(f"/job/result/?jid={jid}", Accept=wire.MSGPACK)

    assert response.headers["content-type"] == wire.JSON
    assert response.json["result"] == 5
