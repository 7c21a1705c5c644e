#!/usr/bin/env bash
# moto 5.2.5: CompleteMultipartUpload heeds If-None-Match and ignores If-Match, so a lost update passes a test.
#
# S3 takes both conditions on PutObject and on CompleteMultipartUpload. moto refuses three of the four with 412; the
# fourth, an upload in parts that shall replace one certain version of an object, it stores over any version. Code that
# writes small objects whole and large ones in parts is right under moto for the small ones, and its compare-and-set of
# large ones is never tried. versitygw 1.8.0 refuses all four.
#
# Seen (moto 5.2.5, boto3 1.42.0), an object that exists and a condition that does not hold:
#     PutObject IfNoneMatch: 412
#     PutObject IfMatch: 412
#     CompleteMultipartUpload IfNoneMatch: 412
#     CompleteMultipartUpload IfMatch: stored
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "moto[s3]==5.2.5" boto3==1.42.0
cat > "$work/program.py" <<'PY'
import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

PLACE = {"Bucket": "bucket", "Key": "key"}


def whole(s3, condition):
    s3.put_object(**PLACE, Body=b"new", **condition)


def in_parts(s3, condition):
    upload = s3.create_multipart_upload(**PLACE)["UploadId"]
    tag = s3.upload_part(**PLACE, UploadId=upload, PartNumber=1, Body=b"new")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": tag}]}
    s3.complete_multipart_upload(**PLACE, UploadId=upload, MultipartUpload=parts, **condition)


with mock_aws():
    s3 = boto3.client("s3", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s")
    s3.create_bucket(Bucket="bucket")
    for name, store in (("PutObject", whole), ("CompleteMultipartUpload", in_parts)):
        for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"0123456789abcdef0123456789abcdef"'}):
            s3.put_object(**PLACE, Body=b"old")
            try:
                store(s3, condition)
                seen = "stored"
            except ClientError as error:
                seen = error.response["ResponseMetadata"]["HTTPStatusCode"]
            print(name, *condition, end=f": {seen}\n")
PY
seen=$("$work/venv/bin/python" "$work/program.py")
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: conditions are heeded otherwise"; exit 1; }
PutObject IfNoneMatch: 412
PutObject IfMatch: 412
CompleteMultipartUpload IfNoneMatch: 412
CompleteMultipartUpload IfMatch: stored
SEEN
