"""Images: what slots run in, by digest. The port, and one module per adapter."""

from picloud_driver.image.port import MACHINES_ARE_JOBS, Image, ImagePort, ImageState

__all__ = ["MACHINES_ARE_JOBS", "Image", "ImagePort", "ImageState"]
