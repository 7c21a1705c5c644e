"""What the jobspec of the API says, as Nomad itself has parsed it, and what cannot get into it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from picloud_jobspecs.api import AUDIENCE, CONSUL_AUDIENCE, ApiService, api_jobspec
from picloud_model.errors import RequestRefused

from tests.servers.process import binary

if TYPE_CHECKING:
    from pathlib import Path

    from picloud_driver.nomad.gateway import NomadGateway

    from tests.servers import running

SECOND_NS = 1_000_000_000


def group(gateway: NomadGateway, service: ApiService) -> dict[str, Any]:
    """Return the one task group of the job that Nomad has read."""
    job = gateway.parse(api_jobspec(service), "")
    assert (job["ID"], job["Type"], job["NodePool"]) == ("picloud-api", "service", service.pool)
    (found,) = job["TaskGroups"]
    assert isinstance(found, dict)
    return found


def test_a_new_version_is_tried_on_another_machine_first(gateway: NomadGateway) -> None:
    """It is promoted when it is healthy; else the last version that was stays."""
    update = group(gateway, ApiService(count=2, healthy_s=30))["Update"]

    assert (update["Canary"], update["MaxParallel"]) == (1, 1)
    assert (update["AutoPromote"], update["AutoRevert"]) == (True, True)
    assert update["HealthCheck"] == "checks"
    assert update["HealthyDeadline"] == 30 * SECOND_NS
    assert update["ProgressDeadline"] > update["HealthyDeadline"]


def test_without_canaries_machines_are_upgraded_in_place(gateway: NomadGateway) -> None:
    """One after the other, as there is no spare machine."""
    update = group(gateway, ApiService(count=2, canaries=0))["Update"]

    assert (update["Canary"], update["MaxParallel"]) == (0, 1)
    assert (update["AutoPromote"], update["AutoRevert"]) == (False, True)


def test_each_machine_runs_one_api_at_the_port(gateway: NomadGateway) -> None:
    """Nomad asks `/v1/health` there; an API that ends is started again, without an end."""
    found = group(gateway, ApiService(count=3, port=9000, command=("/opt/api", "--fast")))

    assert found["Count"] == 3
    assert [each["Operand"] for each in found["Constraints"]] == ["distinct_hosts"]
    assert found["Networks"][0]["ReservedPorts"][0]["Value"] == 9000
    (service,) = found["Services"]
    assert (service["Provider"], service["Checks"][0]["Path"]) == ("nomad", "/v1/health")
    assert found["RestartPolicy"]["Mode"] == "delay"
    (task,) = found["Tasks"]
    assert task["Config"] == {"command": "/opt/api", "args": ["--fast"]}


def test_no_secret_and_no_template_is_in_it(gateway: NomadGateway) -> None:
    """Nomad shows a job to everyone who may read jobs: the machine has the tokens."""
    (task,) = group(gateway, ApiService())["Tasks"]

    assert (task["Env"], task["Templates"], task["Vault"]) == (None, None, None)


def test_nomad_validates_what_operators_choose(nomad_server: running.Nomad, tmp_path: Path) -> None:
    """Its own command finds no fault, with variables of the operator, too.

    A pool exists as soon as a machine is in it, which none is here.
    """
    file = tmp_path / "api.nomad.hcl"
    file.write_text(api_jobspec(ApiService(count=2, pool="default")))

    done = subprocess.run(
        [binary("nomad"), "job", "validate", "-var=count=5", str(file)],
        env={"NOMAD_ADDR": nomad_server.address},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "Job validation successful" in done.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 0),
        ("canaries", -1),
        ("port", 80),
        ("healthy", 1),
        ("pool", "${attr.x}"),
        ("pool", ""),
        ("namespace", 'a"\n'),
        ("command", ()),
        ("command", ("",)),
        ("command", ("/bin/sh", "${NOMAD_TOKEN}")),
        ("command", ("%{ for x in y }",)),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: object) -> None:
    """Nothing gets in that Nomad would replace."""
    field = {"healthy": "healthy_s"}.get(name, name)
    service = msgspec.structs.replace(ApiService(), **{field: value})

    with pytest.raises(RequestRefused, match=f"cannot be the {name} .*of the API; give "):
        api_jobspec(service)


def test_the_api_signs_in_by_identities(gateway: NomadGateway) -> None:
    """One for each server that knows it, in files; jobs see neither in an environment."""
    (task,) = group(gateway, ApiService())["Tasks"]

    assert {each["Name"]: each["Audience"] for each in task["Identities"]} == {
        "vault": [AUDIENCE],
        "consul": [CONSUL_AUDIENCE],
    }
    assert {(each["File"], each["Env"]) for each in task["Identities"]} == {(True, False)}
