"""What `make evidence` says when things are not as they should be; the whole of it is made from a running `make up`."""
import base64
import hashlib
import http.server
import importlib.util
import io
import json
import os
import threading
import zipfile
from pathlib import Path

import boto3
import botocore.exceptions
import pytest

os.environ.get("AWS_ENDPOINT_URL") or pytest.exit("Run by: scripts/test scripts", 2)
spec = importlib.util.spec_from_file_location("evidence", Path(__file__).parent / "evidence.py")
evidence = importlib.util.module_from_spec(spec)
spec.loader.exec_module(evidence)


def package(**files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


@pytest.fixture
def served(tmp_path):
    """Serves what Lambda would give to download."""
    handler = type("Handler", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None, "__init__": lambda self, *args: http.server.SimpleHTTPRequestHandler.__init__(self, *args, directory=tmp_path)})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def serve(content):
        (tmp_path / "code.zip").write_bytes(content)
        return f"http://127.0.0.1:{server.server_port}/code.zip"
    yield serve
    server.shutdown()


@pytest.mark.parametrize("deployed, said, verdict", [
    (package(bootstrap="ours"), None, "the bytes that were built"),
    (package(bootstrap="ours", **{"META-INF/signature": "x"}), None, "the files that were built, signed"),
    (package(bootstrap="theirs", **{"META-INF/signature": "x"}), None, "differs"),
    (package(bootstrap="ours", more="x"), None, "differs"),
    (package(bootstrap="ours", **{"META-INF/signature": "x"}), b"another digest than its own", "differs"),
])
def test_what_aws_runs_is_compared_with_what_was_built(tmp_path, served, deployed, said, verdict):
    built = tmp_path / "built.zip"
    built.write_bytes(package(bootstrap="ours"))
    digest = base64.b64encode(hashlib.sha256(said or deployed).digest()).decode()
    assert evidence.compared("movies", built, digest, served(deployed))["verdict"] == verdict


GH = """#!/usr/bin/env bash
case $2 in
  repos/o/r/actions/runs/5/approvals) echo '[{"state": "approved", "comment": "go", "user": {"login": "ann"}, "environments": [{"name": "local"}]}, {"state": "approved", "comment": "", "user": {"login": "bob"}, "environments": [{"name": "other"}]}]' ;;
  repos/o/r/commits/*/pulls) echo '[{"html_url": "https://h/o/r/pull/3", "labels": [{"name": "accept-iam"}], "body": null}]' ;;
  *) exit 1 ;;
esac
"""


