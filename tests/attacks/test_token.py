"""A job's token opens what the job may do, while it runs, and nothing else."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from picloud_model.token import JobToken

from tests.attacks.held_job import closed_gate, wait_at
from tests.attacks.openapi_targets import GUARDED, Target
from tests.attacks.sender import REFUSALS
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.attacks.sender import Reply, Sender
    from tests.e2e.stacks import Stack

GONE_S = 30.0


@pytest.fixture(scope="module")
def token(sender: Sender, stack: Stack) -> Iterator[str]:
    """The token of a running job, as an attacker would use it; the fixture ends the job."""
    token_file = stack.shared / "token"

    def hold(gate: Path) -> None:
        import cloud
        from cloud._client.current_job import CurrentJob

        cloud.status([])
        job = CurrentJob.here()
        assert job is not None
        Path(str(token_file) + ".part").write_text(job.address().key)
        Path(str(token_file) + ".part").rename(token_file)
        wait_at(gate)

    with contextlib.closing(stack.client()) as client:
        with closed_gate(stack.shared) as gate:
            jid = client.call(hold, gate)
            until(token_file.exists, "the job has written its token")
            secret = token_file.read_text()
            yield secret
        client.join(jid, 60)
        until(lambda: ask(sender, secret, "/v1/jobs/status").status == 401, "it is refused", GONE_S)


def ask(sender: Sender, credential: str, path: str) -> Reply:
    """Send a harmless request."""
    return sender.send("POST", path, {}, credential)


@pytest.mark.parametrize("target", GUARDED, ids=str)
def test_a_job_may_do_what_its_account_may_but_no_more(
    sender: Sender, token: str, target: Target
) -> None:
    """A job may use jobs and blobs; it can make no key and no account, and is not a slot."""
    if target.path in ("/v1/jobs/kill", "/v1/jobs/delete"):
        body: Any = {"jids": []}
    else:
        body = target.body()

    reply = sender.send(target.verb, target.address(), body, token)

    if "jobToken" in target.wants:
        assert reply.status != 401, reply
    else:
        assert (reply.status, reply.code in REFUSALS) == (401, True), reply


def test_a_token_altered_is_refused(sender: Sender, token: str) -> None:
    """The signature of a token is that of one account, job, attempt and slot."""
    assert ask(sender, token, "/v1/jobs/status").status == 200
    read = JobToken.read(token)
    assert read is not None
    genuine, mac = read
    changed = [
        JobToken("a0000002", genuine.slot, genuine.jid, genuine.attempt),
        JobToken(genuine.account, genuine.slot + 1, genuine.jid, genuine.attempt),
        JobToken(genuine.account, genuine.slot, genuine.jid + 1, genuine.attempt),
        JobToken(genuine.account, genuine.slot, genuine.jid, genuine.attempt + 1),
    ]
    forged = [f"{each.signed(b'x' * 32).rpartition('_')[0]}_{mac}" for each in changed]
    forged += [genuine.signed(b"x" * 32), token[:-1] + ("0" if token[-1] != "0" else "1")]
    forged += [token + "0", token.upper(), token.replace("pj_", "pk_"), "pj_"]

    replies = [ask(sender, each, "/v1/jobs/status") for each in forged]

    assert {each.status for each in replies} == {401}
