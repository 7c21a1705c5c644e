"""`picloud admin bootstrap`: servers out of their packages, until a job runs on them."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from typing import TYPE_CHECKING, Final

import msgspec
import pytest
import requests
from picloud_driver.consul.administrator import ConsulAdministrator
from picloud_driver.nomad.administrator import NomadAdministrator
from picloud_driver.nomad.bootstrap import POLICY
from picloud_driver.s3.gateway import S3Gateway
from picloud_driver.stack.addresses import consul_of, nomad_of, s3_of
from picloud_driver.stack.bootstrap.keys import KeyFile
from picloud_driver.stack.bootstrap.servers import Bootstrap
from picloud_driver.stack.faults import StackFault
from picloud_driver.stack.servers import consul, nomad, s3
from picloud_model.errors import Unavailable

from tests.e2e import bare_servers, processes
from tests.e2e.bare_servers import GOSSIP_KEY
from tests.e2e.command_line import PICLOUD
from tests.e2e.user_home import CALL, UserHome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from picloud_driver.stack.bootstrap.keys import ClusterKeys

MADE: Final = {"consul": 3, "vault": 6, "s3": 4, "nomad": 9, "nats": 0}
"""How many things each bare server lacks."""
BOOTSTRAP_S: Final = 60.0
"""How long bootstrap of bare servers may take."""
API_TOKENS: Final = {
    "consul": ("CONSUL_HTTP_ADDR", "X-Consul-Token", "acl/tokens"),
    "vault": ("VAULT_ADDR", "X-Vault-Token", "auth/token/lookup-self"),
    "nomad": ("NOMAD_ADDR", "X-Nomad-Token", "acl/token/self"),
}
"""Where the API has a token, and what tells whether it is valid."""


REPLACED: Final = ["consul", "vault", "s3", "nomad"]
"""Where the API has a token or a key."""


@pytest.fixture(scope="module")
def bare() -> Iterator[dict[str, str]]:
    """The variables that name bare servers; the tests below bring them up in turn."""
    with bare_servers.bare() as variables:
        yield variables


@pytest.fixture(scope="module")
def bootstrapped(
    bare: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, float]:
    """The directory of the keys of a cluster, whose bootstrap was interrupted after each change;
    and the seconds that it has taken.
    """
    directory, began = tmp_path_factory.mktemp("cluster"), time.monotonic()
    for name, count in MADE.items():
        steps = 0
        # A process that makes one change, and is killed before it says so, each time anew.
        while list(itertools.islice(begun(bare, directory).run(name), 1)):
            steps += 1
        assert (name, steps) == (name, count)
    begun(bare, directory).write_environment()
    return directory, time.monotonic() - began


@pytest.fixture(scope="module")
def cluster(bootstrapped: tuple[Path, float]) -> Path:
    """The directory of the keys of the cluster."""
    return bootstrapped[0]


def begun(variables: dict[str, str], directory: Path, *, adopt: bool = False) -> Bootstrap:
    """Begin a bootstrap, as a new process would."""
    return Bootstrap(variables, KeyFile(directory), adopt=adopt)


def needed(variables: dict[str, str], directory: Path, *, adopt: bool = False) -> int:
    """Return how many things the servers lack."""
    bootstrap = begun(variables, directory, adopt=adopt)
    return sum(len(bootstrap.plan(name)) for name in bootstrap.servers)


def managed(variables: dict[str, str], directory: Path) -> dict[str, str]:
    """Return the variables with the management tokens that the first bootstrap has made."""
    keys = KeyFile(directory).now
    tokens = {"CONSUL_HTTP_TOKEN": keys.consul_management, "NOMAD_TOKEN": keys.nomad_management}
    return variables | tokens


def test_a_plan_changes_nothing(bare: dict[str, str], tmp_path: Path) -> None:
    """The command lists what bare servers lack, and writes no key."""
    user = UserHome(tmp_path, bare)
    keys = tmp_path / "keys"
    plan = (PICLOUD, "admin", "bootstrap", "--plan", "--keys", str(keys))

    printed = user.run(*plan)

    assert printed.count("  needs  ") == sum(MADE.values())
    assert needed(bare, keys) == sum(MADE.values())
    assert not keys.exists()


def test_a_bootstrap_goes_on_where_it_was_interrupted(bare: dict[str, str], cluster: Path) -> None:
    """After each single change; in the end nothing is left to do, and keys are private."""
    assert needed(bare, cluster) == 0

    assert {path.stat().st_mode & 0o077 for path in cluster.iterdir()} == {0}


def test_bare_servers_are_ready_in_a_minute(bootstrapped: tuple[Path, float]) -> None:
    """Also if every change takes another process, which looks at all of them again."""
    assert bootstrapped[1] < BOOTSTRAP_S


def test_jobs_run_on_the_servers(cluster: Path, tmp_path: Path) -> None:
    """`picloud up` uses them with the variables that bootstrap has written, and no other token."""
    lines = (cluster / "environment").read_text().splitlines()
    variables = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    user = UserHome(tmp_path, variables)
    try:
        printed = user.up()
        answer = user.python(CALL)
        found = json.loads(user.run(PICLOUD, "admin", "doctor", "--data", str(user.data), "--json"))
        user.down()
    finally:
        user.clear()

    assert printed.count("used as it is") == len(MADE)
    assert answer == "1024"
    assert [row for row in found if not row["ok"]] == []
    assert {"consul", "vault", "s3", "nomad", "nats"} <= {row["check"] for row in found}
    processes.assert_none(user.data)


def test_a_key_that_was_stored_first_is_made(bare: dict[str, str], cluster: Path) -> None:
    """A process that died between the two leaves a key that the server does not know yet."""
    keys = KeyFile(cluster)
    before = keys.now
    keys.store(consul=str(uuid.uuid4()), nomad="")

    assert needed(bare, cluster) == 2
    bootstrap = begun(bare, cluster)
    for name in bootstrap.servers:
        list(bootstrap.run(name))

    assert needed(bare, cluster) == 0
    # Nomad chooses its token: the one that exists is found again.
    assert KeyFile(cluster).now.nomad == before.nomad


def test_the_servers_of_another_cluster_are_refused(
    bare: dict[str, str], cluster: Path, tmp_path: Path
) -> None:
    """Each by itself, before any is changed; with --adopt they are taken over."""
    variables = managed(bare, cluster)
    bootstrap = begun(variables, tmp_path)

    for name in REPLACED:
        with pytest.raises(StackFault, match="belongs to another cluster"):
            bootstrap.plan(name)
    assert needed(variables, tmp_path, adopt=True) > 0
    assert needed(bare, cluster) == 0, "nothing was changed"


def test_a_bucket_with_objects_of_others_is_refused(bare: dict[str, str], tmp_path: Path) -> None:
    """A bucket that any program has used is not taken for an empty one."""
    variables = bare | {"PICLOUD_S3_BUCKET": "used"}
    bucket = s3_of(variables)
    assert bucket
    gateway = S3Gateway(s3.access(bucket), connections=1)
    gateway.ensure_bucket()
    gateway.write("report.pdf", b"of others")
    gateway.close()

    with pytest.raises(StackFault, match=r"bucket used belongs to another .* it holds objects"):
        begun(variables, tmp_path).plan("s3")


def test_a_policy_that_was_changed_is_set_again(bare: dict[str, str], cluster: Path) -> None:
    """What an administrator has allowed beyond the file is taken back."""
    server = nomad_of(managed(bare, cluster))
    assert server
    mark = KeyFile(cluster).mark
    with NomadAdministrator(nomad.access(server)) as administrator:
        administrator.set_policy(POLICY, 'namespace "*" { policy = "write" }', mark)

    made = list(begun(bare, cluster).run("nomad"))

    assert made == [f"the policy {POLICY}, which allows the API its work only"]
    assert needed(bare, cluster) == 0


def test_tokens_are_replaced_and_the_old_ones_end(
    bare: dict[str, str], cluster: Path, tmp_path: Path
) -> None:
    """All are valid until the old ones are revoked, also those of an interrupted call."""
    user = UserHome(tmp_path, bare)
    list(begun(bare, cluster).revoke_old_tokens())  # of other tests
    before, servers = KeyFile(cluster).now, managed(bare, cluster)
    rotate = (PICLOUD, "admin", "rotate", "--keys", str(cluster))

    printed = user.run(*rotate)
    first = KeyFile(cluster).now
    still = {name: accepted(servers, name, getattr(before, name)) for name in API_TOKENS}
    keys = [key_is_accepted(bare, each) for each in (before, first)]
    assert list(begun(bare, cluster).new_tokens()) == REPLACED
    revoked = user.run(*rotate, "--revoke")

    now = KeyFile(cluster).now
    assert printed.count("a new token of the API") == len(API_TOKENS)
    assert printed.count("a new key of the API") == 1
    assert keys == [True, True]
    assert [key_is_accepted(bare, each) for each in (before, first, now)] == [False, False, True]
    assert still == dict.fromkeys(API_TOKENS, True)
    assert revoked.count("  2 revoked") == len(REPLACED)
    for name in API_TOKENS:
        tokens = [getattr(keys, name) for keys in (before, first, now)]
        assert len(set(tokens)) == 3, name
        assert [accepted(servers, name, token) for token in tokens] == [False, False, True], name
        assert f"{getattr(first, name)}" not in printed
    assert now.consul_management == before.consul_management
    assert needed(bare, cluster) == 0
    assert user.run(*rotate, "--revoke").count("  0 revoked") == len(REPLACED)
    begun(bare, cluster).write_environment()


def key_is_accepted(variables: dict[str, str], keys: ClusterKeys) -> bool:
    """Whether the API's key of S3 may read its bucket."""
    bucket = s3_of(variables)
    assert bucket
    own = msgspec.structs.replace(
        bucket, access_key=keys.s3_access_key, secret_key=keys.s3_secret_key
    )
    gateway = S3Gateway(s3.access(own), connections=1)
    try:
        gateway.look()
    except Unavailable:
        return False
    finally:
        gateway.close()
    return True


