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
