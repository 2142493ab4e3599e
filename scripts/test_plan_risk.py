"""`make plan-risk` on plans that Terraform made against the local AWS: one of everything is applied, and then all is planned
that must not pass unseen. Every test looks at one resource of that plan."""
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

os.environ.get("AWS_ENDPOINT_URL") or pytest.exit("Run by: scripts/test scripts", 2)
ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "scripts/plan-risk"
loader = importlib.machinery.SourceFileLoader("plan_risk", str(SCRIPT))
plan_risk = importlib.util.module_from_spec(importlib.util.spec_from_loader("plan_risk", loader))
loader.exec_module(plan_risk)

# {{before|after}}: what is applied, and what is then planned.
CONFIGURATION = """
provider "aws" { region = "eu-west-1" }

resource "aws_dynamodb_table" "replaced" {
  name         = "replaced-{{one|two}}"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
  attribute {
    name = "id"
    type = "S"
  }
}
resource "aws_dynamodb_table" "unprotected" {
  name                        = "unprotected"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "id"
  deletion_protection_enabled = {{true|false}}
  attribute {
    name = "id"
    type = "S"
  }
  point_in_time_recovery { enabled = {{true|false}} }
  server_side_encryption {
    enabled     = {{true|false}}
    kms_key_arn = aws_kms_key.kept.arn
  }
}
resource "aws_dynamodb_table" "tagged" {
  name         = "tagged"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "id"
  tags         = { hidden-tag = "{{hidden-before|hidden-after}}" }
  attribute {
    name = "id"
    type = "S"
  }
}
resource "aws_kms_key" "kept" { enable_key_rotation = {{true|false}} }
{{resource "aws_kms_key" "destroyed" {}|}}
resource "aws_kms_key" "new" {
  count  = {{0|1}}
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Sid = "Own", Effect = "Allow", Principal = { AWS = "arn:aws:iam::000000000000:root" }, Action = "kms:*", Resource = "*" }] })
}
resource "aws_cloudwatch_log_group" "replaced" { name = "replaced-{{one|two}}" }
resource "aws_cloudwatch_log_group" "shorter" {
  name              = "shorter"
  retention_in_days = {{30|7}}
}
resource "aws_cloudwatch_log_group" "for_ever" {
  name              = "for-ever"
  retention_in_days = {{0|400}}
  kms_key_id        = {{aws_kms_key.kept.arn|null}}
}
resource "aws_cloudwatch_log_group" "longer" {
  name              = "longer"
  retention_in_days = {{7|30}}
}
{{resource "aws_cognito_user_pool" "destroyed" { name = "destroyed" }|}}
resource "aws_api_gateway_rest_api" "this" { name = "this" }
{{resource "aws_wafv2_web_acl_association" "destroyed" {
  resource_arn = "arn:aws:apigateway:eu-west-1::/restapis/${aws_api_gateway_rest_api.this.id}/stages/v1"
  web_acl_arn  = aws_wafv2_web_acl.this.arn
}|}}
resource "aws_wafv2_web_acl" "this" {
  name  = "this"
  scope = "REGIONAL"
  default_action {
    allow {}
  }
  {{rule {
    name     = "blocks"
    priority = 1
    action {
      block {}
    }
    statement {
      geo_match_statement { country_codes = ["XX"] }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "blocks"
      sampled_requests_enabled   = true
    }
  }|}}
  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "this"
    sampled_requests_enabled   = true
  }
}
resource "aws_wafv2_web_acl" "softer" {
  name  = "softer"
  scope = "REGIONAL"
  default_action {
    allow {}
  }
  rule {
    name     = "own"
    priority = 1
    action {
      {{block|count}} {}
    }
    statement {
      geo_match_statement { country_codes = ["XX"] }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "own"
      sampled_requests_enabled   = true
    }
  }
  rule {
    name     = "managed"
    priority = 2
    override_action {
      none {}
    }
    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesCommonRuleSet"
        {{|rule_action_override {
          name = "NoUserAgent_HEADER"
          action_to_use {
            count {}
          }
        } }}
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "managed"
      sampled_requests_enabled   = true
    }
  }
  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = "softer"
    sampled_requests_enabled   = true
  }
}

resource "aws_sns_topic" "this" { name = "this" }
resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = toset([{{"mute", "disabled", "destroyed", "louder"|"mute", "disabled", "louder"}}])

  alarm_name          = each.key
  comparison_operator = "GreaterThanThreshold"
  evaluation_periods  = 1
  threshold           = 1
  period              = 60
  statistic           = "Sum"
  namespace           = "AWS/Lambda"
  metric_name         = "Errors"
  alarm_actions       = each.key == "mute" ? [{{aws_sns_topic.this.arn|}}] : [aws_sns_topic.this.arn]
  ok_actions          = each.key == "louder" ? [{{|aws_sns_topic.this.arn}}] : []
  actions_enabled     = each.key == "disabled" ? {{true|false}} : true
}

resource "aws_iam_role" "this" {
  for_each = toset(["trusting", "steady"])

  name = each.key
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = [
    { Sid = "Trust", Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = each.key == "steady" ? ["lambda.amazonaws.com"] : [{{"lambda.amazonaws.com"|"lambda.amazonaws.com", "ec2.amazonaws.com"}}] } }
  ] })
}
resource "aws_iam_role_policy" "this" {
  for_each = toset(["action", "resource", "wildcard", "unconditional", "unrefused", "narrower", "unknown"])

  name = each.key
  role = aws_iam_role.this["steady"].name
  policy = jsonencode({ Version = "2012-10-17", Statement = [
    {
      Sid      = "Use"
      Effect   = "Allow"
      Action   = { action = [{{"s3:GetObject"|"s3:GetObject", "s3:PutObject"}}], wildcard = [{{"s3:GetObject"|"s3:Get*"}}], narrower = [{{"s3:Get*", "s3:PutObject"|"s3:GetObject"}}] }[contains(["action", "wildcard", "narrower"], each.key) ? each.key : "narrower"]
      Resource = each.key == "resource" ? [{{"arn:aws:s3:::hidden-bucket/a"|"arn:aws:s3:::hidden-bucket/*"}}] : each.key == "unknown" ? [{{"arn:aws:s3:::b"|aws_dynamodb_table.replaced.stream_arn, aws_kms_key.new[0].arn}}] : ["arn:aws:s3:::b"]
      Condition = { StringEquals = each.key == "unconditional" ? { {{"aws:PrincipalTag/hidden-tag" = ["a"]|}} } : {} }
    },
    {
      Sid      = "Refuse"
      Effect   = "Deny"
      Action   = each.key == "unrefused" ? [{{"s3:*"|"s3:Put*"}}] : ["s3:*"]
      Resource = "arn:aws:s3:::c"
    },
  ] })
}
resource "aws_iam_role_policy" "new" {
  count  = {{0|1}}
  name   = "new"
  role   = aws_iam_role.this["steady"].name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Sid = "New", Effect = "Allow", Action = "s3:GetObject", Resource = "*" }] })
}
resource "aws_iam_role_policy_attachment" "new" {
  count      = {{0|1}}
  role       = aws_iam_role.this["steady"].name
  policy_arn = "arn:aws:iam::aws:policy/ReadOnlyAccess"
}
"""
RISKS = [
    ("aws_dynamodb_table.replaced", "accept-replace", "its items"),
    ("aws_kms_key.destroyed", "accept-destroy", "whatever it encrypted"),
    ("aws_cloudwatch_log_group.replaced", "accept-replace", "its lines"),
    ("aws_cognito_user_pool.destroyed", "accept-destroy", "every consumer's id and secret"),
    ("aws_wafv2_web_acl_association.destroyed", "accept-destroy", "protection"),
    ("aws_wafv2_web_acl.this", "accept-protection", "rule.name"),
    ("aws_wafv2_web_acl.softer", "accept-protection", "`own`: only counts"),
    ("aws_wafv2_web_acl.softer", "accept-protection", "`managed/NoUserAgent_HEADER`: only counts"),
    ("aws_dynamodb_table.unprotected", "accept-protection", "deletion_protection_enabled"),
    ("aws_dynamodb_table.unprotected", "accept-protection", "point_in_time_recovery.enabled"),
    ("aws_dynamodb_table.unprotected", "accept-protection", "server_side_encryption.enabled"),
    ("aws_kms_key.kept", "accept-protection", "enable_key_rotation"),
    ("aws_cloudwatch_log_group.shorter", "accept-protection", "retention_in_days"),
    ("aws_cloudwatch_log_group.for_ever", "accept-protection", "retention_in_days"),
    ("aws_cloudwatch_log_group.for_ever", "accept-protection", "kms_key_id"),
    ('aws_cloudwatch_metric_alarm.this["mute"]', "accept-alarm", "alarm_actions"),
    ('aws_cloudwatch_metric_alarm.this["disabled"]', "accept-alarm", "actions_enabled"),
    ('aws_cloudwatch_metric_alarm.this["destroyed"]', "accept-alarm", "goes"),
    ('aws_iam_role.this["trusting"]', "accept-iam", "Trust allows more"),
    ('aws_iam_role_policy.this["action"]', "accept-iam", "Use allows more"),
    ('aws_iam_role_policy.this["resource"]', "accept-iam", "Use allows more"),
    ('aws_iam_role_policy.this["wildcard"]', "accept-iam", "Use allows more"),
    ('aws_iam_role_policy.this["unconditional"]', "accept-iam", "Use allows more"),
    ('aws_iam_role_policy.this["unrefused"]', "accept-iam", "Refuse no longer refuses"),
    ('aws_iam_role_policy.this["unknown"]', "accept-iam", "only known after the apply"),
    ("aws_iam_role_policy.new[0]", "accept-iam", "New allows more"),
    ("aws_iam_role_policy_attachment.new[0]", "accept-iam", "attaches a policy"),
]
HARMLESS = ["aws_dynamodb_table.tagged", "aws_kms_key.new[0]", "aws_cloudwatch_log_group.longer", 'aws_cloudwatch_metric_alarm.this["louder"]', 'aws_iam_role_policy.this["narrower"]']


