"""Limits of what travels: sizes, numbers and times that the server checks and clients keep to."""

from __future__ import annotations

from typing import Final

REQUEST_BYTES: Final = 16 * 1024 * 1024
"""Largest request body the API accepts; larger content travels as blobs or staged packs."""
NAMES_BYTES: Final = 4 * 1024 * 1024
"""Largest body of a request that only names things: jobs, blobs, keys."""
STRANGER_BYTES: Final = 64 * 1024
"""Largest body of a request without a credential."""
READ_BYTES: Final = 16 * 1024 * 1024
"""Maximum number of bytes of blobs in one reply; a larger blob is read alone, as a stream."""
MAX_BLOBS: Final = 10_000
"""Most blobs that a request names or sends."""
MAX_ITEMS: Final = 200_000
"""Most jid ranges, parts, reports or other items in any other list of a request."""
LONGEST_POLL_S: Final = 30.0
"""Longest time the API holds a request open; the client then repeats it."""
MAX_RESULT_BYTES: Final = 128 * 1024 * 1024
"""Largest pickled result of a job."""
LARGEST_PORT: Final = 65_535
"""Largest number of a TCP or UDP port."""
MAX_INFO_BYTES: Final = 2 * 1024 * 1024
"""Largest info of a job, uncompressed: three streams and a profile."""

MAX_DEPENDENCIES: Final = 10_000
"""Most jid ranges a batch may depend on."""
MAX_LABEL: Final = 200
"""Longest label, in characters."""
MAX_PRIORITY: Final = 1000
"""The lowest priority: jobs with this number run last."""
MAX_RUNTIME_S: Final = 366 * 24 * 3600
MAX_REUSE_S: Final = 366 * 24 * 3600
"""Longest time limit of a job: a year."""
MAX_PATH: Final = 4096
"""Characters of the path of a job's directory."""
MAX_PORTS: Final = 64
"""Most ports of a job that an option names, or that have addresses of the gateway."""
MAX_SEED: Final = 2**63 - 1
"""Largest seed of a batch."""
MAX_VARIABLES_BYTES: Final = 32 * 1024
"""Most text of a batch's environment variables, which the header of the batch holds."""
MAX_VOLUMES: Final = 100
"""Most volumes of a job."""
MAX_JOB_SECRETS: Final = 20
"""Maximum number of secrets of a job."""
MAX_BLOCKED_JOBS: Final = 32
"""Most blocked jobs a slot sets aside; a slot with little memory sets fewer aside."""
MAX_ACCOUNT_NAME: Final = 100
"""Longest name of an account, in characters."""
