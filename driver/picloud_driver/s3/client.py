"""A client of botocore's for one S3, configured by arguments and not by the environment."""

from __future__ import annotations

import dataclasses
import functools
from datetime import datetime
from typing import Any, Final

from botocore.config import Config
from botocore.credentials import Credentials
from botocore.loaders import Loader, create_loader
from botocore.session import Session
from botocore.utils import parse_timestamp

DEFAULT_REGION: Final = "us-east-1"
"""The one region that a request to create a bucket must not name."""
UNLESS_TAKEN: Final = "*"
"""As `If-None-Match`: an existing object is not overwritten."""
CONNECT_S: Final = 2.0
ANSWER_S: Final = 30.0
"""Longest time without a byte of an answer."""
_ATTEMPTS: Final = 3


@dataclasses.dataclass(frozen=True)
class S3Access:
    """The address of S3 and the credentials for it.

    Args:
        bucket: The bucket that holds everything.
        endpoint: URL of the server; "" for AWS.
        region: The region of the bucket.
        access_key: An access key; if empty, botocore uses the role of the machine.
        secret_key: Its secret key. It is in no message and no `repr`.
        ca_file: The authority that signed the server's certificate, in PEM; "" for public ones.
        public_endpoint: URL by which clients reach the server, if it differs.

    >>> S3Access("jobs", access_key="ours", secret_key="hidden")
    S3Access(bucket='jobs', endpoint='', region='us-east-1', access_key='ours', ca_file='', \
public_endpoint='')
    """

    bucket: str
    endpoint: str = ""
    region: str = DEFAULT_REGION
    access_key: str = ""
    secret_key: str = dataclasses.field(default="", repr=False)
    ca_file: str = ""
    public_endpoint: str = ""


def s3_client(access: S3Access, endpoint: str, connections: int) -> Any:
    """Return a client of botocore's for S3; any number of threads may use it.

    Args:
        access: The credentials.
        endpoint: URL of the server; "" for AWS.
        connections: How many to keep open.
    """
    config = Config(
        signature_version="s3v4",
        # With buckets as host names, each would need a DNS name and a certificate.
        s3={"addressing_style": "path"},
        connect_timeout=CONNECT_S,
        read_timeout=ANSWER_S,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=connections,
        proxies={},
        ignore_configured_endpoint_urls=True,
        # SHA-256 is requested where needed; many servers lack the CRCs that are sent by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return _session().create_client(
        "s3",
        region_name=access.region,
        endpoint_url=endpoint or None,
        aws_access_key_id=access.access_key or None,
        aws_secret_access_key=access.secret_key or None,
        # With None, botocore would use AWS_CA_BUNDLE.
        verify=access.ca_file or True,
        config=config,
    )


def credentials(access: S3Access) -> Credentials | None:
    """Return the credentials for S3, those of the machine's role if none were set."""
    if access.access_key:
        return Credentials(access.access_key, access.secret_key)
    found: Credentials | None = _session().get_credentials()
    return found


def _session() -> Session:
    variables = Session.SESSION_VARIABLES.items()
    # Ignore the AWS_... variables, which are for other programs; role credentials still work.
    quiet = {name: (None, None, default, kind) for name, (_, _, default, kind) in variables}
    session = Session(session_vars=quiet)
    session.register_component("data_loader", _descriptions())
    parsers = session.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=time_of)
    return session


def time_of(text: str) -> datetime:
    """Return the time in an answer of S3.

    botocore has dateutil read it, which takes half the time of a listing.

    >>> time_of("2026-11-29T02:44:54.000Z").timestamp()
    1795920294.0
    >>> time_of("Sun, 29 Nov 2026 02:44:54 GMT").timestamp()
    1795920294.0
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        parsed: datetime = parse_timestamp(text)
        return parsed


@functools.cache
def _descriptions() -> Loader:
    """Botocore's description of S3, which takes 60 ms to read, so it is read once per process."""
    return create_loader()
