# What the API may do in Nomad: run slots, follow them, and read what machines offer.
namespace "default" {
  capabilities = ["list-jobs", "parse-job", "read-job", "read-logs", "submit-job"]
}

node {
  policy = "read"
}