def accepted(variables: dict[str, str], name: str, token: str) -> bool:
    """Whether a token is one of a server's.

    That of Consul is looked up in the list of all: its agents accept it for half a minute more.
    """
    address, header, path = API_TOKENS[name]
    sent = variables["CONSUL_HTTP_TOKEN"] if name == "consul" else token
    url = f"{variables[address]}/v1/{path}"
    answer = requests.get(url, headers={header: sent}, timeout=30)
    assert answer.status_code in (200, 403), answer.text
    if name == "consul":
        return token in [each["SecretID"] for each in answer.json()]
    return answer.status_code == 200


def test_tokens_of_servers_without_bootstrap_are_not_replaced(
    bare: dict[str, str], cluster: Path, tmp_path: Path
) -> None:
    """Nothing is revoked where the newest token is not known, or no server is named."""
    keys = KeyFile(tmp_path)
    keys.store(**{**msgspec.structs.asdict(KeyFile(cluster).now), "vault": "hvs.unknown"})

    with pytest.raises(StackFault, match=r"vault lacks a token .*: run picloud admin bootstrap"):
        list(begun(bare, tmp_path).revoke_old_tokens())
    nats_only = {name: value for name, value in bare.items() if name.startswith("NATS")}
    with pytest.raises(StackFault, match="is named: set CONSUL_HTTP_ADDR, VAULT_ADDR, PICLOUD"):
        list(begun(nats_only, tmp_path).new_tokens())
    assert needed(bare, cluster) == 0, "nothing was revoked"


