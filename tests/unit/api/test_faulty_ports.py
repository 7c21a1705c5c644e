"""What works while a server behind a port is away: each cell of the table in the documentation.

The table is on the page about reliability. `tests/faults/test_away.py` kills the real servers.
"""

from __future__ import annotations

import json
import uuid
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Any, Final

import pytest
from picloud_api import wiring
from picloud_model import pack, wire
from picloud_model.job import State
from picloud_model.wire import bucket, cron, dictionary, queue, secret, tunnel

from tests.attacks.openapi_targets import FITTING, SSH_KEY_PATTERN, TARGETS
from tests.away_table import table
from tests.unit.api.api_harness import ACCOUNT, ENVELOPE, report_of
from tests.unit.api.faulty_ports import FaultKind, FaultyApi
from tests.unit.api.http_api import HttpApi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import falcon.testing

SERVERS: Final = {
    "Consul": {"state"},
    "Vault": {"secrets"},
    "S3": {"blobs", "buckets"},
    "Nomad": {"scheduler"},
    "NATS": {"queues"},
}
"""The ports behind which each server is."""
LARGE: Final = b"\\x5a" * 100_000


class Client:
    """One account, a slot, and a job in each state, on a server that is whole at first."""

    def __init__(self, api: FaultyApi) -> None:
        self.api = api
        self.http = HttpApi(api)
        self.token = self.spare = ""
        self.done = self.running = self.queued = 0
        self.lease: wire.Lease
        self.key = api.server.key

    async def prepare(self) -> Client:
        """Store one of each thing that is read later."""
        self.token = await self._slot()
        self.done = (await self.api.submit(1))[0]
        (lease,) = await self._leases()
        report = wire.WorkRequest(reports=[report_of(lease, State.DONE)], lease=False)
        await self._whole("POST", "/v1/work", report, self.token)
        await self._whole("POST", "/v1/secrets", _secret())
        self.running = (await self.api.submit(1, secrets=["s"]))[0]
        (self.lease,) = await self._leases()
        beat = wire.HeartbeatRequest(running=[self.held()], wait_s=0.0)
        await self._whole("POST", "/v1/heartbeat", beat, self.token)
        self.queued = (await self.api.submit(1))[0]
        await self._whole("POST", "/v1/queues", queue.CreateQueueRequest(name="q"))
        await self._whole("POST", "/v1/queues/push", _push())
        await self._whole("POST", "/v1/bucket/put", _object("o"))
        await self._whole("PUT", f"/v1/blobs/{sha256(LARGE).hexdigest()}", LARGE)
        self.spare = (await self.api.slot()).slot.place
        return self

    async def _slot(self) -> str:
        proof = wire.SlotRequest(proof=(await self.api.slot()).slot.place)
        return (await self.http.post("/v1/slots", proof, wire.SlotGranted, "")).token

    async def _leases(self) -> list[wire.Lease]:
        request = wire.WorkRequest(wait_s=5.0)
        return (await self.http.post("/v1/work", request, wire.WorkAnswer, self.token)).leases

    async def _whole(self, verb: str, path: str, body: Any, credential: str | None = None) -> None:
        answer = await self.send(verb, path, body, credential)
        assert answer.status_code == 200, answer.content

    async def send(
        self, verb: str, path: str, body: Any = None, credential: str | None = None
    ) -> falcon.testing.Result:
        """Send a request."""
        data = body if isinstance(body, bytes) else wire.encode(body) if body is not None else b""
        return await self.http.send(verb, path, data, credential)

    async def persist(self, path: str, body: Any) -> None:
        """Post a request until it succeeds; until then the answer has to be 503."""
        while (answer := await self.send("POST", path, body)).status_code != 200:
            assert answer.status_code == 503, answer.content

    def held(self) -> wire.AttemptRef:
        """The job that the slot runs."""
        return wire.AttemptRef(self.lease.batch, 0, self.lease.jobs[0].attempt)


