"""What scripts/release and scripts/rollback do with the alias that callers reach. It says so itself what it did, and why not."""
import argparse
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3

ENV = os.environ["ENV"]
SMOKE = Path(__file__).parent / "smoke"
UNDER_WAY = ["Created", "Queued", "InProgress", "Baking", "Ready"]


def fail(*lines):
    sys.exit("\n".join(f"mvdb: {line}" for line in lines if line))


class Alias:
    """The alias that API Gateway calls. Its description notes what was live before, which Lambda does not."""

    def __init__(self, outputs):
        self.function, self.name, self.stage = outputs["function_name"], outputs["alias_name"], outputs["stage_name"]
        self.client = boto3.client("lambda", region_name=outputs["region"])
        self.read()

    def read(self):
        alias = self.client.get_alias(FunctionName=self.function, Name=self.name)
        self.version, self.revision = int(alias["FunctionVersion"]), alias["RevisionId"]
        self.weights = {int(version): share for version, share in alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}).items()}
        noted = re.fullmatch(r"version (\d+), before it (\d+)", alias.get("Description", ""))
        self.before = int(noted[2]) if noted and int(noted[1]) == self.version else None
        return self

    def __str__(self):
        shares = {self.version: 1 - sum(self.weights.values()), **self.weights}
        return f"{self.name} is " + ", ".join(f"version {version}" + (f" for {share:.0%}" if self.weights else "") for version, share in shares.items())

    def update(self, **change):
        """Unless somebody else changed it since it was read."""
        try:
            self.client.update_alias(FunctionName=self.function, Name=self.name, RevisionId=self.revision, **change)
        except self.client.exceptions.PreconditionFailedException:
            fail(f"Somebody else moved it meanwhile: {self.read()}.", "Nothing was changed here. See what they do, then run this again.")
        return self.read()

    def move(self, version):
        """All calls reach this version, at once."""
        note = {"Description": f"version {version}, before it {self.version}"} if version > self.version else {}
        return self.update(FunctionVersion=str(version), RoutingConfig={"AdditionalVersionWeights": {}}, **note)

    def versions(self):
        pages = self.client.get_paginator("list_versions_by_function").paginate(FunctionName=self.function)
        return sorted(int(found["Version"]) for page in pages for found in page["Versions"] if found["Version"] != "$LATEST")

    def silent(self, qualifier, seconds):
        """What it said instead of an answer to GET /health, for so long; None when it answers. Any answer will do, a refusal
        too: a function that cannot start gives none."""
        event = {"resource": "/health", "path": "/health", "httpMethod": "GET", "headers": {}, "multiValueHeaders": {}, "body": None,
                 "queryStringParameters": None, "multiValueQueryStringParameters": None, "pathParameters": None, "stageVariables": None,
                 "isBase64Encoded": False, "requestContext": {"stage": self.stage, "requestId": "release", "httpMethod": "GET",
                 "path": "/health", "resourcePath": "/health", "identity": {}, "accountId": "", "resourceId": "", "apiId": ""}}
        deadline = time.monotonic() + seconds
        while True:
            answer = self.client.invoke(FunctionName=self.function, Qualifier=str(qualifier), Payload=json.dumps(event))
            said = answer["Payload"].read().decode()
            if "FunctionError" not in answer and "statusCode" in json.loads(said):
                return None
            if time.monotonic() > deadline:
                return said
            time.sleep(1)


