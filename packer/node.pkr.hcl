# The image of the machines that `terraform/` creates: servers, API machines and clients share it.
# What a machine becomes is decided when it boots; see `node/boot/start`.
#
#   make servers     # builds the programs
#   python -m tests.infra.node_image parts build/node     # collects them, and the wheels
#   packer build -only=amazon-ebs.node -var region=eu-central-1 -var subnet_id=subnet-... \
#     -var parts=build/node packer/node.pkr.hcl
#
# The source "docker" makes the same of a container: the tests build it and boot a cluster from it.

variable "parts" {
  type        = string
  description = "Directory with `programs`, the programs in versions.json, and `wheels`, those of PiCloud, of its dependencies, and of pip."
}

variable "base" {
  type        = string
  description = "Docker image of Debian 12 with Python 3.11, for the source docker."
  default     = "picloud/rootfs:bookworm"
}

variable "region" {
  type        = string
  description = "Region of AWS in which the image is made."
  default     = "eu-central-1"
}

variable "subnet_id" {
  type        = string
  description = "Subnet of the machine that is made into the image; empty for one of the default VPC."
  default     = ""
}

variable "instance_type" {
  type        = string
  description = "Instance type of that machine."
  default     = "c6i.large"
}

variable "owner" {
  type        = string
  description = "Account at AWS that publishes the base; this is Debian's."
  default     = "136693071363"
}

variable "system" {
  type        = string
  description = "Name of the base image: Debian 12, whose root disk is /dev/xvda, as terraform/modules/cluster has it."
  default     = "debian-12-amd64-*"
}

locals {
  versions = jsondecode(file(abspath("${path.root}/versions.json")))
  stamp    = formatdate("YYYYMMDD-hhmmss", timestamp())
}

source "amazon-ebs" "node" {
  region        = var.region
  subnet_id     = var.subnet_id
  instance_type = var.instance_type
  ssh_username  = "admin"
  ami_name      = "picloud-node-${local.stamp}"
  encrypt_boot  = true

  source_ami_filter {
    filters = {
      name                = var.system
      virtualization-type = "hvm"
      root-device-type    = "ebs"
    }
    owners      = [var.owner]
    most_recent = true
  }

  tags = {
    Name   = "picloud-node"
    Consul = local.versions["consul"]
    Nomad  = local.versions["nomad"]
    Vault  = local.versions["vault"]
    NATS   = local.versions["nats-server"]
  }
}

source "docker" "node" {
  image       = var.base
  pull        = false
  commit      = true
  run_command = ["-d", "-i", "-t", "--network=none", "--entrypoint=/bin/sh", "{{.Image}}"]
  changes     = ["ENTRYPOINT [\"/opt/picloud/boot/start\"]", "CMD [\"/etc/picloud/machine.json\", \"--foreground\"]"]
}

build {
  sources = ["source.amazon-ebs.node", "source.docker.node"]

  provisioner "file" {
    sources     = ["${path.root}/node", "${var.parts}/programs", "${var.parts}/wheels"]
    destination = "/tmp"
  }

  provisioner "shell" {
    scripts = [
      "${path.root}/node/bake/programs.sh",
      "${path.root}/node/bake/picloud.sh",
      "${path.root}/node/bake/boot.sh",
      "${path.root}/node/bake/check.sh",
    ]
    environment_vars = [
      "CONSUL=${local.versions["consul"]}",
      "NATS=${local.versions["nats-server"]}",
      "NOMAD=${local.versions["nomad"]}",
      "VAULT=${local.versions["vault"]}",
    ]
    # Containers have no sudo, and machines at AWS no other way to become root.
    execute_command = "chmod +x {{ .Path }}; $(command -v sudo) env {{ .Vars }} {{ .Path }}"
  }

  post-processor "docker-tag" {
    only       = ["docker.node"]
    repository = "picloud/node"
    tags       = ["bookworm"]
  }
}
