"""Starts JupyterLab in the job of a notebook: `python -m cloud._notebook.jupyter_lab`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run JupyterLab with the arguments of this process."""
    # jsonschema imports it if it is installed, and JupyterLab needs none of the formats that it
    # checks: it compiles a grammar at import, which takes three seconds of CPU time.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    from jupyterlab.labapp import main as run  # noqa: PLC0415 - after the line above

    run()


if __name__ == "__main__":
    main()
