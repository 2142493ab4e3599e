"""`make load`: which file reaches the loader, whose own tests are in lambda/tools/loader."""
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def load(tmp_path):
    """scripts/load in a checkout where a table is deployed and the loader prints its arguments."""
    def program(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{text}\n")
        path.chmod(0o755)
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for script in (ROOT / "scripts").iterdir():
        if script.name != "terraform":
            (scripts / script.name).symlink_to(script)
    (tmp_path / "infra").symlink_to(ROOT / "infra")
    outputs = '{"table_name": {"value": "deployed"}, "region": {"value": "eu-west-1"}}'
    program(scripts / "terraform", f"echo '{outputs}'")
    program(tmp_path / "bin/cargo", f"""echo '{{"executable":"{tmp_path}/target/loader"}}'""")
    program(tmp_path / "target/loader", "printf '%s\\n' \"$@\"")
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "ENV": "prod"}

    def run(*arguments):
        command = [scripts / "load", *arguments]
        options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
        return subprocess.run(command, timeout=60, **options)
    return run


def test_a_file_whose_name_begins_with_a_dash_is_a_file(load, tmp_path):
    for name in ("-m.json", "movies.json"):
        (tmp_path / name).write_text("[]")
        run = load(name, "--dry-run")
        assert run.stdout.split() == ["--table", "deployed", "--dry-run", "--", name], run


def test_what_is_no_file_is_named_with_what_to_do(load, tmp_path):
    (tmp_path / "folder").mkdir()
    for arguments, message in (
            ([], "No file is named."),
            ([""], "No file is named."),
            (["none.json"], "No such file: none.json"),
            (["folder/"], "folder/ is a folder.\nmvdb: Name a file in it: make load FILE=folder")):
        run = load(*arguments)
        assert run.returncode == 1 and message in run.stderr, run
