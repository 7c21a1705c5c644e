# A burst: so many equal slots, each of them a worker that leases jobs until none come.
#
# The server fills in the variables. By hand, with a server at the URL that knows the burst's account:
#
#   nomad job run -var burst=pc-a0000001-000000000001-00000000 -var account=a0000001 \
#     -var url=http://127.0.0.1:8000 slot.nomad.hcl
#
# Nomad replaces ${...} inside most values, with no way to escape it. So the variables take opaque ids
# and numbers only, never anything a user wrote; render.py holds that.

variable "burst" {
  description = "Name of the job: pc-<account>-<first jid>-<random>."
  type        = string
}

variable "account" {
  description = "Whose jobs the slots run."
  type        = string
}

variable "url" {
  description = "Where slots find the API."
  type        = string
}

variable "count" {
  description = "How many slots."
  type        = number
  default     = 1
}

variable "core_type" {
  description = "Which machines will do: those whose meta picloud_core_types lists it."
  type        = string
  default     = "c1"
}

variable "cores" {
  description = "Cores a slot has."
  type        = number
  default     = 1
}

variable "cpu" {
  description = "MHz of a slot, all its cores together."
  type        = number
  default     = 400
}

variable "memory" {
  description = "MB of memory of a slot, all its cores together."
  type        = number
  default     = 300
}

variable "image" {
  description = "Digest of the environment's image; empty for the machine's own Python."
  type        = string
  default     = ""
}

variable "driver" {
  description = "What runs a slot: raw_exec, which isolates nothing, or docker."
  type        = string
  default     = "raw_exec"
}

variable "container" {
  description = "Name of the image that docker makes containers of; it has to be on the machine."
  type        = string
  default     = ""
}

variable "network" {
  description = "Network of docker's that containers are in; the default one does not part slots."
  type        = string
  default     = ""
}

variable "user" {
  description = "Who a slot runs as. Left empty, its proof can be read by everybody on the machine."
  type        = string
  default     = "root"
}

variable "worker" {
  description = "Program and first arguments of a slot."
  type        = list(string)
  default     = ["python3", "-P", "-m", "picloud_worker"]
}

locals {
  worker = concat(
    var.worker,
    ["--url", var.url, "--place", "${NOMAD_ALLOC_ID}", "--proof-fd", "3"]
  )
}

job "slots" {
  id          = var.burst
  name        = var.burst
  type        = "batch"
  datacenters = ["*"]

  # The server reads here what it may believe of a slot; a slot cannot change it.
  meta {
    account   = var.account
    core_type = var.core_type
    cores     = var.cores
    image     = var.image
    slots     = var.count
  }

  group "slots" {
    count = var.count

    constraint {
      attribute = "${meta.picloud_core_types}"
      operator  = "set_contains"
      value     = var.core_type
    }

    # Nomad would fill one machine before it begins another.
    spread {
      attribute = "${node.unique.id}"
    }

    # A slot that fails is the server's to replace, and only if jobs still wait.
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    # A machine cut off from Nomad is given up after some 30 s, and the jobs its slots held run
    # elsewhere. Those slots are ended after this time, which a restart of Nomad's servers does not
    # take. Then Nomad brings up others in their stead, be it that none are needed: those end, as any
    # slot does that finds nothing to do.
    disconnect {
      stop_on_client_after = "2m"
    }

    ephemeral_disk {
      size = 100
    }

    task "slot" {
      driver       = var.driver
      user         = var.user
      kill_signal  = "SIGTERM"
      kill_timeout = "2s"

      # One block a driver; that of another driver is not there.
      dynamic "config" {
        for_each = var.driver == "raw_exec" ? ["raw_exec"] : []

        content {
          command  = "/bin/sh"
          work_dir = "${NOMAD_TASK_DIR}"

          # raw_exec hands the environment of Nomad's agent to its tasks: a slot gets a new one. What
          # it has to say goes where `nomad alloc logs -stderr` looks.
          args = concat(["-c", <<-EOT
            umask 077
            exec env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME="$NOMAD_TASK_DIR" "$@" \
              3<"$NOMAD_SECRETS_DIR/nomad_picloud.jwt" \
              </dev/null >>"$NOMAD_ALLOC_DIR/logs/slot.stderr.0" 2>&1
            EOT
          , "slot"], local.worker)
        }
      }

      dynamic "config" {
        for_each = var.driver == "docker" ? ["docker"] : []

        content {
          image        = var.container
          network_mode = var.network == "" ? "none" : var.network
          entrypoint   = ["/bin/sh"]

          # Nomad lets everybody write to its three directories, on the machine's disk. They are shut
          # once what lies there is open, which takes a capability that is given up with its like.
          args = concat(["-c", <<-EOT
            umask 022
            exec 3</secrets/nomad_picloud.jwt </dev/null >>/alloc/logs/slot.stderr.0 2>&1
            chmod 700 /alloc /local /secrets &&
            exec setpriv --bounding-set=-all,+setuid,+setgid,+kill \
              env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/work/home TMPDIR=/tmp \
              "$@" --drop --workdir /work
            EOT
          , "slot"], local.worker)

          # What is left of root's rights: to change into another user, and to end its processes. A
          # job is that other user, with no capability. Docker's own seccomp profile applies.
          cap_drop     = ["all"]
          cap_add      = ["setuid", "setgid", "kill", "fowner", "setpcap"]
          security_opt = ["no-new-privileges"]
          pids_limit   = 256 * var.cores
          ipc_mode     = "private"

          # Memory of a job, and what lies in it, is written nowhere when it crashes.
          ulimit {
            core = "0"
          }

          # What can be written lies in memory, counts as the slot's, and has a size of its own.
          readonly_rootfs = true

          mount {
            type   = "tmpfs"
            target = "/work"
            tmpfs_options {
              size = floor(var.memory / 2) * 1048576
              mode = 493 # 0755
            }
          }

          mount {
            type   = "tmpfs"
            target = "/work/home"
            tmpfs_options {
              size = floor(var.memory / 4) * 1048576
              mode = 1023 # 01777
            }
          }

          mount {
            type   = "tmpfs"
            target = "/tmp"
            tmpfs_options {
              size = floor(var.memory / 4) * 1048576
              mode = 1023
            }
          }

          # Nothing is said on the container's own streams.
          logging {
            type = "none"
          }
        }
      }

      # Who the slot is, signed by Nomad; the worker shows it to the API once, when it begins.
      identity {
        name = "picloud"
        aud  = ["picloud-slot"]
        file = true
        ttl  = "1h"
      }

      # The worker keeps what jobs write. A pipe to Nomad is one more thing a job can hang on.
      logs {
        disabled      = true
        max_files     = 1 # They are taken off the disk's size all the same.
        max_file_size = 1
      }

      # raw_exec reserves these, and limits nothing: for one's own code only. A container is limited
      # to this memory, of which 64 MB are the supervisor's.
      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
