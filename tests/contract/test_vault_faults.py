"""What the adapter `vault` makes of refusals and silence: one sentence each, saying what to do."""

import dataclasses
import json
from pathlib import Path

import hvac.exceptions
import pytest
import requests
from hvac.exceptions import (
    BadGateway,
    Forbidden,
    InternalServerError,
    InvalidPath,
    InvalidRequest,
    RateLimitExceeded,
    UnexpectedError,
    VaultDown,
    VaultError,
    VaultNotInitialized,
)
from picloud_driver.secret.vault import VaultSecrets
from picloud_driver.vault.client import VaultAccess
from picloud_driver.vault.faults import FAULTS, refusal
from picloud_driver.vault.gateway import VaultGateway
from picloud_model.errors import Unavailable

from tests.contract.scripted_server import ScriptedAnswer, ScriptedServer, certified
from tests.contract.secret_adapters import VALUE, Mount


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (VaultDown("Vault is sealed"), "it is sealed: run `vault operator unseal`"),
        (VaultDown("something else"), "none of its nodes is active now: try again"),
        (VaultNotInitialized(), "run `vault operator init`"),
        (Forbidden("permission denied, invalid token"), "give the server a new one"),
        (Forbidden("permission denied"), "give it the policy that bootstrap writes"),
        (InvalidPath('no handler for route "p/data/a"'), "let bootstrap make it"),
        (InvalidRequest("lease is not renewable"), "give the server a periodic one"),
        (InternalServerError("past the max TTL, cannot renew"), "give the server a periodic one"),
        (InvalidRequest("Upgrading from non-versioned to versioned data"), "try again"),
        (InvalidRequest("Client sent an HTTP request to an HTTPS server"), "use https://"),
        (RateLimitExceeded(), "too busy now: try again"),
        (InternalServerError("local node not active but active node not found"), "try again"),
        (InternalServerError("failed to write: no space left on device"), "look at its log"),
        (BadGateway(), "look at its log"),
        (UnexpectedError(), "see its log"),
        (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), "name the file"),
        (requests.exceptions.SSLError("EOF occurred"), "set VAULT_CLIENT_CERT and"),
        (requests.exceptions.ConnectTimeout(), "is it running and reachable?"),
        (requests.exceptions.ConnectionError("refused"), "is it running and reachable?"),
        (requests.exceptions.ConnectionError("Read timed out."), "it took too long: try again"),
        (requests.exceptions.ReadTimeout(), "it took too long: try again"),
        (requests.exceptions.MissingSchema(), "check its address"),
        (OSError("no such certificate file"), "check its address and certificate file"),
    ],
)
def test_each_fault_says_what_to_do(error: Exception, advice: str) -> None:
    """One sentence: the place, what is wrong, what to do, and the vendor's name for it."""
    told = refusal(error, "Vault at v, mount m")

    assert told.message.startswith("Vault at v, mount m: ")
    assert advice in told.message
    assert told.message.endswith(f"({type(error).__name__})")


def test_the_table_knows_every_refusal() -> None:
    """Each error of hvac's has a row of its own, whatever its message, but two that never come."""
    # hvac has names for these, but raises UnexpectedError for their statuses.
    unused = {"UnsupportedOperation", "PreconditionFailed", "ParamValidationError"}
    raised = {kind for kind in VaultError.__subclasses__() if kind.__name__ not in unused}

    assert {VaultDown, Forbidden, InvalidPath} < raised
    assert raised <= {fault.cause for fault in FAULTS if not fault.contains}
    assert isinstance(VaultError.from_status(405), hvac.exceptions.UnexpectedError)


async def said(secrets: VaultSecrets) -> list[str]:
    """What every call is refused with."""
    heard = []
    for call in (
        lambda: secrets.get("a"),
        lambda: secrets.put("a", VALUE),
        lambda: secrets.get_or_create("a", lambda: VALUE),
        lambda: secrets.delete("a"),
        secrets.ping,
        secrets.check,
    ):
        with pytest.raises(Unavailable) as refused:
            await call()
        heard.append(refused.value.message)
    await secrets.close()
    return heard


