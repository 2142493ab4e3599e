# Planned only: what may not be destroyed could not be torn down after a test either.
mock_provider "aws" {
  override_during = plan

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/state" }
  }
  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::123456789012:policy/mvdb-bootstrap-boundary" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mvdb-bootstrap" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
  }
  mock_data "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com", client_id_list = ["sts.amazonaws.com"] }
  }
  override_resource {
    target = aws_s3_bucket.this["state"]
    values = { id = "tfstate-mvdb-123456789012-eu-west-1", arn = "arn:aws:s3:::tfstate-mvdb-123456789012-eu-west-1" }
  }
  override_resource {
    target = aws_kms_key.this["evidence"]
    values = { arn = "arn:aws:kms:eu-west-1:123456789012:key/evidence" }
  }
  override_resource {
    target = aws_s3_bucket.this["evidence"]
    values = { id = "evidence-mvdb-123456789012-eu-west-1", arn = "arn:aws:s3:::evidence-mvdb-123456789012-eu-west-1" }
  }
  override_resource {
    target = aws_s3_bucket.this["log"]
    values = { id = "tfstate-mvdb-log-123456789012-eu-west-1", arn = "arn:aws:s3:::tfstate-mvdb-log-123456789012-eu-west-1" }
  }
}

variables {
  account_id = "123456789012"
  region     = "eu-west-1"
  github = {
    repository      = "example/mvdb"
    owner_id        = 123456
    repository_id   = 456789
    plan_subjects   = ["ref:refs/heads/main", "ref:refs/tags/planned"]
    deploy_subjects = ["environment:prod"]
  }
  api_gateway_log_role_arn = null
  create_trail             = true
}

