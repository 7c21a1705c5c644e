# A base of environments: the image of slots that Nomad's docker driver runs, such as `base/bookworm`.
#
# `make images` makes the base and the wheels, and runs this. By hand, on a base from a registry:
#
#   packer build -var base=python:3.11-slim-bookworm -var pull=true -var wheels=DIR \
#     -var suite=bookworm -var python=3.11 -var repository=picloud/base -var tag=bookworm-by-hand \
#     packer/environment.pkr.hcl
#
# The tag is `<suite>-<worker>`: bases whose tags end with the same worker are bases of one server.

variable "base" {
  type        = string
  description = "Image of Debian with its Python: made by debootstrap, or published."
  default     = "picloud/rootfs:bookworm"
}

variable "suite" {
  type        = string
  description = "Name of the base: that of Debian's suite, or another one."
  default     = "bookworm"
}

variable "python" {
  type        = string
  description = "Minor version of its Python; the build fails if it has another one."
  default     = "3.11"
}

variable "pull" {
  type        = bool
  description = "Whether the base comes from a registry."
  default     = false
}

variable "wheels" {
  type        = string
  description = "Directory with the wheels of PiCloud, of its dependencies, and of pip."
}

variable "repository" {
  type        = string
  description = "Name of the image."
  default     = "picloud/base"
}

variable "tag" {
  type        = string
  description = "Tag that names the worker in the image; `picloud up` uses only the image of its own worker."
}

source "docker" "environment" {
  image       = var.base
  pull        = var.pull
  commit      = true
  run_command = ["-d", "-i", "-t", "--network=none", "--entrypoint=/bin/sh", "{{.Image}}"]
  changes = [
    "ENV PATH /usr/local/bin:/usr/bin:/bin",
    "ENTRYPOINT []",
    "CMD [\"python3\"]",
    "LABEL picloud.base=${var.suite} picloud.python=${var.python}",
  ]
}

build {
  sources = ["source.docker.environment"]

  provisioner "file" {
    source      = var.wheels
    destination = "/opt"
  }

  # A slot's children run as one of these users, which the slot chooses. Nothing in the image lets a
  # user become another one.
  provisioner "shell" {
    inline_shebang = "/bin/sh -e"
    inline = [
      "python3 -c 'import sys; assert sys.version_info[:2] == tuple(map(int, \"${var.python}\".split(\".\"))), sys.version'",
      "python3 $(echo /opt/wheels/pip-*.whl)/pip install --quiet --no-index --find-links=/opt/wheels --break-system-packages --root-user-action=ignore --no-cache-dir 'picloud[cli,base,slot]'",
      "rm -rf /opt/wheels",
      "test -e /usr/bin/python || ln -s python3 /usr/bin/python",
      "for n in $(seq 1 64); do useradd --uid $((20000 + n)) --user-group --no-create-home --home-dir /work/home --shell /bin/sh emp$n; done",
      "mkdir -p /work /local /alloc /secrets /bucket",
      "find / -xdev -perm /6000 -type f -exec chmod a-s {} +",
      "python3 -P -c 'import picloud_worker.supervisor.supervisor, picloud_worker.tunnel.ssh_server'",
      "picloud --version",
      "python3 -P -c 'import numpy, PIL.Image'",
    ]
  }

  post-processor "docker-tag" {
    repository = var.repository
    tags       = [var.tag]
  }
}