def _secret() -> secret.SetSecretRequest:
    return secret.SetSecretRequest(name="s", values={"A": "b"})


def _push() -> queue.PushRequest:
    message = queue.QueueMessage(json="1")
    return queue.PushRequest(name="q", push_id=uuid.uuid4().hex, messages=[message])


def _object(key: str) -> bucket.PutObjectRequest:
    return bucket.PutObjectRequest(key=key, size=1, md5=md5(b"x").hexdigest(), data=b"x")


def _cron(client: Client) -> cron.RegisterCronRequest:
    job = wire.SubmitRequest(
        **{
            field: getattr(client.api.request(1), field)
            for field in wire.SubmitRequest.__struct_fields__
            if field != "kind"
        },
        kind="call",
    )
    schedule = cron.CronSchedule(schedule="0 3 * * *")
    return cron.RegisterCronRequest(label="nightly", schedule=schedule, job=job)


def _entry() -> dictionary.SetEntryRequest:
    value = pack.seal(b"x")
    return dictionary.SetEntryRequest(
        name="d", key="k", change=uuid.uuid4().hex, envelope=ENVELOPE, value=value
    )


def _jids(jid: int) -> list[tuple[int, int]]:
    return [(jid, jid)]


REQUESTS: Final[dict[str, Callable[[Client], Awaitable[falcon.testing.Result]]]] = {
    "start a job": lambda c: c.send("POST", "/v1/jobs", c.api.request(1)),
    "send large arguments": lambda c: c.send(
        "PUT", f"/v1/blobs/{sha256(LARGE + b'x').hexdigest()}", LARGE + b"x"
    ),
    "read a status": lambda c: c.send("POST", "/v1/jobs/status", wire.JobsRequest(_jids(c.done))),
    "read a result": lambda c: c.send("POST", "/v1/jobs/wait", wire.WaitRequest(_jids(c.done))),
    "read a large result": lambda c: c.send("GET", f"/v1/blobs/{sha256(LARGE).hexdigest()}"),
    "kill a job": lambda c: c.send("POST", "/v1/jobs/kill", wire.JobsRequest(_jids(c.queued))),
    "list jobs": lambda c: c.send("POST", "/v1/jobs/list", wire.ListRequest()),
    "a slot takes a job": lambda c: c.send("POST", "/v1/work", wire.WorkRequest(), c.token),
    "a new slot registers": lambda c: c.send(
        "POST", "/v1/slots", wire.SlotRequest(proof=c.spare), ""
    ),
    "a job gets its secrets": lambda c: c.send(
        "POST", "/v1/secrets/job", secret.JobSecretsRequest(job=c.held()), c.token
    ),
    "set a secret": lambda c: c.send("POST", "/v1/secrets", _secret()),
    "make an API key": lambda c: c.send(
        "POST", "/v1/keys", wire.KeyRequest(request_id=uuid.uuid4().hex)
    ),
    "push to a queue": lambda c: c.send("POST", "/v1/queues/push", _push()),
    "pop from a queue": lambda c: c.send("POST", "/v1/queues/take", queue.TakeRequest(name="q")),
    "put an object": lambda c: c.send("POST", "/v1/bucket/put", _object("p")),
    "get an object": lambda c: c.send("POST", "/v1/bucket/open", bucket.OpenObjectRequest(key="o")),
    "store in a dictionary": lambda c: c.send("POST", "/v1/dicts", _entry()),
    "register a cron job": lambda c: c.send("POST", "/v1/crons", _cron(c)),
    "open a shell": lambda c: c.send(
        "POST",
        "/v1/tunnels/certificate",
        tunnel.CertificateRequest(jid=c.running, public_key=FITTING[SSH_KEY_PATTERN]()),
    ),
    "a slot reports a result": lambda c: c.send(
        "POST", "/v1/work", wire.WorkRequest(reports=[report_of(c.lease)], lease=False), c.token
    ),
}
"""A request for each row of the table."""


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[FaultyApi]:
    """A server over ports that fail as a test says."""
    made = FaultyApi(tmp_path)
    await made.start()
    yield made
    made.faults.away, made.faults.chance = set(), 0.0
    await made.stop()


