"""The functions of the jobs that are notebooks and desktops."""

from __future__ import annotations

from cloud._notebook.hosting import host


def host_notebook(name: str, ports: list[int], idle_s: int) -> None:
    """Run JupyterLab until it is shut down or idle; the volume is committed when the job ends.

    Args:
        name: The name of the notebook.
        ports: Ports to listen on, the first of them that is free on this machine.
        idle_s: Seconds without a running cell or an open connection until it ends; 0 for never.

    Raises:
        CloudException: When another job runs the notebook, or JupyterLab is not installed or fails.
    """
    from cloud._notebook.jupyter import JupyterLab  # noqa: PLC0415 - a job needs one of them

    host(name, "notebook", ports, JupyterLab(idle_s))


def host_desktop(name: str, ports: list[int], idle_s: int, screen: str, run: str) -> None:
    """Run an X server until it is shut down or idle; the volume is committed when the job ends.

    Args:
        name: The name of the desktop.
        ports: Ports to listen on, the first two of them that are free on this machine.
        idle_s: Seconds without a browser or VNC client until it ends; 0 for never.
        screen: Width, height and depth, such as `1280x800x24`.
        run: A command line that is run when the screen is there; "" for none.

    Raises:
        CloudException: When another job runs the desktop, or a program of it is not installed.
    """
    from cloud._notebook.desktop import Desktop  # noqa: PLC0415 - as above

    host(name, "desktop", ports, Desktop(idle_s, screen, run))