class Folder:
    def __init__(self, path):
        self.path = path
        subprocess.run([ROOT / "scripts/terraform", "local", "validate"], check=True, stdout=subprocess.DEVNULL)  # brings the provider
        self.terraform("init", "-input=false", f"-plugin-dir={ROOT}/.mvdb/local/terraform/providers", configuration="before")

    def terraform(self, *command, configuration):
        chosen = re.sub(r"\{\{(.*?)\|(.*?)\}\}", r"\1" if configuration == "before" else r"\2", CONFIGURATION, flags=re.S)
        (self.path / "main.tf").write_text(chosen)
        run = subprocess.run(["terraform", *command], cwd=self.path, capture_output=True, text=True,
                             env={key: value for key, value in os.environ.items() if key not in ("TF_CLI_CONFIG_FILE", "TF_DATA_DIR")})
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def plan(self, configuration):
        self.terraform("plan", "-input=false", "-out=plan", configuration=configuration)
        return json.loads(self.terraform("show", "-json", "plan", configuration=configuration))


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    folder = Folder(tmp_path_factory.mktemp("plans"))
    first = folder.plan("before")
    folder.terraform("apply", "-input=false", "plan", configuration="before")
    return {"first": first, "empty": folder.plan("before"), "risky": folder.plan("after")}


