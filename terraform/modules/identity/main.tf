# Who may do what in AWS: one role for each kind of machine, and the key that unseals Vault.

locals {
  # Machines find the servers by a tag. AWS cannot limit this action to some machines.
  find_servers = {
    Sid      = "FindServers"
    Effect   = "Allow"
    Action   = ["ec2:DescribeInstances"]
    Resource = "*"
  }

  # Certificates, gossip keys and tokens that administrators put there. Terraform never reads or
  # writes them: its state would hold them in the clear.
  read_settings = { for role in ["servers", "api", "clients"] : role => {
    Sid      = "ReadSettings"
    Effect   = "Allow"
    Action   = ["ssm:GetParameter", "ssm:GetParametersByPath"]
    Resource = "arn:aws:ssm:*:${data.aws_caller_identity.current.account_id}:parameter/picloud/${var.name}/${role}/*"
  } }

  # Amazon's own policy AmazonSSMManagedInstanceCore also reads all parameters, those of other kinds
  # of machines too. AWS cannot limit these actions to some machines.
  open_shell = {
    Sid    = "OpenShell"
    Effect = "Allow"
    Action = [
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    Resource = "*"
  }

  statements = {
    servers = [
      local.find_servers,
      local.read_settings["servers"],
      {
        Sid      = "UnsealVault"
        Effect   = "Allow"
        Action   = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]
        Resource = aws_kms_key.vault.arn
      },
      # A server that is taken over must not read or delete old backups.
      {
        Sid      = "WriteBackups"
        Effect   = "Allow"
        Action   = ["s3:PutObject"]
        Resource = "arn:aws:s3:::${var.backup_bucket}/*"
      },
    ]
    api = [
      local.find_servers,
      local.read_settings["api"],
      {
        Sid      = "ListData"
        Effect   = "Allow"
        Action   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
        Resource = "arn:aws:s3:::${var.data_bucket}"
      },
      {
        Sid    = "UseData"
        Effect = "Allow"
        Action = [
          "s3:AbortMultipartUpload",
          "s3:DeleteObject",
          "s3:GetObject",
          "s3:GetObjectTagging",
          "s3:ListMultipartUploadParts",
          "s3:PutObject",
          "s3:PutObjectTagging",
        ]
        Resource = "arn:aws:s3:::${var.data_bucket}/*"
      },
      # `picloud admin capacity` lets the number of clients follow the work. AWS cannot limit
      # those that only read to some groups.
      {
        Sid      = "ReadGroups"
        Effect   = "Allow"
        Action   = ["autoscaling:DescribeAutoScalingGroups", "ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplateVersions"]
        Resource = "*"
      },
      {
        Sid      = "SizeGroups"
        Effect   = "Allow"
        Action   = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
        Resource = "arn:aws:autoscaling:*:${data.aws_caller_identity.current.account_id}:autoScalingGroup:*:autoScalingGroupName/${var.name}-clients-*"
      },
    ]
    # Jobs read and write data by URLs that the API signs.
    clients = [local.find_servers, local.read_settings["clients"]]
  }
}

data "aws_caller_identity" "current" {}

resource "aws_kms_key" "vault" {
  description             = "Unseals the Vault of ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = merge(var.tags, { Name = "${var.name}-vault" })
}

resource "aws_kms_alias" "vault" {
  name          = "alias/${var.name}-vault"
  target_key_id = aws_kms_key.vault.key_id
}

resource "aws_iam_role" "this" {
  for_each = local.statements

  name        = "${var.name}-${each.key}"
  description = "Machines of ${var.name}: ${each.key}"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.statements

  name   = each.key
  role   = aws_iam_role.this[each.key].name
  policy = jsonencode({ Version = "2012-10-17", Statement = concat(each.value, var.session_manager ? [local.open_shell] : []) })
}

resource "aws_iam_instance_profile" "this" {
  for_each = local.statements

  name = "${var.name}-${each.key}"
  role = aws_iam_role.this[each.key].name
  tags = var.tags
}
