"""Groups of machines at AWS: autoscaling groups, whose sizes follow the work."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from picloud_model.core import CORE_TYPES
from picloud_model.errors import RequestRefused, Unavailable

from picloud_driver.capacity.plan import Group, GroupMachine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from picloud_driver.nomad.administrator import ClientMachine

_PRESENT: Final = ("Pending", "InService")
"""Beginnings of the states of machines that the size of a group counts."""
_TRIES: Final = {"max_attempts": 3, "mode": "standard"}


class AwsGroups:
    """The autoscaling groups of a region; it blocks.

    Every method raises `Unavailable` when AWS does not answer or refuses; it names the action.

    Args:
        region: The region; "" for that of the environment or the machine.
        endpoint: Where to reach AWS; "" for its usual addresses.
    """

    def __init__(self, region: str = "", endpoint: str = "") -> None:
        with _explained():
            self._groups, self._machines = (
                boto3.client(
                    service,
                    region_name=region or None,
                    endpoint_url=endpoint or None,
                    config=Config(retries=_TRIES),
                )
                for service in ("autoscaling", "ec2")
            )
        self._cores: dict[str, int] = {}

    def read(self, names: Mapping[str, str], clients: Sequence[ClientMachine]) -> list[Group]:
        """Return groups as they are.

        Args:
            names: The name of the group of each core type.
            clients: The machines as Nomad knows them; the addresses say which is which.

        Raises:
            RequestRefused: When there is no group of that name.
        """
        with _explained():
            answer = self._groups.describe_auto_scaling_groups(
                AutoScalingGroupNames=list(names.values())
            )
            found = {each["AutoScalingGroupName"]: each for each in answer["AutoScalingGroups"]}
            if missing := [name for name in names.values() if name not in found]:
                raise RequestRefused(
                    f"AWS has no autoscaling group {missing[0]} in this region; name one, such as "
                    "Terraform's output client_groups has them."
                )
            ids = [each["InstanceId"] for group in found.values() for each in _present(group)]
            addresses = self._addresses(ids)
            by_address = {each.address: each for each in clients}
            return [
                Group(
                    core_type=core_type,
                    name=name,
                    minimum=found[name]["MinSize"],
                    maximum=found[name]["MaxSize"],
                    size=found[name]["DesiredCapacity"],
                    # One slot for its one address.
                    cores=1 if CORE_TYPES[core_type].own_address else self._cores_of(found[name]),
                    machines=tuple(
                        _machine(each["InstanceId"], by_address.get(addresses[each["InstanceId"]]))
                        for each in _present(found[name])
                        if each["InstanceId"] in addresses
                    ),
                )
                for core_type, name in names.items()
            ]

    def resize(self, group: Group, size: int) -> None:
        """Let a group have more machines."""
        with _explained():
            self._groups.set_desired_capacity(
                AutoScalingGroupName=group.name, DesiredCapacity=size, HonorCooldown=False
            )

    def end(self, machine: GroupMachine) -> None:
        """End a machine; its group gets smaller by one."""
        with _explained():
            self._groups.terminate_instance_in_auto_scaling_group(
                InstanceId=machine.id, ShouldDecrementDesiredCapacity=True
            )

    def _addresses(self, ids: Sequence[str]) -> dict[str, str]:
        if not ids:
            return {}
        pages = self._machines.get_paginator("describe_instances").paginate(InstanceIds=list(ids))
        return {
            instance["InstanceId"]: instance.get("PrivateIpAddress", "")
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
        }

    def _cores_of(self, group: Mapping[str, Any]) -> int:
        """Return the processors of the smallest machine that a group may have."""
        policy = group.get("MixedInstancesPolicy", {}).get("LaunchTemplate", {})
        kinds = [each["InstanceType"] for each in policy.get("Overrides", ())]
        if not kinds:
            chosen = group.get("LaunchTemplate") or policy["LaunchTemplateSpecification"]
            versions = self._machines.describe_launch_template_versions(
                LaunchTemplateId=chosen["LaunchTemplateId"], Versions=[chosen["Version"]]
            )
            kinds = [versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]["InstanceType"]]
        if unknown := [kind for kind in kinds if kind not in self._cores]:
            answer = self._machines.describe_instance_types(InstanceTypes=unknown)
            for each in answer["InstanceTypes"]:
                self._cores[each["InstanceType"]] = each["VCpuInfo"]["DefaultVCpus"]
        return min(self._cores[kind] for kind in kinds)


def _present(group: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for each in group["Instances"] if each["LifecycleState"].startswith(_PRESENT)]


def _machine(instance: str, client: ClientMachine | None) -> GroupMachine:
    if client is None:
        return GroupMachine(id=instance)
    return GroupMachine(
        id=instance, node=client.id, slots=client.slots, draining=not client.eligible
    )


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Turn errors of AWS into one sentence each.

    Raises:
        Unavailable: Names what AWS refuses.
    """
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        raise Unavailable(f"AWS refuses {error.operation_name}: {code}.") from error
    except BotoCoreError as error:
        raise Unavailable(f"AWS cannot be used now: {error}.") from error
