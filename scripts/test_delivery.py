"""`make release` and `make rollback` before the local AWS, where every test has an account with a function of its own. CodeDeploy the
local AWS lacks: a canned one moves the alias as AWS's does. Terraform and the smoke checks are scripts that note how they were called."""
import io
import itertools
import json
import os
import signal
import subprocess
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import pytest

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL") or pytest.exit("Run by: scripts/test scripts", 2)
ROOT = Path(__file__).parent.parent
NAME = "mvdb-prod-movies"
CODE = """
import os
if os.environ["HEALTH"] == "broken":
    raise RuntimeError("broken on purpose")
def handler(event, _):
    return {"statusCode": 200, "body": os.environ["HEALTH"]}
"""
_accounts = (f"4000000000{n:02}" for n in itertools.count())


class Stack:
    """A checkout with the two scripts, and what Terraform would have made."""
    def __init__(self, root):
        self.root, self.account, self.calls = root, next(_accounts), root / "smoked"
        self.environment = {**os.environ, "ENV": "prod", "AWS_ACCESS_KEY_ID": self.account, "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
        self.environment.pop("MVDB_STATE", None)
        self.calls.touch()
        (root / "scripts").mkdir()
        (root / ".mvdb").mkdir()
        for path in ("scripts/release", "scripts/rollback", "scripts/delivery.py", "scripts/environment", ".mvdb/venv", "infra"):
            (root / path).symlink_to(ROOT / path)
        self.script("venv", "")
        self.script("terraform", f"cat {root}/outputs.json")
        self.smoke("")
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("code.py", CODE)
        self.functions = self.client("lambda")
        self.functions.create_function(FunctionName=NAME, Role=f"arn:aws:iam::{self.account}:role/none", Runtime="python3.12", Handler="code.handler",
                                       Timeout=30, Code={"ZipFile": package.getvalue()}, Environment={"Variables": {"HEALTH": "1"}})
        self.outputs = {"function_name": NAME, "alias_name": "live", "stage_name": "v1", "region": "eu-west-1", "alarms": {
            f"{NAME}-availability-burn-fast": {"holds_release": True}, f"{NAME}-silence": {"holds_release": False}, f"{NAME}-page": {"holds_release": False}}}
        self.publish("1")
        self.functions.create_alias(FunctionName=NAME, Name="live", FunctionVersion="1")

    def script(self, name, body):
        (self.root / "scripts" / name).write_text(f"#!/usr/bin/env bash\n{body}\n")
        (self.root / "scripts" / name).chmod(0o755)

    def smoke(self, then):
        self.script("smoke", f'echo "$@" >>{self.calls}\n{then}')

    def client(self, service):
        return boto3.client(service, region_name="eu-west-1", endpoint_url=ENDPOINT, aws_access_key_id=self.account, aws_secret_access_key="test")

    def publish(self, health):
        """As an apply does: a version, and its number in the outputs."""
        self.functions.update_function_configuration(FunctionName=NAME, Environment={"Variables": {"HEALTH": health}})
        version = self.functions.publish_version(FunctionName=NAME)["Version"]
        self.outputs["function_version"] = version
        (self.root / "outputs.json").write_text(json.dumps({name: {"value": value} for name, value in self.outputs.items()}))
        return version

    def live(self):
        alias = self.functions.get_alias(FunctionName=NAME, Name="live")
        return alias["FunctionVersion"], alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})

    def move(self, version, weights=None):
        self.functions.update_alias(FunctionName=NAME, Name="live", FunctionVersion=version, RoutingConfig={"AdditionalVersionWeights": weights or {}})

    def start(self, *command):
        return subprocess.Popen(command, cwd=self.root, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *command):
        process = self.start(*command)
        said, _ = process.communicate(timeout=120)
        print(said)
        assert "Traceback" not in said
        return said, process.returncode

    def release(self, *options):
        return self.run("scripts/release", "prod", *options)

    def rollback(self, *version):
        return self.run("scripts/rollback", "prod", *version)


@pytest.fixture
def stack(tmp_path):
    return Stack(tmp_path)


