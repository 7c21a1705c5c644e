"""What a machine at AWS makes of its user data, with a server that stands in for AWS."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest

from tests.infra.terraform import REGION

if TYPE_CHECKING:
    from collections.abc import Callable

    Configure = Callable[[str, object], str]

CONFIGURE: Final = Path(__file__).parents[2] / "packer" / "node" / "boot" / "configure.py"
KEYS: Final = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
SERVER: Final = {
    "kind": "servers",
    "name": "demo",
    "region": REGION,
    "join_tag": "picloud-servers",
    "server_count": 3,
    "vault_key_id": "key-1",
    "backup_bucket": "backups",
}
"""As `terraform/modules/cluster` writes it."""
SECRETS: Final = ("ca.pem", "cert.pem", "key.pem", "consul-gossip", "nomad-gossip", "nats-token")


@pytest.fixture
def client(endpoint: str) -> Callable[[str], Any]:
    """Clients of services, by name."""
    return lambda service: boto3.client(service, region_name=REGION, endpoint_url=endpoint, **KEYS)


@pytest.fixture
def configure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Configure:
    """Run the program on a machine whose files are below a directory; return its error."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    (tmp_path / "etc").mkdir()
    spec = importlib.util.spec_from_file_location("configure", CONFIGURE)
    assert spec
    assert spec.loader
    program = importlib.util.module_from_spec(spec)
    # msgspec looks annotations up in the module.
    monkeypatch.setitem(sys.modules, "configure", program)
    spec.loader.exec_module(program)

    def run(endpoint: str, settings: object) -> str:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        file = tmp_path / "machine.json"
        file.write_text(settings if isinstance(settings, str) else json.dumps(settings))
        code = program.main([str(file), "--root", str(tmp_path)])
        printed = capsys.readouterr().err
        assert code == bool(printed)
        return printed

    return run


def test_a_server_finds_its_keys_and_the_others(
    tmp_path: Path, endpoint: str, client: Callable[[str], Any], configure: Configure
) -> None:
    """Keys of its kind come from the Parameter Store, addresses from the tag of instances."""
    ec2, ssm = client("ec2"), client("ssm")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    tags = {"ResourceType": "instance", "Tags": [{"Key": "picloud-servers", "Value": "demo"}]}
    made = ec2.run_instances(ImageId=image, MinCount=2, MaxCount=2, TagSpecifications=[tags])
    others = {**tags, "Tags": [{"Key": "picloud-servers", "Value": "other"}]}
    ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=[others])
    addresses = sorted(each["PrivateIpAddress"] for each in made["Instances"])
    for name in SECRETS:
        path = f"/picloud/demo/servers/{name}"
        ssm.put_parameter(Name=path, Type="SecureString", Value=f"of {name}\n")
    hosts = tmp_path / "etc" / "hosts"
    hosts.write_text("127.0.0.1 localhost\n10.9.9.9 picloud-servers # servers of PiCloud\n")

    assert configure(endpoint, SERVER) == ""

    machine = tmp_path / "etc/picloud/machine"
    assert (machine / "services").read_text().split() == ["consul", "vault", "nats", "nomad-server"]
    joined = json.loads((machine / "consul.json").read_text())
    assert joined["encrypt"] == "of consul-gossip"
    assert joined["retry_join"] == [
        f"provider=aws region={REGION} tag_key=picloud-servers tag_value=demo"
    ]
    seal = json.loads((machine / "vault.json").read_text())["seal"]
    assert seal == {"awskms": {"region": REGION, "kms_key_id": "key-1"}}
    routes = json.loads((machine / "nats.json").read_text())["cluster"]["routes"]
    assert routes == [f"nats://{own_name(each)}:6222" for each in addresses]
    assert (machine / "secrets" / "key.pem").stat().st_mode & 0o137 == 0
    assert hosts.read_text().splitlines() == [
        "127.0.0.1 localhost",
        *(f"{each} picloud-servers {own_name(each)} # servers of PiCloud" for each in addresses),
    ]


def own_name(address: str) -> str:
    """Return the name of a single server."""
    return f"server-{address.replace('.', '-')}.picloud-servers"


@pytest.mark.parametrize("counts", [(1, 1), (3, 3), (5, 3)])
def test_the_api_stores_queues_on_several_servers(
    tmp_path: Path,
    endpoint: str,
    client: Callable[[str], Any],
    configure: Configure,
    counts: tuple[int, int],
) -> None:
    """Three, where there are so many: any one may be lost."""
    server_count, replicas = counts
    for name in ("ca.pem", "cert.pem", "key.pem", "nats-token"):
        path = f"/picloud/queues/api/{name}"
        client("ssm").put_parameter(Name=path, Type="SecureString", Value="x", Overwrite=True)
    api = {"kind": "api", "name": "queues", "data_bucket": "data", "server_count": server_count}

    assert configure(endpoint, SERVER | api) == ""

    environment = (tmp_path / "etc/picloud/machine/environment").read_text()
    assert f"export NATS_REPLICAS={replicas}\n" in environment