def judge(plan, *options, addresses=None, **environment):
    """What plan-risk says of these addresses of a plan; the others stay as they are."""
    if addresses is not None:
        changes = [{**r, "change": {**r["change"], "actions": ["no-op"]}} if r["address"] not in addresses else r for r in plan["resource_changes"]]
        plan = {**plan, "resource_changes": changes}
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PLAN_RISK")}
    run = subprocess.run([SCRIPT, *options, "-"], input=json.dumps(plan), capture_output=True, text=True, env=clean | environment)
    assert not run.stderr, run.stderr
    return run.stdout, run.returncode


@pytest.mark.parametrize("address, label, why", RISKS)
def test_a_risk_stops_and_names_its_label(plans, address, label, why):
    said, code = judge(plans["risky"], "--json", addresses=[address])
    assert code == 1
    assert [risk for risk in json.loads(said)["risks"] if risk["label"] == label and why in risk["why"] and risk["address"] == address]


@pytest.mark.parametrize("address", HARMLESS)
def test_what_is_harmless_passes(plans, address):
    said, code = judge(plans["risky"], "--json", addresses=[address])
    assert [change["address"] for change in json.loads(said)["changes"]] == [address]
    assert code == 0, said


def test_a_first_deployment_has_no_risks(plans):
    said, code = judge(plans["first"])
    assert (code, said.splitlines()[0]) == (0, f"### {len(plans['first']['resource_changes'])} to create, 0 to update, 0 to replace, 0 to destroy")


def test_an_empty_plan_has_no_risks(plans):
    assert judge(plans["empty"]) == ("### No changes\n", 0)


