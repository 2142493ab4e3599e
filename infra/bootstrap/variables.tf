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
    Who may plan and deploy from GitHub: repository is OWNER/NAME. Subjects are what GitHub says of a job, exactly:
    "environment:prod" (a job in that GitHub environment, with its reviewers) or "ref:refs/heads/main".
    oidc_provider_arn: GitHub's identity provider, if the account has it already (there can be only one); null makes it.
    `aws iam list-open-id-connect-providers` tells.
  EOT
  type = object({
    repository        = string
    oidc_provider_arn = optional(string)
    plan_subjects     = list(string)
    deploy_subjects   = list(string)
  })
  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$", var.github.repository))
    error_message = "repository is OWNER/NAME."
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