def test_gossip_keys_are_replaced_and_the_old_ones_end(
    bare: dict[str, str], cluster: Path, tmp_path: Path
) -> None:
    """Both are accepted until the old one is revoked; files have the keys for new machines."""
    user = UserHome(tmp_path, bare)
    rotate = (PICLOUD, "admin", "rotate", "--gossip", "--keys", str(cluster))

    refused = user.run(*rotate, "--revoke", status=1)
    printed = user.run(*rotate)
    keys = KeyFile(cluster).now
    both = gossip_keys(bare, cluster)
    list(begun(bare, cluster).new_gossip_keys())
    revoked = user.run(*rotate, "--revoke")

    now = KeyFile(cluster).now
    new = {"consul": keys.consul_gossip, "nomad": keys.nomad_gossip}
    assert "does not have the gossip key of this directory: run picloud admin rotate" in refused
    assert printed.count("a new gossip key") == 2
    assert both == {name: sorted([GOSSIP_KEY, key]) for name, key in new.items()}
    assert revoked.splitlines() == ["consul   2 revoked", "nomad    2 revoked"]
    assert gossip_keys(bare, cluster) == {
        "consul": [now.consul_gossip],
        "nomad": [now.nomad_gossip],
    }
    for name, key in new.items():
        assert (cluster / f"{name}-gossip").read_text() == f"{key}\n"
        assert key not in printed
    assert user.run(*rotate, "--revoke").count("  0 revoked") == 2


