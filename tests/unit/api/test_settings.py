"""The settings of a server, read from its command line and environment."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest
from picloud_api.settings import read
from picloud_api.usecases.accounts.price import PriceList
from picloud_api.usecases.accounts.quota import Quotas
from picloud_api.usecases.jobs.visits.published_site import PublishedSite
from picloud_model.wire.gateway import StreamLimits

from tests.unit.api.absent_servers import SERVERS

if TYPE_CHECKING:
    from pathlib import Path

HASHICORP = ["--data", "/tmp/d", "--stack", "hashicorp"]


def test_the_embedded_stack_has_no_servers() -> None:
    """The environment is ignored, even if it names servers."""
    assert read(["--data", "/tmp/d"], SERVERS.environment()).servers is None


def test_the_hashicorp_stack_is_named_by_the_environment() -> None:
    """Servers, the number of processes, and how Nomad runs slots are read."""
    nomad = {"PICLOUD_SLOT_PYTHON": "/opt/python", "PICLOUD_SLOT_USER": "worker"}

    settings = read([*HASHICORP, "--processes", "4"], SERVERS.environment() | nomad)

    assert settings.servers == SERVERS
    assert settings.processes == 4
    assert (settings.nomad.python, settings.nomad.user) == ("/opt/python", "worker")


def test_slots_may_use_a_name_that_several_machines_share() -> None:
    """Without it they use the address of the server that starts them."""
    shared = {"PICLOUD_SLOT_URL": "http://picloud-api:8787/"}

    assert read(HASHICORP, SERVERS.environment()).nomad.url == ""
    assert read(HASHICORP, SERVERS.environment() | shared).nomad.url == "http://picloud-api:8787"


@pytest.mark.parametrize("url", ["picloud-api:8787", "ftp://api", "http://", "http://a/${b}"])
def test_a_url_of_slots_is_one(url: str) -> None:
    """Nothing starts whose slots would end at once."""
    with pytest.raises(SystemExit, match=r"PICLOUD_SLOT_URL is .*; give a URL such as"):
        read(HASHICORP, SERVERS.environment() | {"PICLOUD_SLOT_URL": url})


def test_slots_run_in_our_own_python_by_default() -> None:
    """They run in the interpreter of the server, which has the same packages."""
    assert read(HASHICORP, SERVERS.environment()).nomad.python == sys.executable


def test_the_quotas_of_accounts_are_in_the_environment() -> None:
    """Those that are not set have their defaults."""
    quotas = read(["--data", "/tmp/d"], {"PICLOUD_MAX_JOBS": "5", "PICLOUD_MAX_WAITS": ""}).quotas

    assert quotas == Quotas(jobs=5)


@pytest.mark.parametrize(
    ("host", "access", "public"),
    [
        ("127.0.0.1", "", True),
        ("localhost", "", True),
        ("::1", "", True),
        ("0.0.0.0", "", False),
        ("10.0.0.5", "", False),
        ("server.example", "", False),
        ("10.0.0.5", "public", True),
        ("127.0.0.1", "private", False),
    ],
)
def test_ports_of_jobs_are_public_where_only_this_machine_connects(
    host: str, access: str, public: bool
) -> None:
    """The operator may set otherwise; the address is never that of all interfaces."""
    settings = read(["--data", "/tmp/d", "--host", host], {"PICLOUD_PORTS": access})

    assert settings.public_host.by_default is public
    assert settings.public_host.address == (socket.gethostname() if host == "0.0.0.0" else host)


def test_ports_are_public_or_private() -> None:
    """Nothing starts with a word that was not meant."""
    with pytest.raises(SystemExit, match="PICLOUD_PORTS is 'open'; give private or public"):
        read(["--data", "/tmp/d"], {"PICLOUD_PORTS": "open"})


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "٣"])
def test_a_quota_is_a_whole_number(value: str) -> None:
    """Nothing starts with a limit that was not meant."""
    with pytest.raises(SystemExit) as ended:
        read(["--data", "/tmp/d"], {"PICLOUD_MAX_STORED_BYTES": value})

    assert str(ended.value).startswith("PICLOUD_MAX_STORED_BYTES is")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "/tmp/d", "--processes", "2"], "The embedded stack is served by one process"),
        ([*HASHICORP, "--processes", "0"], "--processes takes 1 to 64"),
        (HASHICORP, "The hashicorp stack needs NOMAD_ADDR"),
    ],
)
def test_invalid_settings_end_the_server_with_a_message(arguments: list[str], message: str) -> None:
    """Nothing is opened before the settings are valid."""
    with pytest.raises(SystemExit) as ended:
        read(arguments, SERVERS.environment(["consul", "vault", "s3"]))

    assert str(ended.value).startswith(message)


def test_prices_are_in_a_file(tmp_path: Path) -> None:
    """A line for each core type; without the option prices are left as they are."""
    listed = tmp_path / "prices.toml"
    listed.write_text("c1 = 0.05\nf2 = 1 # dollars\n", encoding="utf-8")

    prices = read(["--data", "/tmp/d", "--prices", str(listed)], {}).prices

    assert prices == PriceList(dollars_per_hour={"c1": 0.05, "f2": 1.0}, free={"c1": 20.0})
    assert read(["--data", "/tmp/d"], {}).prices is None


def test_prices_differ_by_environment_and_some_core_hours_are_free(tmp_path: Path) -> None:
    """A table for each environment, and one for what is free; an empty one makes nothing free."""
    listed = tmp_path / "prices.toml"
    tables = '[environments."base/precise"]\nf2 = 2\n[environments."/a1/gpu"]\nf2 = 3\n[free]\n'
    listed.write_text(f"f2 = 1\n{tables}", encoding="utf-8")

    assert read(["--data", "/tmp/d", "--prices", str(listed)], {}).prices == PriceList(
        dollars_per_hour={"f2": 1.0},
        environments={"base/precise": {"f2": 2.0}, "/a1/gpu": {"f2": 3.0}},
        free={},
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("c9 = 1", "there is no core type 'c9'; there are c1, c2, f2, m1, s1."),
        ("c1 = -1", "the price of c1 is -1; give dollars an hour, from 0 on."),
        ("c1 = nan", "the price of c1 is nan; give dollars"),
        ("c1 = true", "the price of c1 is True; give dollars"),
        ("c1 = '1'", "the price of c1 is '1'; give dollars"),
        ("c1 1", "cannot be read: "),
        ("free = 20", "'free' is 20; make it a table."),
        ("[free]\nc1 = -1", "the free time of c1 is -1; give core hours a month, from 0 on."),
        ("[environments.gpu]\nf2 = 1", "named base/NAME or /ACCOUNT/NAME, not 'gpu'."),
        ('[environments]\n"base/x" = 1', "'base/x' is 1; make it a table."),
        ('[environments."base/x"]\nf9 = 1', "there is no core type 'f9'"),
    ],
)
def test_a_wrong_list_of_prices_is_named(tmp_path: Path, text: str, message: str) -> None:
    """Nothing is opened before the prices are valid."""
    listed = tmp_path / "prices.toml"
    listed.write_text(text, encoding="utf-8")

    with pytest.raises(SystemExit) as ended:
        read(["--data", "/tmp/d", "--prices", str(listed)], {})

    assert str(listed) in str(ended.value)
    assert message in str(ended.value)


def test_a_list_of_prices_that_is_missing_is_named(tmp_path: Path) -> None:
    """Also one that vanished after `picloud up` had looked for it."""
    with pytest.raises(SystemExit) as ended:
        read(["--data", "/tmp/d", "--prices", str(tmp_path / "none.toml")], {})

    assert "No such file" in str(ended.value)


def test_spans_are_posted_to_a_url() -> None:
    """By default nowhere."""
    url = "http://127.0.0.1:4318/v1/traces"

    assert read(["--data", "/d"], {}).traces_url == ""
    assert read(["--data", "/d"], {"PICLOUD_TRACES_URL": url}).traces_url == url
    with pytest.raises(SystemExit, match="PICLOUD_TRACES_URL is 'localhost:4318'"):
        read(["--data", "/d"], {"PICLOUD_TRACES_URL": "localhost:4318"})


def test_browsers_reach_notebooks_at_names_below_localhost() -> None:
    """A server that other machines reach has no such names of its own."""
    away = read(["--data", "/tmp/d", "--host", "0.0.0.0"], {})

    assert read(["--data", "/tmp/d"], {}).content_site.domain == "localhost"
    assert read(["--data", "/tmp/d"], {"PICLOUD_PORTS": "private"}).content_site.domain
    assert away.content_site.domain == ""


def test_the_hosts_of_notebooks_are_in_the_environment() -> None:
    """And the port that a proxy passes them on to."""
    environment = {"PICLOUD_CONTENT_URL": "https://*.example.org", "PICLOUD_CONTENT_PORT": "8790"}
    site = read(["--data", "/tmp/d", "--host", "0.0.0.0"], environment).content_site

    assert (site.domain, site.scheme, site.port, site.listen) == ("example.org", "https", 443, 8790)


@pytest.mark.parametrize(
    "environment",
    [
        {"PICLOUD_CONTENT_URL": "https://example.org"},
        {"PICLOUD_CONTENT_PORT": "http"},
        {"PICLOUD_CONTENT_PORT": "70000"},
    ],
)
def test_hosts_of_notebooks_that_cannot_be_are_refused(environment: dict[str, str]) -> None:
    """Before anything starts."""
    with pytest.raises(SystemExit, match=r"PICLOUD_CONTENT_(URL|PORT) is .*; give"):
        read(["--data", "/tmp/d"], environment)


def test_where_browsers_reach_what_is_published() -> None:
    """On one machine at another address of it; else where the operator says, or with the pages."""

    def site(host: str, url: str) -> PublishedSite:
        arguments = ["--data", "/tmp/d", "--host", host]
        return read(arguments, {"PICLOUD_PUBLISHED_URL": url}).published_site

    assert site("127.0.0.1", "") == PublishedSite("http://127.0.0.2", is_own=True)
    assert site("127.0.0.1", "off") == site("0.0.0.0", "") == PublishedSite()
    assert site("0.0.0.0", "https://p.example/") == PublishedSite("https://p.example")
    with pytest.raises(SystemExit, match=r"PICLOUD_PUBLISHED_URL is .*; give one"):
        site("127.0.0.1", "p.example")


def test_how_long_streams_may_last() -> None:
    """An operator may set otherwise, in whole seconds."""
    assert read(["--data", "/tmp/d"], {}).stream_limits == StreamLimits()
    chosen = {"PICLOUD_STREAM_IDLE_S": "60", "PICLOUD_STREAM_LONGEST_S": "3600"}
    assert read(["--data", "/tmp/d"], chosen).stream_limits == StreamLimits(60.0, 3600.0)
    for wrong in ("0", "-1", "1h", "inf"):
        with pytest.raises(SystemExit, match=r"PICLOUD_STREAM_IDLE_S is .* seconds from 1 on"):
            read(["--data", "/tmp/d"], {"PICLOUD_STREAM_IDLE_S": wrong})


def test_an_issuer_is_given_by_three_variables() -> None:
    """Its URL has no slash at the end; a part that is missing is named, and the secret is not."""
    values = {
        "PICLOUD_OIDC_ISSUER": "https://id.example/",
        "PICLOUD_OIDC_CLIENT_ID": "picloud",
        "PICLOUD_OIDC_CLIENT_SECRET": "hidden",
    }

    issuer = read(["--data", "/d"], values).issuer

    assert issuer is not None
    assert (issuer.url, issuer.client_secret) == ("https://id.example", "hidden")
    assert "hidden" not in repr(read(["--data", "/d"], values))
    for name in values:
        with pytest.raises(SystemExit, match=f"{name} is not set"):
            read(["--data", "/d"], {**values, name: ""})
    with pytest.raises(SystemExit, match=r"PICLOUD_OIDC_ISSUER is 'id\.example'"):
        read(["--data", "/d"], {**values, "PICLOUD_OIDC_ISSUER": "id.example"})
