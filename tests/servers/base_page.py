"""Write `docs/reference/bases.md` from images: `python -m tests.servers.base_page`.

A test fails if the page differs from what the images have.
"""

import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

from picloud_driver.docker.slot_base import BASES, SlotBase
from picloud_driver.stack import image as names

from tests.servers import image
from tests.servers.run_dockerd import Dockerd, MissingDockerError, dockerd

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "bases.md"
WIDTH = 100
_PYTHON = (
    "import platform, importlib.metadata as metadata\n"
    "print(platform.python_version())\n"
    "for each in metadata.distributions(): print(each.name, each.version)\n"
)
_HEAD = """# Bases

What jobs find where they name no environment, and what [environments](../how-to/environments.md)
are built on. `picloud env list-bases` lists the bases of a server.

## Virtual environments

On the embedded stack, and on the HashiCorp stack without containers, each CPython from 3.11 on that
is found on the machine is a base, such as `base/python3.13`. It has the packages that the worker
needs: {worker}.

## Images

The bases where [jobs are isolated](../how-to/isolate.md). What follows is made from their images by
`python -m tests.servers.base_page`; do not edit.
"""
_BASE = """
### base/{base.suite}

Debian {base.debian} with Python {version}.

{python}

{debian}
"""


def page(daemon: Dockerd) -> str:
    """Return the whole page, given a dockerd that has the images."""
    worker = ("cloudpickle", "msgspec", "platformdirs", "tblib")
    parts = [_HEAD.format(worker=", ".join(worker))]
    return "".join([*parts, *(_of_base(daemon, base) for base in BASES)])


def _of_base(daemon: Dockerd, base: SlotBase) -> str:
    version, *packages = _printed(daemon, base, "python3", "-P", "-c", _PYTHON)
    found = dict(each.split() for each in packages)
    del found["picloud"]
    debian = ("dpkg-query", "--show", "--showformat", "${Package}\n")
    return _BASE.format(
        base=base,
        version=version.rpartition(".")[0],
        python=_paragraph("Python packages", (f"{name}=={found[name]}" for name in found)),
        debian=_paragraph("Debian packages", _printed(daemon, base, *debian)),
    )


def _printed(daemon: Dockerd, base: SlotBase, program: str, *arguments: str) -> list[str]:
    name = names.reference(base.suite)
    run = ("run", "--rm", "--network", "none", "--entrypoint", program, name)
    return daemon.docker(*run, *arguments).stdout.splitlines()


def _paragraph(what: str, items: Iterable[str]) -> str:
    """Return items as lines of a paragraph, in order."""
    text = f"{what}: {', '.join(sorted(items, key=str.lower))}"
    return "\n".join(textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def main() -> int:
    """Run the command and return its exit code."""
    try:
        with dockerd() as daemon:
            for base in BASES:
                image.load(daemon, base)
            PAGE.write_text(page(daemon), encoding="utf-8")
    except (image.ImageError, MissingDockerError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{PAGE} written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