def test_a_label_without_a_reason_accepts_nothing(plans):
    table = {"addresses": ["aws_dynamodb_table.replaced"]}
    assert judge(plans["risky"], **table, PLAN_RISK_LABELS="accept-replace", PLAN_RISK_REASON=" ")[1] == 1
    assert judge(plans["risky"], **table, PLAN_RISK_LABELS="accept-destroy", PLAN_RISK_REASON="empty table")[1] == 1
    assert judge(plans["risky"], **table, PLAN_RISK_LABELS="", PLAN_RISK_REASON="empty table")[1] == 1


def test_a_label_with_a_reason_accepts_its_risk_and_shows_the_reason(plans):
    said, code = judge(plans["risky"], addresses=["aws_dynamodb_table.replaced"], PLAN_RISK_LABELS="ci, accept-replace", PLAN_RISK_REASON="the table is <empty>\n| @all")
    assert code == 0
    assert "| `accept-replace` | accepted |" in said
    assert "Reason given: the table is &lt;empty&gt; \\| \\@all\n" in said


def test_the_reason_may_stand_in_the_pull_requests_text(plans):
    table = {"addresses": ["aws_dynamodb_table.replaced"], "PLAN_RISK_LABELS": "accept-replace"}
    assert judge(plans["risky"], **table, PLAN_RISK_TEXT="Renames it.\r\nPlan risk: the table is empty\r\nBye.")[1] == 0
    assert judge(plans["risky"], **table, PLAN_RISK_TEXT="Renames it.\r\nPlan risk:\r\nBye.")[1] == 1


GH = """#!/usr/bin/env bash
echo "$*" >>"$GH_LOG"
[[ $* == *--jq* ]] && cat "$GH_FOUND" || cat >>"$GH_LOG"
"""


@pytest.mark.parametrize("found, asked", [("", "api repos/o/r/issues/3/comments -F body=@-"), ("77\n78\n", "api -X PATCH repos/o/r/issues/comments/77 -F body=@-")])
def test_a_pull_request_has_one_comment(plans, tmp_path, found, asked):
    for name, content in (("gh", GH), ("found", found), ("log", "")):
        (tmp_path / name).write_text(content)
    (tmp_path / "gh").chmod(0o755)
    said, _ = judge(plans["empty"], PULL_REQUEST="3", GITHUB_REPOSITORY="o/r", PATH=f"{tmp_path}:{os.environ['PATH']}", GH_LOG=str(tmp_path / "log"), GH_FOUND=str(tmp_path / "found"))
    log = (tmp_path / "log").read_text()
    assert asked in log and "<!-- plan-risk - -->" in log and said in log


