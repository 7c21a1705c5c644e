#!/usr/bin/env bash
# moto 5.2.5 (and versitygw 1.8.0): a listing that starts within a folder leaves the rest of that folder out.
#
# S3's ListObjectsV2 starts after the key StartAfter, then groups what follows by the delimiter. With the keys a/1,
# a/2, b and StartAfter=a/1, a/2 follows, so the group a/ should be listed. moto compares the name of the group, a/, with
# StartAfter, and drops it, as it sorts before a/1. The keys below it are in no page: a client that pages by the last
# key it has seen, as one does to resume, loses them. Listed without a delimiter the same request has a/2.
# versitygw 1.8.0 over a directory answers alike, so two test servers that agree are no proof of what S3 does.
#
# Seen (moto 5.2.5, boto3 1.42.0):
#     without a delimiter: a/2 b
#     with a delimiter: b
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "moto[s3]==5.2.5" boto3==1.42.0
cat > "$work/program.py" <<'PY'
import boto3
from moto import mock_aws

with mock_aws():
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    s3.create_bucket(Bucket="bucket")
    for key in ("a/1", "a/2", "b"):
        s3.put_object(Bucket="bucket", Key=key, Body=b"x")

    def listed(**more):
        page = s3.list_objects_v2(Bucket="bucket", StartAfter="a/1", **more)
        groups = [each["Prefix"] for each in page.get("CommonPrefixes", [])]
        return sorted(groups + [each["Key"] for each in page.get("Contents", [])])

    print("without a delimiter:", *listed())
    print("with a delimiter:", *listed(Delimiter="/"))
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
grep -qx 'without a delimiter: a/2 b' <<<"$seen"
grep -qx 'with a delimiter: b' <<<"$seen" || { echo "changed: the folder is listed"; exit 1; }
