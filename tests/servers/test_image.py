"""The images of bases are named by what goes into them."""

from hashlib import sha256

from picloud_driver.docker.slot_base import BASES
from picloud_driver.stack import image as slot_image

from tests.servers import image


def test_an_image_is_named_by_its_recipe_and_its_worker() -> None:
    """Another recipe or another worker is another file; docker's tag has the worker."""
    names = [image.cached(base).name for base in BASES]

    for base, name in zip(BASES, names, strict=True):
        digest = sha256(slot_image.tag(base.suite).encode())
        for recipe in image.RECIPES:
            digest.update((image.ROOT / recipe).read_bytes())
        assert name == f"{slot_image.tag(base.suite)}-{digest.hexdigest()[:12]}.tar"
        assert slot_image.tag(base.suite) == f"{base.suite}-{slot_image.worker_digest()}"
    assert "packer/environment.pkr.hcl" in image.RECIPES
    assert len({*names}) == len(BASES)
