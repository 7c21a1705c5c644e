"""Every module of the API that names blobs is known to the sweep, which deletes all others."""

from __future__ import annotations

from tests.shape.graph import ROOT

KNOWN = {
    "store/blob_name.py": "makes the names",
    "usecases/jobs/info.py": "result packs name the infos of jobs",
    "usecases/queues/message_blobs.py": "nothing is swept while messages may be in blobs",
    "usecases/sharing/stream.py": "records of streams name large values",
    "usecases/storage/blob.py": "names blobs for others",
    "usecases/storage/blob_references.py": "finds the references",
    "usecases/storage/blob_sweep.py": "deletes blobs",
    "usecases/storage/snapshot.py": "records of volumes name their snapshots",
    "usecases/storage/known_blobs.py": "headers and what was staged name what is submitted",
}
"""The modules that name blobs, and where the sweep finds what they refer to."""


def test_the_sweep_knows_all_that_names_blobs() -> None:
    """A new module that stores digests adds them to `BlobReferences`, and is added here."""
    api = ROOT / "api" / "picloud_api"

    naming = {
        str(path.relative_to(api))
        for path in api.rglob("*.py")
        if "blob_name" in path.read_text(encoding="utf-8")
    }

    assert naming == set(KNOWN), "see usecases/storage/blob_references.py"
