"""`picloud up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import platformdirs
import typer
from cloud import CloudException, profile
from cloud.server import Server
from cloud.settings import Settings

from picloud import output

_PROFILE: Final = "local"
_STOP_S: Final = 5.0


def up(
    data: Annotated[
        Path | None,
        typer.Option(help="Directory that keeps everything.", file_okay=False, show_default=False),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8787,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Jobs at once; the number of CPUs by default.")
    ] = None,
) -> None:
    """Run PiCloud on this machine until Ctrl-C.

    It writes the profile "local", which `import cloud` and `picloud` use from then on. Jobs and
    results stay in the data directory for the next time.

    \b
    Examples:
      $ picloud up
      $ picloud up --port 0 --data /tmp/cloud --workers 4
    """  # noqa: D301 - \b keeps the lines apart
    place = (data or Path(platformdirs.user_data_dir("picloud", appauthor=False))).absolute()
    server = Server.start(_arguments(place, port, workers), _log(place))
    try:
        _announce(server, place)
        status = server.wait()
    except KeyboardInterrupt:
        output.hint("Stopping; press Ctrl-C again to stop at once.")
        _stop(server)
        return
    except BaseException:
        server.stop(_STOP_S)
        raise
    raise CloudException(f"The server ended with status {status}; see {_log(place)}.")


def _arguments(place: Path, port: int, workers: int | None) -> list[str]:
    slots = [] if workers is None else ["--slots", str(workers)]
    return ["--data", str(place), "--host", "127.0.0.1", "--port", str(port), *slots]


def _log(place: Path) -> Path:
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CloudException(f"Cannot use {place} for data: {error.strerror}.") from error
    return place / "server.log"


def _announce(server: Server, place: Path) -> None:
    file = profile.path(Settings.read())
    profile.write(file, _PROFILE, profile.Profile(server.ready.url, server.ready.key))
    output.text(
        f"PiCloud runs at {server.ready.url}\n"
        f"  profile  {_PROFILE} in {file}\n"
        f"  data     {place}\n"
        "\n"
        "Try it in Python:\n"
        "\n"
        "    import cloud\n"
        "    jid = cloud.call(pow, 2, 10)\n"
        "    print(cloud.result(jid))\n"
        "\n"
        "Ctrl-C stops it."
    )


def _stop(server: Server) -> None:
    try:
        server.stop(_STOP_S)
    except KeyboardInterrupt:
        server.kill()
