"""What client and server send each other has the form that the OpenAPI document describes."""

from __future__ import annotations

import base64
import contextlib
import re
import sys
import time
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jsonschema_rs
import msgspec
import pytest
import urllib3
from cloud import CloudException
from cloud._arguments.options import CallOptions
from cloud._client.client import Client
from cloud._client.queue_messages import packed
from cloud._config.configuration import Config
from cloud._costs.usage import read_usage
from cloud._futures.stream import yield_values
from cloud._http.connections import Connections
from cloud._http.transport import ServerAddress, Transport
from cloud._queues.attach import AttachOptions, attach
from cloud._resources.attachment import AttachmentClient
from cloud._resources.audit import AuditClient
from cloud._resources.bucket import BucketClient
from cloud._resources.budget import BudgetClient
from cloud._resources.cron import CronClient
from cloud._resources.dictionary import DictClient, list_dicts
from cloud._resources.environment import EnvironmentClient
from cloud._resources.grant import GrantClient
from cloud._resources.lock import LockClient
from cloud._resources.member import MemberClient
from cloud._resources.notebook import NotebookClient
from cloud._resources.password_reset import PasswordResetClient
from cloud._resources.queue import QueueClient
from cloud._resources.realtime import RealtimeClient
from cloud._resources.rest import EndpointClient
from cloud._resources.secret import SecretClient
from cloud._resources.secret_source import SecretSourceClient
from cloud._resources.setup_machine import SetupMachineClient
from cloud._resources.sign_in import SignInClient
from cloud._resources.stream import StreamClient
from cloud._resources.tunnel import TunnelClient
from cloud._resources.volume import VolumeClient
from picloud_model import pack, wire
from picloud_model.wire.attachment import (
    HandledRequest,
    HandlerOutput,
    UpdateAttachmentRequest,
)
from picloud_model.wire.bucket import (
    WHOLE_OBJECT_BYTES,
    AbortUploadRequest,
    ListPartsRequest,
    ObjectPut,
    PartsListed,
    PutObjectRequest,
)
from picloud_model.wire.budget import RemoveBudgetRequest, SetBudgetRequest
from picloud_model.wire.cron import CronSchedule
from picloud_model.wire.environment import Recipe
from picloud_model.wire.grant import GrantRequest
from picloud_model.wire.lock import HeldLock
from picloud_model.wire.price import PricesListed, PricesRequest
from picloud_model.wire.realtime import ReserveCoresRequest
from picloud_model.wire.rest import Parameter, PublishRequest
from picloud_model.wire.role import Role
from picloud_model.wire.secret_source import PutSecretSourceRequest
from picloud_model.wire.snapshot import FILE, FOLDER, SnapshotEntry
from picloud_model.wire.usage import JobUsageRequest
from picloud_model.wire.webhook import (
    RotateWebhookSecretRequest,
    WebhookSecret,
    WebhookSecretRequest,
)

if TYPE_CHECKING:
    from cloud._http.exchange import HttpReply, HttpRequest

    from tests.e2e.stacks import Stack
from tests.polling import until

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43
PART = wire.PackPart(0, 1, wire.Content(size=0, data=pack.write([pack.seal(b"x")])))


class Overheard:
    """A transport that sends requests over the network and records them with their answers."""

    def __init__(self, url: str) -> None:
        self._connections = Connections(url)
        self.exchanges: list[tuple[HttpRequest, HttpReply]] = []

    def exchange(self, sent: HttpRequest) -> HttpReply:
        reply = self._connections.exchange(sent)
        self.exchanges.append((sent, reply))
        return reply

    def close(self) -> None:
        self._connections.close()


@pytest.fixture(scope="module")
def described(stack: Stack) -> dict[str, Any]:
    """The document, read without a key."""
    answer = urllib3.request("GET", f"{stack.url}/v1/openapi.json")
    assert answer.status == 200
    return answer.json()  # type: ignore[no-any-return]


def read(body: bytes) -> Any:
    """Return a body in msgpack in the form that it has in JSON."""
    return msgspec.to_builtins(
        msgspec.msgpack.decode(body),
        builtin_types=(),
        enc_hook=lambda value: base64.b64encode(value).decode(),
    )


def check(described: dict[str, Any], content: dict[str, Any], body: bytes) -> None:
    """Check one body against the schema of its content."""
    schema = content[wire.MSGPACK]["schema"]
    validator = jsonschema_rs.Draft202012Validator(
        {**schema, "components": described["components"]}
    )
    validator.validate(read(body))


