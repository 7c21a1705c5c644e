"""Signing in to Consul by what Nomad says of a task: the API gets its role, and no other task."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm
from picloud_driver.consul.administrator import ConsulAdministrator
from picloud_driver.consul.bootstrap import METHOD, POLICY, bootstrap
from picloud_driver.consul.gateway import ConsulAccess
from picloud_driver.stack.addresses import VendorServer
from picloud_driver.stack.bootstrap.identity import changes_in_consul
from picloud_model.errors import Unavailable

from tests.contract.guarded_consul import guarded_consul
from tests.contract.scripted_server import ScriptedAnswer, ScriptedServer
from tests.polling import until

if TYPE_CHECKING:
    from collections.abc import Iterator

MARK: Final = "PiCloud, cluster 1"
API: Final = {
    "aud": "picloud-consul",
    "nomad_job_id": "picloud-api",
    "nomad_namespace": "default",
    "nomad_task": "api",
}
"""What Nomad says of the API."""


class Signer:
    """A key with which a Nomad signs identities."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(65_537, 2048)

    def keys(self) -> ScriptedAnswer:
        """Return what Nomad publishes."""
        public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        body = json.dumps({"keys": [{**public, "kid": "1", "use": "sig", "alg": "RS256"}]})
        return ScriptedAnswer(200, body.encode(), "application/json")

    def sign(self, **claims: str) -> str:
        """Return an identity of the API, with these claims in place of its own."""
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + 3600}
        return jwt.encode({**API, **times, **claims}, self._key, "RS256")


class Site:
    """A Consul with ACLs, and a Nomad that publishes keys."""

    def __init__(self, consul: VendorServer, nomad: ScriptedServer) -> None:
        self.consul = consul
        self.nomad = nomad
        self.administrator = ConsulAdministrator(ConsulAccess(consul.address, consul.token))

    def lacks(self) -> list[str]:
        """Return what Consul lacks."""
        nomad = VendorServer(self.nomad.url)
        return [each.text for each in changes_in_consul(self.consul, nomad, MARK)]

    def make_one(self) -> str:
        """Make the first thing that it lacks; return its text."""
        first = next(changes_in_consul(self.consul, VendorServer(self.nomad.url), MARK))
        first.make()
        return first.text

    def sign_in(self, identity: str) -> dict[str, Any] | None:
        """Return the token that Consul gives for an identity; None if it refuses it."""
        body = {"AuthMethod": METHOD, "BearerToken": identity}
        answer = requests.post(f"{self.consul.address}/v1/acl/login", json=body, timeout=10)
        # 500 is its answer to another audience, or signature.
        assert answer.status_code in (200, 403, 500), answer.text
        return answer.json() if answer.ok else None


@pytest.fixture(scope="module")
def signer() -> Signer:
    """The key of Nomad."""
    return Signer()


@pytest.fixture(scope="module")
def site(signer: Signer) -> Iterator[Site]:
    """A Consul with the policy of the API, and with what the first test makes."""
    with guarded_consul() as (address, token), ScriptedServer(signer.keys()) as nomad:
        until(lambda: is_bootstrapped(address, token), "Consul takes policies")
        yield Site(VendorServer(address, token), nomad)


def is_bootstrapped(address: str, token: str) -> bool:
    """Return whether Consul has the policy of the API; make it."""
    try:
        bootstrap(ConsulAccess(address, token), str(uuid.uuid4()))
    except Unavailable:
        return False
    return True


def test_each_step_is_made_once(site: Site) -> None:
    """It is looked for again after each; a Consul without its first token needs all of them."""
    stranger = VendorServer(site.consul.address)
    wanted = [each.text for each in changes_in_consul(stranger, VendorServer(site.nomad.url), MARK)]

    made = [site.make_one() for _ in range(3)]

    assert made == wanted
    assert site.lacks() == []


def test_the_api_signs_in(site: Site, signer: Signer) -> None:
    """Its token has the role of the API and nothing else, and never expires."""
    token = site.sign_in(signer.sign())

    assert token
    assert [role["Name"] for role in token["Roles"]] == [POLICY]
    assert site.administrator.role_policies(POLICY) == [POLICY]
    assert token.keys().isdisjoint({"Policies", "ServiceIdentities", "ExpirationTime"})


@pytest.mark.parametrize(
    "claims",
    [
        {"nomad_job_id": "pc-a1-1-x"},
        {"nomad_job_id": "picloud-api-2"},
        {"nomad_namespace": "other"},
        {"nomad_task": "slot"},
        {"aud": "picloud-slot"},
    ],
)
def test_no_other_task_signs_in(site: Site, signer: Signer, claims: dict[str, str]) -> None:
    """Not even with an identity that Nomad has signed."""
    assert site.sign_in(signer.sign(**claims)) is None


def test_a_forged_identity_opens_nothing(site: Site) -> None:
    """It says the right thing, by another key."""
    assert site.sign_in(Signer().sign()) is None


def test_what_an_administrator_has_changed_is_set_again(site: Site) -> None:
    """Another rule of the method, more policies of the role."""
    other = {"BindType": "role", "BindName": POLICY, "Selector": 'value.task == "slot"'}
    with ConsulAdministrator(ConsulAccess(site.consul.address, site.consul.token)) as consul:
        consul.set_binding_rule(METHOD, other)
        consul.set_role(POLICY, [POLICY, "global-management"])

    made = [site.make_one() for _ in range(2)]

    assert [text.partition(" in Consul")[0] for text in made] == ["a role", "a rule"]
    assert site.lacks() == []


def test_tokens_from_before_a_replacement_end(site: Site, signer: Signer) -> None:
    """Those of an API that has signed in since are newer than the stored one, and stay."""
    before = site.sign_in(signer.sign())
    stored = str(uuid.uuid4())
    site.administrator.create_token(stored, POLICY)
    since = site.sign_in(signer.sign())

    assert before
    assert since
    assert site.administrator.revoke_tokens(POLICY, METHOD, stored) > 0

    kept = [before["SecretID"], stored, since["SecretID"]]
    assert list(map(site.administrator.knows, kept)) == [False, True, True]
    assert site.administrator.revoke_tokens(POLICY, METHOD, stored) == 0


def test_another_key_of_nomad_takes_its_place(site: Site, signer: Signer) -> None:
    """Bootstrap copies it, and what the old key signs opens nothing."""
    other = Signer()
    site.nomad.answers = [other.keys()]

    assert site.make_one() == "Nomad's public keys in Consul, which check who a task is"

    assert site.lacks() == []
    assert site.sign_in(other.sign())
    assert site.sign_in(signer.sign()) is None