def test_the_table_has_a_row_for_each_request() -> None:
    """In the same order."""
    assert list(table()) == list(REQUESTS)


@pytest.mark.parametrize("server", SERVERS)
async def test_what_works_while_a_server_is_away(api: FaultyApi, server: str) -> None:
    """A request succeeds, or its answer is 503 with `Retry-After`, as the table says; it succeeds
    if it is sent again once the server is back.
    """
    client = await Client(api).prepare()
    cells, headers, statuses, again = {}, set(), set(), set()

    for name, send in REQUESTS.items():
        api.now += 30  # what was read before is old
        api.faults.away = SERVERS[server]
        answer = await send(client)
        api.faults.away = set()
        statuses.add(answer.status_code)
        cells[name] = "503" if answer.status_code == 503 else "yes"
        if answer.status_code == 503:
            headers.add(answer.headers["retry-after"])
            again.add((await send(client)).status_code)

    assert cells == {name: row[server] for name, row in table().items()}
    assert statuses <= {200, 503}
    assert (headers, again) == ({"1"}, {200})


@pytest.mark.parametrize("port", wiring.Ports.__struct_fields__)
async def test_every_operation_without_a_port(api: FaultyApi, port: str) -> None:
    """Whatever is requested, the answer is not an error of the server, and a 503 says when to come
    again. That of `/v1/health` is the report itself.
    """
    client = await Client(api).prepare()
    api.faults.away = {port}
    api.now += 30
    answers = {}

    for target in TARGETS:
        body = target.body(**({"wait_s": 0.0} if "wait_s" in target.fields else {}))
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body else b""
        credential = client.token if target.wants == {"slotToken"} else None
        headers = {"Content-Type": "application/json"}
        answer = await client.http.send(target.verb, target.address(), data, credential, **headers)
        answers[str(target)] = (answer.status_code, answer.headers.get("retry-after"))

    away = {name for name, (status, _) in answers.items() if status == 503}
    assert {status for status, _ in answers.values() if status >= 500} <= {503}
    assert {answers[name][1] for name in away - {"GET /v1/health"}} <= {"1"}
    unused = ("gateway", "webhooks", "traces", "identity")
    assert api.faults.seen[port, FaultKind.NOT_SENT] > 0 or port in unused


@pytest.mark.parametrize("seed", range(3))
async def test_repeated_requests_take_effect_once(api: FaultyApi, seed: int) -> None:
    """Among faults of all ports and of each kind, what a client repeats until it succeeds is there
    once: messages, objects, secrets and jobs.
    """
    client = await Client(api).prepare()
    api.faults.seed(seed)
    api.faults.chance = 0.3
    pushes = [_push() for _ in range(20)]
    jobs = [api.request(1) for _ in range(20)]

    for number, (push, job) in enumerate(zip(pushes, jobs, strict=True)):
        for path, body in (
            ("/v1/queues/push", push),
            ("/v1/jobs", job),
            ("/v1/bucket/put", _object(f"object-{number}")),
            ("/v1/secrets", _secret()),
        ):
            await client.persist(path, body)
    api.faults.chance = 0.0

    counts = await api.use_cases.queues.queues.info(ACCOUNT, "q")
    listed = await client.send("POST", "/v1/bucket/list", bucket.ListObjectsRequest())
    jids = [(await client.http.post("/v1/jobs", job, wire.Submitted)).first for job in jobs]
    assert (counts.ready, counts.in_flight) == (1 + len(pushes), 0)
    assert listed.content.count(b"object-") == 20
    assert jids == list(range(jids[0], jids[0] + len(jobs)))
    met = {port for port, _ in api.faults.seen}
    assert met >= {"state", "queues", "buckets", "secrets"}
    assert {kind for _, kind in api.faults.seen} == {*FaultKind}