def test_what_is_said_is_what_is_described(stack: Stack, described: dict[str, Any]) -> None:
    """Every request of a client's whole life, and every answer to it, has the form described."""
    overheard = Overheard(stack.url)
    config = Config()
    address = ServerAddress(stack.url, stack.key)
    with contextlib.closing(
        Client(address, config, Transport(address, config, overheard))
    ) as client:
        use(client)

    met = set()
    for sent, reply in overheard.exchanges:
        if not sent.url.startswith("/"):
            continue  # a presigned URL of a blob store
        path = re.sub(r"[0-9a-f]{64}", "{digest}", sent.url.partition("?")[0])
        operation = described["paths"][path][sent.method.lower()]
        met.add(path)
        if wire.MSGPACK in operation.get("requestBody", {}).get("content", {}):
            check(described, operation["requestBody"]["content"], sent.body or b"")
        answer = operation["responses"].get(str(reply.status), operation["responses"]["default"])
        if wire.MSGPACK in answer.get("content", {}):
            check(described, answer["content"], reply.body)
    of_slots = {"/v1/slots", "/v1/work", "/v1/heartbeat", "/v1/bucket/copy", "/v1/bucket/path"}
    of_slots |= {"/v1/secrets/job"}
    of_nobody = {"/v1/health", "/v1/openapi.json", "/v1/blobs/{digest}", "/v1/blobs/read"}
    of_others = {
        "/job",
        "/job/result",
        "/r/{account}/{label}",
        "/r/{account}/{label}/jobs/{call}",
        "/r/{account}/{label}/openapi",
        "/r/{account}/{label}/v/{version}",
        "/r/{account}/{label}/v/{version}/{path}",
        "/r/{account}/{label}/{path}",
        "/public/{account}/{key}",
        "/metrics",
    }
    of_others |= {"/v1/bucket/object", "/v1/bucket/part"}  # where no URL can be presigned
    assert set(described["paths"]) - met <= of_slots | of_nobody | of_others


def use_budgets(budgets: BudgetClient, grants: GrantClient) -> None:
    """Use everything that a client can request of its budgets and grants."""
    label = uuid4().hex
    budgets.set(SetBudgetRequest(dollars=5.0, period="day", action="warn", label=label))
    assert label in {each.label for each in budgets.list()}
    budgets.remove(RemoveBudgetRequest(period="day", label=label))
    made = grants.grant(
        GrantRequest(request_id=label, account="a0000001", until="2999-12-31", dollars=1.0)
    )
    assert made in grants.list("a0000001").grants
    grants.end("a0000001", made.id)


PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def use_reservations(reservations: RealtimeClient) -> None:
    """Use everything that a client can request of its reserved cores."""
    request = ReserveCoresRequest(
        request_id=uuid4().hex, core_type="c1", cores=1, hours=1.0, python=PYTHON
    )
    made = reservations.reserve(request)
    assert made.id in {each.id for each in reservations.list()}
    assert reservations.change(made.id, None).hours is None
    reservations.release(made.id)


def use(client: Client) -> None:
    """Use everything that a client can request of its server."""
    jids = client.map(abs, range(-3, 0), _label="a label", _priority=7)
    assert client.result(jids, 300) == [3, 2, 1]
    client.map(len, [b"x" * 300_000, b"y" * 300_000, b"z"])
    client.map(abs, range(100_000))
    transport = client._transport
    transport.post("/v1/blobs", wire.StoreBlobsRequest(blobs=[b"small", b"ones"]), wire.BlobsStored)
    staged = wire.StageRequest(submit_id=uuid4().hex, parts=[PART])
    transport.post("/v1/jobs/staged", staged, wire.Answer)
    failed = client.call(divmod, 1, 0, _depends_on=jids)
    client.join(failed, 60, ignore_errors=True)
    with contextlib.suppress(Exception):
        client.status(10**9)
    client.status(jids)
    client.info(jids, "all")
    client.listed(wire.ListRequest(label="a label"))
    client.batches(wire.BatchesRequest(label="a label"))
    client.kill()
    client.delete(jids)
    client.restart_slots()
    client.usage()
    read_usage(transport, JobUsageRequest(by="label"))
    transport.post("/v1/prices", PricesRequest(core_type="c1"), PricesListed)
    use_budgets(BudgetClient(transport), GrantClient(transport))
    use_reservations(RealtimeClient(transport))
    with contextlib.suppress(CloudException):  # the job has ended
        TunnelClient(transport).connect(jids[0], 8000)
    with contextlib.suppress(CloudException):
        TunnelClient(transport).connect_shell(jids[0])
    with contextlib.suppress(CloudException):
        TunnelClient(transport).certify(jids[0], SSH_KEY)
    made = client.keys.create()
    name = made.key.split("_")[1]
    client.keys.set_active(name, active=False)
    client.keys.set_active(name, active=True)
    client.keys.list()
    use_accounts(client)
    transport.post("/v1/webhooks/secret", WebhookSecretRequest(), WebhookSecret)
    transport.post("/v1/webhooks/rotate", RotateWebhookSecretRequest("a" * 32), WebhookSecret)
    SignInClient(transport).link()
    use_bucket(BucketClient(transport), transport)
    use_queue(QueueClient(transport), client)
    use_volume(VolumeClient(transport))
    use_environment(EnvironmentClient(transport), SetupMachineClient(transport))
    use_secret(SecretClient(transport), SecretSourceClient(transport))
    use_shared(client)
    use_notebook(NotebookClient(transport), client)
    use_cron(CronClient(transport), client)
    use_endpoint(EndpointClient(transport), client)


