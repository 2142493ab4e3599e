"""Rules of our own for .github: every step is a make target, and every action is pinned to the commit of a release that it names."""

import pathlib
import re
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).parent.parent
FILES = sorted(ROOT.glob(".github/workflows/*.y*ml")) + sorted(ROOT.glob(".github/actions/*/action.y*ml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
MAKE = re.compile(r"make ([a-z-]+)( [A-Z_]+=(\"[^\"`$]*\"|[\w./:-]+|\"?\$[A-Z_]+\"?))*")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")


def values(node, key):
    """Every value of this key, at any depth."""
    if isinstance(node, dict):
        yield from (value for name, value in node.items() if name == key)
        node = list(node.values())
    for child in node if isinstance(node, list) else []:
        yield from values(child, key)


def problems(text):
    """What is wrong with a workflow."""
    document = yaml.safe_load(text)
    for run in values(document, "run"):
        match = isinstance(run, str) and MAKE.fullmatch(run.strip())
        if isinstance(run, str) and (not match or match[1] not in TARGETS):
            yield f"not one make target: {run}"
    # With the comment, which YAML does not keep.
    written = re.findall(r"^\s*(?:- )?uses: (\S.*?)\s*$", text, re.MULTILINE)
    if len(written) != len(list(values(document, "uses"))):
        yield "a `uses:` is not on a line of its own"
    for uses in written:
        if not uses.startswith("./") and not PINNED.fullmatch(uses):
            yield f"not pinned to a commit with its release beside it: {uses}"
    if "jobs" in document and document.get("permissions") != {}:
        yield "the workflow's own permissions are not {}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(ROOT).as_posix())
def test_a_workflow_keeps_the_rules(file):
    assert list(problems(file.read_text())) == []


def test_no_workflow_is_lost():
    known = subprocess.run(["git", "ls-files", ".github/workflows"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert bool(known) == any(file.parent.name == "workflows" for file in FILES)


GOOD = """
permissions: {}
jobs:
  test:
    steps:
      - uses: actions/checkout@0123456789abcdef0123456789abcdef01234567 # v4.2.2
      - uses: ./.github/actions/tools
      - run: make plan ENV=dev
"""


def test_a_good_workflow_has_no_problem():
    assert list(problems(GOOD)) == []


@pytest.mark.parametrize("good, bad", [
    ("make plan", "cargo build"),
    ("make plan", "make plan-nothing"),
    ("ENV=dev", "ENV=dev && curl example.com"),
    ("ENV=dev", "ENV=${{ github.head_ref }}"),
    ("ENV=dev", "ENV=$(id)"),
    ("run: make plan ENV=dev", "run: |\n          make plan\n          make deploy"),
    ("@0123456789abcdef0123456789abcdef01234567", "@v4.2.2"),
    ("@0123456789abcdef0123456789abcdef01234567", "@0123456"),
    (" # v4.2.2", ""),
    (" # v4.2.2", " # main"),
    ("- uses: actions/checkout", "- {name: x, uses: actions/checkout@v4}\n      - uses: actions/checkout"),
    ("permissions: {}", "permissions: { contents: read }"),
    ("permissions: {}", ""),
])
def test_a_bad_workflow_is_seen(good, bad):
    assert good in GOOD
    assert list(problems(GOOD.replace(good, bad)))


# What the workflows promise, on the parsed files.

WORKFLOWS = {file.stem: yaml.safe_load(file.read_text()) for file in FILES if file.parent.name == "workflows"}
ON = True  # YAML 1.1 reads the key `on` as a boolean


def steps(job):
    return job.get("steps", [])


def targets(job):
    return [MAKE.fullmatch(step["run"].strip())[1] for step in steps(job) if "run" in step]


def jobs():
    return [(f"{name}.{key}", job) for name, workflow in WORKFLOWS.items() for key, job in workflow["jobs"].items()]


@pytest.mark.parametrize("name, job", jobs(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_job_that_needs_history_checks_all_of_it_out(name, job):
    """actions/checkout: "Only a single commit is fetched by default", and of a pull request that is its merge commit: the
    revision that a build compiles in would be another than the deployed one. https://github.com/actions/checkout#usage"""
    needs_history = {"build", "ci", "contract", "deploy", "drift", "evidence", "plan", "secrets", "verify"}
    for step in steps(job):
        if step.get("uses", "").startswith("actions/checkout@") and needs_history & set(targets(job)) and name != "release.publish":
            assert step["with"].get("fetch-depth") == 0


def test_no_pull_request_gets_a_role_in_prods_account():
    """The plan role of prod trusts `ref:refs/heads/main` alone: a job of a pull request has another subject, and so has one that
    names an environment. https://docs.github.com/en/actions/reference/security/oidc"""
    for name, workflow in WORKFLOWS.items():
        if "pull_request" in workflow[ON]:
            assert "prod" not in re.sub(r"#.*", "", (ROOT / f".github/workflows/{name}.yml").read_text()).lower()
    for name, job in jobs():
        if any("PROD_PLAN_ROLE_ARN" in value for value in map(str, values(job, "role"))):
            assert "environment" not in job, name
    assert "environment" not in WORKFLOWS["environment"]["jobs"]["plan"]


def test_prod_is_approved_after_its_plan_and_the_approved_plan_is_applied():
    plan, deploy = (WORKFLOWS["environment"]["jobs"][name] for name in ("plan", "deploy"))
    # doctor fails where an apply would stop half-way, or lose what no resource of Terraform sets: quotas, Transaction Search.
    assert targets(plan)[-4:] == ["doctor", "plan", "plan-risk", "save-plan"] and plan["outputs"] == {"digest": "${{ steps.plan.outputs.digest }}"}
    assert deploy["needs"] == "plan" and deploy["environment"] == "${{ inputs.environment }}" and "needs.plan.outputs.digest" in deploy["name"]
    done = targets(deploy)
    assert "plan" not in done and done.index("fetch-plan") < done.index("deploy") < done.index("smoke") < done.index("evidence")
    (fetch,) = [step for step in steps(deploy) if step.get("run") == "make fetch-plan"]
    assert fetch["env"] == {"DIGEST": "${{ needs.plan.outputs.digest }}"} and deploy["env"]["PLAN"] == ".mvdb/${{ inputs.environment }}/plan"


def test_a_saved_plan_is_no_artifact():
    for file in FILES:
        for step in values(yaml.safe_load(file.read_text()), "steps"):
            uploads = [each["with"] for each in step if each.get("uses", "").startswith("actions/upload-artifact@")]
            assert not [upload for upload in uploads if re.search(r"plan|\.mvdb(?!/results)", str(upload))]


def test_no_concurrency_group_is_held_while_an_approval_is_waited_for():
    """"There can be at most one running job or workflow in a concurrency group at any time", and one that waits is running.
    https://docs.github.com/en/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency"""
    deploy = WORKFLOWS["deploy"]
    assert "concurrency" not in deploy and "concurrency" not in WORKFLOWS["environment"]
    assert "concurrency" not in deploy["jobs"]["prod"] and "concurrency" not in WORKFLOWS["environment"]["jobs"]["deploy"]
    assert deploy["jobs"]["dev"]["concurrency"] == {"group": "dev", "cancel-in-progress": False}


def test_labels_and_edits_start_the_plan_alone():
    of_text = {"labeled", "unlabeled", "edited"}
    assert {name for name, workflow in WORKFLOWS.items() if of_text & set((workflow[ON].get("pull_request") or {}).get("types", []))} == {"plan"}


def test_a_merge_queue_gets_every_required_check():
    """"You must use the merge_group event to trigger your GitHub Actions workflow"; a job that a condition skips "will report its
    status as Success". https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/collaborating-on-repositories-with-code-quality-features/troubleshooting-required-status-checks"""
    for name, workflow in WORKFLOWS.items():
        if "pull_request" in workflow[ON]:
            assert "merge_group" in workflow[ON], name
            assert "|| github.ref" in workflow["concurrency"]["group"], "runs of a merge queue would cancel each other"


def test_attestations_are_left_out_together():
    """Private and internal repositories need GitHub Enterprise Cloud:
    https://docs.github.com/en/actions/how-tos/secure-your-work/use-artifact-attestations/use-artifact-attestations"""
    for name, job in jobs():
        for step in steps(job):
            if step.get("uses", "").startswith("actions/attest@") or step.get("run") == "make verify":
                assert step["if"] == "vars.ATTESTATIONS != 'off'", name
