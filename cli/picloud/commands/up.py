"""`picloud up`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from cloud._client.local_server import refuse_windows
from picloud_model.wire import LARGEST_PORT

from picloud.completion import values
from picloud.stack.data_dir import StackName, default

DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Directory for all data; by default in ~/.local/share/picloud.",
        file_okay=False,
        show_default=False,
    ),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=LARGEST_PORT,
        metavar="PORT",
        help="Port of the server; 0: any free port; by default the last one of these data, at "
        "first 8787.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Number of slots, each for a job at a time; by default that of the CPUs.",
    ),
]
Processes = Annotated[
    int,
    typer.Option(
        min=1,
        metavar="N",
        help="Processes that serve requests; more than 1 requires --stack hashicorp.",
    ),
]
KeepDays = Annotated[
    float,
    typer.Option(min=0, metavar="DAYS", help="Delete finished jobs after this time; 0: never."),
]
Detach = Annotated[
    bool,
    typer.Option("--detach", help="Return once the server is ready; stop it with `picloud down`."),
]
ProfileName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Profile that names the server; by default 'local', which commands then use.",
        autocompletion=values.profiles,
    ),
]
SweepHours = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="HOURS",
        help="Delete stored bytes that nothing refers to after this time; 0: never.",
    ),
]
Prices = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="TOML file with a line `c1 = 0.04` for each core type: dollars an hour of a core. "
        "Without it prices stay as they are.",
        exists=True,
        dir_okay=False,
        resolve_path=True,
        show_default=False,
    ),
]


def up(
    context: typer.Context,
    *,
    stack: Annotated[
        StackName,
        typer.Option(
            metavar="embedded|hashicorp",
            help="Where jobs run: in processes of this machine, or on Nomad.",
        ),
    ] = StackName.EMBEDDED,
    data: DataDir = None,
    port: Port = None,
    workers: Workers = None,
    processes: Processes = 1,
    keep_days: KeepDays = 0.0,
    sweep_hours: SweepHours = 24.0,
    prices: Prices = None,
    profile: ProfileName = None,
    detach: Detach = False,
) -> None:
    """Run PiCloud on this machine until Ctrl-C.

    This writes the profile "local", which `import cloud` and `picloud` use from then on. If the
    profile named another server, it does so again when this one ends. Jobs and results stay in the
    data directory for the next time, when the server has the same port.

    With --stack hashicorp this starts Consul, Vault, versitygw (S3), Nomad and NATS, or uses those
    that CONSUL_HTTP_ADDR, VAULT_ADDR, PICLOUD_S3_BUCKET, NOMAD_ADDR and NATS_URL name. It starts no
    registry of images: the slots of one machine run in the Docker that builds the images. If other
    machines of Nomad run slots, PICLOUD_SLOT_REGISTRY names the registry from which they pull.

    \b
    Examples:
      $ picloud up
      $ picloud up --port 0 --data /tmp/other --profile second --workers 4
      $ picloud up --stack hashicorp --detach
    """  # noqa: D301 - \b keeps the lines apart
    refuse_windows()
    from picloud.stack.up import UpOptions, run  # noqa: PLC0415 - other commands do not need its imports

    directory = (data or default(stack)).absolute()
    run(
        UpOptions(
            stack=stack,
            data=directory,
            port=port,
            workers=workers,
            processes=processes,
            keep_days=keep_days,
            sweep_hours=sweep_hours,
            prices=prices,
            profile=profile or context.obj.profile,
            detach=detach,
        )
    )
