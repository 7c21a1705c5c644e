"""The image of slots, whose tag names the build that it contains."""

from __future__ import annotations

import subprocess
import sys


def test_the_tag_does_not_depend_on_what_is_imported() -> None:
    """Server, worker and the build of the image compute the same tag for the same source."""
    text = (
        "from picloud_driver.stack import image\n"
        "before = image.tag()\n"
        "import cloud\n"
        "print(before == image.tag() != image.tag('trixie'), len(image.locations('cloud')))\n"
    )

    process = subprocess.run([sys.executable, "-c", text], capture_output=True, check=True)

    assert process.stdout.split() == [b"True", b"1"]