@pytest.fixture
def codedeploy(stack):
    """A deployment lasts as many questions for it as `lasts` says, and then ends as `ends` says."""
    class CodeDeploy(BaseHTTPRequestHandler):
        created, stopped, deployments, lasts, ends = [], [], {}, 2, "Succeeded"

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = getattr(self, self.headers["X-Amz-Target"].partition(".")[2])(asked)
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def CreateDeployment(self, asked):
            (resource,) = json.loads(asked["revision"]["appSpecContent"]["content"])["Resources"]
            said = resource[NAME]["Properties"]
            self.created.append(said)
            self.deployments[f"d-{len(self.created)}"] = {"deploymentId": f"d-{len(self.created)}", "status": "InProgress", "description": asked["description"], "said": said, "asked": 0}
            stack.move(said["CurrentVersion"], {said["TargetVersion"]: 0.1})
            return {"deploymentId": f"d-{len(self.created)}"}

        def end(self, deployment, status):
            said = deployment["said"]
            stack.move(said["TargetVersion"] if status == "Succeeded" else said["CurrentVersion"])
            deployment["status"] = status
            if status == "Stopped":
                deployment["errorInformation"] = {"code": "ALARM_ACTIVE", "message": "One or more alarms have been activated."}

        def GetDeployment(self, asked):
            deployment = self.deployments[asked["deploymentId"]]
            deployment["asked"] += 1
            if deployment["status"] == "InProgress" and deployment["asked"] > self.lasts:
                self.end(deployment, self.ends)
            return {"deploymentInfo": {name: value for name, value in deployment.items() if name not in ("said", "asked")}}

        def ListDeployments(self, asked):
            return {"deployments": [name for name, deployment in self.deployments.items() if deployment["status"] in asked["includeOnlyStatuses"]]}

        def StopDeployment(self, asked):
            assert asked["autoRollbackEnabled"] is True
            self.stopped.append(asked["deploymentId"])
            self.end(self.deployments[asked["deploymentId"]], "Stopped")
            return {"status": "Pending"}

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), CodeDeploy)
    threading.Thread(target=server.serve_forever).start()
    stack.environment["AWS_ENDPOINT_URL_CODEDEPLOY"] = f"http://127.0.0.1:{server.server_port}"
    stack.outputs["deployment_group"] = {"application": NAME, "name": NAME, "alarms": [f"{NAME}-version-fails"]}
    yield CodeDeploy
    server.shutdown()
    server.server_close()


def test_a_version_that_passes_its_checks_is_released_once(stack):
    stack.publish("2")
    said, code = stack.release()
    assert (code, stack.live(), stack.calls.read_text()) == (0, ("2", {}), "--version 2\n") and "live moved from version 1 to 2" in said
    said, code = stack.release()
    assert (code, stack.calls.read_text()) == (0, "--version 2\n") and "live is version 2 already" in said


def test_a_version_that_does_not_start_reaches_nobody(stack):
    stack.publish("broken")
    said, code = stack.release()
    assert (code, stack.live(), stack.calls.read_text()) == (1, ("1", {}), "") and "Version 2 of mvdb-prod-movies does not answer" in said and "live stays at version 1" in said


def test_a_version_that_fails_its_checks_reaches_nobody(stack):
    stack.publish("2")
    stack.smoke("exit 1")
    said, code = stack.release()
    assert (code, stack.live()) == (1, ("1", {})) and "fails its smoke checks" in said


def test_of_two_releases_at_once_one_wins_and_the_other_says_so(stack):
    stack.publish("2")
    stack.smoke(f"while [[ $(wc -l <{stack.calls}) -lt 2 ]]; do sleep 0.1; done")  # both have checked before either moves
    both = [stack.start("scripts/release", "prod") for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 1] and stack.live() == ("2", {})
    assert "Somebody else moved it meanwhile: live is version 2." in "".join(said)


def alarm(stack, name):
    alarms = stack.client("cloudwatch")
    alarms.put_composite_alarm(AlarmName=f"{NAME}-{name}", AlarmRule="FALSE")
    alarms.set_alarm_state(AlarmName=f"{NAME}-{name}", StateValue="ALARM", StateReason="test")


def test_nothing_is_released_while_a_page_fires_unless_the_release_ends_it(stack):
    stack.publish("2")
    alarm(stack, "availability-burn-fast")
    said, code = stack.release()
    assert (code, stack.live()) == (1, ("1", {})) and f"{NAME}-availability-burn-fast" in said and "--while-it-rings" in said
    assert stack.release("--while-it-rings")[1] == 0 and stack.live() == ("2", {})


def test_silence_holds_no_release(stack):
    """Without callers `silence` fires for ever, and with it the composite of its severity."""
    stack.publish("2")
    alarm(stack, "silence")
    alarm(stack, "page")
    assert stack.release()[1] == 0 and stack.live() == ("2", {})


def test_what_somebody_left_half_shifted_is_ended(stack):
    stack.publish("2")
    stack.move("1", {"2": 0.5})
    said, code = stack.rollback()
    assert (code, stack.live()) == (0, ("1", {})) and "The next release lets callers reach version 2" in said