def use_accounts(client: Client) -> None:
    """Use everything that a client can request of accounts; the embedded stack has no members."""
    client.keys.create_account("third")
    client.keys.accounts()
    members = MemberClient(client.transport)
    with contextlib.suppress(CloudException):
        members.revoke(members.invite(Role.READER).invite.id)
    members.list()
    members.invites()
    with contextlib.suppress(CloudException):
        members.change_role("nobody", Role.READER)
    with contextlib.suppress(CloudException):
        members.remove("nobody")
    with contextlib.suppress(CloudException):
        members.revoke("0" * 12)
    with contextlib.suppress(CloudException):
        PasswordResetClient(client.transport).create("nobody")
    assert [*AuditClient(client.transport).entries(most=1)]


def use_bucket(bucket: BucketClient, transport: Transport) -> None:
    """Use everything that a client can request of its bucket."""
    for key, size in (("small", 1), ("whole", 100_000), ("parts", WHOLE_OBJECT_BYTES + 1)):
        bucket.put_object(bytes(size), key)
    bucket.publish("whole", public=True, headers={"Content-Type": "text/plain"})
    bucket.info("whole")
    bucket.public_folder()
    assert bucket.reader("whole").read(10) == bytes(10)
    assert {"parts", "small", "whole"} <= {each.key for each in bucket.objects("")}
    begun = PutObjectRequest(key="begun", size=WHOLE_OBJECT_BYTES + 1, md5="0" * 32)
    upload = transport.post("/v1/bucket/put", begun, ObjectPut).upload
    listed = ListPartsRequest(key="begun", upload=upload)
    assert transport.post("/v1/bucket/uploaded", listed, PartsListed).parts == []
    transport.post("/v1/bucket/abort", AbortUploadRequest(key="begun", upload=upload), wire.Answer)
    bucket.remove(["small", "whole", "parts"])


def use_shared(client: Client) -> None:
    """Use what jobs and programs have in common while they run."""
    use_lock(LockClient(client.transport))
    use_dictionary(client)
    use_stream(client)


def use_lock(lock: LockClient) -> None:
    """Use everything that a client can request of locks."""
    hold = uuid4().hex
    assert lock.acquire("a", hold, 1, 0.0) is not None
    assert lock.acquire("a", uuid4().hex, 1, 0.0) is None
    assert lock.renew([HeldLock("a", hold), HeldLock("a", uuid4().hex)]) == {1}
    assert "a" in [each.name for each in lock.list()]
    lock.release("a", hold)
    assert lock.acquire("a", hold, 1, 0.0) is not None
    lock.break_lock("a")


def use_dictionary(client: Client) -> None:
    """Use everything that a client can request of dictionaries."""
    shared = DictClient(client.transport, "d")
    version = shared.set("k", client.packer.pickle(1, "v"), client.packer.envelope, 0, None).version
    assert shared.get("k", 0).version == version
    assert [each.key for each in shared.entries(with_values=True)] == ["k"]
    assert "d" in [each.name for each in list_dicts(client.transport)]
    shared.empty("k", client.packer.envelope, version, None)


def use_stream(client: Client) -> None:
    """Read a stream; only jobs add values to them."""
    assert list(client.stream(client.call(yield_values, range, 3))) == [0, 1, 2]
    with pytest.raises(CloudException, match="Only a job adds values"):
        StreamClient(client.transport).append(client.packer.envelope)


def use_cron(cron: CronClient, client: Client) -> None:
    """Use everything that a client can request of cron jobs."""
    job = client.prepare_call(dict, CallOptions())
    cron.register("c", CronSchedule(schedule="@daily", timezone="Europe/Berlin"), job)
    client.join(cron.run("c"), 300)
    assert "done" in {each.last_status for each in cron.list() if each.label == "c"}
    assert cron.info("c").schedule.timezone == "Europe/Berlin"
    cron.deregister("c")


