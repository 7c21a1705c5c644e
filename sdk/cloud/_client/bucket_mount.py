"""The bucket as files, in a job."""

from __future__ import annotations

from cloud._client.current_job import CurrentJob
from cloud.errors import CloudException


def mount_path() -> str:
    """Return the directory in which your bucket is mounted, in a job.

    Any program of the job can use what is in it: a file is an object, and a folder is what keys
    have in common up to a `/`. A file is stored when it is closed, as a whole; an error of the
    upload is the error of closing it. What others put is seen at the next open or listing. Keys
    that are no paths are left out, and where `a` and `a/b` both exist, `a` is the folder.

    Raises:
        CloudException: When this is not a job, or the bucket cannot be mounted where it runs; the
            message says why.

    >>> def lines():
    ...     with open(f"{cloud.bucket.mount_path()}/notes.txt") as file:
    ...         return file.readlines()
    """
    job = CurrentJob.here()
    if job is None:
        raise CloudException("Your bucket is mounted in jobs only; use cloud.bucket.get here.")
    return job.supervisor.mount()
