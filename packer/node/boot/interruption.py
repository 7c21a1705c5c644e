#!/opt/picloud/venv/bin/python -P
"""Drain this machine when AWS announces that it will take it away.

interruption.py [--metadata ADDRESS] [--run DIR] [--every SECONDS]

AWS announces it two minutes before. Nomad's client then drains itself, which takes no token: the
machine gets no further slots, those that it has may run on for 90 s, and jobs that have not ended
by then run again elsewhere. An instance that is not a spot instance never gets an announcement.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

METADATA: Final = "169.254.169.254"
_VALID_S: Final = 300
_ANSWER_S: Final = 2.0
_HEADER: Final = "X-aws-ec2-metadata-token"
MARK: Final = "interrupted"
"""The file because of which `run` does not start Nomad's client again."""


def main(arguments: list[str] | None = None) -> int:
    """Wait for an announcement, and drain the machine."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--metadata", default=METADATA, metavar="ADDRESS")
    parser.add_argument("--run", type=Path, default=Path("/run/picloud"), metavar="DIR")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS")
    chosen = parser.parse_args(arguments)
    problem = ""
    while True:
        try:
            announced = look(chosen.metadata)
        except OSError as error:
            if not problem:
                problem = (
                    f"The metadata service does not say if this machine is taken away: {error}"
                )
                print(problem, file=sys.stderr, flush=True)
        else:
            problem = ""
            if announced:
                return drain(chosen.run, announced)
        time.sleep(chosen.every)


def look(address: str) -> str:
    """Return the announcement, such as `{"action": "terminate", ...}`; "" if there is none.

    Args:
        address: That of the metadata service.

    Raises:
        OSError: When it does not answer, or refuses to.
    """
    life = {f"{_HEADER}-ttl-seconds": str(_VALID_S)}
    token = _ask(address, "PUT", "/latest/api/token", life)
    return _ask(address, "GET", "/latest/meta-data/spot/instance-action", {_HEADER: token})


def drain(folder: Path, announced: str) -> int:
    """Let Nomad's client drain itself and end; return the exit code.

    Args:
        folder: Where `run` stores process ids.
        announced: What AWS has said.
    """
    (folder / MARK).write_text(f"{announced}\n", encoding="utf-8")
    try:
        client = int((folder / "nomad-client").read_text(encoding="utf-8"))
        os.kill(client, signal.SIGINT)
    except OSError as error:
        print(f"AWS takes this machine away, and Nomad does not run: {error}", file=sys.stderr)
        return 1
    print(f"AWS takes this machine away, so it is drained: {announced}", flush=True)
    return 0


def _ask(address: str, method: str, path: str, headers: dict[str, str]) -> str:
    """Return what is at a path of the metadata service; "" if there is nothing."""
    with contextlib.closing(HTTPConnection(address, timeout=_ANSWER_S)) as connection:
        try:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            body = answer.read().decode(errors="replace")
        except HTTPException as error:
            raise OSError(f"its answer cannot be read ({type(error).__name__})") from error
    if answer.status == HTTPStatus.NOT_FOUND:
        return ""
    if answer.status != HTTPStatus.OK:
        raise OSError(f"{method} {path} has status {answer.status}")
    return body


if __name__ == "__main__":
    sys.exit(main())
