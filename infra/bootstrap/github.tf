# Who may plan and deploy: jobs of one repository, known by what GitHub signs, without a stored secret.
data "aws_iam_openid_connect_provider" "github" {
  for_each = toset(var.github.oidc_provider_arn[*])

  arn = each.value
  lifecycle {
    postcondition {
      condition     = endswith(self.arn, "/token.actions.githubusercontent.com") && contains(self.client_id_list, "sts.amazonaws.com")
      error_message = "That provider is not GitHub's, or was not made for sts.amazonaws.com: add it with `aws iam add-client-id-to-open-id-connect-provider`."
    }
  }
}

resource "aws_iam_openid_connect_provider" "github" {
  for_each = toset(var.github.oidc_provider_arn == null ? ["this"] : [])

  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]

  lifecycle {
    prevent_destroy = true # other repositories may rely on it by now
  }
}

locals {
  oidc_provider_arn = one(concat([for provider in aws_iam_openid_connect_provider.github : provider.arn], var.github.oidc_provider_arn[*]))
  roles             = { plan = var.github.plan_subjects, deploy = var.github.deploy_subjects }

  # A repository that was created, renamed or transferred since 15 July 2026 signs its jobs with its owner's and its own id
  # beside the names, an older one without them.
  # https://docs.github.com/en/actions/reference/security/oidc#immutable-subject-claims
  repository_claims = [
    "repo:${var.github.repository}",
    "repo:${replace(var.github.repository, "/", "@${var.github.owner_id}/")}@${var.github.repository_id}",
  ]

  regional = "${var.region}:${var.account_id}"
  state    = aws_s3_bucket.this["state"].arn
  tagged   = { StringEquals = { "aws:ResourceTag/product" = "mvdb" } }
  here     = { StringEquals = { "aws:RequestedRegion" = var.region } }
}

# They bear no boundary themselves: it would repeat their policies, which they cannot change (`NotItself`) and only whoever
# applies this folder can.
resource "aws_iam_role" "github" {
  for_each = local.roles

  name                 = "${local.name}-${each.key}"
  max_session_duration = 3600

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = local.oidc_provider_arn }
      Condition = { StringEquals = {
        "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
        "token.actions.githubusercontent.com:sub" = [for pair in setproduct(local.repository_claims, each.value) : join(":", pair)]
      } }
    }]
  })
}

resource "aws_iam_policy" "github" {
  for_each = local.policies

  name = "${local.name}-${each.key}"
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [for sid, statement in each.value.statements : merge({ Sid = sid, Effect = "Allow" }, statement)]
  })
}

resource "aws_iam_role_policy_attachment" "github" {
  for_each = merge([for policy, of in local.policies : { for role in of.roles : "${role} ${policy}" => { role = role, policy = policy } }]...)

  role       = aws_iam_role.github[each.value.role].name
  policy_arn = aws_iam_policy.github[each.value.policy].arn
}

# Every role that a stack makes bears this: whatever its own policy says, it can do no more than what some part of a stack
# does. So whoever deploys cannot give itself, or anybody, more than it has.
resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_355: a boundary grants nothing; X-Ray's writes and network interfaces have no resource to name
  #checkov:skip=CKV_AWS_290: as above
  name = "${local.name}-boundary"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [for sid, statement in {
      Movies    = { actions = ["dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:ConditionCheckItem", "dynamodb:DescribeTable"], resources = ["arn:aws:dynamodb:${local.regional}:table/mvdb-*"] }
      Logs      = { actions = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"], resources = ["arn:aws:logs:${local.regional}:log-group:*mvdb-*"] }
      Queues    = { actions = ["sqs:SendMessage", "sns:Publish"], resources = ["arn:aws:sqs:${local.regional}:mvdb-*", "arn:aws:sns:${local.regional}:mvdb-*"] }
      Releases  = { actions = ["lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias", "cloudwatch:DescribeAlarms"], resources = ["arn:aws:lambda:${local.regional}:function:mvdb-*", "arn:aws:cloudwatch:${local.regional}:alarm:*"] }
      Traces    = { actions = ["xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:PutSpans", "xray:PutSpansForIndexing"], resources = ["*"] }
      Interface = { actions = ["ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses"], resources = ["*"] }
      Keys      = { actions = ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:DescribeKey", "kms:CreateGrant"], resources = ["arn:aws:kms:${local.regional}:key/*"] }
      Backups = {
        actions   = ["dynamodb:StartAwsBackupJob", "dynamodb:CreateBackup", "dynamodb:DescribeBackup", "dynamodb:DeleteBackup", "dynamodb:DescribeContinuousBackups", "dynamodb:ListTagsOfResource", "dynamodb:RestoreTableFromAwsBackup", "dynamodb:RestoreTableFromBackup", "backup:DescribeBackupVault", "backup:CopyIntoBackupVault", "backup:CopyFromBackupVault", "backup:StartBackupJob", "backup:TagResource"]
        resources = [for arn in ["dynamodb:${local.regional}:table/mvdb-*", "backup:${local.regional}:backup-vault:mvdb-*", "backup:${local.regional}:recovery-point:*"] : "arn:aws:${arn}"]
      }
    } : { Sid = sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources }]
  })
}
