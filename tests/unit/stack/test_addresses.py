"""Which servers an environment names."""

from __future__ import annotations

import pytest
from picloud_driver.stack.addresses import (
    Addresses,
    Bucket,
    VendorServer,
    consul_of,
    nats_of,
    nomad_of,
    s3_of,
    vault_of,
)
from picloud_model.errors import RequestRefused

EVERYTHING = Addresses(
    consul=VendorServer(
        address="https://consul:8501",
        token="consul-token",
        ca_file="/ca",
        cert_file="/cert",
        key_file="/key",
    ),
    vault=VendorServer("http://vault:8200", "vault-token", "/ca"),
    nomad=VendorServer(
        address="http://nomad:4646",
        token="nomad-token",
        ca_file="/ca",
        cert_file="/cert",
        key_file="/key",
        namespace="jobs",
    ),
    nats=VendorServer(
        address="tls://nats:4222",
        token="nats-token",
        ca_file="/ca",
        cert_file="/cert",
        key_file="/key",
        creds_file="/creds",
    ),
    s3=Bucket(
        endpoint="http://s3:7070",
        name="box",
        region="eu-west-1",
        access_key="access",
        secret_key="secret",
    ),
)


def test_an_environment_says_all_that_addresses_do() -> None:
    """What was written into an environment is read from it again."""
    assert Addresses.read(EVERYTHING.environment()) == EVERYTHING


def test_an_environment_can_name_some_servers_only() -> None:
    """Nothing of the others is in it."""
    assert set(EVERYTHING.environment(["nomad"])) == {
        "NOMAD_ADDR",
        "NOMAD_TOKEN",
        "NOMAD_CACERT",
        "NOMAD_CLIENT_CERT",
        "NOMAD_CLIENT_KEY",
        "NOMAD_NAMESPACE",
    }


def test_what_is_missing_is_named() -> None:
    """All of it, in one sentence."""
    with pytest.raises(RequestRefused, match="needs VAULT_ADDR, PICLOUD_S3_BUCKET, NATS_URL in"):
        Addresses.read(EVERYTHING.environment(["consul", "nomad"]))


def test_an_empty_environment_names_nothing() -> None:
    """An empty variable is one that is not set; keys of AWS alone name no bucket."""
    nothing = {"CONSUL_HTTP_ADDR": "", "NOMAD_TOKEN": "t", "AWS_ACCESS_KEY_ID": "k"}

    found = [given(nothing) for given in (consul_of, vault_of, nomad_of, s3_of, nats_of)]

    assert found == [None] * 5


def test_a_bucket_without_an_endpoint_is_of_aws() -> None:
    """With or without keys: a machine may have a role."""
    found = s3_of({"PICLOUD_S3_BUCKET": "box", "PICLOUD_S3_REGION": "eu-west-1"})

    assert found == Bucket("", "box", "eu-west-1")
    assert found.address == "AWS, eu-west-1"


@pytest.mark.parametrize("told", ["10.0.0.1:8500", "http://10.0.0.1:8500", "http://10.0.0.1:8500/"])
def test_addresses_become_urls(told: str) -> None:
    """As Consul's own command takes them."""
    assert consul_of({"CONSUL_HTTP_ADDR": told}) == VendorServer("http://10.0.0.1:8500")


def test_a_nats_url_has_a_scheme_and_no_credentials() -> None:
    """Messages show the URL."""
    assert nats_of({"NATS_URL": "nats.example:4222/"}) == VendorServer("nats://nats.example:4222")
    several = nats_of({"NATS_URL": "tls://a:1, b:2/,", "NATS_REPLICAS": "3"})
    assert several == VendorServer("tls://a:1,nats://b:2", replicas="3")
    with pytest.raises(RequestRefused, match="set NATS_TOKEN"):
        nats_of({"NATS_URL": "nats://user:password@nats.example:4222"})
    for wrong in ("2", "three", "-1", "7"):
        with pytest.raises(RequestRefused, match=f"NATS_REPLICAS is '{wrong}'; give 1, 3 or 5"):
            nats_of({"NATS_URL": "nats.example", "NATS_REPLICAS": wrong})


def test_half_a_server_is_refused() -> None:
    """What is missing is said, and the way round it."""
    with pytest.raises(RequestRefused, match=r"VAULT_TOKEN is not set; set it, or unset"):
        vault_of({"VAULT_ADDR": "http://vault:8200"})
    with pytest.raises(RequestRefused, match="PICLOUD_S3_BUCKET is not set"):
        s3_of({"PICLOUD_S3_ENDPOINT": "http://s3:7070"})


def test_no_secret_shows() -> None:
    """Tokens and keys are in no `repr`, and so in no message and no log."""
    shown = repr(EVERYTHING)

    assert "token" not in shown
    assert "secret" not in shown
