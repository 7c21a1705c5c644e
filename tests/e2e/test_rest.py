"""`cloud.rest`, `picloud rest` and published functions over HTTP, on every stack."""

from __future__ import annotations

import base64
import enum
import json
import pickle
import socket
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date  # noqa: TC003 - annotations of a published function are read
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit

import cloud
import pytest
from cloud import CloudException, rest

from tests.current_client import current_client
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cloud._client.client import Client

    from tests.e2e.command_line import Exited
    from tests.e2e.stacks import Stack

FACTOR = 2


def scaled(x: int, times: float = FACTOR, *, name: str | None = None) -> dict[str, Any]:
    """Return arguments as they arrived, and a number that needs a global of this module."""
    return {"value": FACTOR * x, "times": times, "name": name}


def halved(x: int) -> int:
    """Return the half of an even number."""
    if x % 2:
        raise ValueError(f"{x} is odd")
    return x // 2


class Color(enum.Enum):
    """An enum as an argument."""

    RED = "red"


@dataclass
class Point:
    """A dataclass as an argument."""

    x: float
    color: Color = Color.RED


def drawn(points: list[Point], day: date, data: bytes, scale: int | None = None) -> str:
    """Return what arrived, and of which types."""
    return f"{points!r} {day!r} {len(data)} {sum(data)} {scale!r}"


class Reply(NamedTuple):
    """What a server replies: status, headers and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as a value."""
        return json.loads(self.body)


