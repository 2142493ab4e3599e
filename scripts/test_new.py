"""`make new`: a service from the template service, in a copy of the checkout. The copy is always
in the same folder and shares the target folder, so that Cargo compiles only what has changed."""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
COPY = ROOT / ".mvdb/test/new"
SERVICE = Path("lambda/services/demo")
# What a service with one route may add to the repository, its Terraform included. The lock file
# does not count.
MAX_FILES, MAX_LINES = 10, 250
# Without them `--test api` compiles the tests of no other service. All crates stay: with another
# set, Cargo would resolve other features and compile every dependency once more.
LEFT_OUT = "lambda/services/movies/tests/"


def git(folder, *arguments):
    run = subprocess.run(["git", *arguments], cwd=folder, check=True,
                         capture_output=True, text=True)
    return run.stdout


def new(name):
    return subprocess.run(["make", "-s", "new", f"NAME={name}"], cwd=COPY,
                          capture_output=True, text=True, timeout=300)


def added():
    """The paths of what git does not track yet, without what it ignores."""
    return git(COPY, "ls-files", "--others", "--exclude-standard").splitlines()


@pytest.fixture
def copy():
    """A copy of what git tracks here. Equal files are left alone: Cargo looks at their times."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs git: a source archive does not list its files")
    tracked = {name for name in git(ROOT, "ls-files").splitlines()
               if (ROOT / name).exists() and not name.startswith(LEFT_OUT)}
    shutil.rmtree(COPY / ".git", ignore_errors=True)
    for file in [file for file in COPY.rglob("*") if not file.is_dir()]:
        name = file.relative_to(COPY).as_posix()
        if name not in tracked and not name.startswith(".mvdb/"):
            file.unlink()
    shutil.rmtree(COPY / SERVICE, ignore_errors=True)
    for name in tracked:
        source, target = ROOT / name, COPY / name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    git(COPY, "init", "--quiet")
    git(COPY, "add", "--all")


@pytest.mark.usefixtures("copy")
def test_a_new_service_is_small_and_passes_its_tests_on_both_entry_points():
    run = new("demo")
    assert run.returncode == 0, run.stderr
    files = added()
    lines = sum((COPY / file).read_bytes().count(b"\n") for file in files)
    print(f"{len(files)} files, {lines} lines")
    assert f"{len(files)} files, {lines} lines" in run.stdout
    assert files and all(file.startswith(f"{SERVICE}/") for file in files)
    size = f"{len(files)} files, {lines} lines: {files}"
    assert len(files) <= MAX_FILES and lines <= MAX_LINES, size
    assert git(COPY, "diff", "--name-only").split() == ["lambda/Cargo.lock"]
    assert not [file for file in files if "template" in (COPY / file).read_text().lower()]

    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "lambda/target")
    tests = subprocess.run(
        ["cargo", "test", "--locked", "--workspace", "--test", "api"], cwd=COPY / "lambda",
        env=os.environ | {"CARGO_TARGET_DIR": str(target)},
        capture_output=True, text=True, timeout=1800)
    assert tests.returncode == 0, tests.stdout + tests.stderr
    for entry_point in ("lambda", "server"):
        for behaviour in ("implements_its_contract", "greeting_names_the_service"):
            passed = tests.stdout.count(f"test {entry_point}::{behaviour} ... ok\n")
            # In the template service and in the new one.
            assert passed == 2, tests.stdout + tests.stderr


@pytest.mark.parametrize("name, said", [
    ("", "No name is given"),
    ("Demo", "lower-case letters, digits and single hyphens"),
    ("9lives", "lower-case letters, digits and single hyphens"),
    ("de_mo", "lower-case letters, digits and single hyphens"),
    ("demo-", "lower-case letters, digits and single hyphens"),
    ("../demo", "lower-case letters, digits and single hyphens"),
    ("demo demo", "lower-case letters, digits and single hyphens"),
    ("a-name-of-21-letters-", "lower-case letters, digits and single hyphens"),
    ("a-name-of-21-letters1", "leave room for 20"),
    ("async", "reserved by Rust or Cargo"),
    ("movies", "There is a service 'movies' already"),
    ("template", "There is a service 'template' already"),
    ("inbound", "uses a crate 'inbound' already"),
    ("http", "uses a crate 'http' already"),
])
@pytest.mark.usefixtures("copy")
def test_a_name_that_no_service_can_have_is_rejected_and_nothing_is_created(name, said):
    run = new(name)
    assert run.returncode != 0 and said in run.stderr, run.stderr
    assert "make new NAME=demo" in run.stderr
    assert not added() and not git(COPY, "diff", "--name-only")
