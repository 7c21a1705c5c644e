"""Advice on errors about a missing module or file, or a program that failed: what to do."""

from __future__ import annotations

import os
import re
import sys
from typing import Any, Final

_MOST_NAME: Final = 200
_TAIL_LINES: Final = 20
_TAIL_CHARACTERS: Final = 4_000
_MISSING: Final = re.compile(r"^ModuleNotFoundError: No module named '([\w.]+)'", re.MULTILINE)
"""How Python ends a program that lacks a module."""
_OWN_PACKAGES: Final = ("picloud_pickle", "picloud_model", "cloud")
"""Packages of PiCloud that pickles name."""
_NO_ATTRIBUTE: Final = re.compile(r"^Can't get attribute '([\w.]+)' on <module '([\w.]+)'")
"""How pickle says that a module lacks what a pickle names."""
_INSTALLED_BY: Final = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cairosvg": "CairoSVG",
    "Crypto": "pycryptodome",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "faiss": "faiss-cpu",
    "fitz": "PyMuPDF",
    "git": "GitPython",
    "jose": "python-jose",
    "jwt": "PyJWT",
    "Levenshtein": "python-Levenshtein",
    "magic": "python-magic",
    "mpl_toolkits": "matplotlib",
    "MySQLdb": "mysqlclient",
    "OpenSSL": "pyOpenSSL",
    "PIL": "Pillow",
    "pptx": "python-pptx",
    "psycopg2": "psycopg2-binary",
    "pylab": "matplotlib",
    "serial": "pyserial",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "slugify": "python-slugify",
    "umap": "umap-learn",
    "usb": "pyusb",
    "websocket": "websocket-client",
    "wx": "wxPython",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
"""What installs a module whose package has another name: the one of several that is used most."""


def add_advice(error: BaseException) -> None:
    """Add a note to the exception of a job if a module or file is missing, or a program failed.

    It never raises.

    >>> error = ModuleNotFoundError("No module named 'torch'", name="torch")
    >>> add_advice(error)
    >>> error.__notes__[0].splitlines()[0]
    "picloud: the Python that ran the job has no module 'torch'."
    """
    # The class alone: code of a subclass of the user's must not run here.
    try:
        if type(error) is ModuleNotFoundError and isinstance(error.name, str):
            error.add_note(_of_module(error.name[:_MOST_NAME]))
        elif type(error) is FileNotFoundError and isinstance(error.filename, str):
            error.add_note(_of_file(error.filename[:_MOST_NAME]))
        elif _is_of_program(error):
            error.add_note(_of_program(getattr(error, "stderr", None)))
        elif missing := _MISSING.findall(_stderr(error)):
            error.add_note(_of_command(missing[-1][:_MOST_NAME]))
    except Exception:  # noqa: BLE001, S110 - the error itself is what counts
        pass


def another_version(error: BaseException) -> str | None:
    """Return that a pickle needs another version of PiCloud, if that is why it cannot be read.

    >>> error = ModuleNotFoundError("No module named 'cloud.later'", name="cloud.later")
    >>> another_version(error).split(";")[0].split(")")[1]
    ' has no cloud.later'
    >>> another_version(ModuleNotFoundError("No module named 'torch'", name="torch"))
    """
    lacking = ""
    if type(error) is ModuleNotFoundError:
        lacking = error.name or ""
    elif type(error) is AttributeError and (matched := _NO_ATTRIBUTE.match(str(error))):
        lacking = f"{matched[2]}.{matched[1]}"
    if not lacking.startswith(tuple(f"{package}." for package in _OWN_PACKAGES)):
        return None
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - rarely needed

    try:
        here = version("picloud")
    except PackageNotFoundError:
        here = "of an unknown version"
    return (
        f"this slot's PiCloud ({here}) has no {lacking[:_MOST_NAME]}; the program that made the "
        "job uses another version: install the same one for both (`picloud --version` prints it), "
        "and restart the server after an upgrade"
    )


def _stderr(error: Any) -> str:
    """Return the end of what a shell command wrote, if that is what failed; else ""."""
    errors = sys.modules.get("cloud.errors")  # the command's job has loaded it
    failed = errors is not None and type(error) is errors.CommandFailed
    return str(error.stderr) if failed else ""


def _is_of_program(error: BaseException) -> bool:
    module = sys.modules.get("subprocess")  # the job has loaded it
    return module is not None and type(error) is module.CalledProcessError


def _of_program(stderr: object) -> str:
    if stderr is None:  # it was not captured
        return "picloud: what the program wrote to standard error is in cloud.info(jid, 'stderr')."
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else str(stderr)
    end = "\n".join(text.rstrip().splitlines()[-_TAIL_LINES:])[-_TAIL_CHARACTERS:]
    if not end:
        return "picloud: the program wrote nothing to standard error."
    return f"picloud: the end of what the program wrote to standard error:\n{end}"


def _of_command(name: str) -> str:
    top = name.partition(".")[0]
    package = _INSTALLED_BY.get(top, top)
    return (
        f"picloud: the Python of the command has no module {top!r}. Neither installed packages\n"
        "nor your own modules travel with a command: run it in an environment with the package\n"
        f"{package!r} (_env, --env), or call a function of your module with cloud.call."
    )


def _of_module(name: str) -> str:
    top = name.partition(".")[0]
    if "." in name and top in sys.modules:
        return (
            f"picloud: the job has {top!r}, but not {name!r}. Compiled modules do not travel, and "
            f"an installed {top!r} of another version may lack it."
        )
    package = _INSTALLED_BY.get(top, top)
    installed = "" if package == top else f", which the package {package!r} installs"
    return (
        f"picloud: the Python that ran the job has no module {top!r}{installed}.\n"
        "Your own modules travel with a job; installed packages do not. Run it with _env='auto',\n"
        "which has the packages that you have installed, or in an environment with this one:\n"
        f"cloud.environment.build('NAME', {{'pip': [{package!r}]}}).\n"
        f"The job ran in {sys.executable}."
    )


def _of_file(name: str) -> str:
    where = f"picloud: the job ran in {os.getcwd()}, a directory of its slot.\n"  # noqa: PTH109
    if os.path.isabs(name):  # noqa: PTH117
        what, also = "That path does not exist where the job ran.", ""
    else:
        what = "A relative path begins there, and not where your script is."
        also = "\nOn the embedded stack, _cwd='.' (--cwd) runs the job where your script runs."
    return (
        f"{where}{what} Files do not travel, except small ones\n"
        "inside your own packages: pass the content as an argument, put the file into your bucket "
        "(cloud.bucket),\nor pass the absolute path of a file on a disk that all slots see."
        f"{also}"
    )
