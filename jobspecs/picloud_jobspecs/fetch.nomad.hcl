# Fetches an image to machines before slots need it there: a program of the image that does nothing.
#
# The server fills in the variables, which are checked as those of slot.nomad.hcl are.

variable "name" {
  description = "Name of the job: picloud-fetch-<the first digits of the image's digest>."
  type        = string
}

variable "container" {
  description = "Image of docker's, by its digest in a registry."
  type        = string
}

variable "machines" {
  description = "Ids of the machines, with commas between them."
  type        = string
}

job "fetch" {
  id          = var.name
  name        = var.name
  type        = "sysbatch"
  datacenters = ["*"]

  constraint {
    attribute = "${node.unique.id}"
    operator  = "set_contains_any"
    value     = var.machines
  }

  group "fetch" {
    restart {
      attempts = 0
      mode     = "fail"
    }

    ephemeral_disk {
      size = 10
    }

    task "fetch" {
      driver = "docker"
      user   = "65534:65534"

      config {
        image              = var.container
        image_pull_timeout = "15m"
        entrypoint         = ["/bin/true"]
        network_mode       = "none"
        readonly_rootfs    = true
        cap_drop           = ["all"]
        security_opt       = ["no-new-privileges"]
        pids_limit         = 16

        logging {
          type = "none"
        }
      }

      logs {
        disabled      = true
        max_files     = 1
        max_file_size = 1
      }

      resources {
        cpu    = 10
        memory = 16
      }
    }
  }
}
