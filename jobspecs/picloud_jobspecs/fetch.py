"""The jobspec that fetches an image to machines, and its variables."""

from __future__ import annotations

import re
from importlib import resources
from typing import TYPE_CHECKING, Final

from picloud_model.errors import RequestRefused

from picloud_jobspecs.render import variable_file

if TYPE_CHECKING:
    from collections.abc import Collection

_FILE: Final = "fetch.nomad.hcl"
_DIGITS: Final = 32
_MOST: Final = 1000
"""How many machines get an image before slots need it there."""
_IMAGE: Final = re.compile(r"sha256:[0-9a-f]{64}")
_CONTAINER: Final = re.compile(r"[a-z0-9][a-z0-9._:/-]{0,400}@sha256:[0-9a-f]{64}")
_MACHINE: Final = re.compile(r"[0-9a-f-]{36}")


def fetch_jobspec() -> str:
    """Return the jobspec, in HCL."""
    return resources.files(__package__).joinpath(_FILE).read_text(encoding="utf-8")


def is_pulled(container: str) -> bool:
    """Whether machines pull an image, by its digest; others are where they were made.

    >>> is_pulled(f"10.0.0.5:5000/a@sha256:{'1' * 64}"), is_pulled("localhost/a:1")
    (True, False)
    """
    return _CONTAINER.fullmatch(container) is not None


def fetch_variables(image: str, container: str, machines: Collection[str]) -> str:
    """Return the variables of the jobspec, as a variable file.

    >>> digest = f"sha256:{'1' * 64}"
    >>> print(fetch_variables(digest, f"10.0.0.5:5000/a@{digest}", []).splitlines()[0])
    name = "picloud-fetch-11111111111111111111111111111111"

    Args:
        image: The image's name among images.
        container: The name by which docker pulls it.
        machines: The ids of the machines.

    Raises:
        RequestRefused: When a value is more than an opaque id.
    """
    chosen = sorted(machines)[:_MOST]
    checks = [(_IMAGE, image), (_CONTAINER, container), *((_MACHINE, each) for each in chosen)]
    for pattern, value in checks:
        if not pattern.fullmatch(value):
            raise RequestRefused(f"{value[:60]!r} cannot be in a jobspec.", field="image")
    values = {
        "name": f"picloud-fetch-{image.partition(':')[2][:_DIGITS]}",
        "container": container,
        "machines": ",".join(chosen),
    }
    return variable_file(values)
