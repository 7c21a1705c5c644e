"""What the jobspec of a fetch says, as Nomad itself has parsed it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from picloud_jobspecs.fetch import fetch_jobspec, fetch_variables
from picloud_model.errors import RequestRefused

if TYPE_CHECKING:
    from picloud_driver.nomad.gateway import NomadGateway

IMAGE = f"sha256:{'1' * 64}"
CONTAINER = f"10.0.0.5:5000/picloud-1/bookworm-2@sha256:{'2' * 64}"
MACHINES = ("6c8794dc-0000-4000-8000-000000000002", "6c8794dc-0000-4000-8000-000000000001")


def test_each_of_the_machines_runs_a_program_that_does_nothing(gateway: NomadGateway) -> None:
    """Without a network and without rights; once, however often it is requested."""
    values = fetch_variables(IMAGE, CONTAINER, MACHINES)

    parsed = gateway.parse(fetch_jobspec(), values)

    (group,) = parsed["TaskGroups"]
    (task,) = group["Tasks"]
    config = task["Config"]
    assert (parsed["ID"], parsed["Type"]) == (f"picloud-fetch-{'1' * 32}", "sysbatch")
    (constraint,) = parsed["Constraints"]
    assert constraint == {
        "LTarget": "${node.unique.id}",
        "Operand": "set_contains_any",
        "RTarget": ",".join(sorted(MACHINES)),
    }
    assert (config["image"], config["entrypoint"]) == (CONTAINER, ["/bin/true"])
    assert (config["network_mode"], config["cap_drop"]) == ("none", ["all"])
    assert "auth" not in config
    assert (task["Driver"], task["User"]) == ("docker", "65534:65534")


@pytest.mark.parametrize(
    ("image", "container", "machine"),
    [
        ("sha256:${node.id}", CONTAINER, MACHINES[0]),
        (IMAGE, "localhost/a:1", MACHINES[0]),
        (IMAGE, CONTAINER, "${node.unique.id}"),
    ],
)
def test_only_opaque_ids_get_into_it(image: str, container: str, machine: str) -> None:
    """Nomad replaces `${...}` in all values."""
    with pytest.raises(RequestRefused, match="cannot be in a jobspec"):
        fetch_variables(image, container, [machine])
