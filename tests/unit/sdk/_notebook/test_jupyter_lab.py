"""How JupyterLab is started in the job of a notebook."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from cloud._notebook.jupyter_lab import main

sys.argv = ["jupyter-lab", "--version"]
try:
    main()
finally:
    print("jsonschema" in sys.modules, "lark" in sys.modules)
"""


def test_it_compiles_no_grammar_of_addresses() -> None:
    """`rfc3987_syntax` is installed with JupyterLab, and importing it takes seconds."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120
    )

    assert done.stdout.splitlines()[1:] == ["True False"]
