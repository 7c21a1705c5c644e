"""The original's HTTP interface, used with nothing but HTTP and JSON, as from R or MATLAB."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import pytest

from tests.attacks.held_job import held_job

if TYPE_CHECKING:
    from cloud._client.client import Client

    from tests.e2e.stacks import Stack

WAIT_S: Final = 60.0


class Program:
    """A program in another language: it knows an address, the id and the secret of a key."""

    def __init__(self, stack: Stack, key: str = "") -> None:
        self.url = stack.url
        _, self.name, self.secret = (key or stack.key).split("_", 2)

    def request(self, path: str, form: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Send the key at once, as R and curl do; return the status and the JSON value."""
        pair = base64.b64encode(f"{self.name}:{self.secret}".encode()).decode()
        data = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(
            self.url + path, data, headers={"Authorization": f"Basic {pair}"}
        )
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def wait(self, jid: int) -> str:
        """Ask for the status of a job until it is final, as the original's examples did."""
        status, deadline = "", time.monotonic() + WAIT_S
        while status not in ("done", "error", "killed", "stalled"):
            assert time.monotonic() < deadline
            _, answer = self.request(f"/job/?jids={jid}&field=status")
            status = answer["info"][str(jid)]["status"]
            time.sleep(0.02)
        return status


@pytest.fixture
def program(stack: Stack) -> Program:
    """A program with the key of the client."""
    return Program(stack)


def test_a_program_waits_for_a_job_and_reads_its_result(client: Client, program: Program) -> None:
    """Status, output and result, each by a request; with a slash at the end or without."""

    def square(number: int) -> int:
        print("Squaring", number)
        return number * number

    jid = client.call(square, 5)

    assert program.wait(jid) == "done"
    _, answer = program.request(f"/job?jids={jid}")
    fields = answer["info"][str(jid)]
    assert answer["version"] == "0.1"
    assert fields["runtime"] > 0
    assert (fields["stdout"], fields["stderr"], fields["exception"]) == ("Squaring 5\n", "", None)
    assert program.request(f"/job/result/?jid={jid}") == (200, {"result": 25, "version": "0.1"})
    assert program.request(f"/job/result?jid={jid}")[0] == 200


