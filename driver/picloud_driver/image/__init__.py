"""Images: what slots run in, by digest. The port, and one module per adapter."""

from picloud_driver.image.port import Image, ImagePort, ImageState

__all__ = ["Image", "ImagePort", "ImageState"]
