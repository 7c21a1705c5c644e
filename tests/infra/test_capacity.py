"""A day of work on an autoscaling group, whose size follows it, on a stand-in for AWS."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from picloud_driver.capacity.aws import AwsGroups
from picloud_driver.capacity.plan import Group, Planner
from picloud_driver.capacity.sizes import Sizes
from picloud_model.errors import RequestRefused, Unavailable

from tests.contract.scripted_server import ScriptedAnswer, ScriptedServer
from tests.e2e.command_line import PICLOUD
from tests.infra.day import JOB_STEPS, STEP_S, STEPS, Day, fixed, least_hours
from tests.infra.terraform import REGION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Client = Callable[[str], Any]

KEYS: Final = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
GROUP: Final = "picloud-clients-c1"
MOST: Final = 20
CALM_S: Final = 600.0


@pytest.fixture
def client(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Clients of services, by name; the keys are in the environment as well."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    return lambda service: boto3.client(service, region_name=REGION, endpoint_url=endpoint, **KEYS)


@pytest.fixture
def group(client: Client) -> Iterator[str]:
    """A group of machines of two processors, as `modules/cluster` makes it: none to 20 of them."""
    ec2, groups = client("ec2"), client("autoscaling")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    data = {"ImageId": image, "InstanceType": "m5.large"}
    made = ec2.create_launch_template(LaunchTemplateName=GROUP, LaunchTemplateData=data)
    template = {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1"}
    kinds = [{"InstanceType": "m6i.large"}, {"InstanceType": "m5.large"}]
    policy = {"LaunchTemplate": {"LaunchTemplateSpecification": template, "Overrides": kinds}}
    groups.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MixedInstancesPolicy=policy,
        MinSize=0,
        MaxSize=MOST,
        AvailabilityZones=[f"{REGION}a"],
    )
    yield GROUP
    groups.delete_auto_scaling_group(AutoScalingGroupName=GROUP, ForceDelete=True)
    ec2.delete_launch_template(LaunchTemplateName=GROUP)


def instances(client: Client) -> list[tuple[str, str]]:
    """Return ids and addresses of all machines that run."""
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    pages = client("ec2").get_paginator("describe_instances").paginate(Filters=running)
    return [
        (each["InstanceId"], each["PrivateIpAddress"])
        for page in pages
        for one in page["Reservations"]
        for each in one["Instances"]
    ]


@pytest.mark.timeout(600)
def test_a_day_costs_little_and_waits_little(client: Client, group: str, endpoint: str) -> None:
    """Compared with fixed numbers of machines, and with the least that is possible.

    No job is stopped, as machines are empty when they end.
    """
    day = Day()
    planner = Planner(lambda: day.now, CALM_S)
    groups = AwsGroups(REGION, endpoint)
    drain_s = JOB_STEPS * STEP_S
    sizes = Sizes(groups, day, {"c1": group}, planner=planner, drain_s=drain_s)
    for _ in range(STEPS):
        for each, step in sizes.look({"c1": day.cores}):
            if list(sizes.change(each, step)):
                day.exist(instances(client))
        day.advance()
    largest, same = fixed(MOST), fixed(-(-int(day.hours) // 24))

    print(f"sizes that follow: {day.hours:.0f} h, {day.waiting_s:.0f} s")
    print(f"{MOST} machines:     {largest.hours:.0f} h, {largest.waiting_s:.0f} s")
    print(f"the same cost:     {same.hours:.0f} h, {same.waiting_s:.0f} s")
    print(f"least possible:    {least_hours(MOST):.0f} h")
    assert day.stopped == 0
    assert len(day.waited) == len(largest.waited)
    assert day.hours < 0.5 * largest.hours
    assert day.hours < 1.6 * least_hours(MOST)
    assert day.waiting_s < 0.5 * same.waiting_s


def test_cores_with_an_address_each_are_spread_over_machines(
    client: Client, group: str, endpoint: str
) -> None:
    """As many machines are wanted as cores of s1, though each machine has two processors."""
    assert client("ec2")
    sizes = Sizes(
        AwsGroups(REGION, endpoint),
        Day(),
        {"s1": group},
        planner=Planner(lambda: 0.0, CALM_S),
        drain_s=60.0,
    )

    ((found, step),) = sizes.look({"s1": 5})

    assert (found.cores, step.size) == (1, 5)


def test_a_group_that_does_not_exist_is_named(client: Client, endpoint: str) -> None:
    """A typing error in its name, or another region."""
    assert client("autoscaling")

    with pytest.raises(RequestRefused, match="AWS has no autoscaling group picloud-clients-c9 in"):
        AwsGroups(REGION, endpoint).read({"c1": "picloud-clients-c9"}, [])


def test_an_aws_that_does_not_answer_is_reported(client: Client) -> None:
    """The error of the network in a sentence."""
    assert client("autoscaling")

    with pytest.raises(Unavailable, match=r"^AWS cannot be used now: Could not connect"):
        AwsGroups(REGION, "http://127.0.0.1:1").read({"c1": "any"}, [])


def test_what_aws_refuses_is_named(client: Client) -> None:
    """By its action, as AWS's policies name it: such as one that the role does not allow."""
    assert client("autoscaling")
    refusal = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    group = Group(core_type="c1", name=GROUP, minimum=0, maximum=9, size=0, cores=2)

    with (
        ScriptedServer(ScriptedAnswer(403, refusal)) as server,
        pytest.raises(Unavailable, match=r"^AWS refuses SetDesiredCapacity: AccessDenied\.$"),
    ):
        AwsGroups(REGION, server.url).resize(group, 1)


@pytest.mark.usefixtures("group")
def test_the_command_shows_what_is_wanted(endpoint: str, tmp_path: Path) -> None:
    """The metrics of the server, the machines of Nomad and the groups of AWS in a line each."""
    empty = ScriptedAnswer(200, b"[]", "application/json")
    metrics = b'picloud_jobs{state="queued"} 5\npicloud_wanted_cores{core_type="c1"} 5\n'
    command = (PICLOUD, "admin", "capacity", "--keys", str(tmp_path), "--group", f"c1={GROUP}")

    with (
        ScriptedServer(empty) as nomad,
        ScriptedServer(ScriptedAnswer(200, metrics, "text/plain")) as server,
    ):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PICLOUD_URL": server.url,
            "PICLOUD_API_KEY": "pk_1_2",
            "NOMAD_ADDR": nomad.url,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    assert done.stdout == "c1   0 machines (0 drained) of 2 cores, 3 wanted, 0 to 20 allowed\n"
    assert (done.stderr, done.returncode) == ("", 0)
