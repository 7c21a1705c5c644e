"""Retries, errors and credentials, the same for every request."""

from __future__ import annotations

from typing import Any

import pytest
from cloud import CloudConnectionError, CloudException
from cloud._config.configuration import Config
from cloud._http.exchange import HttpReply, HttpRequest, NoAnswer
from cloud._http.transport import Backoff, ServerAddress, Transport, post_removal, send_hint
from picloud_model import wire
from picloud_model.errors import KeyRefused, PathNotFound, PiCloudError, RequestRefused, Unavailable
from picloud_model.wire.cron import DeregisterCronRequest

from tests.unit.sdk.fake_server import ADDRESS, problem

KILLED = wire.encode(wire.Killed(count=2))
OK = HttpReply(200, {}, KILLED)


class Scripted:
    """Returns what it was given, in order: a reply, or an error to raise."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[HttpRequest] = []

    def exchange(self, sent: HttpRequest) -> HttpReply:
        """The next answer."""
        self.sent.append(sent)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        """Nothing is open."""


def _transport(*answers: Any, backoff: Backoff | None = None, config: Config | None = None):
    scripted = Scripted(*answers)
    slept = []
    own = backoff or Backoff(sleep=slept.append, random=lambda: 1.0, clock=lambda: sum(slept))
    return Transport(ADDRESS, config or Config(), scripted, own), scripted, slept


def _post(transport: Transport):
    return transport.post("/v1/jobs/kill", wire.JobsRequest(), wire.Killed).count


@pytest.mark.parametrize(
    "fault",
    [NoAnswer("reset"), HttpReply(502, {}, b""), HttpReply(503, {}, b""), HttpReply(504, {}, b"")],
    ids=str,
)
def test_passing_faults_are_tried_again(fault: Any) -> None:
    """Lost connections and gateways' errors are hidden by a repeat of the same bytes."""
    transport, scripted, slept = _transport(fault, fault, OK)

    assert _post(transport) == 2
    assert len({sent.body for sent in scripted.sent}) == 1
    assert slept == [0.1, 0.2]


def test_attempts_are_limited() -> None:
    """After retry_attempts repetitions the error is raised."""
    config = Config()
    config.retry_attempts = 2
    transport, scripted, _ = _transport(NoAnswer("reset"), config=config)

    with pytest.raises(CloudConnectionError):
        _post(transport)

    assert len(scripted.sent) == 3


def test_the_server_says_when_to_come_back() -> None:
    """Retry-After is heeded where it is longer than our own pause."""
    busy = HttpReply(503, {"retry-after": "3"}, b"")
    transport, _, slept = _transport(busy, OK)

    _post(transport)

    assert slept == [3.0]


@pytest.mark.parametrize("retry_after", ["-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "\u0661"])
def test_a_malformed_retry_after_is_ignored(retry_after: Any) -> None:
    """Only whole seconds count."""
    transport, _, slept = _transport(HttpReply(503, {"retry-after": retry_after}, b""), OK)

    _post(transport)

    assert slept == [0.1]


def test_refusals_are_not_tried_again() -> None:
    """What the server refused it would refuse again."""
    transport, scripted, _ = _transport(problem(RequestRefused("No.")))

    with pytest.raises(CloudException, match="No"):
        _post(transport)

    assert len(scripted.sent) == 1


@pytest.mark.parametrize(
    ("refusal", "unknown"),
    [
        (RequestRefused("options must have no field `on_done`."), "on_done"),
        (PathNotFound(), "POST /v1/jobs/kill"),
    ],
)
def test_what_an_older_server_does_not_know(refusal: PiCloudError, unknown: str) -> None:
    """The error names the server, what it does not know, and what to do."""
    transport, _, _ = _transport(problem(refusal))

    with pytest.raises(
        CloudException,
        match=f"The server at http://fake-server does not know `{unknown}`, as it is older than "
        "this client: upgrade the server, or do without it.",
    ):
        _post(transport)


def test_a_hint_is_left_out_at_an_older_server() -> None:
    """A field that only tells the server more is not sent again; the request succeeds."""
    unknown = problem(RequestRefused("The body must have no field `jobs`."))
    transport, scripted, _ = _transport(unknown, OK)
    request = wire.MissingBlobsRequest(digests=[], jobs=wire.PricedJobs("c1"))

    send_hint(lambda body: transport.post("/v1/blobs/missing", body, wire.Killed), request, "jobs")

    hinted, plain = (
        wire.decode(each.body or b"", wire.MissingBlobsRequest) for each in scripted.sent
    )
    assert (hinted.jobs, plain.jobs) == (wire.PricedJobs("c1"), None)


def test_a_removal_has_an_id_where_the_server_knows_it() -> None:
    """It is the same when a lost request is sent again; an older server gets none."""
    transport, scripted, _ = _transport(NoAnswer("lost"), OK)
    post_removal(transport, "/v1/crons/deregister", DeregisterCronRequest(label="a"))
    first, again = (wire.decode(each.body or b"", DeregisterCronRequest) for each in scripted.sent)
    assert first.request_id == again.request_id is not None

    transport, scripted, _ = _transport(
        problem(RequestRefused("The body must have no field `request_id`.")), OK
    )
    post_removal(transport, "/v1/crons/deregister", DeregisterCronRequest(label="a"))
    assert b"request_id" not in (scripted.sent[1].body or b"")


def test_other_refusals_of_a_request_with_a_hint_are_raised() -> None:
    """They are not about the hint."""
    transport, scripted, _ = _transport(problem(RequestRefused("digests must have no `jobs`.")))
    request = wire.MissingBlobsRequest(digests=[])

    with pytest.raises(CloudException, match="digests must have no"):
        send_hint(lambda body: transport.post("/", body, wire.Killed), request, "jobs")

    assert len(scripted.sent) == 1


def test_a_long_outage_is_told_with_the_servers_words() -> None:
    """When a 503 stays, its sentence comes out."""
    transport, _, _ = _transport(problem(Unavailable(), 503))

    with pytest.raises(CloudConnectionError, match="nothing was lost"):
        _post(transport)


def test_a_wrong_key_is_a_sentence() -> None:
    """The server's reply 401 says what to do."""
    transport, _, _ = _transport(problem(KeyRefused(), 401))

    with pytest.raises(CloudException, match=r"does not know this API key.*setkey"):
        _post(transport)


def test_no_server_is_a_sentence() -> None:
    """No server there: where, why, and what to do."""
    transport, _, _ = _transport(NoAnswer("Connection refused"))

    with pytest.raises(
        CloudConnectionError,
        match=r"No PiCloud server answers at http://fake-server \(Connection refused\); "
        r"start one with `picloud up`, or call cloud.start_simulator\(\)",
    ):
        _post(transport)


def test_a_server_that_went_away_is_told_as_such() -> None:
    """Once it answered, the advice to start one would be wrong."""
    transport, _, _ = _transport(OK, NoAnswer("reset"))
    _post(transport)

    with pytest.raises(CloudConnectionError, match="no longer answers"):
        _post(transport)


def test_a_lasting_fault_is_told_at_once() -> None:
    """A certificate that is not trusted will not be trusted the next time."""
    transport, scripted, _ = _transport(NoAnswer("certificate verify failed", lasting=True))

    with pytest.raises(CloudConnectionError, match="certificate"):
        _post(transport)

    assert len(scripted.sent) == 1


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (HttpReply(404, {}, b"<html>"), "POST /v1/jobs/kill was answered with HTTP status 404"),
        (HttpReply(200, {}, b"<html>"), "cannot be read"),
        (
            HttpReply(422, {"content-type": wire.JSON}, b'{"code":"error","message":"No."}'),
            r"No\.",
        ),
    ],
)
def test_replies_of_another_server_are_reported(reply: HttpReply, message: str) -> None:
    """A proxy's page, or another service's, is an error in words."""
    transport, _, _ = _transport(reply)

    with pytest.raises(CloudException, match=message):
        _post(transport)


