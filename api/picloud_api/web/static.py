"""Static files: scripts and styles, under addresses that change with their content."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from picloud_model.errors import PathNotFound

if TYPE_CHECKING:
    from falcon.asgi import Request, Response

_FOLDER: Final = Path(__file__).with_name("static")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class StaticFiles:
    """Serves the files of the folder `static`, all of which it keeps in memory."""

    def __init__(self) -> None:
        paths = [path for path in _FOLDER.rglob("*") if path.suffix in _TYPES]
        self._files = {
            path.relative_to(_FOLDER).as_posix(): (path.read_bytes(), _TYPES[path.suffix])
            for path in paths
        }
        self._addresses = {
            name: f"/static/{name}?v={sha256(data).hexdigest()[:12]}"
            for name, (data, _) in self._files.items()
        }

    def address(self, name: str) -> str:
        """Return the address of a file; a new version of it has another one."""
        return self._addresses[name]

    async def on_get_module(
        self, request: Request, response: Response, name: str, module: str
    ) -> None:
        """Return a file of a library whose version is in the name of its folder."""
        await self.on_get(request, response, f"{name}/{module}")

    async def on_get(self, request: Request, response: Response, name: str) -> None:
        """Return a file."""
        del request
        if name not in self._files:
            raise PathNotFound
        response.data, response.content_type = self._files[name]
        response.set_header("Cache-Control", "public, max-age=31536000, immutable")
