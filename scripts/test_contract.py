"""`make contract` on a machine without npm. Its other half needs npm and the history: .ci/run runs it on the contract itself."""
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def without_npm(tmp_path):
    """An environment whose PATH has every other program."""
    for folder in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            link = tmp_path / program.name
            link.unlink(missing_ok=True)
            link.symlink_to(program)
    for name in ("node", "npm", "npx"):
        (tmp_path / name).unlink(missing_ok=True)
    return {**os.environ, "PATH": str(tmp_path), "BASE": "no-such-commit"}


def contract(environment):
    return subprocess.run(["scripts/contract"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_a_missing_npm_is_an_error_that_says_what_to_install_and_how_to_skip_the_linters(without_npm):
    run = contract(without_npm)
    assert run.returncode == 1 and "npm is not installed" in run.stderr
    assert "Node.js" in run.stderr and "make contract OFFLINE=1" in run.stderr
    assert "no-such-commit" not in run.stderr


def test_offline_skips_the_linters_says_so_and_goes_on(without_npm):
    run = contract({**without_npm, "OFFLINE": "1"})
    assert "NOT CHECKED, because of OFFLINE: Redocly's and Spectral's rules" in run.stdout
    assert run.returncode == 1 and "no commit no-such-commit" in run.stderr