def test_the_key_goes_to_the_server_and_nowhere_else() -> None:
    """A redirect to the blob store is followed without it, and a presigned upload has none."""
    away = HttpReply(307, {"location": "http://store/blob?signed"}, b"")
    transport, scripted, _ = _transport(away, HttpReply(200, {}, b"data"))

    assert transport.get("/v1/blobs/d") == b"data"
    transport.put("http://store/blob?signed", b"data", {"x-amz-checksum": "c"})

    own, followed, upload = scripted.sent
    assert own.headers["Authorization"] == f"Bearer {ADDRESS.key}"
    assert (followed.url, followed.headers) == ("http://store/blob?signed", {})
    assert upload.headers == {"x-amz-checksum": "c"}


def test_bytes_that_lie_there_already_are_no_error() -> None:
    """A store answers 412 to a second upload of the same blob."""
    transport, _, _ = _transport(HttpReply(412, {}, b""))

    transport.put("http://store/blob", b"data", {})


def test_the_key_never_shows() -> None:
    """Neither the place nor an error prints it."""
    transport, _, _ = _transport(NoAnswer("reset"))

    with pytest.raises(CloudConnectionError) as caught:
        _post(transport)

    assert "secret" not in repr(ADDRESS) + str(caught.value) + repr(caught.value)
    assert ADDRESS.key_id == "12ab"


@pytest.mark.parametrize("url", ["", "localhost:8787", "ftp://x", "http://", "file:///etc"])
def test_a_url_is_checked(url: str) -> None:
    """A server is reached over HTTP."""
    with pytest.raises(CloudException, match="not a valid server URL"):
        ServerAddress(url, "k")


@pytest.mark.parametrize("key", ["a b", "a\nb", "é", "a\r\nX: y"])
def test_a_key_cannot_smuggle_a_header(key: str) -> None:
    """A key has no blanks, line ends or letters beyond ASCII, and is not repeated in the error."""
    with pytest.raises(CloudException, match="not a valid API key") as caught:
        ServerAddress("http://x", key)

    assert key not in str(caught.value)


def test_statuses_that_a_reader_expects_are_no_errors() -> None:
    """Of a read the caller looks at some statuses itself; only the server receives the key."""
    transport, scripted, _ = _transport(HttpReply(412, {}, b""))

    reply = transport.read("http://store/x", {"Range": "bytes=0-1"}, (412,))

    assert reply.status == 412
    assert scripted.sent[0].headers == {"Range": "bytes=0-1"}
    with pytest.raises(CloudException, match="answered with HTTP status 412"):
        transport.read("/v1/x", {}, ())
    assert scripted.sent[1].headers["Authorization"].startswith("Bearer ")


def test_a_presigned_url_gets_its_own_headers_only() -> None:
    """A path of the server gets the key, and the headers of what is stored there."""
    transport, scripted, _ = _transport(HttpReply(200, {}, b""))

    transport.put("http://store/x", b"bytes", {"Content-MD5": "x"})
    transport.put("/v1/x", b"bytes", {"Content-Type": "text/css"})

    assert scripted.sent[0].headers == {"Content-MD5": "x"}
    assert scripted.sent[1].headers["Content-Type"] == "text/css"
    assert scripted.sent[1].headers["Authorization"].startswith("Bearer ")