def test_on_main_the_merged_pull_request_accepts_and_the_summary_shows_it(plans, tmp_path):
    """Prod is planned after the merge: its risks are accepted on the pull request that brought the commit."""
    pull = {"labels": [{"name": "accept-replace"}], "body": "Plan risk: the table is empty"}
    (tmp_path / "gh").write_text(f"#!/bin/sh\necho '{json.dumps([pull])}'\n")
    (tmp_path / "gh").chmod(0o755)
    on_main = {"MERGED": "1", "GITHUB_REPOSITORY": "o/r", "PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    said, code = judge(plans["risky"], addresses=["aws_dynamodb_table.replaced"], **on_main)
    assert code == 0 and "Reason given: the table is empty" in said and said in (tmp_path / "summary").read_text()
    (tmp_path / "gh").write_text("#!/bin/sh\necho '[]'\n")
    assert judge(plans["risky"], addresses=["aws_dynamodb_table.replaced"], **on_main)[1] == 1


def test_a_label_accepts_no_other_risk(plans):
    said, code = judge(plans["risky"], addresses=["aws_dynamodb_table.replaced", "aws_kms_key.destroyed"], PLAN_RISK_LABELS="accept-replace", PLAN_RISK_REASON="empty table")
    assert code == 1 and said.count("**stops**") == 1 and "1 of 2 risks not accepted" in said


def test_names_are_shown_and_values_are_not(plans):
    said, _ = judge(plans["risky"])
    assert "| update | `aws_dynamodb_table.tagged` | `tags`, `tags_all` |" in said
    leaves = [leaf for r in plans["risky"]["resource_changes"] for side in ("before", "after") for leaf in plan_risk.leaves(r["change"][side] or {})]
    values = {str(value) for _, value in leaves}
    shown = {value for value in values if len(value) > 6 and value in said}
    names = {name for r in plans["risky"]["resource_changes"] for name in [*re.findall(r"\w+", r["address"]), *(r["change"]["before"] or {})]}
    rules = {value for path, value in leaves if plan_risk.ends(path, ["rule.name", "rule_action_override.name"])}
    assert shown <= names | rules
    assert "hidden" not in said and "arn:" not in said


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format_version": "1.0", "values": {}}', '{"format_version": "2.0", "planned_values": {}}', '{"format_version": "1.2", "planned_values": {}, "errored": true}'])
def test_what_is_no_plan_is_no_plan_without_risks(text):
    run = subprocess.run([SCRIPT, "-"], input=text, capture_output=True, text=True)
    assert run.returncode == 1 and "not the JSON of a plan" in run.stderr


def allow(**statement):
    return {"Sid": "S", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "a", **statement}


@pytest.mark.parametrize("before, after, is_wider", [
    (allow(), allow(), False),
    (allow(), allow(Sid="Renamed"), False),
    (allow(Action=["s3:GetObject", "s3:PutObject"]), allow(Action="s3:putobject"), False),
    (allow(Action="s3:Get*"), allow(Action="s3:GetObject*"), False),
    (allow(Action="s3:GetObjec?"), allow(Action="s3:GetObjec*"), True),
    (allow(Action="s3:Get*"), allow(Action="*"), True),
    (allow(Resource="a/*"), allow(Resource=["a/b", "a/c*"]), False),
    (allow(Resource="a/b"), allow(Resource="*"), True),
    (allow(Principal={"AWS": "1"}), allow(Principal={"AWS": ["1", "2"]}), True),
    (allow(Principal={"AWS": "1"}), allow(Principal="*"), True),
    (allow(Principal="*"), allow(Principal={"AWS": "1"}), False),
    (allow(Principal={"AWS": "1"}), allow(Principal={"Service": "1"}), True),
    (allow(Condition={"StringEquals": {"k": ["1", "2"]}}), allow(Condition={"StringEquals": {"K": "1"}}), False),
    (allow(Condition={"StringEquals": {"k": "1"}}), allow(Condition={"StringEquals": {"k": ["1", "2"]}}), True),
    (allow(Condition={"StringEquals": {"k": "1"}}), allow(Condition={"StringNotEquals": {"k": "1"}}), True),
    (allow(Condition={"StringNotEquals": {"k": ["1", "2"]}}), allow(Condition={"StringNotEquals": {"k": "1"}}), True),
    (allow(), allow(Condition={"Bool": {"k": "true"}}), False),
    (allow(), allow(Action=None, NotAction="s3:PutObject"), True),
    ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, False),
    (allow(Effect="Deny"), allow(Effect="Deny", Resource="*"), False),
    (allow(Effect="Deny", Resource="*"), allow(Effect="Deny"), True),
    (allow(Effect="Deny"), allow(Effect="Deny", Condition={"Bool": {"k": "true"}}), True),
])
def test_a_policy_that_allows_more_is_told_from_one_that_does_not(before, after, is_wider):
    clean = [{key: value for key, value in statement.items() if value is not None} for statement in (before, after)]
    assert bool(list(plan_risk.widened(clean[:1], clean[1:]))) == is_wider


def test_every_type_of_resource_is_guarded_or_said_to_be_harmless():
    harmless = {
        "aws_api_gateway_client_certificate", "aws_api_gateway_deployment", "aws_api_gateway_method_settings",  # made anew with the contract
        "aws_cloudwatch_dashboard", "aws_cloudwatch_query_definition", "aws_kms_alias",
        "aws_iam_policy", "aws_iam_role", "aws_iam_role_policy", "aws_iam_role_policy_attachment", "aws_lambda_permission", "aws_cloudwatch_log_resource_policy",  # to take a right
        "aws_lambda_layer_version", "aws_s3_object", "aws_signer_signing_job",  # made anew with each package
        "aws_route_table", "aws_route_table_association", "aws_subnet", "aws_vpc_security_group_egress_rule", "aws_vpc_security_group_ingress_rule",  # the way out stays shut
    }
    types = {type for file in (ROOT / "infra").rglob("*.tf") for type in re.findall(r'^resource "(\w+)"', file.read_text(), re.M)}
    guarded = {type for type in types if list(plan_risk.gone(type=type, actions=["delete"]))}
    assert types - guarded - harmless == set()
