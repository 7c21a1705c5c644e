"""`picloud admin`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations when it runs
from typing import Annotated

import msgspec
import typer
from cloud import CloudException
from cloud._client.local_server import refuse_windows

from picloud import exits, output
from picloud.help_pages import HelpfulGroup
from picloud.options.arguments import AsJson  # noqa: TC001 - Typer reads it
from picloud.stack.data_dir import StackName, default

app = typer.Typer(rich_markup_mode=None, cls=HelpfulGroup)


@app.callback()
def admin() -> None:
    """Operate PiCloud and the servers that it runs on.

    \b
    Examples:
      $ picloud admin doctor
      $ picloud admin bootstrap --plan --keys /root/picloud
      $ picloud admin rotate --keys /root/picloud
      $ picloud admin jobspec --count 2
    """  # noqa: D301 - \b keeps the lines apart


@app.command()
def doctor(
    context: typer.Context,
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Data directory; by default those of both stacks that exist.",
            file_okay=False,
            show_default=False,
        ),
    ] = None,
    job: Annotated[
        bool, typer.Option("--job", help="Run a job, too, which takes a jid; it is deleted.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Check everything that PiCloud needs on this machine, and say what to do.

    Each line is a check: "ok" and what works, or "problem" and what to do. Checked are the data
    directory, its disk and files, the servers and their certificates, the profile that `import
    cloud` uses. Nothing is changed. The exit code is 1 if there is a problem.

    \b
    Examples:
      $ picloud admin doctor
      $ picloud admin doctor --data /tmp/cloud --job
    """  # noqa: D301 - \b keeps the lines apart
    refuse_windows()
    from picloud.stack.doctor import examine, examine_client, is_used  # noqa: PLC0415 - see `up`

    own = [data.absolute()] if data else [each for each in map(default, StackName) if is_used(each)]
    sections = {f"PiCloud in {each}": examine(each, job=job) for each in own}
    sections["Programs of this user"] = iter([examine_client(context.obj)])
    rows = []
    for heading, findings in sections.items():
        if not json:
            output.text(heading)
        for finding in findings:
            mark = "ok" if finding.ok else "problem"
            if not json:
                # At once: a check may take some seconds.
                output.text(f"  {mark:<8} {finding.check:<13} {finding.detail}")
            rows.append({"part": heading, **msgspec.structs.asdict(finding)})
    if json:
        output.as_json(rows)
    if not own:
        usual = f"{default(StackName.EMBEDDED)} has no data of a server"
        output.hint(f"{usual}, so none was checked; --data DIR names another directory.")
    problems = sum(not row["ok"] for row in rows)
    if problems:
        output.hint(f"{problems} of {len(rows)} checks found a problem.")
        raise typer.Exit(exits.OTHER)


@app.command()
def bootstrap(
    *,
    keys: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Directory for the keys of the cluster.", file_okay=False),
    ],
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what would be made; change nothing.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over what another cluster has left there.")
    ] = False,
) -> None:
    """Prepare servers that are already running for PiCloud.

    The servers are those that CONSUL_HTTP_ADDR, VAULT_ADDR, PICLOUD_S3_BUCKET, NOMAD_ADDR and
    NATS_URL name, with tokens of administrators; a new Consul or Nomad needs none. This makes
    policies, secrets engines, a bucket, and tokens that allow the API what it needs. The directory
    has the tokens afterwards, and a file of variables for the API.

    What exists is not made again, so the command can be repeated, and goes on if it was
    interrupted. It changes nothing if one of the servers has an old version, or holds data of
    another cluster or program.

    \b
    Examples:
      $ picloud admin bootstrap --plan --keys /root/picloud
      $ picloud admin bootstrap --keys /root/picloud
    """  # noqa: D301 - \b keeps the lines apart
    refuse_windows()
    from picloud.stack.bootstrap import run  # noqa: PLC0415 - other commands do not need its imports

    run(keys.absolute(), plan=plan, adopt=adopt)


@app.command()
def rotate(
    *,
    keys: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Directory of the cluster's keys.", file_okay=False),
    ],
    revoke: Annotated[
        bool, typer.Option("--revoke", help="End the tokens that were replaced; make none.")
    ] = False,
) -> None:
    """Replace the API's tokens in Consul, Vault and Nomad.

    The servers are named as for `picloud admin bootstrap`, which has made the present tokens. The
    old ones stay valid, so nothing is interrupted: start every API again with the new file of
    variables, then end the old ones with --revoke. Both can be repeated.

    \b
    Examples:
      $ picloud admin rotate --keys /root/picloud
      $ picloud admin rotate --keys /root/picloud --revoke
    """  # noqa: D301 - \b keeps the lines apart
    refuse_windows()
    from picloud.stack.bootstrap import rotate as run  # noqa: PLC0415 - as in bootstrap

    run(keys.absolute(), revoke=revoke)


@app.command()
def jobspec(
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- COMMAND ...]",
            help="Program that starts the API on its machine; by default that of the node image.",
            show_default=False,
        ),
    ] = None,
    *,
    count: Annotated[int, typer.Option(help="Number of machines that run the API.")] = 1,
    canaries: Annotated[
        int, typer.Option(help="Machines that run a new version first; 0 to upgrade in place.")
    ] = 1,
    port: Annotated[int, typer.Option(help="Port of the API.")] = 8787,
    pool: Annotated[str, typer.Option(help="Node pool of the machines.")] = "picloud-api",
    namespace: Annotated[str, typer.Option(help="Namespace of the job.")] = "default",
    healthy: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            help="In which a new version has to be healthy, or the old one stays.",
        ),
    ] = 120,
) -> None:
    """Print a jobspec that runs the API on Nomad.

    Nomad checks the health of the API. If you run the jobspec with another command, the new version
    has to become healthy on other machines first; then the old one ends, and if it does not become
    healthy, the old one stays. No token is in a jobspec: the command finds them on its machine.

    \b
    Examples:
      $ picloud admin jobspec --count 2 > api.nomad.hcl
      $ picloud admin jobspec --count 2 -- /opt/picloud/boot/run api /opt/picloud/1.1/venv
    """  # noqa: D301 - \b keeps the lines apart
    from picloud_jobspecs.api import ApiService, api_jobspec  # noqa: PLC0415 - as in bootstrap
    from picloud_model.errors import PiCloudError  # noqa: PLC0415 - as above

    service = ApiService(
        count=count,
        canaries=canaries,
        command=tuple(command or ()) or ApiService().command,
        port=port,
        pool=pool,
        namespace=namespace,
        healthy_s=healthy,
    )
    try:
        text = api_jobspec(service)
    except PiCloudError as error:
        raise CloudException(error.message) from error
    output.text(text.rstrip("\n"))
