"""The checkout under rough use: copied, moved, unpacked elsewhere, started twice, interrupted, behind a proxy, from any shell.

Each test has a checkout of its own with these scripts, whose local environment is next to nothing; what is built and released
is stubbed where it would take minutes. The emulator, Terraform, Cargo and git are the real ones.
"""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import pytest
import yaml

from test_workflows import values

ROOT = Path(__file__).parent.parent
# What a person's shell has: not what scripts/test runs these tests in.
SHELL = {name: value for name, value in os.environ.items()
         if name in ("PATH", "HOME", "USER", "TF_CLI_CONFIG_FILE", "CARGO_HOME", "RUSTUP_HOME") or name.startswith("PIP_")}
MAIN = """
terraform {
  backend "local" {}
}
variable "endpoint" {}
variable "architecture" {}
%s
output "region" { value = "eu-west-1" }
output "api_url" { value = "${var.endpoint}/_ministack/health?path=" }
output "table_name" { value = "mvdb-local-movies" }
output "rest_api_id" { value = "none" }
"""
LOG_GROUP = """
provider "aws" { region = "eu-west-1" }
resource "aws_cloudwatch_log_group" "this" { name = "mvdb-local-checkout" }
"""
SLOW = LOG_GROUP + """
resource "terraform_data" "slow" {
  depends_on = [aws_cloudwatch_log_group.this]
  provisioner "local-exec" { command = "sleep 60" }
}
"""
STUBBED = ("build", "load", "smoke", "release", "token")


def free_port():
    """A free port below those that a system gives to clients."""
    while True:
        port = random.randrange(10000, 30000)
        with socket.socket() as server:
            try:
                server.bind(("127.0.0.1", port))
                return str(port)
            except OSError:
                pass