@pytest.mark.parametrize(
    ("changed", "advice"),
    [
        ({"token": "wrong"}, "our token is wrong, expired or revoked: give the server a new one"),
        ({"address": "http://127.0.0.1:1"}, "it does not answer: is it running and reachable?"),
        ({"address": "nonsense"}, "it cannot be asked: check its address"),
    ],
)
async def test_wrong_settings_are_reported(
    mount_site: Mount, changed: dict[str, str], advice: str
) -> None:
    """Every call says which setting is wrong."""
    for message in await said(VaultSecrets(dataclasses.replace(mount_site.access, **changed))):
        assert advice in message
        assert VALUE.decode() not in message


@pytest.mark.parametrize(
    ("token", "advice"),
    [("server", "give it the policy that bootstrap writes"), ("root", "let bootstrap make it")],
)
async def test_a_missing_mount_is_reported(mount_site: Mount, token: str, advice: str) -> None:
    """No secret is said to be missing in a mount that is not there or not ours."""
    ours = mount_site.access.token if token == "server" else mount_site.root_token
    access = dataclasses.replace(mount_site.access, mount="nowhere", token=ours)

    for message in (await said(VaultSecrets(access)))[:5]:
        assert advice in message


async def test_a_broken_connection_is_tried_again() -> None:
    """Whose request gets no answer, because the connection broke, asks again, a write as well."""
    written = ScriptedAnswer(200, json.dumps({"data": {"version": 1}}).encode(), "application/json")
    with ScriptedServer(written) as server:
        gateway = VaultGateway(VaultAccess(server.url, "token"), 1)
        server.hang_ups = 1

        assert gateway.write("a", VALUE) is True
        gateway.close()


async def test_a_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS a certificate is checked against the file we were given, whatever others say."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    tls, known = certified(tmp_path)
    with ScriptedServer(ScriptedAnswer(404, errors(), "application/json"), tls=tls) as server:
        access = VaultAccess(server.url, "token")
        trusting = VaultSecrets(dataclasses.replace(access, ca_file=known))
        doubting = VaultSecrets(access)

        assert await trusting.get("a") is None
        with pytest.raises(Unavailable, match="name the file of who signed it"):
            await doubting.get("a")
        await trusting.close()
        await doubting.close()


def errors(*texts: str) -> bytes:
    """An error as Vault writes it."""
    return json.dumps({"errors": texts}).encode()


@pytest.mark.parametrize(
    ("told", "advice"),
    [
        (ScriptedAnswer(503, errors("Vault is sealed"), "application/json"), "it is sealed"),
        (ScriptedAnswer(503, b"<html>", "text/html"), "none of its nodes is active now"),
        (ScriptedAnswer(500, errors("1 error occurred"), "application/json"), "a fault of its own"),
        (ScriptedAnswer(429, errors("quota exceeded"), "application/json"), "too busy now"),
        (ScriptedAnswer(404, b"not found", "text/plain"), "is it Vault that answers?"),
        (ScriptedAnswer(200, b"<html>hello", "text/html"), "is it Vault that answers?|version 1"),
        (ScriptedAnswer(200, b"[]", "application/json"), "is it Vault that answers?|version 1"),
    ],
)
async def test_strange_answers_are_reported(told: ScriptedAnswer, advice: str) -> None:
    """An answer that no healthy Vault gives is `Unavailable`, never a secret and never None."""
    with ScriptedServer(told) as server:
        secrets = VaultSecrets(VaultAccess(server.url, "token"))

        for call in (
            lambda: secrets.get("a"),
            lambda: secrets.put("a", VALUE),
            lambda: secrets.get_or_create("a", lambda: VALUE),
            secrets.ping,
            secrets.check,
        ):
            with pytest.raises(Unavailable) as refused:
                await call()
            assert any(each in refused.value.message for each in advice.split("|"))
        await secrets.close()
