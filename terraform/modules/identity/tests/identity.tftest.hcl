mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-central-1:123456789012:key/vault" }
  }
}

variables {
  name          = "trial"
  data_bucket   = "example-com-trial-data"
  backup_bucket = "example-com-trial-backups"
}

run "each_kind_of_machine_has_its_own_rights" {
  command = apply

  assert {
    condition     = [for it in jsondecode(aws_iam_role_policy.this["clients"].policy).Statement : it.Sid] == ["FindServers", "ReadSettings", "OpenShell"]
    error_message = "Machines that run jobs must have no rights to data."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.this["api"].policy, "kms:")
    error_message = "The API must not use the key that unseals Vault."
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.this["servers"].policy, var.data_bucket)
    error_message = "Servers must not reach the data of users."
  }

  assert {
    condition = [for it in jsondecode(aws_iam_role_policy.this["servers"].policy).Statement : it.Action if it.Sid == "WriteBackups"] == [["s3:PutObject"]]

    error_message = "Servers must not read or delete backups."
  }

  assert {
    condition = alltrue([for it in jsondecode(aws_iam_role_policy.this["api"].policy).Statement :
      endswith(it.Resource, ":autoScalingGroupName/${var.name}-clients-*") if it.Sid == "SizeGroups"
    ])
    error_message = "The API must change the sizes of groups of clients only."
  }
}

run "no_policy_grants_everything" {
  command = apply

  assert {
    condition = !anytrue(flatten([for policy in aws_iam_role_policy.this :
      [for it in jsondecode(policy.policy).Statement : [for action in it.Action : strcontains(action, "*")]]
    ]))
    error_message = "Each action must be named."
  }

  assert {
    condition = alltrue(flatten([for policy in aws_iam_role_policy.this :
      [for it in jsondecode(policy.policy).Statement : it.Resource != "*" || contains(["FindServers", "OpenShell", "ReadGroups"], it.Sid)]
    ]))
    error_message = "Each resource must be named, except where AWS cannot."
  }
}

run "without_session_manager" {
  command = apply

  variables {
    session_manager = false
  }

  assert {
    condition     = !anytrue([for policy in aws_iam_role_policy.this : strcontains(policy.policy, "ssmmessages")])
    error_message = "Without session_manager, no role allows sessions on machines."
  }
}

run "a_name_that_is_too_long_is_refused" {
  command = plan

  variables {
    name = "a-name-of-more-than-24-letters"
  }

  expect_failures = [var.name]
}
