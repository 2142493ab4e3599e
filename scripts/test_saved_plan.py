"""Saved plans lie in the bucket of the states, and a plan is applied only under the digest that was approved."""
import hashlib
import json
import os
import subprocess
import uuid
from pathlib import Path

import boto3
import pytest

os.environ.get("AWS_ENDPOINT_URL") or pytest.exit("Run by: scripts/test scripts", 2)
ROOT = Path(__file__).parent.parent
PLAN = b"PK a plan, with values in it"


class Checkout:
    """This one's scripts, with a prod whose state is in a bucket of the local AWS."""
    def __init__(self, root):
        self.root, self.bucket = root, f"states-{uuid.uuid4().hex}"
        for path in ("scripts", "infra", ".mvdb/venv"):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).symlink_to(ROOT / path)
        self.s3 = boto3.client("s3", region_name="eu-west-1")
        self.s3.create_bucket(Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        self.plan = root / ".mvdb/prod/plan"
        backend = root / ".mvdb/prod/terraform/terraform.tfstate"
        backend.parent.mkdir(parents=True)
        config = {"bucket": self.bucket, "region": "eu-west-1", "kms_key_id": "arn:aws:kms:eu-west-1:000000000000:key/state"}
        backend.write_text(json.dumps({"backend": {"config": config}}))
        self.plan.write_bytes(PLAN)

    def run(self, *options, **environment):
        return subprocess.run([self.root / "scripts/saved-plan", *options], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "ENV": "prod", **environment})


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_a_plan_is_saved_under_its_digest_and_fetched_by_it(checkout, tmp_path):
    output, summary = tmp_path / "output", tmp_path / "summary"
    saved = checkout.run("save", GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(summary))
    digest = hashlib.sha256(PLAN).hexdigest()
    assert (saved.returncode, saved.stdout.strip()) == (0, digest), saved.stderr
    assert output.read_text() == f"digest={digest}\n" and digest in summary.read_text()
    (found,) = checkout.s3.list_objects_v2(Bucket=checkout.bucket)["Contents"]
    assert found["Key"] == f"plans/prod/{digest}"
    head = checkout.s3.head_object(Bucket=checkout.bucket, Key=found["Key"])
    assert head["ServerSideEncryption"] == "aws:kms" and head["SSEKMSKeyId"].endswith("key/state")
    checkout.plan.unlink()
    fetched = checkout.run("fetch", digest)
    assert fetched.returncode == 0 and checkout.plan.read_bytes() == PLAN, fetched.stderr


def test_another_plan_under_the_approved_digest_is_not_applied(checkout):
    digest = checkout.run("save").stdout.strip()
    checkout.s3.put_object(Bucket=checkout.bucket, Key=f"plans/prod/{digest}", Body=b"PK another plan")
    fetched = checkout.run("fetch", digest)
    assert fetched.returncode == 1 and "not the one that was approved" in fetched.stderr and not checkout.plan.exists()


@pytest.mark.parametrize("options, message", [
    (["fetch", "0" * 64], "Plan again"), (["fetch", ""], "is no digest"), (["fetch"], "is no digest"), ([], "--help")])
def test_what_cannot_be_fetched_says_what_to_do(checkout, options, message):
    done = checkout.run(*options)
    assert done.returncode == 1 and message in done.stderr and "Traceback" not in done.stderr


def test_without_a_plan_or_a_bucket_nothing_is_saved(checkout):
    checkout.plan.unlink()
    assert "make plan ENV=prod" in checkout.run("save").stderr
    (checkout.root / ".mvdb/prod/terraform/terraform.tfstate").unlink()
    assert "No Terraform state bucket is configured for prod" in checkout.run("save").stderr
