"""`picloud bucket` and `picloud files`, on every stack."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.command_line import Exited


def test_the_commands(prefix: str, tmp_path: Path, picloud: Callable[..., Exited]) -> None:
    """Each command prints what its function returns, and errors in one line."""
    (tmp_path / "a.txt").write_text("one\n", encoding="utf-8")
    (tmp_path / "c.txt").write_text("zero\n", encoding="utf-8")
    digest = hashlib.md5(b"one\n").hexdigest()
    source = str(tmp_path / "a.txt")
    for command in (
        ("put", source, "-p", prefix),
        ("sync-to-cloud", source, f"{prefix}/b.txt"),
        ("sync-from-cloud", f"{prefix}/a.txt", source),
        ("mpsafe-get", "b.txt", str(tmp_path / "c.txt"), "-p", prefix, "-t", "5", "-s"),
        ("get", "a.txt", str(tmp_path / "d.txt"), "-p", prefix, "--end-byte", "2"),
    ):
        assert picloud("bucket", *command).code == 0, command
    keys = f"{prefix}/a.txt\n{prefix}/b.txt\n"

    assert picloud("bucket", "list", "-p", prefix).out == keys
    assert picloud("bucket", "iterlist", "-p", prefix).out == keys
    assert picloud("bucket", "list", "-p", prefix, "-f").out == f"{prefix}/\n"
    cut = picloud("bucket", "list", "-p", prefix, "-k", "1")
    assert (cut.out, "There are more" in cut.err) == (f"{prefix}/a.txt\n", True)
    assert picloud("bucket", "get-md5", "a.txt", "-p", prefix).out == f"{digest}\n"
    assert picloud("bucket", "get", f"{prefix}/a.txt", "-").out == "one\n"
    assert f"size\t4\nmd5sum\t{digest}" in picloud("bucket", "info", f"{prefix}/a.txt").out
    assert (tmp_path / "c.txt").read_text(encoding="utf-8") == "one\n"
    assert (tmp_path / "d.txt").read_text(encoding="utf-8") == "on"
    assert picloud("bucket", "exists", "a.txt", "-p", prefix).out == "yes\n"
    assert picloud("bucket", "remove", "a.txt", "none", "-p", prefix).code == 0
    missing = picloud("bucket", "get", f"{prefix}/a.txt")
    assert (missing.code, missing.out) == (1, "")
    assert missing.err == f"error: There is no object '{prefix}/a.txt' in your bucket.\n"
    assert picloud("files", "get-md5", f"{prefix}/b.txt").out == f"{digest}\n"
    assert picloud("bucket", "put", "-", "e", "-p", prefix, given=b"piped").code == 0
    assert picloud("bucket", "get", f"{prefix}/e", "-").out == "piped"
    unnamed = picloud("bucket", "put", "-", given=b"piped")
    assert unnamed.err == "error: Name the key that standard input is stored under.\n"
    assert picloud("bucket", "remove-prefix", prefix).code == 0
    assert picloud("bucket", "list", "-p", prefix).out == ""