def send(client: Client, verb: str, url: str, data: bytes | None = None, **headers: str) -> Reply:
    """Send a request as curl does."""
    _, name, secret = client.address.key.split("_", 2)
    pair = base64.b64encode(f"{name}:{secret}".encode()).decode()
    sent = {each.replace("_", "-"): value for each, value in headers.items()}
    request = urllib.request.Request(
        url, data, {"Authorization": f"Basic {pair}", **sent}, method=verb
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as reply:
            return Reply(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.headers, error.read())


def post(client: Client, url: str, data: bytes = b"", **headers: str) -> tuple[int, Any]:
    """Call a URL; return the status and the JSON of the answer."""
    reply = send(client, "POST", url, data, **headers)
    return reply.status, reply.json


def test_published_functions_from_python(client: Client) -> None:
    """A function travels when it is published; each call is a job with its label."""
    with current_client(client):
        url = rest.publish(scaled, "scaled", _type="c1")
        assert url.startswith(client.address.url + "/r/")
        assert "scaled" in rest.list()
        known = rest.info("scaled")
        assert (known["url"], known["function"]) == (url, "tests.e2e.test_rest.scaled")
        assert known["parameters"]["x"] == {"type": "int", "required": True}

        job = rest.invoke("scaled", x=4, name="a")

        assert job.result(60) == {"value": 8, "times": 2, "name": "a"}
        assert cloud.info(job, "label")[job]["label"] == "scaled"
        rest.publish(lambda **given: given, "scaled")
        assert rest.invoke("scaled", other=[None, {"a": b"b"}]).result(60) == {
            "other": [None, {"a": b"b"}]
        }
        assert rest.invoke("scaled", _wait=60) == {}
        assert cloud.result(rest.invoke_map("scaled", x=[1, 2], y="ab")) == [
            {"x": 1, "y": "a"},
            {"x": 2, "y": "b"},
        ]
        rest.remove("scaled")
        assert "scaled" not in rest.list()
        for gone in (rest.info, rest.invoke, rest.remove):
            with pytest.raises(CloudException, match="No function is published as 'scaled'"):
                gone("scaled")


def test_published_functions_over_http(client: Client) -> None:
    """Arguments come from the address, a form or JSON; `Prefer: wait` returns the result."""
    with current_client(client):
        url = rest.publish(scaled, "http")
    form = urlencode({"x": "4", "times": "0.5"}).encode()
    for data, headers in (
        (form, {}),
        (b'{"x": 4, "times": 0.5}', {"Content_Type": "application/json"}),
    ):
        status, answer = post(client, url, data, Prefer="wait=30", **headers)
        assert (status, answer["result"]) == (200, {"value": 8, "times": 0.5, "name": None})
    status, answer = post(client, f"{url}/?x=4&name=b")
    assert status == 202
    assert client.result(answer["jid"], 60) == {"value": 8, "times": 2, "name": "b"}
    first, again = (post(client, url, form, Idempotency_Key="one") for _ in range(2))
    assert first == again
    described = send(client, "GET", url).json
    assert (described["label"], described["parameters"][0]["name"]) == ("http", "x")
    with current_client(client):
        rest.remove("http")


def test_each_of_many_calls_gets_its_own_result(client: Client) -> None:
    """Calls that arrive together share a batch, and yet each is a job of its own."""
    with current_client(client):
        url = rest.publish(halved, "halved", warm=1)
        assert post(client, url, b"x=0", Prefer="wait=30")[0] == 200

        def call(x: int) -> tuple[int, int, Any]:
            status, answer = post(client, url, f"x={x}".encode(), Prefer="wait=30")
            return x, status, answer

        with ThreadPoolExecutor(16) as threads:
            called = list(threads.map(call, range(80)))

        assert {status for x, status, _ in called if x % 2 == 0} == {200}
        assert [each["result"] for x, _, each in called if x % 2 == 0] == [*range(40)]
        assert {status for x, status, _ in called if x % 2} == {500}
        assert all(f"{x} is odd" in each["message"] for x, _, each in called if x % 2)
        jids = [each["jid"] for x, _, each in called if x % 2 == 0]
        assert len({*jids}) == 40
        rest.remove("halved")


def test_annotations_make_objects_of_arguments(client: Client) -> None:
    """Of JSON, of a form and of Python; a piece that does not fit is named."""
    with current_client(client):
        url = rest.publish(drawn, "drawn", "raw")
        known = rest.info("drawn")
        assert known["function"] == "tests.e2e.test_rest.drawn"
        assert {name: each["type"] for name, each in known["parameters"].items()} == {
            "points": "list[{x: float, color: 'red'}]",
            "day": "date",
            "data": "bytes",
            "scale": "int",
        }
        points, day = [{"x": 1}], "2026-11-30"
        made = "[Point(x=1.0, color=<Color.RED: 'red'>)] datetime.date(2026, 11, 30)"
        assert rest.invoke("drawn", points=points, day=day, data=b"\1\2", _wait=60) == (
            f"{made} 2 3 None"
        )
    given = json.dumps({"points": points, "day": day, "data": "AQI="}).encode()
    form = urlencode({"points": '[{"x": 1}]', "day": day, "data": "\1\2", "scale": "5"}).encode()
    reply = send(client, "POST", url, given, Content_Type="application/json", Prefer="wait=30")
    assert reply.body.decode() == f"{made} 2 3 None"
    assert send(client, "POST", url, form, Prefer="wait=30").body.decode() == f"{made} 2 3 5"
    wrong = form.replace(b"1%7D", b"null%7D")
    status, problem = post(client, url, wrong)
    assert (status, problem["field"]) == (400, "points")
    assert problem["message"] == "The argument 'points[0].x' must be a number."
    with current_client(client):
        rest.remove("drawn")


def test_files_are_uploaded(client: Client) -> None:
    """A parameter of bytes takes a file, also one that the state store would not hold."""
    with current_client(client):
        url = rest.publish(drawn, "files", "raw")
    kind = "multipart/form-data; boundary=xx"

    def form(data: bytes) -> bytes:
        head = "".join(
            f'--xx\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in (("points", '[{"x": 1}]'), ("day", "2026-11-30"))
        )
        last = '--xx\r\nContent-Disposition: form-data; name="data"; filename="f"\r\n\r\n'
        return (head + last).encode() + data + b"\r\n--xx--\r\n"

    for data in (bytes(range(256)), bytes(range(256)) * 4096):
        reply = send(client, "POST", url, form(data), Content_Type=kind, Prefer="wait=30")
        assert reply.body.decode().endswith(f"{len(data)} {sum(data)} None"), reply
    reply = send(client, "POST", url, b"x", Content_Type=kind)
    assert (reply.status, reply.json["code"]) == (400, "argument.refused")
    reply = send(client, "POST", url, b"x", Content_Type=kind, Content_Length=str(2**24 + 1))
    assert (reply.status, reply.json["code"]) == (413, "request.too_large")
    with current_client(client):
        rest.remove("files")


def test_a_result_is_read_at_the_location(client: Client, stack: Stack) -> None:
    """A call that is not waited for is polled; a forged address opens nothing."""
    gate = stack.shared / f"gate-{client.address.key[3:9]}"

    def gated() -> str:
        while not gate.exists():
            time.sleep(0.02)
        return "open"

    with current_client(client):
        url = rest.publish(gated, "gated")
    reply = send(client, "POST", url, Prefer="wait=0")
    place = client.address.url + reply.headers["Location"]
    jid = reply.json["jid"]
    assert reply.status == 202
    assert reply.headers["Location"].startswith(
        f"/r/{urlsplit(url).path.split('/')[2]}/gated/jobs/"
    )
    assert (send(client, "GET", place).status, send(client, "GET", f"{place}0").status) == (
        202,
        404,
    )

    gate.touch()

    reply = send(client, "GET", place, Prefer="wait=30")
    assert (reply.status, reply.json) == (200, {"version": "0.1", "jid": jid, "result": "open"})
    with current_client(client):
        rest.remove("gated")
    assert send(client, "GET", place).status == 404


@pytest.mark.parametrize("preference", ["", ", on-disconnect=kill"])
def test_a_client_hangs_up(client: Client, stack: Stack, preference: str) -> None:
    """Its job goes on, or is killed if it prefers that; `parent` says what made the job."""
    gate = stack.shared / f"hung-up-{client.address.key[3:9]}{len(preference)}"

    def gated() -> str:
        while not gate.exists():
            time.sleep(0.02)
        return "open"

    with current_client(client):
        url = urlsplit(rest.publish(gated, "hung-up"))
    _, name, secret = client.address.key.split("_", 2)
    pair = base64.b64encode(f"{name}:{secret}".encode()).decode()
    head = (
        f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Basic {pair}\r\n"
        f"Prefer: wait=30{preference}\r\nContent-Length: 0\r\n\r\n"
    )
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(head.encode())
        with current_client(client):
            until(lambda: cloud.jobs(label="hung-up", status="processing"), "it runs")
    with current_client(client):
        ((jid,),) = (each.jids for each in cloud.jobs(label="hung-up"))
        assert cloud.info(jid, "parent")[jid] == {"parent": "rest hung-up"}
        if preference:
            until(lambda: cloud.status(jid) == "killed", "it is killed")
        else:
            gate.touch()
            assert cloud.result(jid, timeout=60) == "open"
        cloud.delete(jid)
        rest.remove("hung-up")


def test_a_key_of_its_own_calls_a_function_until_it_is_revoked(
    client: Client, picloud: Callable[..., Exited]
) -> None:
    """It is the login of requests; the result is read at the location with it, too."""
    with current_client(client):
        url = rest.publish(scaled, "keyed")
    login = picloud("rest", "key", "create", "keyed").out.strip()
    name, _, secret = login.partition(":")
    header = f"Basic {base64.b64encode(login.encode()).decode()}"

    reply = send(client, "POST", f"{url}?x=4", Authorization=header, Prefer="wait=30")
    assert (reply.status, reply.json["result"]["value"]) == (200, 8)
    place = (
        client.address.url
        + send(client, "POST", f"{url}?x=5", Authorization=header).headers["Location"]
    )
    reply = send(client, "GET", place, Authorization=header, Prefer="wait=30")
    assert reply.json["result"]["value"] == 10

    jids = [
        send(client, "POST", f"{url}?x=6", Idempotency_Key="one", **given).json["jid"]
        for given in ({"Authorization": header}, {"Authorization": header}, {})
    ]
    assert jids[0] == jids[1] != jids[2]

    assert picloud("rest", "key", "list", "keyed").out == f"{name}\n"
    assert picloud("rest", "key", "revoke", "keyed", name).code == 0
    assert picloud("rest", "key", "list", "keyed", "--json").out.strip() == "[]"
    for path in (url, place):
        reply = send(client, "GET", path, Authorization=header)
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Basic realm="PiCloud"')
    # A secret may begin with a hyphen, as options do.
    unknown = picloud("rest", "key", "revoke", "keyed", "--", secret[:5])
    assert unknown.code == 1
    assert unknown.err.startswith("error: 'keyed' has no key ")
    with current_client(client):
        rest.remove("keyed")


def test_everybody_calls_a_public_function(client: Client, picloud: Callable[..., Exited]) -> None:
    """Until it is published again without that; its rate limit is for all callers."""
    published = picloud(
        "rest",
        "publish",
        "--public",
        "--calls-per-minute",
        "2",
        "--warm",
        "1",
        "open",
        "printf",
        "hi-{x}",
    )
    url = published.out.strip()

    with urllib.request.urlopen(f"{url}?x=1") as described:
        assert described.status == 200
    for _ in range(2):
        asked = urllib.request.Request(f"{url}?x=2", b"", {"Prefer": "wait=30"})
        with urllib.request.urlopen(asked, timeout=60) as reply:
            assert reply.read() == b"hi-2"
    status, problem = post(client, f"{url}?x=1")
    assert (status, problem["code"]) == (429, "endpoint.too_many_calls")
    reply = send(client, "POST", f"{url}?x=1")
    assert 0 < int(reply.headers["Retry-After"]) <= 31
    assert picloud("rest", "invoke", "open", "-d", "x=3", "--wait", "60").out == "hi-3"
    with current_client(client):
        known = rest.info("open")
        assert (known["public"], known["calls_per_minute"], known["warm"]) == (True, 2, 1)
        cloud.shell.rest_publish("printf {x}", "open")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{url}?x=1")
        rest.remove("open")


def test_pages_of_named_origins_call_a_function(client: Client) -> None:
    """A browser learns so before a call and with each reply, also with a refusal."""
    with current_client(client):
        url = rest.publish(scaled, "paged", origins=["https://a.example", "http://b.example:81"])
        assert rest.info("paged")["origins"] == ["https://a.example", "http://b.example:81"]
    place = client.address.url + send(client, "POST", f"{url}?x=1").headers["Location"]
    field = "Access-Control-Allow-Origin"

    for origin in ("https://a.example", "http://b.example:81"):
        asked = send(client, "OPTIONS", url, Origin=origin, Authorization="")
        assert (asked.status, asked.headers[field]) == (200, origin)
        assert asked.headers["Access-Control-Allow-Methods"] == "GET, POST"
        assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
        for verb, path in (("POST", f"{url}?x=1"), ("POST", url), ("GET", url), ("GET", place)):
            reply = send(client, verb, path, Origin=origin)
            assert (reply.headers[field], reply.headers["Vary"]) == (origin, "Origin")
            assert "Access-Control-Allow-Credentials" not in reply.headers
        assert send(client, "POST", url, Origin=origin, Authorization="x").headers[field] == origin
        sent = send(
            client, "POST", url, b'{"x": 1}', Origin=origin, Content_Type="application/json"
        )
        assert (sent.status, sent.headers[field]) == (202, origin)
    for other in ("https://b.example", "https://a.example.org", "null", "*", "http://a.example"):
        asked = send(client, "OPTIONS", url, Origin=other)
        assert (asked.status, asked.headers[field]) == (200, None)
        assert asked.headers["Access-Control-Allow-Methods"] is None
        assert send(client, "POST", f"{url}?x=1", Origin=other).headers[field] is None
    assert send(client, "POST", f"{url}?x=1").headers["Vary"] is None
    with current_client(client):
        rest.publish(scaled, "paged", origins=["*"])
        assert send(client, "OPTIONS", f"{url}/v/1", Origin="null").headers[field] == "*"
        for wrong in ("https://a.example/", "a.example", "https://A.example", "ftp://a", 5):
            with pytest.raises(CloudException, match="An origin is what browsers send"):
                rest.publish(scaled, "paged", origins=[wrong])
        rest.remove("paged")
    assert send(client, "OPTIONS", url, Origin="https://a.example").headers[field] is None


def test_a_page_of_another_site_cannot_use_a_password_that_the_browser_remembers(
    client: Client,
) -> None:
    """A form starts no job, with whatever origins an endpoint names; scripts send JSON."""
    form = "application/x-www-form-urlencoded"
    with current_client(client):
        url = rest.publish(scaled, "remembered", origins=["*"])
        for sent in (
            {"Origin": "https://evil.example", "Content_Type": form},
            {"Origin": "null", "Content_Type": "text/plain"},
            {"Origin": client.address.url, "Sec_Fetch_Site": "same-site", "Content_Type": form},
            {"Sec_Fetch_Site": "cross-site", "Content_Type": form},
        ):
            reply = send(client, "POST", url, b"x=1", **sent)
            assert (reply.status, reply.json["code"]) == (403, "not_allowed"), sent
            assert "send the arguments as JSON" in reply.json["message"]
        assert not cloud.jobs(label="remembered")
        for sent in (
            {"Origin": client.address.url, "Content_Type": form},
            {"Origin": "https://a.example", "Content_Type": form, "Prefer": "respond-async"},
            {"Sec_Fetch_Site": "same-origin", "Content_Type": form},
        ):
            assert send(client, "POST", url, b"x=1", **sent).status == 202, sent
        rest.publish(scaled, "remembered", public=True)
        stranger = urllib.request.Request(url, b"x=1", {"Origin": "https://a.example"})
        with urllib.request.urlopen(stranger, timeout=60) as reply:
            assert reply.status == 202
        rest.remove("remembered")


def test_a_version_is_called_and_becomes_current_again(
    client: Client, picloud: Callable[..., Exited]
) -> None:
    """The URL calls the current one; its version in the address calls another."""
    with current_client(client):
        rest.publish(lambda: "old", "many", "raw")
        url = rest.publish(lambda: "new", "many")
        assert rest.info("many")["versions"] == [1, 2]

        assert post(client, f"{url}/v/2", Prefer="wait=30")[1]["result"] == "new"
        assert send(client, "POST", f"{url}/v/1", Prefer="wait=30").body == b"old"
        place = send(client, "POST", f"{url}/v/1").headers["Location"]
        assert rest.rollback("many") == 1
        assert rest.invoke("many", _wait=60) == "old"
        assert send(client, "POST", url, Prefer="wait=30").body == b"old"
        assert picloud("rest", "rollback", "--version", "2", "many").out == "2\n"
        assert send(client, "GET", client.address.url + place, Prefer="wait=30").body == b"old"
        for wrong in ("3", "x"):
            assert send(client, "POST", f"{url}/v/{wrong}").status == 404
        rest.rollback("many", 1)
        with pytest.raises(CloudException, match="No version of 'many' before 1 is kept"):
            rest.rollback("many")
        rest.remove("many")


def test_results_are_encoded_as_published(client: Client) -> None:
    """Raw ones are bytes or text with a content type, pickled ones any object."""
    with current_client(client):
        picture = rest.publish(lambda: b"\x89PNG", "picture", "raw", content_type="image/png")
        text = rest.publish(lambda: "\xe9", "text", "raw")
        odd = rest.publish(lambda: {1, 2}, "odd", "pickle")
        wrong = rest.publish(lambda: 5, "number", "raw")

    reply = send(client, "POST", picture, Prefer="wait=30")
    assert (reply.status, reply.body) == (200, b"\x89PNG")
    assert reply.headers["Content-Type"] == "image/png"
    assert reply.headers["Content-Security-Policy"] == "sandbox"
    reply = send(client, "POST", text, Prefer="wait=30")
    assert (reply.headers["Content-Type"], reply.body) == ("text/plain; charset=utf-8", b"\xc3\xa9")
    reply = send(client, "POST", odd, Prefer="wait=30")
    assert reply.headers["Content-Type"] == "application/python-pickle"
    assert pickle.loads(reply.body) == {1, 2}
    status, problem = post(client, wrong, Prefer="wait=30")
    assert (status, problem["code"]) == (500, "endpoint.job_failed")
    assert "must return bytes or text" in problem["message"]
    with current_client(client):
        for label in ("picture", "text", "odd", "number"):
            rest.remove(label)


def test_large_results_are_sent_as_they_are(client: Client) -> None:
    """Raw and pickled ones of more than JSON may have; raw JSON is sent without the jid."""
    size = 6 * 2**20
    with current_client(client):
        data = rest.publish(lambda: bytes(range(256)) * (size // 256), "data", "raw")
        rows = rest.publish(lambda: {"row": b"x" * size}, "rows", "pickle")
        text = rest.publish(lambda: '{"a": 1}', "text", "raw", content_type="application/json")

    reply = send(client, "POST", data, Prefer="wait=30")
    assert (reply.status, reply.body) == (200, bytes(range(256)) * (size // 256))
    assert reply.headers["Content-Length"] == str(size)
    assert reply.headers["Content-Security-Policy"] == "sandbox"
    reply = send(client, "POST", rows, Prefer="wait=30")
    assert (reply.status, pickle.loads(reply.body)) == (200, {"row": b"x" * size})
    assert send(client, "POST", text, Prefer="wait=30").body == b'{"a": 1}'
    with current_client(client):
        for label in ("data", "rows", "text"):
            rest.remove(label)


@pytest.mark.parametrize(
    ("data", "field", "reason"),
    [
        (b"{}", "x", "The argument 'x' is missing."),
        (b'{"x": "4"}', "x", "The argument 'x' must be a whole number."),
        (b'{"x": 4, "name": 5}', "name", "The argument 'name' must be text or null."),
        (b'{"x": 4, "y": 5}', "y", ("The function has no argument 'y': its arguments are x, times, "
         "name.")),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_refused(
    client: Client, data: bytes, field: str, reason: str
) -> None:
    """The status is 400, and the error names the argument; no job starts."""
    with current_client(client):
        url = rest.publish(scaled, "refused")

    status, problem = post(client, url, data, Content_Type="application/json")

    assert (status, problem["field"], problem["message"]) == (400, field, reason)
    with current_client(client):
        rest.remove("refused")


def test_a_call_whose_job_fails_is_an_error_of_the_server(client: Client) -> None:
    """The error has the jid and the exception; so has a result that JSON cannot hold."""
    with current_client(client):
        failing = rest.publish(lambda: 1 // 0, "failing")
        odd = rest.publish(lambda: {1, 2}, "odd")

    status, problem = post(client, failing, Prefer="wait=30")
    assert (status, problem["code"]) == (500, "endpoint.job_failed")
    assert "ZeroDivisionError" in problem["message"]
    status, problem = post(client, odd, Prefer="wait=30")
    assert status == 500
    assert "is a Python object" in problem["message"]
    with current_client(client):
        rest.remove("failing")
        rest.remove("odd")


def test_what_cannot_be_published_is_refused(client: Client) -> None:
    """One sentence says why; nothing is published."""
    with current_client(client):
        with pytest.raises(CloudException, match="not a valid label"):
            rest.publish(scaled, "no label")
        with pytest.raises(CloudException, match="'x' cannot be given by name"):
            rest.publish(lambda x, /: x, "wrong")
        with pytest.raises(CloudException, match="out_encoding must be 'json'"):
            rest.publish(scaled, "wrong", "xml")
        with pytest.raises(CloudException, match="Only the results of out_encoding='raw'"):
            rest.publish(scaled, "wrong", content_type="image/png")
        with pytest.raises(TypeError, match="public must be True or False"):
            rest.publish(scaled, "wrong", public="no")  # type: ignore[arg-type]
        with pytest.raises(CloudException, match="whole number from 1 to 1,000,000, not 0"):
            rest.publish(scaled, "wrong", calls_per_minute=0)
        with pytest.raises(CloudException, match="No function is published as 'wrong'"):
            rest.create_key("wrong")
        with pytest.raises(CloudException, match="no _depends_on"):
            rest.publish(scaled, "wrong", _depends_on=[1])
        with pytest.raises(TypeError, match="must be a function"):
            rest.publish(5, "wrong")  # type: ignore[arg-type]
        lock = threading.Lock()
        with pytest.raises(CloudException, match=r"variable 'lock' is a _thread\.lock"):
            rest.publish(lambda: lock, "wrong")
        with pytest.raises(TypeError, match=r"use cloud\.call"):
            rest.invoke("wrong", x=object())
        assert "wrong" not in rest.list()


def test_published_functions_from_the_shell(client: Client, picloud: Callable[..., Exited]) -> None:
    """List, info, invoke, remove; an unknown label is an error in one line."""
    with current_client(client):
        url = rest.publish(scaled, "shell")

    rows = [line.split("\t") for line in picloud("rest", "list").out.splitlines()]
    assert rows[0] == ["label", "url", "published", "function"]
    assert ["shell", url] in [row[:2] for row in rows]
    jid = picloud("rest", "invoke", "shell", "-d", "x=5", "-d", "name=Ada").out.strip()
    assert client.result(int(jid), 60) == {"value": 10, "times": 2, "name": "Ada"}
    assert picloud("rest", "invoke", "shell", "--wait", "60", "-d", "x=5", "--json").code == 0
    jids = picloud("rest", "mapinvoke", "shell", "-n", "x=1,2", "-d", "times=3").out.strip()
    first, last = map(int, jids.split("-"))
    assert [each["value"] for each in client.result([first, last], 60)] == [2, 4]
    assert "x: int, times: float (optional)" in picloud("rest", "info", "shell").out
    assert picloud("rest", "remove", "shell").code == 0

    with current_client(client):
        rest.publish(scaled, "shells")
        unknown = picloud("rest", "invoke", "shell")
        rest.remove("shells")
    assert (unknown.code, unknown.out) == (1, "")
    reason = "No function is published as 'shell' in your account; did you mean 'shells'?"
    assert unknown.err == f"error: {reason}\n"


def test_published_commands(client: Client, picloud: Callable[..., Exited]) -> None:
    """What a command prints is the response; its template variables are the arguments."""
    with current_client(client):
        url = cloud.shell.rest_publish("printf '%s<%s>' {word} {number}", "printed")
    reply = send(client, "POST", url, b"word=a+b&number=5", Prefer="wait=30")
    assert (reply.status, reply.body) == (200, b"a b<5>")
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"
    status, problem = post(client, url, b"word=a", Prefer="wait=30")
    assert (status, problem["field"]) == (400, "number")

    published = picloud("rest", "publish", "--content-type", "text/csv", "printed", "echo", "{a},1")
    assert published.out.strip() == url
    assert picloud("rest", "invoke", "printed", "-d", "a=2", "--wait", "60").out == "2,1\n"
    assert picloud("rest", "remove", "printed").code == 0
