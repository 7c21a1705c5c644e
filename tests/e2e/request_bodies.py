"""A good body for each address of the API that takes one."""

from __future__ import annotations

import base64
from typing import Any, Final
from uuid import uuid4

from picloud_model.pack import seal, write

DIGEST: Final = "0" * 64
HELD: Final = ["0" * 32, 0, 1]
PACK: Final = base64.b64encode(write([seal(b"x")])).decode()
PARCEL: Final = base64.b64encode(seal(b"x")).decode()
KEY, SLOT, NOBODY = "key", "slot", "nobody"

GOOD: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "/v1/jobs": (
        KEY,
        {
            "submit_id": uuid4().hex,
            "kind": "call",
            "count": 1,
            "envelope": ["3.11", "3.1.0"],
            "function": ["", len(PARCEL), PARCEL],
            "function_name": "f",
            "bundle": "",
            "options": {"core_type": "c1", "cores": 1, "priority": 5, "restartable": True},
            "parts": [[0, 1, ["", 0, PACK]]],
        },
    ),
    "/v1/jobs/staged": (KEY, {"submit_id": uuid4().hex, "parts": [[0, 1, ["", 0, PACK]]]}),
    "/v1/jobs/status": (KEY, {"jids": [[1, 1]]}),
    "/v1/jobs/wait": (KEY, {"jids": [[1, 1]], "timeout_s": 0.0, "payloads": False}),
    "/v1/jobs/kill": (KEY, {"jids": [[1, 1]]}),
    "/v1/blobs": (KEY, {"blobs": [PARCEL]}),
    "/v1/blobs/missing": (KEY, {"digests": [DIGEST]}),
    "/v1/blobs/read": (KEY, {"digests": []}),
    "/v1/slots": (NOBODY, {"proof": "none"}),
    "/v1/work": (SLOT, {"reports": [], "returned": [HELD], "lease": False, "wait_s": 0.0}),
    "/v1/heartbeat": (SLOT, {"running": [], "holding": [HELD], "wait_s": 0.0}),
}
"""A good body for each address that takes one, and the kind of credential it requires."""