def test_github_tells_who_approved_this_environment_and_which_labels_were_given(tmp_path, monkeypatch):
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    for name, value in {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_SERVER_URL": "https://h", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "5", "GITHUB_TRIGGERING_ACTOR": "cy"}.items():
        monkeypatch.setenv(name, value)
    assert evidence.job() == {"url": "https://h/o/r/actions/runs/5", "started_by": "cy", "approved_by": [{"who": "ann", "comment": "go"}],
                              "pull_request": {"url": "https://h/o/r/pull/3", "labels": ["accept-iam"], "text": ""}}
    (tmp_path / "gh").write_text("#!/bin/sh\nexit 1\n")
    assert evidence.job()["approved_by"] is None


def test_without_github_nobody_is_named(monkeypatch):
    monkeypatch.delenv("GITHUB_RUN_ID", raising=False)
    assert set(evidence.job().values()) == {None}


def record(**changed):
    return {"environment": "dev", "region": "eu-west-1", "account": "1", "url": "https://x", "made_at": "2026-01-02T03:04:05Z",
            "commit": {"id": "c" * 40, "subject": "a <b> & c", "committed_at": None, "uncommitted_changes": False, "revision_of_the_code": None},
            "job": {"url": None, "started_by": None, "approved_by": None, "pull_request": None}, "before": None, "plan": None,
            "function": {"name": "f", "version": "2", "published_at": "now", "shifting_to": None, "revision": None}, "artefacts": [{"name": "movies", "deployed_sha256": "d", "built_sha256": None, "verdict": None}],
            "boms": None, "rollback": None, "deployment": None, "scans": None, "smoke": None,
            "controls": [{"number": "C01", "control": "c", "resource": "r", "not_applicable": None, "assertions": [{"folder": "f", "test": "c01_t", "result": None, "at": None}]}],
            "alarms": [{"name": "a", "severity": "page", "before": None, "after": "OK"}], **changed}


def judged(**changed):
    return {title: good for title, _, good in evidence.glance(record(**changed))}


def test_what_nobody_recorded_is_neither_good_nor_bad_and_said():
    assert judged() == {"Plan": None, "Artefacts": None, "Controls": None, "Scans": None, "Smoke": None, "Alarms": True}
    page = evidence.page(record(), "digest")
    assert page.count("<em>not recorded</em>") >= 10 and "a &lt;b&gt; &amp; c" in page and "<b> & c" not in page


@pytest.mark.parametrize("title, changed", [
    ("Plan", {"plan": {"changes": [{}], "risks": [], "applied": False}}),
    ("Plan", {"plan": {"changes": [{}], "risks": [{"accepted": False}], "applied": True}}),
    ("Artefacts", {"artefacts": [{"verdict": "the bytes that were built"}, {"verdict": "differs"}]}),
    ("Artefacts", {"artefacts": [{"verdict": "the bytes that were built"}], "function": {"revision": "another"}}),
    ("Controls", {"controls": [{"assertions": [{"result": "passed"}, {"result": "failed"}]}]}),
    ("Controls", {"controls": [{"assertions": [{"result": None}, {"result": "skipped"}]}]}),
    ("Scans", {"scans": [{"passed": 9, "failed": 1, "skipped": 0}]}),
    ("Smoke", {"smoke": {"cases": [{"result": "passed"}, {"result": "failed"}]}}),
    ("Smoke", {"smoke": {"cases": []}}),
    ("Alarms", {"alarms": [{"name": "a", "after": "ALARM"}]}),
])
def test_what_is_not_as_it_should_be_is_told_at_the_top(title, changed):
    assert judged(**changed)[title] is False


def test_a_result_is_read_as_its_tool_meant_it(tmp_path):
    file = tmp_path / "junit.xml"
    file.write_text('<testsuites><testsuite><testcase name="a"/><testcase name="b"><failure message="m"/></testcase><testcase name="c"><error>e</error></testcase><testcase name="d"><skipped/></testcase></testsuite></testsuites>')
    assert [(case["name"], case["result"], case["message"]) for case in evidence.cases(file)] == [("a", "passed", None), ("b", "failed", "m"), ("c", "failed", "e"), ("d", "skipped", None)]


def test_what_is_uploaded_is_kept_by_day_and_never_written_over(tmp_path, monkeypatch):
    s3 = boto3.client("s3", region_name="eu-west-1")
    s3.create_bucket(Bucket="mvdb-test-evidence", ObjectLockEnabledForBucket=True, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    monkeypatch.setenv("EVIDENCE_BUCKET", "mvdb-test-evidence")
    files = tmp_path / "evidence.json", tmp_path / "evidence.html"
    for file in files:
        file.write_text(json.dumps({"from": file.name}))
    evidence.upload(record(), files)
    stem = f"local/2026/01/02/030405Z-{'c' * 12}"
    assert [found["Key"] for found in s3.list_objects_v2(Bucket="mvdb-test-evidence")["Contents"]] == [f"{stem}.html", f"{stem}.json"]
    assert json.load(s3.get_object(Bucket="mvdb-test-evidence", Key=f"{stem}.json")["Body"]) == {"from": "evidence.json"}
    with pytest.raises(botocore.exceptions.ClientError):
        evidence.upload(record(), files)
