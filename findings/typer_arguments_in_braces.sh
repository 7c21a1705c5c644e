#!/usr/bin/env bash
# typer 0.29: help pages write arguments in braces and brackets that a metavar cannot remove.
#
# Typer no longer uses the click that is installed: it brings its own copy (typer._click), so that patches and plug-ins of
# click do not reach it. Its usage lines put a required argument in {braces}, also one with a metavar, which is not the
# notation of manual pages; an optional one whose metavar has its brackets already gets them twice; and with
# rich_markup_mode=None the list of arguments shows the Python type after the metavar.
#
# Seen:
#     click is loaded: False
#     Usage: copy [OPTIONS] {NAME} [[OTHER...]]...
#     NAME <str> [required]
#     [OTHER...] <list[str]>
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check typer==0.29.2 click==8.5.1
cat > "$work/program.py" <<'PY'
import sys
from typing import Annotated, Optional

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def copy(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    others: Annotated[Optional[list[str]], typer.Argument(metavar="[OTHER...]")] = None,
) -> None:
    """Copy."""


print("click is loaded:", "click" in sys.modules)
app(prog_name="copy")
PY
seen=$(COLUMNS=80 "$work/venv/bin/python" "$work/program.py" --help | grep -E "loaded|Usage|NAME|OTHER" | sed 's/^ *//; s/  */ /g')
echo "$seen"
diff - <(echo "$seen") <<'SEEN' || { echo "changed: help pages are written otherwise"; exit 1; }
click is loaded: False
Usage: copy [OPTIONS] {NAME} [[OTHER...]]...
NAME <str> [required]
[OTHER...] <list[str]>
SEEN
