# A burst: a number of equal slots, each a worker that leases jobs until there are none.
#
# The server fills in the variables. By hand, with a server at the URL that knows the burst's account:
#
#   nomad job run -var burst=pc-a0000001-000000000001-00000000 -var account=a0000001 \
#     -var url=http://127.0.0.1:8000 slot.nomad.hcl
#
# Nomad replaces ${...} inside most values and has no escape for it. So the variables are opaque ids
# and numbers only, never text of a user; render.py checks this.

variable "burst" {
  description = "Name of the job: pc-<account>-<first jid>-<random>."
  type        = string
}

variable "account" {
  description = "Account whose jobs the slots run."
  type        = string
}

variable "url" {
  description = "URL of the API."
  type        = string
}

variable "count" {
  description = "Number of slots."
  type        = number
  default     = 1
}

variable "core_type" {
  description = "Core type; only machines whose meta picloud_core_types lists it run the slots."
  type        = string
  default     = "c1"
}

variable "cores" {
  description = "Cores per slot."
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
  description = "Driver that runs a slot: raw_exec, which isolates nothing, or docker."
  type        = string
  default     = "raw_exec"
}

variable "container" {
  description = "Image of docker's containers; one that the machine lacks is pulled."
  type        = string
  default     = ""
}

variable "network" {
  description = "Docker network of the containers; the default one does not isolate slots."
  type        = string
  default     = ""
}

variable "user" {
  description = "User that runs a slot. If empty, all users of the machine can read its proof."
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

  # The server trusts these values of a slot, which the slot cannot change.
  meta {
    account   = var.account
    core_type = var.core_type
    cores     = var.cores
    image     = var.image
    slots     = var.count
  }

  # What Nomad's UI shows.
  ui {
    description = "Slots for jobs of account ${var.account} of PiCloud."

    link {
      label = "Jobs in PiCloud"
      url   = "${var.url}/jobs"
    }
  }

  group "slots" {
    count = var.count

    constraint {
      attribute = "${meta.picloud_core_types}"
      operator  = "set_contains"
      value     = var.core_type
    }

    # Otherwise Nomad would fill one machine before it uses another.
    spread {
      attribute = "${node.unique.id}"
    }

    # Only the server replaces a failed slot, and only if jobs are still waiting.
    restart {
      attempts = 0
      mode     = "fail"
    }

    reschedule {
      attempts  = 0
      unlimited = false
    }

    # Nomad gives up a disconnected machine after about 30 s, and the jobs of its slots run elsewhere.
    # The slots themselves are ended after this time, which is longer than a restart of Nomad's
    # servers. Nomad then starts others in their place, even if none are needed: those end, as every
    # slot does that finds no work.
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

      # One block per driver; only the block of the chosen driver exists.
      dynamic "config" {
        for_each = var.driver == "raw_exec" ? ["raw_exec"] : []

        content {
          command  = "/bin/sh"
          work_dir = "${NOMAD_TASK_DIR}"

          # raw_exec gives tasks the environment of Nomad's agent, so the slot gets a new one. Its log
          # is the file that `nomad alloc logs -stderr` reads.
          args = concat(["-c", <<-EOT
            umask 077
            exec env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME="$NOMAD_TASK_DIR" \
              OMP_NUM_THREADS=${var.cores} "$@" \
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

          # One of some GB takes longer than the default of 5 minutes to pull.
          image_pull_timeout = "15m"

          network_mode = var.network == "" ? "none" : var.network
          entrypoint   = ["/bin/sh"]

          # Nomad makes its three directories on the machine's disk writable for all users. They are
          # closed once their files are open; that takes a capability, which is then dropped.
          args = concat(["-c", <<-EOT
            umask 022
            mkdir -m 700 /alloc/bucket # where the machine is asked to mount the bucket
            exec 3</secrets/nomad_picloud.jwt 4</alloc/bucket </dev/null >>/alloc/logs/slot.stderr.0 2>&1
            chmod 700 /alloc /local /secrets &&
            exec setpriv --bounding-set=-all,+setuid,+setgid,+kill \
              env -i PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/work/home TMPDIR=/tmp \
              OMP_NUM_THREADS=${var.cores} \
              "$@" --drop --workdir /work --mount-fd 4
            EOT
          , "slot"], local.worker)

          # The remaining rights of root: to switch to another user, and to end that user's processes.
          # A job runs as that user, without capabilities. Docker's own seccomp profile applies.
          cap_drop     = ["all"]
          cap_add      = ["setuid", "setgid", "kill", "fowner", "setpcap"]
          security_opt = ["no-new-privileges"]
          pids_limit   = 256 * var.cores
          ipc_mode     = "private"

          # No core dumps, which would write the memory of a job to disk.
          ulimit {
            core = "0"
          }

          # Writable directories are in memory, which counts as the slot's, and have a maximum size.
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

          # The container's own streams are not used.
          logging {
            type = "none"
          }
        }
      }

      # The slot's identity, signed by Nomad; the worker presents it to the API once, at its start.
      identity {
        name = "picloud"
        aud  = ["picloud-slot"]
        file = true
        ttl  = "1h"
      }

      # The worker captures the output of jobs. A pipe to Nomad could block a job.
      logs {
        disabled      = true
        max_files     = 1 # They count towards the size of the disk nevertheless.
        max_file_size = 1
      }

      # raw_exec reserves these and limits nothing: for the operator's own code only. A container is
      # limited to this memory, of which 64 MB are for the supervisor.
      resources {
        cpu    = var.cpu
        memory = var.memory
      }
    }
  }
}
