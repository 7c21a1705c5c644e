#!/usr/bin/env bash
# pip 26.3 and uv 0.13.9 install a pylock.toml with an extra that the lock does not have, and say nothing.
#
# The format of lock files lists the extras that a lock covers under `extras`, so that an installer can tell what it may be
# asked for. `uv export` resolves extras when it writes the file and never writes that list: a lock without `--extra` cannot
# give the extra later. Asked for it nonetheless (`pip install -r 'pylock.toml[fast]'`, `uv pip install -r
# pylock.toml --extra fast`), both installers end with status 0 and without a warning, and the extra's packages are missing.
# For a package without such an extra pip does warn ("does not provide the extra"). The same happens to a lock whose list
# names other extras. What is missing shows when the program imports it. Compare the lock's list with what you ask for.
#
# Seen (pip 26.3, uv 0.13.9):
#     the exported lock lists extras: False
#     pip, [fast] of the exported lock: status 0, warned False, msgspec False
#     uv, fast of the exported lock: status 0, warned False, msgspec False
#     pip, [fast] of a lock that lists another: status 0, warned False, msgspec False
#     uv, fast of a lock that lists another: status 0, warned False, msgspec False
#     uv, a lock exported with --extra fast: status 0, warned False, msgspec True
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/tools"; python3 -m venv --without-pip "$work/venv"
"$work/tools/bin/pip" install --quiet --disable-pip-version-check pip==26.3 uv==0.13.9
cat > "$work/pyproject.toml" <<'TOML'
[project]
name = "own"
version = "1.0"
requires-python = ">=3.11"
dependencies = ["iniconfig==2.3.1"]

[project.optional-dependencies]
fast = ["msgspec==0.23.0"]
TOML
cat > "$work/program.py" <<'PY'
import subprocess
from pathlib import Path

PIP = ["tools/bin/pip", "--python", "venv/bin/python", "install", "--dry-run", "--disable-pip-version-check"]
UV = ["tools/bin/uv", "pip", "install", "--python", "venv/bin/python", "--dry-run"]


def export(name, *options):
    command = ["tools/bin/uv", "export", "--quiet", "--format", "pylock.toml", *options, "-o", name]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return Path(name).read_text()


def show(what, command):
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout + done.stderr
    # pip calls the use of any lock file experimental; that is no warning of what is missing.
    warned = any("fast" in line and "pylock" not in line for line in said.splitlines())
    print(f"{what}: status {done.returncode}, warned {warned}, msgspec {'msgspec' in said}")


lock = export("pylock.toml")
print("the exported lock lists extras:", "\nextras" in lock)
other = lock.replace("requires-python", 'extras = ["other"]\nrequires-python', 1)
Path("pylock.other.toml").write_text(other)
export("pylock.fast.toml", "--extra", "fast")
show("pip, [fast] of the exported lock", [*PIP, "-r", "pylock.toml[fast]"])
show("uv, fast of the exported lock", [*UV, "-r", "pylock.toml", "--extra", "fast"])
show("pip, [fast] of a lock that lists another", [*PIP, "-r", "pylock.other.toml[fast]"])
show("uv, fast of a lock that lists another", [*UV, "-r", "pylock.other.toml", "--extra", "fast"])
show("uv, a lock exported with --extra fast", [*UV, "-r", "pylock.fast.toml"])
PY
cd "$work"
python3 program.py | tee seen
cat > expected <<'END'
the exported lock lists extras: False
pip, [fast] of the exported lock: status 0, warned False, msgspec False
uv, fast of the exported lock: status 0, warned False, msgspec False
pip, [fast] of a lock that lists another: status 0, warned False, msgspec False
uv, fast of a lock that lists another: status 0, warned False, msgspec False
uv, a lock exported with --extra fast: status 0, warned False, msgspec True
END
diff expected seen
