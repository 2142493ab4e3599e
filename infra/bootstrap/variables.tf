variable "account_id" {
  description = "The account to prepare; credentials of another are refused."
  type        = string
}

variable "region" {
  description = "Where the state lies and the stacks run."
  type        = string
}

variable "github" {
  description = <<-EOT
    Which jobs on GitHub may plan and deploy. repository is OWNER/NAME; owner_id and repository_id are their numbers:
    gh api repos/OWNER/NAME --jq '.owner.id, .id'
    Subjects are what GitHub signs for a job, exactly: "environment:prod" (a job in that GitHub environment, with its
    reviewers) or "ref:refs/heads/main" (a job without an environment, on that branch). In a workflow of a pull request
    the second never occurs, and any branch can name the first.
    pull_requests: whether pull requests may plan in this account. False where real data is: then only branches are plan
    subjects, because the plan role reads the state and the consumers' secrets in it.
    oidc_provider_arn: GitHub's identity provider, if the account has it already (there can be only one); null makes it.
    aws iam list-open-id-connect-providers prints it.
  EOT
  type = object({
    repository        = string
    owner_id          = number
    repository_id     = number
    oidc_provider_arn = optional(string)
    plan_subjects     = list(string)
    deploy_subjects   = list(string)
    pull_requests     = optional(bool, false)
  })
  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", var.github.repository))
    error_message = "repository is OWNER/NAME."
  }
  validation {
    condition     = var.github.pull_requests || !anytrue([for subject in var.github.plan_subjects : startswith(subject, "environment:")])
    error_message = "Pull requests may not plan in this account, and any branch's pull request can name a GitHub environment: plan_subjects are branches only, like ref:refs/heads/main. Or set pull_requests = true."
  }
  validation {
    condition     = alltrue([for subject in concat(var.github.plan_subjects, var.github.deploy_subjects) : can(regex("^(environment:[A-Za-z0-9_-]+|ref:refs/(heads|tags)/[A-Za-z0-9._/-]+)$", subject))])
    error_message = "A subject is environment:NAME or ref:refs/heads/NAME, without wildcards; not pull_request: any branch's code would then hold the role."
  }
  validation {
    condition     = length(var.github.plan_subjects) > 0 && length(var.github.deploy_subjects) > 0 && length(setintersection(var.github.plan_subjects, var.github.deploy_subjects)) == 0
    error_message = "Name at least one subject for each role, and none for both: who plans could then deploy."
  }
}

variable "evidence" {
  description = <<-EOT
    For how many days nobody can delete a deployment's record, nor the bucket that holds it. GOVERNANCE: but for whom you give
    s3:BypassGovernanceRetention. COMPLIANCE: not even the account's root; a mistake is paid for until the days are over, and
    fewer days can never be set for what is there already.
  EOT
  type        = object({ retention_days = number, mode = optional(string, "GOVERNANCE") })
  default     = { retention_days = 400 }
  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.evidence.mode) && var.evidence.retention_days >= 1 && floor(var.evidence.retention_days) == var.evidence.retention_days
    error_message = "mode is GOVERNANCE or COMPLIANCE, retention_days a whole number from 1."
  }
}

variable "api_gateway_log_role_arn" {
  description = "The role by which API Gateway writes logs in this region, if the account has one already: `aws apigateway get-account --query cloudwatchRoleArn`. null makes and sets it; there can be only one."
  type        = string
  nullable    = true
}

variable "create_trail" {
  description = "Whether to make a trail of management events. False where one logs this region already, an organisation's for instance: aws cloudtrail describe-trails. Without any, nobody learns of a threatened key or a turned kill switch."
  type        = bool
}
