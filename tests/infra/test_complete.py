"""`examples/complete`, applied to a server that stands in for AWS, and read back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from picloud_driver.s3.api_keys import rules

from tests.infra.terraform import REGION, Deployment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.infra.terraform import Terraform

    Client = Callable[[str], Any]

PAGE: Final = Path(__file__).parents[2] / "docs" / "how-to" / "aws.md"
ROW: Final = re.compile(
    r"^\| (\w[\w ]*) \| (\w[\w ]*) \| ([\d, ]+)(?: \((udp)[^)]*\))? \|", re.MULTILINE
)
USERS: Final = "198.51.100.0/24"
EGRESS: Final = "203.0.113.0/24"

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def client(endpoint: str) -> Client:
    """Clients of services, by name."""

    def make(service: str) -> Any:
        return boto3.client(
            service,
            region_name=REGION,
            endpoint_url=endpoint,
            aws_access_key_id="a",
            aws_secret_access_key="b",
        )

    return make


@pytest.fixture(scope="module")
def deployment(terraform: Terraform, endpoint: str, client: Client) -> Iterator[Deployment]:
    """The example, applied; destroyed at the end, if no test has done so."""
    certificate = client("acm").request_certificate(DomainName="picloud.example.com")
    ami = client("ec2").describe_images()["Images"][0]["ImageId"]
    made = Deployment(terraform, "complete", endpoint)
    made.apply(
        {
            "name": "picloud",
            "region": REGION,
            "availability_zones": [f"{REGION}{zone}" for zone in "abc"],
            "image_id": ami,
            "bucket_prefix": "example-com",
            "certificate_arn": certificate["CertificateArn"],
            "user_cidrs": [USERS],
            "egress_cidrs": [EGRESS],
            "trial": True,
        }
    )
    yield made
    made.destroy()


@pytest.mark.usefixtures("deployment")
def test_connections_are_those_of_the_documentation(client: Client) -> None:
    """The security groups allow what the page's table says, and nothing else."""
    ec2 = client("ec2")
    groups = {
        group["GroupId"]: group["GroupName"].removeprefix("picloud-").replace("-", " ")
        for group in ec2.describe_security_groups()["SecurityGroups"]
    }
    allowed = set()
    for rule in ec2.describe_security_group_rules()["SecurityGroupRules"]:
        target = groups[rule["GroupId"]]
        if rule["IsEgress"] or target == "default":
            continue
        other = rule.get("ReferencedGroupInfo", {}).get("GroupId")
        source = groups[other] if other else {USERS: "users"}[rule["CidrIpv4"]]
        assert rule["FromPort"] == rule["ToPort"]
        allowed.add((source, target, rule["FromPort"], rule["IpProtocol"]))

    documented = {
        (source, target, int(port), protocol or "tcp")
        for source, target, ports, protocol in ROW.findall(PAGE.read_text(encoding="utf-8"))
        for port in ports.split(", ")
    }

    assert allowed == documented


@pytest.mark.usefixtures("deployment")
def test_machines_leave_by_https_only(client: Client) -> None:
    """Outside the cluster, machines reach the networks that were named, on port 443."""
    rules = client("ec2").describe_security_group_rules()["SecurityGroupRules"]
    out = [
        rule
        for rule in rules
        if rule["IsEgress"] and rule.get("Description") == "HTTPS to AWS and package indexes"
    ]

    assert [(rule["CidrIpv4"], rule["FromPort"], rule["ToPort"]) for rule in out] == [
        (EGRESS, 443, 443)
    ] * 3


def test_servers_are_found_by_their_tag(client: Client, deployment: Deployment) -> None:
    """Three servers carry the tag; their group spans the private subnets of three zones."""
    ec2 = client("ec2")
    names = {
        subnet["SubnetId"]: tag["Value"]
        for subnet in ec2.describe_subnets()["Subnets"]
        for tag in subnet.get("Tags", [])
        if tag["Key"] == "Name"
    }
    group = [deployment.outputs()["server_group"]]
    (servers,) = client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=group)[
        "AutoScalingGroups"
    ]
    chosen = [{"Name": "tag:picloud-servers", "Values": ["picloud"]}]

    reservations = ec2.describe_instances(Filters=chosen)["Reservations"]

    assert {each["InstanceId"] for one in reservations for each in one["Instances"]} == {
        each["InstanceId"] for each in servers["Instances"]
    }
    assert len(servers["Instances"]) == 3
    assert sorted(names[subnet] for subnet in servers["VPCZoneIdentifier"].split(",")) == [
        f"picloud-private-{REGION}{zone}" for zone in "abc"
    ]


def test_machines_are_of_the_numbers_and_types_that_were_chosen(
    client: Client, deployment: Deployment
) -> None:
    """Each core type has a group, with its mixture of spot instances or its warm pool."""
    outputs = deployment.outputs()
    groups = {
        group["AutoScalingGroupName"]: group
        for group in client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    }

    sizes = {name: (group["MinSize"], group["MaxSize"]) for name, group in groups.items()}
    mixture = groups[outputs["client_groups"]["c1"]]["MixedInstancesPolicy"]

    assert sizes == {
        outputs["server_group"]: (3, 3),
        outputs["api_group"]: (2, 3),
        outputs["client_groups"]["c1"]: (1, 20),
        outputs["client_groups"]["c2"]: (0, 10),
    }
    assert mixture["InstancesDistribution"]["OnDemandPercentageAboveBaseCapacity"] == 25
    assert [each["InstanceType"] for each in mixture["LaunchTemplate"]["Overrides"]] == [
        "m6i.large",
        "m5.large",
    ]


