#!/usr/bin/env bash
# moto 5.2.5 with Terraform's aws provider 5: a rule that names a security group loses its description in one of two views.
#
# A rule of a security group lets in a network or another group, and either has a description. moto keeps both, and
# DescribeSecurityGroups shows both; DescribeSecurityGroupRules and the answer to the request that made the rule leave it
# out where the rule names a group. Terraform reads the latter: each plan after an apply wants to set the descriptions
# again, so a test that applying twice changes nothing fails for a reason that no account at AWS has.
#
# Seen (moto 5.2.5, boto3 1.44.8):
#     made: None | from a network
#     rules: None | from a network
#     groups: from b | from a network
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "moto[ec2]==5.2.5" boto3==1.44.8
cat > "$work/program.py" <<'PY'
import boto3
from moto import mock_aws

with mock_aws():
    ec2 = boto3.client("ec2", region_name="eu-central-1", aws_access_key_id="k", aws_secret_access_key="s")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    to, source = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("a", "b")
    )
    let_in = (
        {"UserIdGroupPairs": [{"GroupId": source, "Description": "from b"}]},
        {"IpRanges": [{"CidrIp": "10.1.0.0/16", "Description": "from a network"}]},
    )
    made = [
        ec2.authorize_security_group_ingress(
            GroupId=to, IpPermissions=[{"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, **each}]
        )["SecurityGroupRules"][0].get("Description")
        for each in let_in
    ]
    print("made:", made[0], "|", made[1])
    found = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [to]}])["SecurityGroupRules"]
    rules = {"CidrIpv4" in rule: rule.get("Description") for rule in found if not rule["IsEgress"]}
    print("rules:", rules[False], "|", rules[True])
    (group,) = ec2.describe_security_groups(GroupIds=[to])["SecurityGroups"]
    (permission,) = group["IpPermissions"]
    print("groups:", permission["UserIdGroupPairs"][0]["Description"], "|", permission["IpRanges"][0]["Description"])
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: descriptions are kept otherwise"; exit 1; }
made: None | from a network
rules: None | from a network
groups: from b | from a network
SEEN
