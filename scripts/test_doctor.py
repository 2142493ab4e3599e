"""`make doctor` and `make plan` of an environment in AWS, on a checkout of its own before the local AWS, where every test has
an account of its own. X-Ray the local AWS lacks, and its Lambda runs hundreds of calls at a time; where that matters, the answers are canned."""
import itertools
import json
import os
import re
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import boto3
import pytest

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL") or pytest.exit("Run by: scripts/test scripts", 2)
ROOT = Path(__file__).parent.parent
_accounts = (f"3000000000{n:02}" for n in itertools.count())


class Checkout:
    """This one's scripts and tools, with a prod of its own."""
    def __init__(self, root):
        self.root, self.account = root, next(_accounts)
        self.environment = {**os.environ, "ENV": "prod", "AWS_ACCESS_KEY_ID": self.account, "AWS_SECRET_ACCESS_KEY": "test"}
        for path in ("scripts", "lambda", "infra/bootstrap", "infra/modules", "infra/stacks", ".mvdb/venv"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(ROOT / path)
        self.prod = root / "infra/environments/prod/main.tf"
        self.prod.parent.mkdir(parents=True)
        for file in (ROOT / "infra/environments/prod").iterdir():
            if file.is_file():
                (self.prod.parent / file.name).write_text(file.read_text())
        self.write(account_id=f'"{self.account}"')
        self.prod.write_text(self.prod.read_text().replace("example.org", "bank.example").replace("your-organisation", "bank"))
    def write(self, **data):
        for key, value in data.items():
            text, count = re.subn(rf'(?m)^(\s*{key}\s*=\s*)("[^"]*"|\w+)', rf"\g<1>{value}", self.prod.read_text(), count=1)
            assert count == 1
            self.prod.write_text(text)

    def use_bucket(self, bucket):
        state = self.root / ".mvdb/prod/terraform/terraform.tfstate"
        state.parent.mkdir(parents=True)
        state.write_text(json.dumps({"version": 3, "backend": {"type": "s3", "config": {"bucket": bucket}}}, indent=4))

    def without_credentials(self):
        self.environment = {key: value for key, value in self.environment.items() if key not in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}

    def run(self, *command, **more):
        return subprocess.run(command, cwd=self.root, env=self.environment | more, capture_output=True, text=True, timeout=300)

    def doctor(self, **more):
        """What is told of the account, by its subject, and whether all is there."""
        run = self.run("scripts/doctor", **more)
        lines = {line[10:22].strip(): line for line in run.stdout.splitlines()}
        assert "Traceback" not in run.stderr, run.stderr
        return {what: line for what, line in lines.items() if line not in LOCAL}, run.returncode == 0

    def client(self, service):
        return boto3.client(service, region_name="eu-west-1", endpoint_url=ENDPOINT, aws_access_key_id=self.account, aws_secret_access_key="test")

    def bootstrap(self):
        """What infra/bootstrap leaves in an account."""
        bucket = f"tfstate-mvdb-{self.account}-eu-west-1"
        self.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.client("apigateway").update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": f"arn:aws:iam::{self.account}:role/log"}])
        self.client("iam").create_open_id_connect_provider(Url="https://token.actions.githubusercontent.com", ClientIDList=["sts.amazonaws.com"])
        return bucket


LOCAL = subprocess.run(["scripts/doctor"], cwd=ROOT, env={**os.environ, "ENV": "local"}, capture_output=True, text=True).stdout.splitlines()


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


@pytest.fixture
def canned():
    """Starts a service that gives every request the same answer."""
    servers = []

    def serve(answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            do_POST = do_GET

            def log_message(self, *_):
                pass
        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"
    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def xray(canned):
    """Says what GetTraceSegmentDestination answers."""
    return lambda destination, status="ACTIVE": canned({"Destination": destination, "Status": status})


def test_an_account_that_has_everything_is_ok(checkout, xray):
    checkout.use_bucket(checkout.bootstrap())
    told, fine = checkout.doctor(AWS_ENDPOINT_URL_XRAY=xray("CloudWatchLogs"))
    assert list(told) == ["credentials", "account", "region", "data", "concurrency", "account role", "github oidc", "state bucket", "traces"]
    assert all(line.startswith("ok ") for line in told.values()), told
    assert "fix:" not in "".join(told.values())
    assert fine or any(line.startswith("MISSING") for line in LOCAL)


def test_an_empty_account_is_told_each_fix(checkout, xray):
    told, fine = checkout.doctor(AWS_ENDPOINT_URL_XRAY=xray("XRay"))
    assert not fine
    for what, fix in (("account role", "terraform -chdir=infra/bootstrap apply"), ("github oidc", "terraform -chdir=infra/bootstrap apply"),
                      ("state bucket", "terraform -chdir=infra/bootstrap apply"),
                      ("traces", "aws xray update-trace-segment-destination --region eu-west-1 --destination CloudWatchLogs")):
        assert told[what].startswith("MISSING") and fix in told[what], told


def test_without_credentials_only_they_and_the_placeholder_are_told(checkout):
    checkout.without_credentials()
    checkout.write(account_id='"222222222222"')
    told, fine = checkout.doctor()
    assert list(told) == ["credentials", "account"] and not fine
    assert "none found; fix: aws configure sso" in told["credentials"]
    assert "YOUR-ACCOUNT" in told["account"]


def test_a_placeholder_is_replaced_by_the_line_that_is_told(checkout):
    checkout.write(account_id='"222222222222"')
    told, _ = checkout.doctor()
    assert told["account"].startswith("MISSING") and "state bucket" in told
    assert checkout.run("bash", "-c", told["account"].partition("fix: ")[2]).returncode == 0
    assert checkout.doctor()[0]["account"].startswith("ok ")


def test_data_that_is_not_yours_yet_is_named(checkout):
    checkout.prod.write_text((ROOT / "infra/environments/prod/main.tf").read_text())
    checkout.write(account_id=f'"{checkout.account}"')
    line = checkout.doctor()[0]["data"]
    assert line.startswith("MISSING") and '"on-call@example.org"' in line and "your-organisation/mvdb" in line and line.endswith("$EDITOR infra/environments/prod/main.tf")


def test_another_account_is_not_looked_into(checkout):
    checkout.write(account_id='"123456789012"')
    told, fine = checkout.doctor()
    assert list(told) == ["credentials", "account"] and not fine
    assert f"prod is 123456789012, your credentials are of {checkout.account}" in told["account"]


def test_a_shell_in_another_region_is_told(checkout):
    told, _ = checkout.doctor(AWS_REGION="us-east-1", AWS_DEFAULT_REGION="us-east-1")
    assert told["region"].startswith("MISSING") and told["region"].endswith("fix: export AWS_REGION=eu-west-1")


@pytest.mark.parametrize("left, fits", [(100, True), (99, False)])
def test_a_hundred_calls_at_a_time_are_left_to_the_rest(checkout, left, fits):
    limit = checkout.client("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"]
    checkout.write(reserved_concurrency=limit - left)
    line = checkout.doctor()[0]["concurrency"]
    assert line.startswith("ok " if fits else "MISSING")
    assert (f"--service-code lambda --quota-code L-B99A9384 --desired-value {max(1000, limit + 1)} " in line) != fits


@pytest.mark.parametrize("reserved, fits", [("null", True), ("1", False)])
def test_a_young_account_does_for_what_reserves_nothing(checkout, canned, reserved, fits):
    checkout.write(reserved_concurrency=reserved)
    young = canned({"AccountLimit": {"ConcurrentExecutions": 10, "UnreservedConcurrentExecutions": 10}})
    assert checkout.doctor(AWS_ENDPOINT_URL_LAMBDA=young)[0]["concurrency"].startswith("ok " if fits else "MISSING")


def test_a_provider_for_another_audience_is_told_its_fix(checkout):
    provider = checkout.client("iam").create_open_id_connect_provider(Url="https://token.actions.githubusercontent.com", ClientIDList=["other"])
    line = checkout.doctor()[0]["github oidc"]
    assert f"--open-id-connect-provider-arn {provider['OpenIDConnectProviderArn']} --client-id sts.amazonaws.com" in line


def test_a_bucket_that_the_checkout_does_not_use_is_told_the_init(checkout):
    checkout.bootstrap()
    assert checkout.doctor()[0]["state bucket"].endswith("fix: scripts/terraform prod init $(terraform -chdir=infra/bootstrap output -raw backend_config)")


def test_traces_on_their_way_are_to_be_waited_for(checkout, xray):
    line = checkout.doctor(AWS_ENDPOINT_URL_XRAY=xray("CloudWatchLogs", "PENDING"))[0]["traces"]
    assert line.startswith("MISSING") and "wait" in line


def test_what_cannot_be_asked_is_not_ok(checkout):
    told, fine = checkout.doctor(AWS_ENDPOINT_URL_XRAY="http://127.0.0.1:1")
    assert told["traces"].startswith("MISSING   traces       not told: ") and not fine


def test_an_unknown_environment_names_the_known_ones(checkout):
    run = checkout.run("scripts/doctor", ENV="nowhere")
    assert run.returncode == 1 and "ENV is one of: prod" in run.stderr


def test_a_plan_without_an_account_is_valid_and_then_says_what_it_lacks(checkout):
    checkout.without_credentials()
    run = checkout.run("scripts/terraform", "prod", "plan", "-input=false")
    assert run.returncode == 1 and run.stdout == ""
    assert "The configuration is valid." in run.stderr
    assert "mvdb: No Terraform state bucket is configured for prod." in run.stderr
    assert "scripts/terraform prod init $(terraform -chdir=infra/bootstrap output -raw backend_config)" in run.stderr
    assert "mvdb: There are no AWS credentials." in run.stderr and "make doctor ENV=prod" in run.stderr


def test_a_plan_with_a_bucket_stops_at_the_credentials(checkout):
    checkout.without_credentials()
    checkout.use_bucket("tfstate")
    run = checkout.run("scripts/terraform", "prod", "plan", "-input=false")
    assert run.returncode == 1 and "mvdb: There are no AWS credentials." in run.stderr and "which bucket" not in run.stderr
