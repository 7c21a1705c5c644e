"""Write `docs/reference/bases.md` from the image of the base: `python -m tests.servers.base_page`.

A test fails if the page differs from what the image has.
"""

import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

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

## base/bookworm

The base where [jobs are isolated](../how-to/isolate.md): Debian 12 with Python {version}. This page
is made from its image by `python -m tests.servers.base_page`; do not edit.

### Python packages

{python}

### Debian packages

{debian}
"""


def page(daemon: Dockerd) -> str:
    """Return the whole page, given a dockerd that has the image."""
    version, *packages = _printed(daemon, "python3", "-P", "-c", _PYTHON)
    found = dict(each.split() for each in packages)
    del found["picloud"]
    wanted = ("cloudpickle", "msgspec", "platformdirs", "tblib")
    return _HEAD.format(
        worker=", ".join(wanted),
        version=version.rpartition(".")[0],
        python=_paragraph(f"{name}=={found[name]}" for name in found),
        debian=_paragraph(_printed(daemon, "dpkg-query", "--show", "--showformat", "${Package}\n")),
    )


def _printed(daemon: Dockerd, program: str, *arguments: str) -> list[str]:
    run = ("run", "--rm", "--network", "none", "--entrypoint", program, names.reference())
    return daemon.docker(*run, *arguments).stdout.splitlines()


def _paragraph(items: Iterable[str]) -> str:
    """Return items as lines of a paragraph, in order."""
    text = ", ".join(sorted(items, key=str.lower))
    return "\n".join(textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))


def main() -> int:
    """Run the command and return its exit code."""
    try:
        with dockerd() as daemon:
            image.load(daemon)
            PAGE.write_text(page(daemon), encoding="utf-8")
    except (image.ImageError, MissingDockerError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{PAGE} written.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
