"""The small steps of the workflows: what lets a merge through, what a release says, what is verified."""
import json
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def test_the_first_screen_of_the_readme_states_what_was_verified_and_where():
    first = " ".join((ROOT / "README.md").read_text().splitlines()[:12])
    assert "verified on the emulator" in first and "not yet run in an AWS account or on GitHub Actions" in first
    assert "exercised locally" in first  # `scripts/parity --check README.md` compares the figures


def run(script, *arguments, **environment):
    return subprocess.run([ROOT / "scripts" / script, *arguments], capture_output=True, text=True, env=os.environ | environment)


@pytest.fixture
def gh(tmp_path):
    """A gh that notes what it is asked, and the PATH that leads to it."""
    (tmp_path / "gh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{tmp_path}/asked\n')
    (tmp_path / "gh").chmod(0o755)
    return {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, tmp_path / "asked"


def needs(**results):
    return json.dumps({name: {"result": result, "outputs": {}} for name, result in results.items()})


def test_a_merge_waits_for_every_job():
    assert run("passed", NEEDS=needs(check="success", test="success")).returncode == 0


@pytest.mark.parametrize("results", [
    {"check": "failure", "test": "success"}, {"check": "success", "test": "cancelled"}, {"check": "skipped", "test": "success"},
    {"check": "success", "test": "success", "speed": "skipped"}, {}])
def test_a_merge_is_held_by_any_other_result(results):
    said = run("passed", NEEDS=needs(**results))
    assert said.returncode == 1 and all(f"{name}: {result}" in said.stderr for name, result in results.items() if result not in ("success",))


def test_the_one_check_waits_for_every_other_job():
    yaml = pytest.importorskip("yaml")
    jobs = yaml.safe_load((ROOT / ".github/workflows/pull-request.yml").read_text())["jobs"]
    assert sorted(jobs["passed"]["needs"]) == sorted(set(jobs) - {"passed"})


@pytest.mark.parametrize("tag", ["", "1.2.3", "v1.2", "v99.99.99", "v1.2.3; rm"])
def test_a_release_without_a_word_in_the_changelog_is_refused(gh, tag):
    environment, asked = gh
    said = run("publish", tag, **environment)
    assert said.returncode == 1 and "CHANGELOG.md" in said.stderr and not asked.exists()


def test_what_is_deployed_was_built_by_the_one_workflow_from_this_commit(gh):
    environment, asked = gh
    assert run("verify", GITHUB_REPOSITORY="owner/name", **environment).returncode == 0
    commit = subprocess.check_output(["git", "-C", ROOT, "rev-parse", "HEAD"], text=True).strip()
    lines = asked.read_text().splitlines()
    assert len(lines) == 4
    for line in lines:
        assert "--signer-workflow owner/name/.github/workflows/build.yml" in line and f"--source-digest {commit}" in line
    assert sum("movies/bootstrap.zip" in line for line in lines) == sum("telemetry-extension/layer.zip" in line for line in lines) == 2


def test_a_release_says_what_the_changelog_says_of_that_version_alone(gh, tmp_path):
    environment, asked = gh
    for file in ("scripts/publish", "scripts/environment", "infra/environments/local/main.tf"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## Unreleased\n- later\n\n## 1.2.3 (2026-11-21)\n- now\n\n## 1.2\n- before\n")
    said = subprocess.run(["bash", tmp_path / "scripts/publish", "v1.2.3"], capture_output=True, text=True, env=os.environ | environment)
    assert said.returncode == 0, said.stderr
    assert "- now" in asked.read_text() and "later" not in asked.read_text() and "before" not in asked.read_text()


@pytest.fixture
def smoke(tmp_path):
    """`make smoke ROLLBACK=1` with smoke checks that end as asked; what was rolled back."""
    for path in ("infra", "scripts/environment", "scripts/smoke"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to(ROOT / path)

    def script(path, body):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / path).chmod(0o755)
    script("bin/cargo", f"""echo '{{"executable":"{tmp_path}/target/debug/smoke"}}'""")
    script("scripts/terraform", """echo '{"region": {"value": "eu-west-1"}}'""")
    script("scripts/rollback", f'echo "$@" >>{tmp_path}/rolled-back')

    def run(code, *options):
        script("target/debug/smoke", f"cat >/dev/null; exit {code}")
        done = subprocess.run([tmp_path / "scripts/smoke", *options], env={**os.environ, "ENV": "prod", "CARGO_TARGET_DIR": f"{tmp_path}/target",
                              "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}, capture_output=True, text=True)
        rolled_back = tmp_path / "rolled-back"
        return done.returncode, rolled_back.read_text() if rolled_back.exists() else ""
    return run


@pytest.mark.parametrize("code, rolled_back", [(0, ""), (1, "prod\n"), (2, ""), (3, "")])
def test_only_a_failed_check_takes_a_release_back(smoke, code, rolled_back):
    """3: AWS WAF blocked the checks, so nothing is known. A warning ends with 0."""
    assert smoke(code, "--or-rollback") == (code, rolled_back)


def test_without_being_asked_nothing_is_rolled_back(smoke):
    assert smoke(1) == (1, "")
