# The API as a service of the Nomad that runs its slots: `picloud admin jobspec` prints it.
#
#   picloud admin jobspec --count 2 > api.nomad.hcl
#   nomad job run api.nomad.hcl
#
# Each machine of the node pool has the API's settings and tokens; none of them is in this file, which
# Nomad shows to everyone who may read jobs. A gateway is a process of the API that starts it.

variable "count" {
  description = "Number of machines that run the API."
  type        = number
  default     = 1
}

variable "canaries" {
  description = "Number of machines that run a new version first; the node pool needs as many more. 0: in place."
  type        = number
  default     = 1
}

variable "command" {
  description = "Program that starts the API on its machine, and arguments."
  type        = list(string)
  default     = ["/opt/picloud/boot/run", "api"]
}

variable "port" {
  description = "Port of the API."
  type        = number
  default     = 8787
}

variable "pool" {
  description = "Node pool of the machines."
  type        = string
  default     = "picloud-api"
}

variable "namespace" {
  description = "Namespace of the job."
  type        = string
  default     = "default"
}

variable "cpu" {
  description = "MHz that the API reserves on each machine."
  type        = number
  default     = 1000
}

variable "memory" {
  description = "MB of memory that the API reserves on each machine."
  type        = number
  default     = 1000
}

variable "revision" {
  description = "Any text; another one starts the API again, as an upgrade does."
  type        = string
  default     = ""
}

variable "healthy_s" {
  description = "Seconds in which a new version has to be healthy; after that, Nomad goes back to the last one."
  type        = number
  default     = 120
}

job "picloud-api" {
  type        = "service"
  namespace   = var.namespace
  node_pool   = var.pool
  datacenters = ["*"]
  priority    = 80 # before slots, where they share machines

  meta {
    revision = var.revision
  }

  group "api" {
    count = var.count

    # A second API of the same machine would find its port taken.
    constraint {
      distinct_hosts = true
    }

    network {
      port "http" {
        static = var.port
      }
    }

    # The new version has to answer on other machines first, then the old one ends, machine by machine.
    # If it does not become healthy, the last version that was runs again.
    update {
      canary            = var.canaries
      auto_promote      = var.canaries > 0
      auto_revert       = true
      max_parallel      = 1
      health_check      = "checks"
      min_healthy_time  = "5s"
      healthy_deadline  = "${var.healthy_s}s"
      progress_deadline = "${var.healthy_s + 10}s"
    }

    # An API that cannot reach its servers ends with a sentence, and is started again until it can.
    restart {
      attempts = 3
      interval = "1m"
      delay    = "5s"
      mode     = "delay"
    }

    service {
      name     = "picloud-api"
      provider = "nomad"
      port     = "http"

      # It also asks Consul, Vault, S3, Nomad and NATS.
      check {
        type     = "http"
        path     = "/v1/health"
        interval = "2s"
        timeout  = "5s"
      }
    }

    ephemeral_disk {
      size = 200
    }

    task "api" {
      driver = "raw_exec"

      # Requests that run get some seconds to end; those that wait are answered at once.
      kill_signal  = "SIGTERM"
      kill_timeout = "15s"

      config {
        command = var.command[0]
        args    = slice(var.command, 1, length(var.command))
      }

      # With these, the API gets its tokens of Vault and of Consul; see
      # picloud_driver/stack/bootstrap/identity.py.
      identity {
        name = "vault"
        aud  = ["picloud-vault"]
        file = true
        ttl  = "1h"
      }

      identity {
        name = "consul"
        aud  = ["picloud-consul"]
        file = true
        ttl  = "1h"
      }

      logs {
        max_files     = 5
        max_file_size = 10
      }

      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