@pytest.mark.usefixtures("deployment")
def test_disks_are_encrypted_and_metadata_takes_tokens(client: Client) -> None:
    """No launch template has a plain disk or version 1 of the metadata service."""
    ec2 = client("ec2")
    names = [
        each["LaunchTemplateId"] for each in ec2.describe_launch_templates()["LaunchTemplates"]
    ]

    for name in names:
        versions = ec2.describe_launch_template_versions(LaunchTemplateId=name)
        data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
        assert data["MetadataOptions"]["HttpTokens"] == "required"
        assert [each["Ebs"]["Encrypted"] for each in data["BlockDeviceMappings"]] == [True]
    assert len(names) == 4


def test_buckets_are_closed_versioned_and_cleaned(client: Client, deployment: Deployment) -> None:
    """The data of users is never public, can be restored for 30 days, and does not expire."""
    s3 = client("s3")
    bucket = {"Bucket": deployment.outputs()["data_bucket"]}

    policy = json.loads(s3.get_bucket_policy(**bucket)["Policy"])
    rules = s3.get_bucket_lifecycle_configuration(**bucket)["Rules"]

    assert s3.get_bucket_versioning(**bucket)["Status"] == "Enabled"
    assert all(s3.get_public_access_block(**bucket)["PublicAccessBlockConfiguration"].values())
    assert policy["Statement"][0]["Effect"] == "Deny"
    assert policy["Statement"][0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert [rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules] == [30]
    assert not any("Expiration" in rule for rule in rules)


@pytest.mark.usefixtures("deployment")
def test_users_speak_tls_to_the_load_balancer(client: Client) -> None:
    """The only listener is HTTPS, and asks for API machines by their health."""
    elb = client("elbv2")
    (balancer,) = elb.describe_load_balancers()["LoadBalancers"]
    (target,) = elb.describe_target_groups()["TargetGroups"]

    listeners = elb.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]

    assert [(each["Port"], each["Protocol"]) for each in listeners] == [(443, "HTTPS")]
    assert listeners[0]["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
    assert (target["Port"], target["HealthCheckPath"]) == (8787, "/v1/health")


@pytest.mark.usefixtures("deployment")
def test_only_servers_unseal_and_only_the_api_reads_data(client: Client) -> None:
    """The role of each kind of machine allows what its work needs."""
    iam = client("iam")
    services = {}
    for kind in ("servers", "api", "clients"):
        got = iam.get_role_policy(RoleName=f"picloud-{kind}", PolicyName=kind)
        statements = got["PolicyDocument"]["Statement"]
        actions = [action for each in statements for action in each["Action"]]
        services[kind] = {action.split(":")[0] for action in actions} - {"ssmmessages"}

    assert services == {
        "servers": {"ec2", "ssm", "kms", "s3"},
        "api": {"ec2", "ssm", "s3", "autoscaling"},
        "clients": {"ec2", "ssm"},
    }


@pytest.mark.usefixtures("deployment")
def test_the_role_of_the_api_allows_what_bootstrap_allows_a_key(client: Client) -> None:
    """The rights in the bucket of data are those in `picloud_driver/policies/s3.json`."""
    got = client("iam").get_role_policy(RoleName="picloud-api", PolicyName="api")
    bucket = "example-com-picloud-data"

    data = [each for each in got["PolicyDocument"]["Statement"] if bucket in each["Resource"]]

    assert data == rules(bucket)["Statement"]


def test_the_state_holds_no_secret(deployment: Deployment) -> None:
    """Terraform makes no key, password or token, and marks nothing as sensitive."""
    resources = json.loads(deployment.state())["resources"]

    kinds = {each["type"] for each in resources}
    sensitive = [it for each in resources for it in each["instances"][0]["sensitive_attributes"]]

    assert not {kind for kind in kinds if re.search("secret|password|access_key|tls_", kind)}
    assert sensitive == []


def test_a_second_apply_changes_nothing(deployment: Deployment) -> None:
    """What was applied is what the files say.

    moto forgets the descriptions of rules between groups.
    """
    assert deployment.drift() == {
        ("aws_vpc_security_group_egress_rule", "description"),
        ("aws_vpc_security_group_ingress_rule", "description"),
    }


def test_destroy_leaves_nothing(client: Client, deployment: Deployment) -> None:
    """A trial can be taken down whole."""
    deployment.destroy()

    names = [each["Name"] for each in client("s3").list_buckets()["Buckets"]]
    networks = [each["IsDefault"] for each in client("ec2").describe_vpcs()["Vpcs"]]

    assert json.loads(deployment.state())["resources"] == []
    assert names == []
    assert networks == [True]
    assert client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"] == []
