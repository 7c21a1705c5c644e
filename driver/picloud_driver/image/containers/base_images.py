"""The bases of environments in containers: images of slots, found by their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from picloud_model.wire.environment import OWN_BASES, EnvironmentBase

from picloud_driver.docker.slot_base import BASES, PYTHON_LABEL, SUITE_LABEL

if TYPE_CHECKING:
    from picloud_driver.docker.engine import Engine


class BaseImages:
    """The images of the repository of an image of slots whose tags end with the same worker.

    Args:
        engine: The dockerd that has them.
        image: The default one; its tag is `<suite>-<worker>`.
    """

    def __init__(self, engine: Engine, image: str) -> None:
        self._engine = engine
        self._image = image
        self._repository, _, tag = image.rpartition(":")
        suite, _, self._worker = tag.partition("-")
        known = next((each for each in BASES if each.suite == suite), BASES[0])
        self.default = _base(known.suite, known.version)

    def __repr__(self) -> str:
        return f"BaseImages({self._image!r})"

    def found(self) -> dict[str, EnvironmentBase]:
        """Return the bases by the full names of their images, the default first.

        There is one for each Python: the digest of a recipe names that, and not the base.

        Raises:
            Unavailable: When no dockerd answers.
        """
        bases = {self._image: self.default}
        for name in sorted(self._engine.tags(f"{self._repository}:*-{self._worker}")):
            labels = self._engine.image_labels(name)
            pythons = {"", *(base.python for base in bases.values())}
            if SUITE_LABEL in labels and labels.get(PYTHON_LABEL, "") not in pythons:
                bases[name] = _base(labels[SUITE_LABEL], labels[PYTHON_LABEL])
        return bases

    def beneath(self, container: str) -> str:
        """Return the full name of the image of the base that a container was made from.

        Raises:
            Unavailable: When no dockerd answers.
        """
        suite = self._engine.container_labels(container).get(SUITE_LABEL)
        name = f"{OWN_BASES}{suite}"
        images = {base.name: image for image, base in self.found().items()}
        return images.get(name, self._image)


def _base(suite: str, python: str) -> EnvironmentBase:
    debian = next((f"Debian {each.debian}, " for each in BASES if each.suite == suite), "")
    return EnvironmentBase(
        name=f"{OWN_BASES}{suite}", python=python, desc=f"{debian}CPython {python}"
    )