class Checkout:
    def __init__(self, root):
        self.root, self.port = root, free_port()
        root.mkdir()
        shutil.copy(ROOT / "Makefile", root)
        shutil.copytree(ROOT / "scripts", root / "scripts")
        environment = root / "infra/environments/local"
        environment.mkdir(parents=True)
        (root / "infra/stacks/none").mkdir(parents=True)
        (root / "infra/stacks/none/main.tf").touch()
        shutil.copy(ROOT / "infra/environments/local/.terraform.lock.hcl", environment)
        (root / ".mvdb").mkdir()
        (root / ".mvdb/venv").symlink_to(ROOT / ".mvdb/venv")
        # Doctor reads the needed Rust from it, Cargo builds from it.
        (root / "lambda/src/bin").mkdir(parents=True)
        (root / "lambda/Cargo.toml").write_text('[package]\nname = "programs"\nversion = "1.0.0"\nrust-version = "1.85"\n')
        (root / "lambda/Cargo.lock").write_text('version = 4\n\n[[package]]\nname = "programs"\nversion = "1.0.0"\n')
        for program in ("loader", "smoke"):
            (root / f"lambda/src/bin/{program}.rs").write_text("fn main() {}\n")
        self.declare("")

    def declare(self, more):
        (self.root / "infra/environments/local/main.tf").write_text(MAIN % more)

    def stub(self, *scripts, body="exit 0"):
        for name in scripts:
            (self.root / "scripts" / name).write_text(f"#!/usr/bin/env bash\n{body}\n")

    def probe(self, body, **environment):
        """Runs these lines as a script of the checkout."""
        self.stub("probe", body=f'source "$(dirname "$0")/environment"\n{body}')
        (self.root / "scripts/probe").chmod(0o755)
        return self.run("scripts/probe", **environment)

    def restore_scripts(self):
        for name in STUBBED:
            shutil.copy(ROOT / "scripts" / name, self.root / "scripts" / name)

    def start(self, *command, **environment):
        """Starts a command as a terminal does, whose signals nothing ignores: under nohup or in the background
        these tests themselves may."""
        def default_signals():
            for number in (signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
        return subprocess.Popen(command, cwd=self.root, env=SHELL | environment, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, start_new_session=True, preexec_fn=default_signals)

    def run(self, *command, **environment):
        return subprocess.run(command, cwd=self.root, env=SHELL | environment, capture_output=True, text=True, timeout=300)

    def make(self, *arguments, **environment):
        return self.run("make", "-s", *arguments, **environment)

    def up(self, **environment):
        run = self.make("up", f"PORT={self.port}", **environment)
        assert run.returncode == 0, run.stdout + run.stderr
        return run

    def pid(self):
        return int((self.root / ".mvdb/local/pid").read_text())

    def answers(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_ministack/health", timeout=2):
                return True
        except OSError:
            return False

    def client(self, service):
        return boto3.client(service, region_name="eu-west-1", endpoint_url=f"http://127.0.0.1:{self.port}",
                            aws_access_key_id="test", aws_secret_access_key="test")


def stop(folder):
    """Without what `make down` does before it: destroying and looking for what is left."""
    if (folder / "scripts").is_dir():
        subprocess.run(["scripts/local-aws/stop", folder / ".mvdb/local"], cwd=folder, env=SHELL, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    checkout = Checkout(tmp_path / "a checkout")
    checkout.stub(*STUBBED)
    yield checkout
    for folder in tmp_path.iterdir():
        stop(folder)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A checkout that tests only read."""
    checkout = Checkout(tmp_path_factory.mktemp("running") / "a checkout")
    checkout.stub(*STUBBED)
    checkout.up()
    checkout.restore_scripts()
    yield checkout
    stop(checkout.root)


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


# D1

def test_a_copied_checkout_neither_shows_nor_changes_what_the_first_runs(checkout, tmp_path):
    checkout.up()
    copy = Checkout.__new__(Checkout)
    copy.root, copy.port = tmp_path / "a copy", free_port()
    subprocess.run(["cp", "-a", checkout.root, copy.root], check=True)
    url = copy.make("url")
    assert url.returncode != 0 and url.stdout == "" and "make up" in url.stderr
    copy.up()
    assert copy.port in copy.make("url").stdout
    assert checkout.port in checkout.make("url").stdout
    down = copy.make("down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert not copy.answers() and checkout.answers()
    assert checkout.port in checkout.make("url").stdout


def test_a_checkout_that_is_moved_while_its_emulator_runs_starts_and_stops_it(checkout, tmp_path):
    checkout.up()
    before = checkout.pid()
    checkout.root = checkout.root.rename(tmp_path / "moved")
    checkout.up()
    assert not alive(before) and checkout.pid() != before
    assert checkout.make("down").returncode == 0
    assert not checkout.answers()


def test_no_stored_file_names_the_checkout_but_to_say_whose_it_is(checkout):
    checkout.up()
    named = [path for path in (checkout.root / ".mvdb").rglob("*") if path.is_file() and not path.is_symlink()
             and "tmp" not in path.parts and "log" not in path.parts and str(checkout.root).encode() in path.read_bytes()]
    assert named == []


def test_python_tools_copied_with_their_checkout_are_replaced(checkout, tmp_path):
    pins = (ROOT / "scripts/requirements.txt").read_text()
    (checkout.root / "scripts/small-requirements.txt").write_text(re.search(r"^jmespath==.*?(?<!\\)\n", pins, re.M | re.S)[0])
    assert checkout.run("scripts/venv", "small").returncode == 0
    subprocess.run(["cp", "-a", checkout.root, tmp_path / "a copy"], check=True)
    shutil.rmtree(checkout.root)
    run = subprocess.run(["scripts/venv", "small"], cwd=tmp_path / "a copy", env=SHELL, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    program = tmp_path / "a copy/.mvdb/small-venv/bin/pip"
    assert subprocess.run([program, "--version"], capture_output=True).returncode == 0


# D3, D15

VERBS = ("url", "token", "logs", "smoke", "release", "rollback", "thaw", "evidence", "plan", "deploy", "destroy", "drift",
         "alarm-drill", "deploy-drill", "smoke-drill", "freeze-drill", "restore-drill", "parity",
         "load FILE=Makefile", "freeze REASON=test", "restore TIME=2026-11-21T17:00:00Z")


def assert_refused_at_once(checkout):
    for verb in VERBS:
        started = time.monotonic()
        run = checkout.make(*verb.split())
        said = run.stdout + run.stderr
        assert run.returncode != 0 and run.stdout == "", f"{verb}: {said}"
        assert "mvdb: The emulator of this checkout is not running." in said and "Start it: make up" in said, f"{verb}: {said}"
        assert "Traceback" not in said and time.monotonic() - started < 10, f"{verb}: {said}"


def test_every_verb_reports_that_nothing_runs_before_the_first_up(checkout):
    checkout.restore_scripts()
    assert_refused_at_once(checkout)


def test_every_verb_reports_that_nothing_runs_after_the_emulator_was_killed(checkout):
    checkout.up()
    pid = checkout.pid()
    os.killpg(pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid))  # on a busy machine it responds once more
    checkout.restore_scripts()
    assert_refused_at_once(checkout)


def test_a_running_emulator_in_which_nothing_is_deployed_gives_no_outputs(checkout):
    checkout.up()
    assert checkout.run("scripts/terraform", "local", "destroy", "-auto-approve").returncode == 0
    for verb in ("url", "logs"):
        run = checkout.make(verb)
        assert run.returncode != 0 and run.stdout == ""
        assert "mvdb: Nothing is deployed in local." in run.stderr and "Traceback" not in run.stderr


# D4, D5, D21 and what else a shell exports

EXPORTED = [
    {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"},
    {"CDPATH": "."},
    {"AWS_PROFILE": "work", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9", "AWS_ENDPOINT_URL_LOGS": "http://127.0.0.1:9",
     "AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:9", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
     "AWS_CONFIG_FILE": "/nonexistent", "TF_WORKSPACE": "work", "TF_CLI_ARGS": "-no-such-option"},
    {"SHELLOPTS": "braceexpand:hashall:interactive-comments:noclobber"},
    {"BASH_ENV": "Makefile"},  # Bash reads it at its start: here it prints errors
    {"ENV": "~/.shinit"}, {"ENV": "/home/somebody/.shinit"},
]


@pytest.mark.parametrize("exported", EXPORTED, ids=lambda exported: next(iter(exported)))
def test_a_verb_ignores_what_the_callers_shell_exports(running, exported):
    url = running.make("url", **exported)
    assert (url.stdout, url.stderr) == (f"http://127.0.0.1:{running.port}/_ministack/health?path=\n", "")


def test_up_plan_and_down_ignore_what_the_callers_shell_exports(checkout):
    exported = {name: value for each in EXPORTED for name, value in each.items()}
    checkout.up(**exported)
    plan = checkout.make("plan", **exported)
    assert plan.returncode == 0 and "No changes" in plan.stdout, plan.stderr
    down = checkout.make("down", **exported)
    assert down.returncode == 0, down.stderr
    assert not checkout.answers()


def test_the_local_environment_has_no_variable_of_the_caller_that_is_not_listed(checkout):
    exported = {"AWS_PROFILE": "x", "AWS_SESSION_TOKEN": "x", "TF_VAR_architecture": "x", "TF_LOG": "x", "GIT_DIR": "x",
                "PYTHONPATH": "x", "LD_PRELOAD": "", "LC_ALL": "tr_TR.UTF-8", "SOMETHING": "x", "no_proxy": "intranet"}
    seen = dict(line.partition("=")[::2] for line in checkout.probe("env", **exported).stdout.splitlines())
    assert {name for name in exported if seen.get(name) == exported[name]} == set()
    assert seen["AWS_ACCESS_KEY_ID"] == "test" and seen["no_proxy"] == seen["NO_PROXY"] == "intranet,127.0.0.1,localhost,::1"


def test_variables_that_make_or_a_workflow_sets_reach_local_verbs(checkout):
    makefile = (ROOT / "Makefile").read_text()
    names = {name for line in re.findall(r"^export ([A-Z_ ]+)$", makefile, re.M) for name in line.split()}
    for file in (ROOT / ".github/workflows").iterdir():
        names |= {name for env in values(yaml.safe_load(file.read_text()), "env") for name in env}
    # Without what make passes as an argument, what is for AWS, and what has to be a port or an environment.
    names -= {*re.findall(r"\$\(([A-Z_]+)\)", makefile), "PORT", "ENV"}
    names = {name for name in names if not name.startswith(("AWS_", "TF_"))}
    seen = checkout.probe("env", **dict.fromkeys(names, "given")).stdout.splitlines()
    assert {name for name in names if f"{name}=given" not in seen} == set()


# D6

def test_a_second_up_at_the_same_time_is_refused_and_the_first_one_can_be_stopped(checkout):
    checkout.declare('resource "terraform_data" "slow" {\n  provisioner "local-exec" { command = "sleep 4" }\n}')
    first = checkout.start("make", "-s", "up", f"PORT={checkout.port}")
    wait_for((checkout.root / ".mvdb/local/lock").exists)
    time.sleep(1)
    for verb in ("up", "down"):
        second = checkout.make(verb)
        assert second.returncode != 0 and "make up (process " in second.stderr, second.stdout + second.stderr
        assert "already running in this checkout" in second.stderr
    out, _ = first.communicate(timeout=120)
    assert first.returncode == 0, out
    pid = checkout.pid()
    assert checkout.make("down").returncode == 0
    assert not alive(pid) and not checkout.answers()


def test_of_many_ups_at_once_one_succeeds_and_no_emulator_is_left(checkout):
    ups = [checkout.start("make", "-s", "up", f"PORT={checkout.port}") for _ in range(4)]
    said = [up.communicate(timeout=120)[0] for up in ups]
    assert sorted(up.returncode == 0 for up in ups) == [False] * 3 + [True], said
    assert checkout.make("down").returncode == 0
    assert not checkout.answers()


def test_an_emulator_whose_checkout_was_deleted_ends_itself(checkout):
    checkout.up()
    pid = checkout.pid()
    shutil.rmtree(checkout.root)
    wait_for(lambda: not alive(pid))


# D7

def interrupt_the_apply(checkout, *signals):
    checkout.declare(SLOW)
    up = checkout.start("make", "-s", "up", f"PORT={checkout.port}")
    log = checkout.root / ".mvdb/local/log/infrastructure.log"
    wait_for(lambda: log.exists() and "terraform_data.slow: Creating" in log.read_text(), 60)
    for number in signals:
        os.killpg(up.pid, number)
        time.sleep(0.5)
    up.communicate(timeout=60)


@pytest.mark.parametrize("signals", [[signal.SIGHUP], [signal.SIGINT, signal.SIGINT]], ids=["hangup", "two-ctrl-c"])
def test_an_apply_that_did_not_end_is_recovered_from(checkout, signals):
    interrupt_the_apply(checkout, *signals)
    checkout.declare(LOG_GROUP)
    checkout.up()
    down = checkout.make("down")
    assert down.returncode == 0, down.stdout + down.stderr


def test_down_after_an_apply_that_did_not_end_succeeds(checkout):
    interrupt_the_apply(checkout, signal.SIGHUP)
    down = checkout.make("down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert not checkout.answers()


def test_an_apply_that_terraform_refuses_keeps_the_emulator(checkout):
    checkout.up()
    pid = checkout.pid()
    checkout.declare('resource "terraform_data" "broken" {\n  provisioner "local-exec" { command = "false" }\n}')
    assert checkout.make("up").returncode != 0
    checkout.declare("")
    checkout.up()
    assert checkout.pid() == pid


# D8

def test_no_recipe_splits_or_loses_a_value(tmp_path):
    """Every script is replaced by one that prints its arguments."""
    root = tmp_path / "a check out"
    (root / "scripts").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", root)
    for file in (ROOT / "scripts").iterdir():
        if os.access(file, os.X_OK) and file.is_file():
            (root / "scripts" / file.name).write_text(f"#!{sys.executable}\nimport json, os, sys\n"
                                                      "print(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]))\n")
            (root / "scripts" / file.name).chmod(0o755)
    cases = {"token": "SCOPE", "load": "FILE", "new": "NAME", "deploy": "PLAN", "evidence": "PLAN",
             "smoke": "JUNIT", "rollback": "VERSION", "restore": "TIME", "publish": "TAG"}
    for target, variable in cases.items():
        run = subprocess.run(["make", "-s", target, f"{variable}=two words"], cwd=root, env=SHELL, capture_output=True, text=True)
        called = [json.loads(line) for line in run.stdout.splitlines()]
        assert any("two words" in arguments for arguments in called), (target, run.stdout, run.stderr)
    for target in re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.M):
        if target not in ("help", "fmt", "ci"):
            run = subprocess.run(["make", "-s", target], cwd=root, env=SHELL, capture_output=True, text=True)
            for arguments in map(json.loads, run.stdout.splitlines()):
                assert not any(argument.endswith("/a") or argument.startswith(("check/", "out/")) for argument in arguments), arguments


def test_plan_and_deploy_work_in_a_path_with_a_space(checkout):
    checkout.up()
    checkout.declare('resource "terraform_data" "more" {}')
    plan = checkout.make("plan")
    assert plan.returncode == 0 and (checkout.root / ".mvdb/local/plan").is_file(), plan.stderr
    deploy = checkout.make("deploy", "PLAN=.mvdb/local/plan")
    assert deploy.returncode == 0 and "1 added" in deploy.stdout, deploy.stderr


def test_a_saved_plan_that_does_not_exist_is_reported(checkout):
    checkout.up()
    run = checkout.make("deploy", "PLAN=no such plan")
    assert run.returncode != 0 and "There is no saved plan no such plan." in run.stderr


# D9

def test_a_clone_by_git_for_windows_has_unix_line_endings(tmp_path):
    archive = tmp_path / "mvdb"
    git = ["git", "-c", "core.autocrlf=true"]
    subprocess.run([*git, "clone", "--quiet", "--no-local", ROOT, archive], check=True, capture_output=True)
    shutil.copy(ROOT / ".gitattributes", archive)  # where it is not committed yet
    subprocess.run(["rm", "-rf", "scripts", "Makefile", ".ci"], cwd=archive, check=True)
    subprocess.run([*git, "checkout", "--", "scripts", "Makefile", ".ci"], cwd=archive, check=True, capture_output=True)
    assert [path for path in (archive / "scripts").rglob("*") if path.is_file() and b"\r\n" in path.read_bytes()] == []


# D11

def test_down_deletes_what_restore_made(checkout):
    checkout.up()
    for name in ("mvdb-local-movies", "mvdb-local-movies-restored-20261121t170000z"):
        checkout.client("dynamodb").create_table(
            TableName=name, BillingMode="PAY_PER_REQUEST", DeletionProtectionEnabled="restored" in name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
    discard = checkout.run("scripts/restore", "local", "--discard")
    assert discard.returncode == 0 and "mvdb-local-movies-restored-20261121t170000z is deleted" in discard.stdout, discard.stderr
    assert checkout.client("dynamodb").list_tables()["TableNames"] == ["mvdb-local-movies"]
    checkout.client("dynamodb").delete_table(TableName="mvdb-local-movies")
    checkout.client("dynamodb").create_table(
        TableName="mvdb-local-movies-restored-20261121t180000z", BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
    down = checkout.make("down")
    assert down.returncode == 0, down.stderr + (checkout.root / ".mvdb/local/destroy.log").read_text()


# D12

@pytest.mark.parametrize("ignored", [True, False])
def test_a_source_archive_inside_another_repository_has_no_revision(checkout, tmp_path, ignored):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("/a checkout/\n" if ignored else "")
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--allow-empty", "-m", "x"], cwd=tmp_path, check=True)
    run = checkout.probe("revision; results_folder")
    assert run.stdout.split("\n")[:2] == ["unknown", f"{checkout.root}/.mvdb/results/unknown"], run.stderr
    for verb in ("contract", "secrets", "sbom", "validate", "repro"):
        run = checkout.make(verb)
        assert run.returncode != 0 and "not a git repository" in run.stderr, (verb, run.stderr)


# D13

def test_doctor_names_the_version_that_is_too_old_once(checkout, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/terraform").write_text("#!/bin/sh\necho Terraform v1.9.8\n")
    (tmp_path / "bin/terraform").chmod(0o755)
    path = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    run = checkout.make("doctor", **path)
    line = next(line for line in run.stdout.splitlines() if " terraform " in line)
    assert run.returncode != 0 and re.match(r"MISSING +terraform +1\.9\.8 is older than 1\.11; install: ", line), line
    up = checkout.make("up", **path)
    assert up.returncode != 0 and "1.9.8 is older than 1.11" in up.stderr and not checkout.answers()


def test_python_that_is_too_old_is_reported_before_anything_is_installed(checkout, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo Python 3.9.18\nexit 1\n")
    (tmp_path / "bin/python3").chmod(0o755)
    (checkout.root / ".mvdb/venv").unlink()
    for command in (["make", "up"], ["scripts/venv"]):
        run = checkout.run(*command, PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
        assert run.returncode != 0 and "3.9.18 is older than 3.10" in run.stderr and len(run.stderr) < 1000, run.stderr


# D20

@pytest.mark.parametrize("where", ["variable", "relative", "configuration"])
def test_a_program_is_found_wherever_cargo_puts_it(checkout, tmp_path, where):
    environment = {"variable": {"CARGO_BUILD_TARGET_DIR": str(tmp_path / "elsewhere")},
                   "relative": {"CARGO_TARGET_DIR": "elsewhere"}, "configuration": {}}[where]
    if where == "configuration":
        host = re.search("host: (.+)", subprocess.run(["rustc", "-vV"], capture_output=True, text=True).stdout)[1]
        (checkout.root / ".cargo").mkdir()
        (checkout.root / ".cargo/config.toml").write_text(f'[build]\ntarget-dir = "{tmp_path}/elsewhere"\ntarget = "{host}"\n')
    run = checkout.probe('built=$(program loader); echo "$built"; "$built"', **environment)
    assert run.returncode == 0 and "elsewhere" in run.stdout, run.stderr


# D22

@pytest.mark.parametrize("port", ["abc", "70000", "0", "4566 4567", "-1"])
def test_a_port_that_is_none_is_reported_with_an_example(checkout, port):
    run = checkout.make("up", f"PORT={port}")
    assert run.returncode != 0 and f"mvdb: PORT={port} is not a port." in run.stderr and "make up PORT=4567" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_two_scopes_are_refused(checkout):
    checkout.up()
    checkout.restore_scripts()
    checkout.declare('output "consumers" { value = { operations = { scopes = ["movies/read"], client_id = "a", client_secret = "b" } } }\n'
                     'output "token_url" { value = "http://127.0.0.1:1" }')
    assert checkout.run("scripts/terraform", "local", "apply", "-auto-approve").returncode == 0
    run = checkout.make("token", "SCOPE=movies/read movies/write")
    assert run.returncode != 0 and run.stdout == "" and "does not have the scope movies/read movies/write." in run.stderr


def test_up_while_requests_are_frozen_names_thaw(checkout, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/curl").write_text('#!/bin/sh\ncase "$*" in *limit=1*) printf \'{"code":"unavailable"}\\n503\' ;; '
                                       '*) PATH=${PATH#*:} exec curl "$@" ;; esac\n')
    (tmp_path / "bin/curl").chmod(0o755)
    run = checkout.make("up", f"PORT={checkout.port}", PATH=f"{tmp_path}/bin:{os.environ['PATH']}")
    assert run.returncode != 0 and "make thaw" in run.stdout, run.stdout + run.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_is_named(checkout):
    small = checkout.root / ".mvdb/local"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        run = checkout.make("up", f"PORT={checkout.port}")
        assert run.returncode != 0 and "mvdb: No space is left for .mvdb/local: 0 MB are free." in run.stderr, run.stdout + run.stderr
    finally:
        subprocess.run(["umount", "-l", small], check=True)
