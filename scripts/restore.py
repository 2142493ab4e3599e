"""Point-in-time recovery of the movies, for scripts/restore and scripts/restore-drill.

A table is never restored in place: AWS makes a new one, without the protections of the first, and callers reach it when Terraform
is told its name (`served_table`). Whether it holds what it should is asked of every item, not of the count alone.
"""
import datetime
import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3

SCRIPTS = Path(__file__).parent
ENV = os.environ["ENV"]
# All that a plan that serves another table may touch: what reads it, what may read it, what watches it.
TOUCHED = {"aws_lambda_function", "aws_iam_role_policy", "aws_vpc_endpoint", "aws_cloudwatch_metric_alarm", "aws_cloudwatch_dashboard"}


def fail(*lines):
    sys.exit("\n".join(f"mvdb: {line}" for line in lines))


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def unordered(value):
    """A set's members have no order; everything else of an item has."""
    ((kind, members),) = value.items()
    return {kind: sorted(members)} if kind in ("SS", "NS", "BS") else value


def items(dynamodb, table):
    """Key and hash of every item, read consistently."""
    found = {}
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        for item in page["Items"]:
            text = json.dumps({name: unordered(value) for name, value in item.items()}, sort_keys=True, default=bytes.hex)
            found[item["year"]["N"], item["title"]["S"]] = hashlib.sha256(text.encode()).hexdigest()
    return found


def content(found):
    """One hash of a whole table."""
    return hashlib.sha256("".join(sorted(found.values())).encode()).hexdigest()[:16]


def differing(before, restored, after):
    """Keys whose item is neither as it was before nor changed since: a restore that lost or bent them. And those that changed meanwhile."""
    other = [key for key in before.keys() | restored.keys() if before.get(key) != restored.get(key)]
    return [key for key in other if before.get(key) == after.get(key)], [key for key in other if before.get(key) != after.get(key)]


