"""All of prod as Terraform would make it on a mock of the provider (plan.tftest.hcl), on packages that are only names here: no
account, no build. As a program it prints that as `terraform show -json` prints a plan."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

INFRA = Path(__file__).resolve().parents[3]
PROVIDERS = INFRA.parent / ".mvdb/local/terraform/providers"


def root_module():
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        shutil.copytree(INFRA, copy / "infra", symlinks=True, ignore=shutil.ignore_patterns(".terraform*", "*.pyc"))
        for package in ("movies/bootstrap.zip", "telemetry-extension/layer.zip"):
            (copy / "lambda/target/lambda" / package).parent.mkdir(parents=True)
            (copy / "lambda/target/lambda" / package).write_text(package)
        (copy / "lambda/services").symlink_to(INFRA.parent / "lambda/services")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}

        def terraform(*arguments):
            return subprocess.run(["terraform", f"-chdir={copy}/infra/environments/prod", *arguments], env=environment, stdout=subprocess.PIPE, text=True)

        terraform("init", "-backend=false", "-input=false", *([f"-plugin-dir={PROVIDERS}"] if PROVIDERS.exists() else [])).check_returncode()
        said = [json.loads(line) for line in terraform("test", "-json", "-verbose", "-test-directory=plan").stdout.splitlines()]
    wrong = [message["diagnostic"] for message in said if message["type"] == "diagnostic" and message["diagnostic"]["severity"] == "error"]
    assert not wrong, "\n".join(f"{error.get('address')}: {error['summary']}: {error['detail']}" for error in wrong)
    return next(message["test_state"] for message in said if message["type"] == "test_state")["root_module"]


if __name__ == "__main__":
    json.dump({"planned_values": {"root_module": root_module()}}, sys.stdout)
