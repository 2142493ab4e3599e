"""`make drift` of a small environment, `somewhere`, that has its state in a bucket of the local AWS; GitHub's gh is stood in for by a script that notes what it was asked."""
import os
import subprocess
from pathlib import Path

import boto3
import pytest

os.environ.get("AWS_ENDPOINT_URL") or pytest.exit("Run by: scripts/test scripts", 2)
ROOT = Path(__file__).parent.parent
CONFIGURATION = """
terraform {
  backend "s3" {
    key            = "state"
    use_path_style = true
  }
}
provider "aws" { region = "eu-west-1" }
resource "aws_cloudwatch_log_group" "watched" {
  name              = "drift-watched"
  retention_in_days = %s
}
resource "aws_cloudwatch_log_group" "ignored" {
  name              = "drift-ignored"
  retention_in_days = 30
  lifecycle { ignore_changes = [retention_in_days] }
}
resource "aws_wafv2_regex_pattern_set" "frozen" {
  name        = "drift-frozen"
  scope       = "REGIONAL"
  description = "Nothing is frozen."
  regular_expression { regex_string = "^nothing-is-frozen$" }
  lifecycle { ignore_changes = [description, regular_expression] }
}
"""
GH = """#!/usr/bin/env bash
echo "$*" >>"$GH_LOG"
[[ $2 == list ]] && cat "$GH_OPEN"
[[ $* != *--body-file* ]] || cat "${@: -1}" >>"$GH_LOG"
exit 0
"""


class Checkout:
    """This one's scripts, with an environment of two log groups and a kill switch."""
    def __init__(self, root):
        self.root = root
        for path in ("scripts", ".mvdb"):
            (root / path).mkdir()
        for path in (".mvdb/venv", *(f"scripts/{file.name}" for file in (ROOT / "scripts").iterdir())):
            (root / path).symlink_to(ROOT / path)
        (root / "scripts/build").unlink()
        (root / "scripts/build").write_text("#!/bin/sh\n")  # nothing of this environment is built
        (root / "scripts/build").chmod(0o755)
        (root / "infra/stacks/none").mkdir(parents=True)
        (root / "infra/stacks/none/main.tf").touch()
        self.main = root / "infra/environments/somewhere/main.tf"
        self.main.parent.mkdir(parents=True)
        (self.main.parent / ".terraform.lock.hcl").write_text((ROOT / "infra/environments/local/.terraform.lock.hcl").read_text())
        self.write(30)
        (root / "bin").mkdir()
        (root / "bin/gh").write_text(GH)
        (root / "bin/gh").chmod(0o755)
        self.log, self.open = root / "gh.log", root / "gh.open"
        self.open.touch()
        self.environment = {**os.environ, "PATH": f"{root}/bin:{os.environ['PATH']}", "GH_LOG": str(self.log), "GH_OPEN": str(self.open)}

    def write(self, days):
        self.main.write_text(CONFIGURATION % days)

    def run(self, *command):
        return subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=300)

    def drift(self, *options):
        self.log.write_text("")
        run = self.run("scripts/drift", "somewhere", *options)
        return run.stdout, run.returncode, self.log.read_text()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    boto3.client("s3", region_name="eu-west-1").create_bucket(Bucket="drift-state", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    for command in (["init", "-backend-config=bucket=drift-state", "-backend-config=region=eu-west-1"], ["apply", "-input=false", "-auto-approve"]):
        run = checkout.run("scripts/terraform", "somewhere", *command)
        assert run.returncode == 0, run.stdout + run.stderr
    return checkout


logs = boto3.client("logs", region_name="eu-west-1")


@pytest.fixture(autouse=True)
def as_it_was_applied(checkout):
    yield
    checkout.write(30)
    checkout.open.write_text("")
    for group in ("drift-watched", "drift-ignored"):
        logs.put_retention_policy(logGroupName=group, retentionInDays=30)


def test_a_change_past_terraform_is_drift_and_opens_an_issue_without_its_value(checkout):
    logs.put_retention_policy(logGroupName="drift-watched", retentionInDays=545)
    said, code, asked = checkout.drift("--issue")
    assert code == 2
    assert "| update | `aws_cloudwatch_log_group.watched` | `retention_in_days` |" in said and "545" not in said
    assert "issue create --title Drift in somewhere" in asked and said in asked


def test_what_is_frozen_is_no_drift_but_named(checkout):
    waf = boto3.client("wafv2", region_name="eu-west-1")
    (made,) = (made for made in waf.list_regex_pattern_sets(Scope="REGIONAL")["RegexPatternSets"] if made["Name"] == "drift-frozen")

    def record(said):
        token = waf.get_regex_pattern_set(Name=made["Name"], Id=made["Id"], Scope="REGIONAL")["LockToken"]
        waf.update_regex_pattern_set(Name=made["Name"], Id=made["Id"], Scope="REGIONAL", LockToken=token, Description=said, RegularExpressionList=[{"RegexString": "^POST$"}])
    record("Frozen: writes. By somebody: a test")
    said, code, _ = checkout.drift()
    assert code == 0 and "Frozen: writes. By somebody: a test" in said and "No drift in somewhere." in said
    record("Nothing is frozen. By somebody: a test")
    assert checkout.drift()[:2] == ("No drift in somewhere.\n", 0)


def test_drift_that_is_still_there_updates_its_issue(checkout):
    checkout.open.write_text("7\n")
    logs.put_retention_policy(logGroupName="drift-watched", retentionInDays=545)
    _, code, asked = checkout.drift("--issue")
    assert code == 2 and "issue edit 7 --body-file" in asked and "create" not in asked


def test_drift_that_is_gone_closes_its_issue(checkout):
    checkout.open.write_text("7\n")
    _, code, asked = checkout.drift("--issue")
    assert code == 0 and "issue close 7" in asked


def test_what_the_code_wants_anew_and_what_terraform_ignores_is_no_drift_and_opens_no_issue(checkout):
    checkout.write(60)
    logs.put_retention_policy(logGroupName="drift-ignored", retentionInDays=545)
    said, code, asked = checkout.drift("--issue")
    assert (said, code) == ("No drift in somewhere.\n", 0)
    assert len(asked.splitlines()) == 1 and asked.startswith("issue list --state open")


def test_what_cannot_be_planned_is_an_error_and_no_drift(checkout):
    checkout.write("nonsense")
    said, code, asked = checkout.drift("--issue")
    assert (said, code, asked) == ("", 1, "")


def test_what_was_deleted_past_terraform_is_drift(checkout):
    logs.delete_log_group(logGroupName="drift-watched")
    try:
        said, code, _ = checkout.drift()
        assert code == 2 and "| destroy | `aws_cloudwatch_log_group.watched` |" in said
    finally:
        logs.create_log_group(logGroupName="drift-watched")
