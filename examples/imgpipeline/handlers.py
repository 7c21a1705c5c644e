"""The handlers of the image pipeline: each works in jobs as well as in this process."""

import io
import json
import urllib.request

import cloud
from PIL import Image, ImageOps


def scrape_to_bucket(target: dict) -> dict:
    """Download an image and store it as PNG; `target` has its `id` and its `url`."""
    path = f"imgs/{target['id']}/original.png"
    with urllib.request.urlopen(target["url"], timeout=10) as reply:
        picture = Image.open(io.BytesIO(reply.read()))
    put_image(picture, path)
    return {"id": target["id"], "path": path, "transforms": []}


def put_image(picture: Image.Image, path: str) -> None:
    """Store an image in the bucket."""
    content = io.BytesIO()
    picture.save(content, "png")
    cloud.bucket.putf(content.getvalue(), path)


class ImageOperation:
    """Reads an image from the bucket, changes it, and stores the result next to it."""

    name = "identity"

    def message_handler(self, message: dict) -> dict:
        """Return the message of the new image."""
        picture = Image.open(io.BytesIO(cloud.bucket.getf(message["path"]).read()))
        path = f"{message['path'].removesuffix('.png')}.{self.name}.png"
        put_image(self.operation(picture), path)
        return {**message, "path": path, "transforms": [*message["transforms"], self.name]}

    def operation(self, picture: Image.Image) -> Image.Image:
        """Return the new image."""
        return picture


class ImageThumbnail(ImageOperation):
    """Makes an image of at most 150 pixels."""

    name = "thumb"
    size = 150

    def operation(self, picture: Image.Image) -> Image.Image:
        """Return a smaller image with the same proportions."""
        picture.thumbnail((self.size, self.size), Image.Resampling.LANCZOS)
        return picture


class ImageMediumSize(ImageThumbnail):
    """Makes an image of at most 400 pixels."""

    name = "med"
    size = 400


class ImageSepia(ImageOperation):
    """Makes an image look old."""

    name = "sepia"

    def operation(self, picture: Image.Image) -> Image.Image:
        """Return the image in shades of brown."""
        grey = ImageOps.autocontrast(picture.convert("L"))
        return ImageOps.colorize(grey, black="black", white=(255, 220, 162))


class Callback:
    """Tells a web server of each image that was made."""

    def __init__(self, url: str) -> None:
        self.url = url

    def message_handler(self, message: dict) -> None:
        """Post the message as JSON."""
        body = json.dumps(message).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()