def use_endpoint(endpoints: EndpointClient, client: Client) -> None:
    """Use everything that a client can request of published functions."""
    job = client.prepare_call(dict, CallOptions())
    x = Parameter(name="x", kind="int")
    made = endpoints.publish(PublishRequest(label="e", parameters=[x], job=job))
    assert endpoints.rollback("e", made.version) == made
    assert endpoints.info("e") == made
    assert client.result(endpoints.invoke("e", [{"x": 1}])[0], 300) == {"x": 1}
    assert "e" in [each.label for each in endpoints.list()]
    key = endpoints.create_key("e").id
    assert [each.id for each in endpoints.keys("e")] == [key]
    endpoints.revoke_key("e", key)
    endpoints.remove("e")


def use_queue(queue: QueueClient, client: Client) -> None:
    """Use everything that a client can request of a queue."""
    queue.create("q")
    for encoding in ("pickle", "json"):
        queue.push("q", packed(client, [1, "x" * 100_000], encoding), 0.0)
    assert queue.exists("q")
    assert [each.queue for each in queue.rates("q")] == ["q"]
    assert not queue.exists("another")
    assert "q" in queue.names()
    tickets = [each.ticket for each in queue.take("q", 10, 20.0, 60.0).messages]
    assert queue.extend("q", tickets, 90.0) == queue.acknowledge("q", tickets) == set()
    use_attachment(AttachmentClient(client.transport), queue, client)
    queue.purge("q")
    queue.delete("q")


def use_attachment(attachment: AttachmentClient, queue: QueueClient, client: Client) -> None:
    """Use everything that a client can request of a handler."""
    attach(client, "q", str, AttachOptions(on_error={OSError: "q"}), {})
    known = attachment.find("q")
    assert known is not None
    assert known.id in [each.id for each in attachment.list()]
    attachment.update(UpdateAttachmentRequest(queue="q", max_parallel_jobs=2))
    attachment.detach("q")
    assert attachment.find("q") is None
    output = HandlerOutput(queue="q", messages=packed(client, [1], "json"))
    queue.push("q", output.messages, 0.0)
    tickets = [each.ticket for each in queue.take("q", 10, 20.0, 60.0).messages]
    request = HandledRequest(queue="q", attachment=known.id, tickets=tickets, outputs=[output])
    assert attachment.handled(request) == set()


def use_environment(environments: EnvironmentClient, machines: SetupMachineClient) -> None:
    """Use everything that a client can request of its environments."""
    environments.build("e", Recipe(files={"share/note": "hello"}), "what it holds")
    environments.follow("e", len)
    environments.clone("e", "copy", None)
    environments.edit("copy", "other", "new")
    environments.publish("other", public=True)
    environments.roll_back("other", 1)
    assert "other" in {each.name for each in environments.list(public=True)}
    assert environments.get("other").versions == environments.get("/a0000001/other").versions
    assert environments.bases()
    assert machines.open("other").env == "setup/other"
    until(lambda: machines.get("other").state == "ready", "the machine is ready", 150)
    # Machines that are jobs are reached as other jobs are.
    with contextlib.suppress(CloudException):
        machines.certify("other", f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 43}")
    with contextlib.suppress(CloudException):
        machines.connect_shell("other").close()
    machines.save("other")
    environments.follow("other", len)
    machines.close("other")
    for name in ("e", "other"):
        environments.delete(name)


def use_secret(secrets: SecretClient, sources: SecretSourceClient) -> None:
    """Use everything that a client can request of secrets and of their sources."""
    secrets.set("s", {"TOKEN": "x"}, as_file=False)
    assert "s" in [each.name for each in secrets.list()]
    secrets.remove("s")
    request = PutSecretSourceRequest(
        name="s", path="nothing/creds", role="none", variables={"A": "b"}
    )
    with pytest.raises(CloudException):
        sources.put(request)
    assert sources.list() == []
    with pytest.raises(CloudException, match="no secret source 's'"):
        sources.remove("s")


def use_notebook(notebooks: NotebookClient, client: Client) -> None:
    """Use everything that a client can request of its notebooks."""
    waiting = client.call(abs, 1, _depends_on=client.call(time.sleep, 600))
    assert notebooks.run("n", int(waiting), 8888).port == 8888
    notebooks.set_password("n", "two words for us")
    assert notebooks.get("n").has_password
    client.kill()
    assert ("n", True) in [(each.name, each.ended) for each in notebooks.list()]
    notebooks.delete("n")


def use_volume(volume: VolumeClient) -> None:
    """Use everything that a client can request of its volumes."""
    volume.create("v", "/home/v", "what it holds")
    loaded = volume.load("v")
    volume.check_room(loaded, {"b": SnapshotEntry(path="b", kind=FILE, size=1000)})
    made = volume.change(loaded, {"a": SnapshotEntry(path="a", kind=FOLDER)})
    assert "v" in {each.name for each in volume.list()}
    assert volume.load("v").entries == made.entries
    volume.delete("v")
