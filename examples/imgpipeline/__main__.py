"""A pipeline of queues: images are downloaded, made smaller and older, and reported.

    img-urls   scrape_to_bucket  stores the image at a URL; URLs that fail go to bad-urls
    thumbnail  ImageThumbnail    makes an image of 150 pixels
    medium     ImageMediumSize   makes one of 400 pixels
    sepia      ImageSepia        makes that one look old
    callback   Callback          posts what was made to a web site

    python examples/imgpipeline                      # on processes of this machine
    python examples/imgpipeline --stack hashicorp    # on Nomad, Consul, Vault, S3 and NATS
    python examples/imgpipeline --stack yours        # on the server that you use otherwise

The images come from a web site that this program serves, on this machine. It starts a stack of its
own in a temporary directory and removes both at the end, unless it is yours: then it removes its
queues and objects. Jobs need Pillow.
"""

import argparse
import contextlib
import io
import os
import subprocess
import sys
import sysconfig
import time
import urllib.error
from pathlib import Path

import cloud
from handlers import Callback, ImageMediumSize, ImageSepia, ImageThumbnail, scrape_to_bucket
from PIL import Image
from web_site import Site

sys.path.append(str(Path(__file__).parents[1]))
from demo import own_stack

NAMES = ("img-urls", "thumbnail", "medium", "sepia", "callback", "bad-urls")
SIZES = {"thumb": (150, 100), "med": (400, 267), "med.sepia": (400, 267)}
"""What is made of each image, and how large that is."""
LONGEST_S = 120
"""How long a queue is waited for, in seconds."""


def attach(callback_url: str) -> None:
    """Attach the handlers to their queues."""
    urls, thumbnail, medium, sepia, callback, bad_urls = map(cloud.queue.get, NAMES)
    urls.attach(
        scrape_to_bucket,
        [thumbnail, medium],
        readers_per_job=4,
        retry_on=[urllib.error.URLError],
        max_retries=3,
        retry_delay=0.2,
        on_error={Exception: {"queue": bad_urls}},
    )
    thumbnail.attach(ImageThumbnail(), callback)
    medium.attach(ImageMediumSize(), [sepia, callback])
    sepia.attach(ImageSepia(), callback)
    callback.attach(Callback(callback_url), readers_per_job=4)


def draw(picture: Path | None) -> None:
    """Draw the pipeline in the terminal, or into a file."""
    program = Path(sysconfig.get_path("scripts"), "picloud")
    to = ["--svg", str(picture)] if picture else []
    print("1. The pipeline", flush=True)
    subprocess.run([program, "queue", "graph", NAMES[0], *to], check=True)


def run(site: Site, count: int) -> None:
    """Push URLs, one of them wrong, and wait until all was handled."""
    start = time.perf_counter()
    urls = [{"id": number, "url": f"{site.url}/{number}.jpg"} for number in range(count)]
    wrong = {"id": count, "url": f"{site.url}/missing.jpg"}
    cloud.queue.get("img-urls").push([*urls, wrong])
    for name in NAMES[:-1]:
        cloud.queue.get(name).drain(LONGEST_S)
    print(f"2. {count} images became {len(site.posted)} in {time.perf_counter() - start:.1f} s")


def check(site: Site, count: int) -> None:
    """Check what was made, what was posted, and what failed."""
    expected = {f"imgs/{number}/original.{kind}.png" for number in range(count) for kind in SIZES}
    posted = {message["path"] for message in site.posted}
    if posted != expected:
        sys.exit(f"3. ANOTHER RESULT: {sorted(posted ^ expected)}")
    for kind, size in SIZES.items():
        content = cloud.bucket.getf(f"imgs/0/original.{kind}.png").read()
        if Image.open(io.BytesIO(content)).size != size:
            sys.exit(f"3. ANOTHER SIZE: {kind}")
    print("3. All are in the bucket, and each was reported to the web site.")
    for failed in cloud.queue.get("bad-urls").pop(timeout=LONGEST_S):
        print(f"4. In bad-urls: image {failed['message']['id']}, {failed['exception']}")


def main() -> None:
    """Attach, draw, run and check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stack", choices=["embedded", "hashicorp", "yours"], default="embedded")
    parser.add_argument("--images", type=int, default=20, help="how many images (default: 20)")
    parser.add_argument("--svg", type=Path, help="a file to draw the pipeline into")
    options = parser.parse_args()
    own = options.stack != "yours"
    with (
        own_stack(options.stack, os.cpu_count() or 2) if own else contextlib.nullcontext(),
        Site(options.images) as site,
    ):
        try:
            attach(site.url)
            draw(options.svg)
            run(site, options.images)
            check(site, options.images)
        finally:
            for queue in map(cloud.queue.get, NAMES):
                queue.detach()
                queue.delete()
            cloud.bucket.remove_prefix("imgs/")


if __name__ == "__main__":
    main()