def gossip_keys(variables: dict[str, str], directory: Path) -> dict[str, list[str]]:
    """Return the keys that servers accept."""
    named = managed(variables, directory)
    consul_server, nomad_server = consul_of(named), nomad_of(named)
    assert consul_server
    assert nomad_server
    with (
        ConsulAdministrator(consul.access(consul_server)) as on_consul,
        NomadAdministrator(nomad.access(nomad_server)) as on_nomad,
    ):
        return {"consul": on_consul.gossip_keys(), "nomad": on_nomad.gossip_keys()}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"CONSUL_HTTP_TOKEN": "0" * 36}, "Consul at .* refuses our token"),
        ({"NOMAD_TOKEN": "0" * 36}, "Nomad at .* refuses our token: this takes a management token"),
        ({"VAULT_TOKEN": "hvs.wrong"}, "our token is wrong, expired or revoked"),
        ({"VAULT_TOKEN": ""}, "VAULT_TOKEN is not set"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "our secret key is not the access key's"),
        ({"CONSUL_HTTP_ADDR": "127.0.0.1:1"}, "Consul at http://127.0.0.1:1 cannot answer"),
        ({"NATS_TOKEN": "wrong"}, "NATS at"),
    ],
    ids=lambda value: "=".join(*value.items()) if isinstance(value, dict) else "",
)
def test_a_server_that_refuses_is_named(
    bare: dict[str, str], cluster: Path, wrong: dict[str, str], reason: str
) -> None:
    """One sentence that says which server, and what to do."""
    with pytest.raises(StackFault, match=reason):
        needed(bare | wrong, cluster)


def test_somebody_elses_first_token_is_needed(
    bare: dict[str, str], cluster: Path, tmp_path: Path
) -> None:
    """Where another administrator has made the first token, one of theirs has to be named."""
    consul_only = {"CONSUL_HTTP_ADDR": bare["CONSUL_HTTP_ADDR"]}
    nomad_only = {"NOMAD_ADDR": bare["NOMAD_ADDR"]}

    with pytest.raises(StackFault, match="has a management token already: set CONSUL_HTTP_TOKEN"):
        list(begun(consul_only, tmp_path / "a").run("consul"))
    with pytest.raises(StackFault, match="has a management token already: set NOMAD_TOKEN"):
        list(begun(nomad_only, tmp_path / "b").run("nomad"))


def test_without_servers_there_is_nothing_to_do(tmp_path: Path) -> None:
    """The error names the variables."""
    printed = UserHome(tmp_path).run(
        PICLOUD, "admin", "bootstrap", "--keys", str(tmp_path / "keys"), status=1
    )

    assert printed.startswith("error: No server is named: set CONSUL_HTTP_ADDR,")


def test_a_directory_without_keys_is_named(tmp_path: Path) -> None:
    """A wrong directory is not made, and no token is."""
    keys = tmp_path / "wrong"

    printed = UserHome(tmp_path).run(PICLOUD, "admin", "rotate", "--keys", str(keys), status=1)

    assert f"{keys}/keys.json does not exist: name the directory that" in printed
    assert not keys.exists()


@pytest.mark.parametrize("name", ["CONSUL_HTTP_ADDR", "NOMAD_ADDR"])
def test_a_plan_asks_each_server(tmp_path: Path, name: str) -> None:
    """Also one for which there is no token yet: a wrong address is reported by the plan."""
    with pytest.raises(StackFault, match=r"at http://127\.0\.0\.1:1 cannot answer now"):
        needed({name: "http://127.0.0.1:1"}, tmp_path)


def test_a_consul_that_is_open_is_refused(tmp_path: Path) -> None:
    """ACLs that allow by default protect nothing; the plan says so, and no token is made."""
    with bare_servers.consul(default_policy="allow") as address:
        variables = {"CONSUL_HTTP_ADDR": address}

        with pytest.raises(StackFault, match="lets clients without a token read all keys"):
            needed(variables, tmp_path)
    assert list(tmp_path.iterdir()) == []