def test_an_api_machine_may_be_a_client_of_nomad(tmp_path: Path, configure: Configure) -> None:
    """It offers no slots, and slots use the name that all API machines share."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("ca.pem", "cert.pem", "key.pem", "nats-token"):
        (kept / name).write_text("x")
    api = {"kind": "api", "name": "api", "region": REGION, "data_bucket": "data"}
    own = {"servers": ["10.0.0.11"], "api_machines": ["10.0.0.31"], "secrets": str(kept)}

    error = configure("http://127.0.0.1:1", api | own | {"on_nomad": True, "address": "127.0.0.1"})

    assert error == ""
    machine = tmp_path / "etc/picloud/machine"
    assert (machine / "services").read_text() == "nomad-client\n"
    client = json.loads((machine / "nomad.json").read_text())["client"]
    assert client["node_pool"] == "picloud-api"
    assert "meta" not in client
    assert "PICLOUD_SLOT_URL=http://picloud-api:8787\n" in (machine / "environment").read_text()
    assert "10.0.0.31 picloud-api" in (tmp_path / "etc/hosts").read_text()


def test_a_server_of_nats_accepts_two_tokens_while_one_is_replaced(
    tmp_path: Path, configure: Configure
) -> None:
    """Each is the password of a user with the rights of the API; later the old one is forgotten."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in SECRETS:
        (kept / name).write_text("new" if name == "nats-token" else "x")
    (kept / "nats-token-old").write_text("old")
    own = {"servers": ["10.0.0.11"], "secrets": str(kept), "address": "127.0.0.1"}
    machine = tmp_path / "etc/picloud/machine"

    def passwords() -> list[str]:
        assert configure("http://127.0.0.1:1", SERVER | own) == ""
        written = json.loads((machine / "nats.json").read_text())
        return [each["password"] for each in written["authorization"]["users"]]

    assert passwords() == ["new", "old"]
    (kept / "nats-token-old").unlink()
    assert passwords() == ["new"]
    assert not (machine / "secrets/nats-token-old").exists()


@pytest.mark.parametrize(
    ("own", "slots", "mhz"),
    [
        ({"core_type": "c1", "slots": 2}, 2, 800),
        ({"core_type": "c2", "slots": 8}, 8, 8000),
        ({"core_type": "c1"}, os.cpu_count() or 1, 400 * (os.cpu_count() or 1)),
        ({"core_type": "s1"}, 1, 800),
    ],
)
def test_a_client_offers_room_for_its_slots_and_no_more(
    tmp_path: Path, configure: Configure, own: dict[str, object], slots: int, mhz: int
) -> None:
    """By Nomad's measure, MHz. A machine of s1 has one slot, which so has its address alone."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (kept / name).write_text("x")
    client = {"kind": "clients", "name": "demo", "region": REGION, "address": "127.0.0.1"}

    error = configure(
        "http://127.0.0.1:1", client | {"servers": ["10.0.0.11"], "secrets": str(kept)} | own
    )

    assert error == ""
    written = json.loads((tmp_path / "etc/picloud/machine/nomad.json").read_text())["client"]
    assert written["meta"]["picloud_slots"] == str(slots)
    assert written["cpu_total_compute"] == mhz


@pytest.mark.parametrize(
    ("own", "minutes"),
    [
        ({}, "60\n"),
        ({"shut_down_after_minutes": 0.5}, "0.5\n"),
        ({"shut_down_after_minutes": 0}, None),
        ({"kind": "api", "data_bucket": "data", "on_nomad": True}, None),
    ],
)
def test_clients_shut_themselves_down(
    tmp_path: Path, configure: Configure, own: dict[str, object], minutes: str | None
) -> None:
    """After an hour without a control plane, unless a setting says otherwise; others never do."""
    kept = tmp_path / "kept"
    kept.mkdir()
    for name in ("ca.pem", "cert.pem", "key.pem", "nats-token"):
        (kept / name).write_text("x")
    written = tmp_path / "etc/picloud/machine/shut-down-after"
    written.parent.mkdir(parents=True)
    written.write_text("7\n")
    client = {"kind": "clients", "name": "demo", "region": REGION, "core_type": "c1"}
    where = {"servers": ["10.0.0.11"], "secrets": str(kept), "address": "127.0.0.1"}

    assert configure("http://127.0.0.1:1", client | where | own) == ""

    assert (written.read_text() if written.exists() else None) == minutes


def test_a_missing_secret_is_named(tmp_path: Path, endpoint: str, configure: Configure) -> None:
    """Nothing is written for a machine that could not start its servers."""
    error = configure(endpoint, SERVER | {"name": "without"})

    assert "/picloud/without/servers/ca.pem" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "etc/picloud").exists()


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("{", "does not say what this machine is"),
        (SERVER | {"kind": "server"}, "Invalid enum value 'server' - at `$.kind`"),
        (SERVER | {"sever_count": 3}, "unknown field `sever_count`"),
        (SERVER | {"name": "Demo Cluster"}, "matching regex"),
        (SERVER | {"join_tag": ""}, "lacks servers or join_tag; add it"),
        (SERVER | {"kind": "clients"}, "lacks core_type; add it"),
        (SERVER | {"kind": "clients", "core_type": "c9"}, "'c9'; give one of c1, c2, f2, m1, s1"),
        (SERVER | {"kind": "api"}, "lacks data_bucket; add it"),
        (SERVER | {"servers": ["10.0.0.1; rm"]}, "matching regex"),
        (SERVER | {"shut_down_after_minutes": -1}, ">= 0"),
        (SERVER | {"on_nomad": True}, "has on_nomad, which is for kind api only; remove it"),
    ],
)
def test_a_wrong_setting_is_named(
    tmp_path: Path, configure: Configure, settings: object, reason: str
) -> None:
    """One sentence, before anything is asked or written."""
    error = configure("http://127.0.0.1:1", settings)

    assert reason in error
    assert error.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["etc", "machine.json"]


def test_an_aws_that_does_not_answer_is_reported(configure: Configure) -> None:
    """The error of the network, and what was wanted."""
    error = configure("http://127.0.0.1:1", SERVER)

    assert "AWS does not list the servers" in error
    assert error.count("\n") == 1