class Canary:
    """CodeDeploy, which shifts the alias where the environment has a deployment group."""

    def __init__(self, group, region):
        self.of = {"applicationName": group["application"], "deploymentGroupName": group["name"]}
        self.alarms, self.region = group["alarms"], region
        self.client = boto3.client("codedeploy", region_name=region)

    def under_way(self):
        """The newest deployment that has not ended, or None."""
        ids = self.client.list_deployments(**self.of, includeOnlyStatuses=UNDER_WAY)["deployments"]
        return self.info(ids[0]) if ids else None

    def info(self, deployment):
        return self.client.get_deployment(deploymentId=deployment)["deploymentInfo"]

    def start(self, alias, version):
        # Noted before it begins: nobody may be here any more when it ends.
        alias.update(Description=f"version {version}, before it {alias.version}")
        content = json.dumps({"version": 0.0, "Resources": [{alias.function: {"Type": "AWS::Lambda::Function", "Properties": {
            "Name": alias.function, "Alias": alias.name, "CurrentVersion": str(alias.version), "TargetVersion": str(version)}}}]})
        try:
            return self.client.create_deployment(**self.of, description=f"version {version}", revision={"revisionType": "AppSpecContent", "appSpecContent": {
                "content": content, "sha256": hashlib.sha256(content.encode()).hexdigest()}})["deploymentId"]
        except self.client.exceptions.DeploymentLimitExceededException:
            fail("Somebody else's release is under way.", f"Follow it: make release ENV={ENV}. Stop it: make rollback ENV={ENV}")

    def ended(self, deployment, alias, seconds):
        """Waits until nothing is shifted any more: after a stop CodeDeploy takes back what it shifted. False when it does not."""
        deadline = time.monotonic() + seconds
        while self.info(deployment)["status"] in UNDER_WAY or self.under_way() or alias.read().weights:
            if time.monotonic() > deadline:
                return False
            time.sleep(1)
        return True

    def follow(self, deployment, alias, version):
        """Until it has ended, with requests all the while, for an alarm sees nothing of a version that nobody calls."""
        began, told, rounds, failed = time.monotonic(), None, 0, 0
        try:
            while (info := self.info(deployment))["status"] in UNDER_WAY:
                if (now := str(alias.read())) != told:
                    print(f"{time.monotonic() - began:5.0f} s  {info['status']}: {now}", flush=True)
                    told = now
                rounds += 1
                failed += subprocess.run([SMOKE, "--only", "api", "--read-only"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0
                time.sleep(1)
        except KeyboardInterrupt:
            fail(f"Interrupted, but CodeDeploy goes on with deployment {deployment}: {alias.read()}.",
                 f"Follow it: make release ENV={ENV}. Stop it and go back: make rollback ENV={ENV}")
        checks = f"the read-only smoke checks ran {rounds} times meanwhile, {failed} of them failed"
        if info["status"] == "Succeeded" and alias.read().version == version and not alias.weights:
            return print(f"{time.monotonic() - began:5.0f} s  {alias}; {checks}")
        settled = self.ended(deployment, alias, 120)
        ringing = boto3.client("cloudwatch", region_name=self.region).describe_alarms(AlarmNames=self.alarms, StateValue="ALARM")["MetricAlarms"]
        fail(f"Version {version} was not released, deployment {deployment} is {info['status']}: {info.get('errorInformation', {}).get('message', 'CodeDeploy says no more')}",
             *(f"{alarm['AlarmName']} rings: {alarm['StateReason']} See {alarm['AlarmDescription'].split()[-1]}" for alarm in ringing),
             f"{alias}{'' if settled else f', and nobody shifts it. End that: make rollback ENV={ENV}'}; {checks}.")


def release(outputs, while_it_rings):
    """Lets callers reach the version that Terraform published last."""
    alias, version = Alias(outputs), int(outputs["function_version"])
    canary = Canary(outputs["deployment_group"], outputs["region"]) if "deployment_group" in outputs else None
    running = canary and canary.under_way()
    if running and running.get("description") != f"version {version}":
        fail(f"Deployment {running['deploymentId']} is under way, of {running.get('description', 'another version')}: {alias}.", f"Wait for its end, or stop it: make rollback ENV={ENV}")
    if running:
        print(f"deployment {running['deploymentId']} of version {version} is under way", flush=True)
        return canary.follow(running["deploymentId"], alias, version)
    if alias.weights:  # somebody began to shift it by hand
        print(f"{alias}, and nobody shifts it: all calls reach version {alias.version} again", flush=True)
        alias.move(alias.version)
    if alias.version == version:
        return print(f"{alias.function}: {alias} already")

    holding = [name for name, alarm in outputs["alarms"].items() if alarm["holds_release"]]
    found = boto3.client("cloudwatch", region_name=outputs["region"]).describe_alarms(
        AlarmNames=holding, AlarmTypes=["CompositeAlarm", "MetricAlarm"], StateValue="ALARM") if holding else {}
    firing = sorted(alarm["AlarmName"] for alarms in (found.get("CompositeAlarms", []), found.get("MetricAlarms", [])) for alarm in alarms)
    if firing and not while_it_rings:
        fail(f"Nothing is released while an alarm of severity page is firing: {', '.join(firing)}.",
             f"See infra/RUNBOOK.md. If this release fixes it: scripts/release {ENV} --while-it-rings")

    alias.client.get_waiter("function_active_v2").wait(FunctionName=alias.function, Qualifier=str(version))
    stays = f"{alias.name} stays at version {alias.version}."
    if said := alias.silent(version, 20):
        fail(f"Version {version} of {alias.function} does not answer: {said}", f"{stays} Look into the log group /aws/lambda/{alias.function}.")
    if subprocess.run([SMOKE, "--version", str(version)]).returncode != 0:
        fail(f"Version {version} of {alias.function} fails its smoke checks, see above.", f"{stays} Mend it and deploy again.")
    if canary:
        return canary.follow(canary.start(alias, version), alias, version)
    before = alias.version
    alias.move(version)
    print(f"{alias.function}: {alias.name} moved from version {before} to {version}")


def rollback(outputs, wanted):
    """Puts the alias back: first of all a release that is under way is stopped."""
    began, alias = time.monotonic(), Alias(outputs)
    canary = Canary(outputs["deployment_group"], outputs["region"]) if "deployment_group" in outputs else None
    stopped = canary and canary.under_way()
    if stopped:
        print(f"{alias}: stopping deployment {stopped['deploymentId']}", flush=True)
        canary.client.stop_deployment(deploymentId=stopped["deploymentId"], autoRollbackEnabled=True)
        canary.ended(stopped["deploymentId"], alias, 30)
    half = bool(alias.read().weights)
    live, versions = alias.version, alias.versions()
    if wanted:
        target = wanted
    elif half or stopped and stopped.get("description") != f"version {live}":
        target = live  # the release had not come to its end, or was taken back
    else:
        target = alias.before if alias.before in versions else max((version for version in versions if version < live), default=None)
    if target not in versions:
        fail(f"There is no version {target}." if target else f"There is no version before {live}.", f"There is: {', '.join(map(str, versions))}. Choose one: make rollback ENV={ENV} VERSION=...", f"{alias}.")
    if said := alias.silent(target, 10):
        fail(f"Version {target} does not answer: {said}", f"{alias}. Choose another of {', '.join(map(str, versions))}: make rollback ENV={ENV} VERSION=...")
    if target != live or half:
        alias.read().move(target)
    if said := alias.silent(alias.name, 10):
        fail(f"{alias}, and does not answer: {said}", f"Choose another of {', '.join(map(str, versions))}: make rollback ENV={ENV} VERSION=...")
    print(f"{alias.function}: {alias}{f', was {live}' if target != live else ''}, and answers; {time.monotonic() - began:.1f} s")
    if (newest := int(outputs["function_version"])) != target:
        print(f"The next release lets callers reach version {newest}, or a newer one: mend that first.")


def main():
    parser = argparse.ArgumentParser(prog="delivery")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("release", prog=f"scripts/release {ENV}").add_argument("--while-it-rings", action="store_true")
    commands.add_parser("rollback", prog=f"scripts/rollback {ENV}").add_argument("version", nargs="?", type=int)
    said = parser.parse_args()
    outputs = {name: output["value"] for name, output in json.loads(os.environ["OUTPUTS"]).items()}
    if "function_version" not in outputs:
        fail(f"Nothing is deployed in {ENV}.", f"Deploy first: make deploy ENV={ENV}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is cancelled says what goes on, as a person's ^C does
    try:
        release(outputs, said.while_it_rings) if said.command == "release" else rollback(outputs, said.version)
    except KeyboardInterrupt:
        fail(f"Interrupted: {Alias(outputs)}.", f"Running it again goes on: make {said.command} ENV={ENV}")


main()