class Restore:
    def __init__(self, outputs):
        self.outputs, self.source = outputs, outputs["table_name"]
        self.target = f"{self.source.split('-restored-')[0]}-restored-{now():%Y%m%dt%H%M%Sz}"
        self.dynamodb = boto3.client("dynamodb", region_name=outputs["region"])

    def latest(self):
        """Until when the table can be restored."""
        told = self.dynamodb.describe_continuous_backups(TableName=self.source)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
        if told["PointInTimeRecoveryStatus"] != "ENABLED":
            fail(f"{self.source} has no point-in-time recovery.", "Set table.recovery_days in the environment and apply; what was before cannot be restored, except from a backup.")
        return told["LatestRestorableDateTime"]

    def ready(self, table):
        while (told := self.dynamodb.describe_table(TableName=table)["Table"])["TableStatus"] != "ACTIVE":
            time.sleep(2)
        return told

    def make(self, at):
        self.dynamodb.restore_table_to_point_in_time(
            SourceTableName=self.source, TargetTableName=self.target, RestoreDateTime=at, BillingModeOverride="PAY_PER_REQUEST",
            SSESpecificationOverride={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": self.outputs["infrastructure"]["table"]["key_arn"]})
        self.ready(self.target)

    def protect(self):
        """What AWS leaves out of a restored table. Its daily copies stay those of the first: the backup plan names that one."""
        source, plan = self.ready(self.source), self.outputs["infrastructure"]["table"]
        arn = self.ready(self.target)["TableArn"]
        for change in ({"StreamSpecification": source.get("StreamSpecification")}, {"OnDemandThroughput": source.get("OnDemandThroughput")},
                       {"DeletionProtectionEnabled": plan["deletion_protection"]}):
            if all(value is not None for value in change.values()):
                self.dynamodb.update_table(TableName=self.target, **change)
                self.ready(self.target)
        self.dynamodb.update_continuous_backups(TableName=self.target, PointInTimeRecoverySpecification={
            "PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": plan["recovery_days"]})
        self.dynamodb.tag_resource(ResourceArn=arn, Tags=[{"Key": key, "Value": value} for key, value in self.outputs["infrastructure"]["tags"].items()])

    def delete(self):
        try:
            self.ready(self.target)
            self.dynamodb.update_table(TableName=self.target, DeletionProtectionEnabled=False)
            self.ready(self.target)
            self.dynamodb.delete_table(TableName=self.target)
        except self.dynamodb.exceptions.ResourceNotFoundException:
            pass

    def discard(self):
        """Deletes the tables that earlier restores left beside the one in use."""
        prefix = f"{self.source.split('-restored-')[0]}-restored-"
        for page in self.dynamodb.get_paginator("list_tables").paginate():
            for self.target in page["TableNames"]:
                if self.target.startswith(prefix) and self.target != self.source:
                    self.delete()
                    print(f"{self.target} is deleted")

    def restore(self, at):
        """In an incident: nobody knows what was right, so what differs is told and left to be judged."""
        self.latest()
        started = time.monotonic()
        self.make(at)
        self.protect()
        live, restored = items(self.dynamodb, self.source), items(self.dynamodb, self.target)
        print(f"{self.target}: {len(restored)} movies as of {at:%FT%TZ}, content {content(restored)}, after {time.monotonic() - started:.0f} s")
        print(f"{self.source}: {len(live)} movies now, content {content(live)}: since then {len(live.keys() - restored.keys())} came, {len(restored.keys() - live.keys())} went, "
              f"{sum(live[key] != restored[key] for key in live.keys() & restored.keys())} changed")
        self.hint()

    def hint(self):
        print(f"\nTo serve callers from it, write into infra/environments/{ENV}/main.tf, have it reviewed, then make plan and make deploy ENV={ENV}:\n\n  served_table = \"{self.target}\"")

    def drill(self):
        lag = (now() - self.latest()).total_seconds()
        before = items(self.dynamodb, self.source)
        if not before:
            fail(f"{self.source} is empty: there is nothing to lose.", "Load some movies first: make load FILE=lambda/tools/loader/sample.json")
        at = now().replace(microsecond=0) + datetime.timedelta(seconds=1)
        while self.latest() < at:  # some five minutes in AWS: what would be lost if the table were now
            time.sleep(1)
        try:
            started = time.monotonic()
            self.make(at)
            restored_seconds = time.monotonic() - started
            self.protect()
            restored, after = items(self.dynamodb, self.target), items(self.dynamodb, self.source)
            wrong, changed = differing(before, restored, after)
            print(f"{len(before)} movies, content {content(before)}: {self.source}\n{len(restored)} movies, content {content(restored)}: {self.target}, in {restored_seconds:.1f} s", flush=True)
            if wrong:
                fail(f"{len(wrong)} movies are not what they were, for instance {', '.join('/'.join(key) for key in sorted(wrong)[:3])}.", "Nothing was changed for callers.")
            if changed:
                print(f"{len(changed)} movies were written meanwhile, and are left out of the comparison")
            if ENV == "local":
                print(f"RTO {self.serve() - started:.0f} s: restored, protected, compared, applied, released, a movie of the new table read through the API")
                print("RPO not shown here: the local AWS restores what the table holds now, not what it held. In AWS it is told by this drill, typically five minutes.")
            else:
                print(f"RPO {lag:.0f} s: until then the table could be restored when the drill began\nRTO {time.monotonic() - started:.0f} s until it is restored, protected and compared; then a review, make deploy and its canary")
                self.hint()
        finally:
            self.delete()
        print(f"{self.target} is deleted again")

    def serve(self):
        """Has callers of the local AWS served from the new table, and back; when the first of them was."""
        year, title = "1888", f"Restore drill {self.target[-16:]}"
        (movie,) = self.dynamodb.scan(TableName=self.target, Limit=1)["Items"]
        marker = {**movie, "year": {"N": year}, "title": {"S": title}}
        try:
            touched = self.apply(self.target)
            print(f"served_table = \"{self.target}\" changes {len(touched)} resources: {', '.join(sorted(set(touched)))}", flush=True)
            self.dynamodb.put_item(TableName=self.target, Item=marker)
            if (seen := self.read(year, title)) != 200:
                fail(f"A movie that only {self.target} holds is answered {seen} through the API.", "Callers are not served from it; look at `make plan`.")
            served = time.monotonic()
        finally:
            self.apply(None)
        if (seen := self.read(year, title)) != 404:
            fail(f"A movie that only {self.target} holds is still answered {seen}.", "Callers are not served from their own table again: make deploy")
        return served

    def apply(self, served):
        """The variable, applied and released as an operator would; the types of what it changed."""
        environment = {**os.environ, **({"TF_VAR_served_table": served} if served else {})}
        plan = SCRIPTS.parent / f".mvdb/{os.environ.get('MVDB_STATE', ENV)}/restore.plan"

        def run(*command):
            ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if ran.returncode:
                fail(f"{' '.join(map(str, command))} failed:", *ran.stdout.splitlines()[-15:])
            return ran.stdout
        terraform = (SCRIPTS / "terraform", ENV)
        run(*terraform, "plan", "-input=false", f"-out={plan}")
        changes = [(change["address"], change["type"], change["change"]["actions"]) for change in json.loads(run(*terraform, "show", "-json", plan))["resource_changes"]
                   if change["mode"] == "managed" and change["change"]["actions"] != ["no-op"]]
        if unexpected := [address for address, kind, actions in changes if kind not in TOUCHED or actions != ["update"]]:
            fail(f"The plan does more than serve another table: {', '.join(unexpected)}", "Nothing of it was applied. Is there drift? make drift")
        run(*terraform, "apply", "-input=false", plan)
        plan.unlink()
        run(SCRIPTS / "release", ENV)
        return [kind for _, kind, _ in changes]

    def read(self, year, title):
        token = subprocess.run([SCRIPTS / "token"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        request = urllib.request.Request(f"{self.outputs['api_url']}/movies/{year}/{urllib.request.quote(title)}", headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as answer:
            return answer.code


def main(verb, *arguments):
    outputs = {name: output["value"] for name, output in json.loads(os.environ["OUTPUTS"]).items()}
    if verb == "drill":
        return Restore(outputs).drill()
    if arguments == ("--discard",):
        return Restore(outputs).discard()
    try:
        at = datetime.datetime.strptime(arguments[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        fail(f"'{arguments[0]}' is no time.", f"As of when, in UTC: make restore ENV={ENV} TIME={now():%FT%TZ}")
    Restore(outputs).restore(at)


if __name__ == "__main__":
    main(*sys.argv[1:])
