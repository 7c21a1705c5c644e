"""What a container in which packages are installed finds of this machine: uv and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

TOOLS: Final = "/opt/build"
"""Where a container finds uv and the files that are mounted for it."""
UV: Final = f"{TOOLS}/uv"
_OF_MACHINE: Final = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "UV_CACHE_DIR")
"""The variables of the server whose values mean something on its machine only."""
_CERTIFICATES: Final = "/etc/ssl/certs/ca-certificates.crt"


class ContainerTools(msgspec.Struct, frozen=True, kw_only=True):
    """The program uv, and `variables`: settings for its downloads."""

    uv: str
    variables: Mapping[str, str]

    def settings(self) -> dict[str, str]:
        """Return the variables of uv in the container."""
        return {
            **{name: self.variables[name] for name in self.variables if name not in _OF_MACHINE},
            **({"SSL_CERT_FILE": f"{TOOLS}/certificates"} if self._certificates() else {}),
            "UV_NO_CACHE": "1",
            # The cache is in /tmp, which is another file system.
            "UV_LINK_MODE": "copy",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def proxies(self) -> dict[str, str]:
        """Return the variables that name proxies."""
        return {name: self.variables[name] for name in self.variables if "PROXY" in name.upper()}

    def mounts(self, folders: Mapping[str, Path]) -> list[str]:
        """Return the options of docker that mount all of it, and directories by their names."""
        mounts = {UV: self.uv, **{f"{TOOLS}/{name}": str(folders[name]) for name in folders}}
        if certificates := self._certificates():
            mounts[f"{TOOLS}/certificates"] = str(certificates)
        # A directory of packages of this machine has the same path in the container.
        links = self.variables.get("UV_FIND_LINKS", "").split(",")
        mounts |= {each: each for each in links if each.startswith("/") and Path(each).is_dir()}
        flags = []
        for target, source in mounts.items():
            flags += ["--mount", f"type=bind,source={source},target={target},readonly"]
        return flags

    def _certificates(self) -> Path | None:
        """Return the file of the authorities that this machine trusts."""
        file = Path(self.variables.get("SSL_CERT_FILE", _CERTIFICATES))
        return file.resolve() if file.exists() else None
