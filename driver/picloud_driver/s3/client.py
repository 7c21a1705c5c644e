"""How botocore is set up to speak to one S3: by what it is given, not by what it finds around."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Final

from botocore.config import Config
from botocore.loaders import Loader, create_loader
from botocore.session import Session

DEFAULT_REGION: Final = "us-east-1"
"""The one region that S3 does not let itself be told when a bucket is made."""
UNLESS_TAKEN: Final = "*"
"""As `If-None-Match`: nothing that lies there is written over."""
_CONNECT_S: Final = 2.0
_ANSWER_S: Final = 30.0
"""Longest time without a byte of an answer."""
_ATTEMPTS: Final = 3


@dataclasses.dataclass(frozen=True)
class S3Access:
    """Where S3 answers, and as whom.

    Args:
        bucket: Where everything is kept.
        endpoint: URL of the server; "" for AWS.
        region: Where the bucket lies.
        access_key: Of an account; when empty, botocore looks for the machine's role.
        secret_key: Of the access key. It is in no message and no `repr`.
        ca_file: Who signed the server's certificate, in PEM; "" for those whom everybody trusts.
        public_endpoint: URL under which clients reach the server, where that is another one.

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
    """A client of botocore's for S3; any number of threads may use it.

    Args:
        access: As whom.
        endpoint: URL of the server; "" for AWS.
        connections: How many to keep open.
    """
    config = Config(
        signature_version="s3v4",
        # A bucket as a host name would need a name and a certificate for each.
        s3={"addressing_style": "path"},
        connect_timeout=_CONNECT_S,
        read_timeout=_ANSWER_S,
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=connections,
        proxies={},
        ignore_configured_endpoint_urls=True,
        # SHA-256 is asked for where it is wanted; many servers lack the CRCs sent by default.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    client = _session().create_client(
        "s3",
        region_name=access.region,
        endpoint_url=endpoint or None,
        aws_access_key_id=access.access_key or None,
        aws_secret_access_key=access.secret_key or None,
        # Never None: then AWS_CA_BUNDLE would decide.
        verify=access.ca_file or True,
        config=config,
    )
    # s3transfer, which writes in parts, cannot be told so itself.
    event = "provide-client-params.s3.CompleteMultipartUpload"
    client.meta.events.register(event, _unless_taken)
    return client


def _session() -> Session:
    variables = Session.SESSION_VARIABLES.items()
    # Whatever AWS_... variables say to other programs; role credentials are found all the same.
    quiet = {name: (None, None, default, kind) for name, (_, _, default, kind) in variables}
    session = Session(session_vars=quiet)
    session.register_component("data_loader", _descriptions())
    return session


@functools.cache
def _descriptions() -> Loader:
    """What botocore knows of S3: 60 ms to read, so once a process."""
    return create_loader()


def _unless_taken(params: dict[str, Any], **_event: Any) -> dict[str, Any]:
    return {**params, "IfNoneMatch": UNLESS_TAKEN}