@pytest.mark.parametrize("fast", [0, 1, 2])
@pytest.mark.parametrize(
    "value",
    [
        None, True, -7, 2**100, 0.25, "tëxt", [1, [2.5, None]], {"a": {"b": []}},
        ["x" * 300_000, "y" * 300_000], list(range(50_000)),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_results_are_json(client: Client, program: Program, value: object, fast: int) -> None:
    """However the job pickles them, in the state store or as a blob."""
    jid = client.call(lambda: value, _fast_serialization=fast)
    client.join(jid, WAIT_S)

    assert program.request(f"/job/result/?jid={jid}") == (200, {"result": value, "version": "0.1"})


def test_a_result_that_is_a_python_object_says_how_to_read_it(
    client: Client, program: Program
) -> None:
    """A number of numpy is an object, too: `float(x)` in the job makes it plain."""

    def mean() -> Any:
        import numpy as np

        return np.arange(3.0).mean()

    jid = client.call(mean)
    client.join(jid, WAIT_S)

    status, problem = program.request(f"/job/result/?jid={jid}")

    assert status == 422
    assert problem["message"] == (
        f"The result of job {jid} is a Python object; read it with cloud.result({jid}) "
        f"or `picloud result {jid}`."
    )
    assert client.result(jid, WAIT_S) == 1.0


def test_a_job_without_a_result_says_why(client: Client, program: Program, stack: Stack) -> None:
    """It has not ended yet, or it failed."""
    with held_job(stack, client) as held:
        status, problem = program.request(f"/job/result/?jid={held}")
        assert (status, problem["code"]) == (503, "unavailable")
    failed = client.call(divmod, 1, 0)
    client.join(failed, WAIT_S, ignore_errors=True)

    status, problem = program.request(f"/job/result/?jid={failed}")

    assert status == 404
    assert "ZeroDivisionError" in problem["message"]
    _, answer = program.request(f"/job/?jids={failed}&field=exception")
    assert "ZeroDivisionError" in answer["info"][str(failed)]["exception"]


def test_jobs_of_a_map_are_read_together(client: Client, program: Program) -> None:
    """By repeated parameters, or commas; with their arguments, which are plain here."""
    jids = client.map(abs, range(-3, 0), _label="old")
    client.join(jids, WAIT_S)
    repeated = urllib.parse.urlencode([("jids", jid) for jid in jids])

    _, answer = program.request(f"/job/?{repeated}&field=status&field=args&field=label")

    expected = {
        str(jid): {"status": "done", "args": [value], "label": "old"}
        for jid, value in zip(jids, range(-3, 0), strict=True)
    }
    assert answer["info"] == expected
    commas = ",".join(map(str, jids))
    assert program.request(f"/job/?jids={commas}&field=status,args,label")[1] == answer


def test_each_account_has_its_own_jobs(client: Client, other: Client, stack: Stack) -> None:
    """A job of another account does not exist."""
    last = client.call(abs, 1)
    jid = other.map(abs, range(last + 1000))[-1]
    other.kill()

    for path in (f"/job/?jids={jid}", f"/job/result/?jid={jid}"):
        status, problem = Program(stack).request(path)
        assert (status, problem["code"]) == (404, "job.not_found")


def test_a_key_that_was_deactivated_opens_nothing(client: Client, stack: Stack) -> None:
    """The same keys as everywhere."""
    key = client.keys.create().key
    jid = client.call(abs, -2)
    client.join(jid, WAIT_S)
    assert Program(stack, key).request(f"/job/result/?jid={jid}")[1]["result"] == 2

    client.keys.set_active(key.split("_")[1], active=False)
    deadline = time.monotonic() + WAIT_S
    while Program(stack, key).request(f"/job/result/?jid={jid}")[0] == 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    status, problem = Program(stack, key).request(f"/job/result/?jid={jid}")
    assert (status, problem["code"]) == (401, "key.refused")


def test_a_client_that_waits_to_be_asked_is_asked(client: Client, stack: Stack) -> None:
    """Many send a password only after the server asked for it, such as urllib and wget."""
    jid = client.call(abs, -3)
    client.join(jid, WAIT_S)
    program = Program(stack)
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, stack.url, program.name, program.secret)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))

    with opener.open(f"{stack.url}/job/result/?jid={jid}", timeout=WAIT_S) as reply:
        assert json.load(reply)["result"] == 3


def test_an_unknown_published_function_is_refused(program: Program) -> None:
    """The error names it, whatever account the address has."""
    status, problem = program.request("/r/3222/square_func/", {"x": "5"})

    assert status == 404
    assert problem["message"] == "No function is published as 'square_func' in your account."


def test_answers_have_the_form_that_is_described(client: Client, program: Program) -> None:
    """By the schemas of the OpenAPI document."""
    _, document = program.request("/v1/openapi.json")
    jid = client.call(abs, -3)
    client.join(jid, WAIT_S)
    for path, query in {"/job": f"jids={jid}&field=all", "/job/result": f"jid={jid}"}.items():
        operation = document["paths"][path]["get"]
        content = operation["responses"]["200"]["content"]["application/json"]

        status, answer = program.request(f"{path}?{query}")

        assert status == 200
        assert operation["security"] == [{"basic": []}]
        schema = {**content["schema"], "components": document["components"]}
        jsonschema_rs.Draft202012Validator(schema).validate(answer)


def test_the_client_reads_what_json_cannot_hold(client: Client, program: Program) -> None:
    """Two keys that are the same in JSON are two in Python."""
    jid = client.call(lambda: {1: "a", "1": "b"})

    assert program.wait(jid) == "done"
    assert program.request(f"/job/result/?jid={jid}")[0] == 422
    assert client.result(jid, WAIT_S) == {1: "a", "1": "b"}