def test_a_rollback_takes_seconds_and_skips_what_never_was_live(stack):
    stack.publish("2 fails its checks")
    stack.publish("3")
    assert stack.release()[1] == 0
    began = time.monotonic()
    said, code = stack.rollback()
    assert (code, stack.live()) == (0, ("1", {})) and "live is version 1, was 3, and answers" in said and time.monotonic() - began < 60
    answer = json.load(stack.functions.invoke(FunctionName=NAME, Qualifier="live")["Payload"])
    assert answer == {"statusCode": 200, "body": "1"}
    said, code = stack.rollback()
    assert code == 1 and "There is no version before 1." in said
    assert stack.release()[1] == 0 and stack.live() == ("3", {})


def test_where_no_release_noted_it_the_next_lower_version_is_taken(stack):
    for health in ("2", "3", "4"):
        stack.publish(health)
    stack.move("4")
    stack.functions.delete_function(FunctionName=NAME, Qualifier="3")
    assert stack.rollback()[1] == 0 and stack.live() == ("2", {})


def test_a_rollback_goes_where_it_is_told_but_not_to_what_is_not_or_does_not_answer(stack):
    for health in ("broken", "3", "4"):
        stack.publish(health)
    stack.move("4")
    assert stack.rollback("1")[1] == 0 and stack.live() == ("1", {})
    said, code = stack.rollback("9")
    assert (code, stack.live()) == (1, ("1", {})) and "There is no version 9." in said and "There is: 1, 2, 3, 4." in said
    said, code = stack.rollback("2")
    assert (code, stack.live()) == (1, ("1", {})) and "Version 2 does not answer" in said


def test_codedeploy_shifts_while_the_release_calls(stack, codedeploy):
    stack.publish("2, which never is live")
    stack.publish("3")
    said, code = stack.release()
    assert (code, stack.live()) == (0, ("3", {})), said
    assert codedeploy.created == [{"Name": NAME, "Alias": "live", "CurrentVersion": "1", "TargetVersion": "3"}]
    assert stack.calls.read_text() == "--version 3\n--only api --read-only\n--only api --read-only\n"
    assert "InProgress: live is version 1 for 90%, version 3 for 10%" in said and "live is version 3; the read-only smoke checks ran 2 times meanwhile, 0 of them failed" in said
    assert stack.rollback()[1] == 0 and stack.live() == ("1", {}) and codedeploy.stopped == []


def test_a_release_that_an_alarm_took_back_fails_and_names_the_alarm(stack, codedeploy):
    codedeploy.ends = "Stopped"
    alarm, alarms = f"{NAME}-version-fails", stack.client("cloudwatch")
    alarms.put_metric_alarm(AlarmName=alarm, AlarmDescription="It fails. https://example.org/RUNBOOK.md#version-fails", Namespace="mvdb", MetricName="faults",
                            Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold")
    alarms.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="Two of three were above 1.")
    stack.publish("2")
    said, code = stack.release()
    assert (code, stack.live()) == (1, ("1", {}))
    assert "Version 2 was not released, deployment d-1 is Stopped: One or more alarms have been activated." in said
    assert f"{alarm} rings: Two of three were above 1. See https://example.org/RUNBOOK.md#version-fails" in said and "live is version 1;" in said


def test_an_interrupted_release_says_what_goes_on_and_is_followed_by_the_next(stack, codedeploy):
    codedeploy.lasts = 10**9
    stack.publish("2")
    process = stack.start("scripts/release", "prod")
    while stack.calls.read_text().count("--read-only") < 1:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 1 and "Interrupted, but CodeDeploy goes on with deployment d-1: live is version 1 for 90%, version 2 for 10%." in said and "make rollback ENV=prod" in said
    codedeploy.lasts = 0
    said, code = stack.release()
    assert (code, stack.live(), len(codedeploy.created)) == (0, ("2", {}), 1) and "deployment d-1 of version 2 is under way" in said


def test_a_rollback_stops_the_release_that_is_under_way(stack, codedeploy):
    codedeploy.lasts = 10**9
    stack.publish("2")
    process = stack.start("scripts/release", "prod")
    while stack.calls.read_text().count("--read-only") < 1:
        assert process.poll() is None
        time.sleep(0.1)
    stack.publish("3")
    said, code = stack.release()
    assert code == 1 and "Deployment d-1 is under way, of version 2" in said and len(codedeploy.created) == 1
    said, code = stack.rollback()
    assert (code, codedeploy.stopped, stack.live()) == (0, ["d-1"], ("1", {})) and "stopping deployment d-1" in said
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "Version 2 was not released" in said