# "The immutable ID is appended to each name with an `@` delimiter", in repositories created, renamed or transferred since
# 15 July 2026; all others keep the names alone: https://github.com/github/docs/pull/45221,
# https://docs.github.com/en/actions/reference/security/oidc#immutable-subject-claims
run "c37_only_the_jobs_named_take_a_role_in_both_forms_of_the_subject" {
  command = plan
  assert {
    condition = { for name, role in aws_iam_role.github : name => jsondecode(role.assume_role_policy).Statement } == { for name, subjects in {
      plan = [
        "repo:example/mvdb:ref:refs/heads/main", "repo:example/mvdb:ref:refs/tags/planned",
        "repo:example@123456/mvdb@456789:ref:refs/heads/main", "repo:example@123456/mvdb@456789:ref:refs/tags/planned",
      ]
      deploy = ["repo:example/mvdb:environment:prod", "repo:example@123456/mvdb@456789:environment:prod"]
      } : name => [{
        Effect    = "Allow", Action = "sts:AssumeRoleWithWebIdentity", Principal = { Federated = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com" }
        Condition = { StringEquals = { "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com", "token.actions.githubusercontent.com:sub" = subjects } }
    }] }
    error_message = "Another than the jobs named could plan or deploy."
  }
}

run "c37_a_wildcard_is_no_subject" {
  command = plan
  variables {
    github = { repository = "example/mvdb", owner_id = 1, repository_id = 2, plan_subjects = ["ref:refs/heads/main"], deploy_subjects = ["environment:*"] }
  }
  expect_failures = [var.github]
}

run "c37_a_pull_request_is_no_subject" {
  command = plan
  variables {
    github = { repository = "example/mvdb", owner_id = 1, repository_id = 2, plan_subjects = ["pull_request"], deploy_subjects = ["environment:prod"] }
  }
  expect_failures = [var.github]
}

run "c37_who_plans_does_not_deploy" {
  command = plan
  variables {
    github = { repository = "example/mvdb", owner_id = 1, repository_id = 2, pull_requests = true, plan_subjects = ["environment:prod"], deploy_subjects = ["environment:prod"] }
  }
  expect_failures = [var.github]
}

# Any branch's pull request can name a GitHub environment: "the sub field must reference the environment name".
# https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws
run "c37_no_pull_request_takes_the_plan_role_where_real_data_is" {
  command = plan
  variables {
    github = { repository = "example/mvdb", owner_id = 1, repository_id = 2, plan_subjects = ["environment:plan-prod"], deploy_subjects = ["environment:prod"] }
  }
  expect_failures = [var.github]
}

run "c37_pull_requests_plan_where_the_account_allows_it" {
  command = plan
  variables {
    github = { repository = "example/mvdb", owner_id = 1, repository_id = 2, pull_requests = true, plan_subjects = ["environment:plan-dev", "ref:refs/heads/main"], deploy_subjects = ["environment:dev"] }
  }
  assert {
    condition     = contains(jsondecode(aws_iam_role.github["plan"].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"], "repo:example@1/mvdb@2:environment:plan-dev")
    error_message = "A pull request cannot plan dev."
  }
}

run "c37_the_plan_role_writes_nothing_but_saved_plans" {
  command = plan
  assert {
    condition     = [for name, attachment in aws_iam_role_policy_attachment.github : name if attachment.role == "mvdb-bootstrap-plan"] == ["plan read", "plan write-plan"]
    error_message = "The plan role has a policy that is for neither reading nor saving plans."
  }
  assert {
    condition = { for statement in jsondecode(aws_iam_policy.github["write-plan"].policy).Statement : statement.Sid => concat(statement.Action, [statement.Resource]) } == {
      SavePlan    = ["s3:PutObject", "arn:aws:s3:::tfstate-mvdb-123456789012-eu-west-1/plans/*"]
      EncryptPlan = ["kms:GenerateDataKey", "arn:aws:kms:eu-west-1:123456789012:key/state"]
    }
    error_message = "The plan role could write more than saved plans."
  }
  assert {
    condition = alltrue(flatten([for statement in jsondecode(aws_iam_policy.github["read"].policy).Statement : [for action in flatten([statement.Action]) :
    can(regex("^([a-z0-9-]+:(Describe|List|Get)[A-Za-z*]*|apigateway:GET|budgets:ViewBudget|kms:Decrypt)$", action))]]))
    error_message = "The plan role may do more than read."
  }
  assert {
    condition     = length(setintersection(["dynamodb:Get*", "dynamodb:GetItem", "logs:Get*", "s3:Get*"], flatten([for statement in jsondecode(aws_iam_policy.github["read"].policy).Statement : statement.Action]))) == 0 && [for statement in jsondecode(aws_iam_policy.github["read"].policy).Statement : statement.Resource if statement.Sid == "ReadState"] == ["arn:aws:s3:::tfstate-mvdb-123456789012-eu-west-1/mvdb/*"]
    error_message = "The plan role reads data."
  }
}

# Who views environment variables that are encrypted with a customer managed key needs kms:Decrypt; without it GetFunction
# returns an error in their place, and every plan and every night's drift shows them as changed.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
run "c37_a_plan_reads_a_functions_variables_and_decrypts_nothing_else" {
  command = plan
  assert {
    condition = { for statement in jsondecode(aws_iam_policy.github["read"].policy).Statement : statement.Sid => [statement.Resource, try(statement.Condition.StringEquals, {})] if statement.Action == ["kms:Decrypt"] } == {
      DecryptState     = ["arn:aws:kms:eu-west-1:123456789012:key/state", {}]
      DecryptVariables = ["arn:aws:kms:eu-west-1:123456789012:key/*", { "aws:ResourceTag/product" = "mvdb", "kms:ViaService" = "lambda.eu-west-1.amazonaws.com" }]
    }
    error_message = "A plan cannot read the function's variables, or decrypts more than these and the state."
  }
}

# Rights that are easily forgotten: a plan asks all that a refresh does, and some calls ask for rights on other calls.
run "the_roles_may_do_what_a_stack_needs" {
  command = plan
  assert {
    condition = alltrue([for action in ["GetBucket*", "GetEncryptionConfiguration", "GetLifecycleConfiguration", "List*", "GetObject"] : anytrue([
      for statement in jsondecode(aws_iam_policy.github["read"].policy).Statement : contains(flatten([statement.Action]), "s3:${action}") && contains(flatten([statement.Resource]), "arn:aws:s3:::mvdb-*")
    ])])
    error_message = "A plan cannot read the packages' bucket."
  }
  assert {
    condition     = anytrue([for statement in jsondecode(aws_iam_policy.github["product"].policy).Statement : contains(flatten([statement.Action]), "cloudwatch:PutCompositeAlarm") && statement.Resource == "*"])
    error_message = "AWS takes a composite alarm only from whom every alarm is allowed."
  }
  assert {
    condition     = anytrue([for statement in jsondecode(aws_iam_policy.github["network"].policy).Statement : contains(flatten([statement.Action]), "route53:AssociateVPCWithHostedZone")])
    error_message = "An endpoint with a private name is refused."
  }
}

run "c36_no_role_is_made_without_the_boundary" {
  command = plan
  assert {
    condition = alltrue(flatten([for policy in aws_iam_policy.github : [for statement in jsondecode(policy.policy).Statement :
      try(statement.Condition.StringEquals["iam:PermissionsBoundary"], "") == "arn:aws:iam::123456789012:policy/mvdb-bootstrap-boundary"
      if statement.Effect == "Allow" && length(setintersection(flatten([statement.Action]), ["iam:*", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy", "iam:AttachRolePolicy", "*"])) > 0
    ]]))
    error_message = "Whoever deploys could make a role that may do everything."
  }
  assert {
    condition     = !strcontains(join(" ", [for policy in aws_iam_policy.github : policy.policy]), "iam:DeleteRolePermissionsBoundary") && output.permissions_boundary == "mvdb-bootstrap-boundary"
    error_message = "The boundary could be taken off."
  }
}

run "c36_the_deploy_role_cannot_change_itself_nor_its_boundary" {
  command = plan
  assert {
    condition = [for statement in jsondecode(aws_iam_policy.github["identity"].policy).Statement : [statement.Effect, statement.Action, statement.Resource] if statement.Sid == "NotItself"] == [
      ["Deny", ["iam:*"], ["arn:aws:iam::123456789012:role/mvdb-bootstrap-*", "arn:aws:iam::123456789012:policy/mvdb-bootstrap-*"]]
    ]
    error_message = "The deploy role could widen itself."
  }
  assert {
    condition     = alltrue([for name in concat([for role in aws_iam_role.github : role.name], [for policy in aws_iam_policy.github : policy.name], [aws_iam_policy.boundary.name]) : startswith(name, "mvdb-bootstrap-")])
    error_message = "A name lies outside of what the deploy role is denied."
  }
}

run "c36_the_deploy_role_is_bound_by_name_tag_or_region" {
  command = plan
  assert {
    condition = alltrue(flatten([for name, policy in aws_iam_policy.github : [for statement in jsondecode(policy.policy).Statement :
      !contains(flatten([statement.Resource]), "*") || can(statement.Condition)
    if statement.Effect == "Allow"] if name != "read"]))
    error_message = "A right of the deploy role is unbounded."
  }
  assert {
    condition     = alltrue([for policy in aws_iam_policy.github : !strcontains(policy.policy, "\"*:*\"") && !strcontains(policy.policy, "\"Action\":\"*\"") && !strcontains(policy.policy, "\"Action\":[\"*\"]")])
    error_message = "A role may do everything."
  }
}

run "the_deploy_role_cannot_make_a_way_out_of_a_network" {
  command = plan
  assert {
    condition     = length(regexall("ec2:(\\*|Create(\\*|InternetGateway|NatGateway|Route\"|VpcPeering)|AttachInternetGateway)", jsonencode(local.policies.network))) == 0 && length(aws_iam_role.github) == 2
    error_message = "A stack could open its network."
  }
}

run "aws_takes_policies_of_this_length" {
  command = plan
  assert {
    condition     = alltrue([for policy in concat(values(aws_iam_policy.github), [aws_iam_policy.boundary]) : length(policy.policy) <= 6144]) && length([for name, of in local.policies : name if contains(of.roles, "deploy")]) <= 10
    error_message = "A policy is longer than 6,144 characters, or a role has more than ten: ${jsonencode({ for name, policy in aws_iam_policy.github : name => length(policy.policy) })}"
  }
}

run "c36_the_boundary_lets_no_role_touch_rights_or_settings" {
  command = plan
  assert {
    condition     = length(regexall("\"(iam|sts|organizations|account):|:\\*\"|\"\\*:", replace(aws_iam_policy.boundary.policy, "/\"Resource\":\\[[^\\]]*\\]/", ""))) == 0
    error_message = "A stack's role could do what only people may."
  }
}

run "c38_the_buckets_are_private" {
  command = plan
  assert {
    condition     = alltrue([for block in aws_s3_bucket_public_access_block.this : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets]) && length(aws_s3_bucket_public_access_block.this) == 3
    error_message = "A bucket could be made public."
  }
  assert {
    condition     = alltrue([for ownership in aws_s3_bucket_ownership_controls.this : ownership.rule[0].object_ownership == "BucketOwnerEnforced"]) && length(aws_s3_bucket_ownership_controls.this) == 3
    error_message = "A bucket has ACLs."
  }
  assert {
    condition     = aws_s3_account_public_access_block.this.block_public_acls && aws_s3_account_public_access_block.this.block_public_policy && aws_s3_account_public_access_block.this.ignore_public_acls && aws_s3_account_public_access_block.this.restrict_public_buckets
    error_message = "Another bucket of the account could be made public."
  }
}

run "c38_the_deploy_role_owns_no_bucket_of_states" {
  command = plan
  assert {
    condition     = alltrue([for bucket in aws_s3_bucket.this : !startswith(bucket.bucket, "mvdb-")])
    error_message = "The deploy role could delete every state."
  }
}

run "c38_nobody_reads_or_writes_in_plain_text" {
  command = plan
  assert {
    condition = alltrue(flatten([for name, policy in aws_s3_bucket_policy.this : [for sid, condition in { NoPlainText = { Bool = { "aws:SecureTransport" = "false" } }, NoOldTls = { NumericLessThan = { "s3:TlsVersion" = "1.2" } } } :
      contains(jsondecode(policy.policy).Statement, {
        Sid = sid, Effect = "Deny", Principal = "*", Action = "s3:*", Resource = [aws_s3_bucket.this[name].arn, "${aws_s3_bucket.this[name].arn}/*"], Condition = condition
    })]])) && length(aws_s3_bucket_policy.this) == 3
    error_message = "A bucket answers without TLS 1.2."
  }
}

run "c38_states_and_records_have_versions_and_customer_keys" {
  command = plan
  assert {
    condition     = alltrue([for versioning in aws_s3_bucket_versioning.this : versioning.versioning_configuration[0].status == "Enabled"]) && length(aws_s3_bucket_versioning.this) == 3
    error_message = "A broken state would be the only one."
  }
  assert {
    condition = { for name, encryption in aws_s3_bucket_server_side_encryption_configuration.this : name => [for default in one(encryption.rule).apply_server_side_encryption_by_default : [default.sse_algorithm, default.kms_master_key_id]] if name != "log" } == {
      for name in ["evidence", "state"] : name => [["aws:kms", aws_kms_key.this[name].arn]]
    }
    error_message = "A state or a record is not encrypted with its customer key."
  }
}

run "c31_the_keys_turn_and_are_not_gone_at_once" {
  command = plan
  assert {
    condition     = length(aws_kms_key.this) == 2 && alltrue([for key in aws_kms_key.this : key.enable_key_rotation && key.deletion_window_in_days == 30 && [for statement in jsondecode(key.policy).Statement : statement.Principal] == [{ AWS = "arn:aws:iam::123456789012:root" }]])
    error_message = "A key does not turn, goes before anybody notices, or is a stranger's too."
  }
}

run "c39_who_read_states_and_records_is_kept_and_the_old_forgotten" {
  command = plan
  assert {
    condition     = { for name, logging in aws_s3_bucket_logging.this : name => [logging.bucket, logging.target_bucket, logging.target_prefix] } == { for name in ["evidence", "state"] : name => [aws_s3_bucket.this[name].id, aws_s3_bucket.this["log"].id, "${name}/"] }
    error_message = "Nobody learns who read a state or a record."
  }
  assert {
    condition = [for statement in jsondecode(aws_s3_bucket_policy.this["log"].policy).Statement : [statement.Principal, statement.Action, statement.Resource] if statement.Effect == "Allow"] == [
      [{ Service = "logging.s3.amazonaws.com" }, "s3:PutObject", [for name in ["evidence", "state"] : "arn:aws:s3:::tfstate-mvdb-log-123456789012-eu-west-1/${name}/*"]],
      [{ Service = "cloudtrail.amazonaws.com" }, "s3:GetBucketAcl", ["arn:aws:s3:::tfstate-mvdb-log-123456789012-eu-west-1"]],
      [{ Service = "cloudtrail.amazonaws.com" }, "s3:PutObject", ["arn:aws:s3:::tfstate-mvdb-log-123456789012-eu-west-1/cloudtrail/AWSLogs/123456789012/*"]],
    ]
    error_message = "S3 cannot write the log, or others can."
  }
  assert {
    condition     = alltrue([for lifecycle in aws_s3_bucket_lifecycle_configuration.this : lifecycle.rule[0].status == "Enabled" && lifecycle.rule[0].noncurrent_version_expiration[0].noncurrent_days == 400 && lifecycle.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7]) && aws_s3_bucket_lifecycle_configuration.this["log"].rule[1].expiration[0].days == 400
    error_message = "Old versions are kept for ever."
  }
}

run "c42_nobody_deletes_a_deployments_record_before_its_days_are_over" {
  command = plan
  assert {
    condition     = [for name, bucket in aws_s3_bucket.this : name if bucket.object_lock_enabled] == ["evidence"] && aws_s3_bucket_object_lock_configuration.evidence.bucket == output.evidence_bucket && one(one(aws_s3_bucket_object_lock_configuration.evidence.rule).default_retention).mode == "GOVERNANCE" && one(one(aws_s3_bucket_object_lock_configuration.evidence.rule).default_retention).days == 400
    error_message = "A record can be deleted before its days are over."
  }
  assert {
    condition     = one(aws_s3_bucket_lifecycle_configuration.this["evidence"].rule[1].expiration).days == 400
    error_message = "Records are kept for another time than asked."
  }
}

run "c42_records_can_be_kept_from_everybody_for_longer" {
  command = plan
  variables {
    evidence = { retention_days = 2555, mode = "COMPLIANCE" }
  }
  assert {
    condition     = one(one(aws_s3_bucket_object_lock_configuration.evidence.rule).default_retention).mode == "COMPLIANCE" && one(one(aws_s3_bucket_object_lock_configuration.evidence.rule).default_retention).days == 2555
    error_message = "Records are kept for another time than asked, or not from everybody."
  }
}

run "a_retention_in_another_mode_is_refused" {
  command = plan
  variables {
    evidence = { retention_days = 400, mode = "governance" }
  }
  expect_failures = [var.evidence]
}

# What it may do by name or tag does not reach the bucket: c38_the_deploy_role_owns_no_bucket_of_states.
run "c42_the_deploy_role_adds_records_and_reads_them" {
  command = plan
  assert {
    condition = flatten([for policy in aws_iam_policy.github : [for statement in jsondecode(policy.policy).Statement : statement.Action
    if statement.Effect == "Allow" && anytrue([for resource in flatten([statement.Resource]) : startswith(resource, "arn:aws:s3:::evidence-")])]]) == ["s3:GetObject", "s3:PutObject"]
    error_message = "The deploy role could take a record away, or keep none."
  }
  assert {
    condition     = !can(regex("BypassGovernance|ObjectRetention|LegalHold|ObjectLock", jsonencode(local.policies)))
    error_message = "The deploy role could pass the lock by."
  }
}

run "c41_what_codedeploy_needs_is_within_the_boundary_and_the_deploy_roles_rights" {
  command = plan
  assert {
    condition = [for statement in jsondecode(aws_iam_policy.boundary.policy).Statement : [statement.Action, statement.Resource] if statement.Sid == "Releases"] == [[
      ["lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias", "cloudwatch:DescribeAlarms"],
      ["arn:aws:lambda:eu-west-1:123456789012:function:mvdb-*", "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:*"],
    ]]
    error_message = "CodeDeploy could not move an alias, or not see the alarms: every release would be stopped."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_policy.github["product"].policy).Statement : [for resource in statement.Resource : split(":", resource)[5] if strcontains(resource, ":codedeploy:")] if statement.Sid == "ByName"] == [["application", "deploymentgroup", "deploymentconfig"]]
    error_message = "A deployment could not make, or not use, what CodeDeploy needs."
  }
}

run "the_environments_learn_where_the_state_is" {
  command = plan
  assert {
    condition     = output.backend_config == "-backend-config=bucket=tfstate-mvdb-123456789012-eu-west-1 -backend-config=kms_key_id=arn:aws:kms:eu-west-1:123456789012:key/state -backend-config=region=eu-west-1"
    error_message = "An environment would keep its state elsewhere."
  }
}

run "c01_api_gateway_may_write_its_logs" {
  command = plan
  assert {
    condition     = aws_api_gateway_account.this["this"].cloudwatch_role_arn == aws_iam_role.api_gateway_log["this"].arn && aws_iam_role_policy_attachment.api_gateway_log["this"].policy_arn == "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    error_message = "No stage of the account can log."
  }
  assert {
    condition     = jsondecode(aws_iam_role.api_gateway_log["this"].assume_role_policy).Statement == [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" } }]
    error_message = "Another than API Gateway may take the role."
  }
}

run "what_the_account_has_is_reused" {
  command = plan
  variables {
    github = {
      repository        = "example/mvdb"
      owner_id          = 123456
      repository_id     = 456789
      oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
      plan_subjects     = ["ref:refs/heads/main"]
      deploy_subjects   = ["environment:prod"]
    }
    api_gateway_log_role_arn = "arn:aws:iam::123456789012:role/api-gateway"
  }
  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && length(aws_api_gateway_account.this) == 0 && length(aws_iam_role.api_gateway_log) == 0
    error_message = "What others rely on would be made anew."
  }
  assert {
    condition     = jsondecode(aws_iam_role.github["deploy"].assume_role_policy).Statement[0].Principal.Federated == "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
    error_message = "The existing provider is not used."
  }
}

run "an_identity_provider_that_is_not_githubs_is_refused" {
  command = plan
  variables {
    github = {
      repository        = "example/mvdb"
      owner_id          = 123456
      repository_id     = 456789
      oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.com"
      plan_subjects     = ["ref:refs/heads/main"]
      deploy_subjects   = ["environment:prod"]
    }
  }
  override_data {
    target = data.aws_iam_openid_connect_provider.github
    values = { arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.com", client_id_list = ["sts.amazonaws.com"] }
  }
  expect_failures = [data.aws_iam_openid_connect_provider.github]
}

# What one stack takes away with it, all others lose.
run "what_all_stacks_share_cannot_be_destroyed" {
  command = plan
  assert {
    condition     = length(aws_s3_bucket.this) == 3 && length(regexall("prevent_destroy = true", join("", [for name in ["state.tf", "account.tf", "github.tf"] : file(name)]))) == 4
    error_message = "The keys, the buckets, the logging role's setting and GitHub's provider are to stay."
  }
}

run "x_ray_may_keep_spans_of_this_account" {
  command = plan
  assert {
    condition     = jsondecode(aws_cloudwatch_log_resource_policy.spans.policy_document).Statement[0].Condition.StringEquals == { "aws:SourceAccount" = "123456789012" } && jsondecode(aws_cloudwatch_log_resource_policy.spans.policy_document).Statement[0].Principal == { Service = "xray.amazonaws.com" }
    error_message = "Spans are refused, or a stranger's are kept."
  }
  assert {
    condition     = length(regexall("--region eu-west-1", output.transaction_search)) == 3
    error_message = "The commands are for another region."
  }
}

# Events whose detail-type is AWS API Call via CloudTrail need a trail with logging enabled:
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html
run "management_events_reach_the_stacks_rules" {
  command = plan
  assert {
    condition     = aws_cloudtrail.this[0].s3_bucket_name == aws_s3_bucket.this["log"].id && aws_cloudtrail.this[0].is_multi_region_trail && aws_cloudtrail.this[0].enable_log_file_validation && length(aws_cloudtrail.this[0].event_selector) == 0
    error_message = "No trail logs management events, so EventBridge delivers none of them."
  }
}

run "a_trail_that_the_account_has_is_reused" {
  command = plan
  variables {
    create_trail = false
  }
  assert {
    condition     = length(aws_cloudtrail.this) == 0 && !strcontains(aws_s3_bucket_policy.this["log"].policy, "cloudtrail")
    error_message = "A second trail would be paid for."
  }
}

run "saved_plans_are_deleted_when_nobody_can_approve_them_any_more" {
  command = plan
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this["state"].rule : [rule.filter[0].prefix, rule.expiration[0].days, rule.noncurrent_version_expiration[0].noncurrent_days] if rule.id == "plans"] == [["plans/", 31, 1]]
    error_message = "Saved plans, which hold values, are kept for another time than an approval can wait."
  }
}
