"""What is reported before it is too late: consumers, counted rules, subscribers who have not confirmed."""
import datetime
import http.server
import json
import os
import re
import subprocess
import threading
import uuid
from pathlib import Path

import boto3
import pytest

os.environ.get("AWS_ENDPOINT_URL") or pytest.exit("Run by: scripts/test scripts", 2)
ROOT = Path(__file__).parent.parent
GH = """#!/usr/bin/env bash
echo "$*" >>"$GH_LOG"
[[ $* != *--body-file* ]] || cat "${@: -1}" >>"$GH_LOG"
"""


def day(days):
    return (datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days)).isoformat()


def consumer(name, days=None):
    agreed = {"owner": "Shop team", "contact": "shop@example.com", "expires_on": day(days)} if days is not None else {}
    return {"consumer": name, "client_id": name, "client_secret": "s3cret", "scopes": ["movies/read"], **agreed}


@pytest.fixture
def reminders(tmp_path):
    for path in ("infra", ".mvdb/venv", *(f"scripts/{name}" for name in ("environment", "venv", "requirements.txt", "reminders", "keep-issue"))):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to(ROOT / path)
    for name, body in (("scripts/terraform", f"#!/bin/sh\ncat {tmp_path}/outputs.json\n"), ("gh", GH)):
        (tmp_path / name).write_text(body)
        (tmp_path / name).chmod(0o755)
    topic = boto3.client("sns", region_name="eu-west-1").create_topic(Name=f"page-{uuid.uuid4().hex}")["TopicArn"]

    def run(*options, consumers=None, rules=None, **environment):
        outputs = {"region": "eu-west-1", "topics": {"page": topic}, "counted_rules": rules or {},
                   "consumers": {"operations": consumer("operations"), **(consumers or {})}}
        (tmp_path / "outputs.json").write_text(json.dumps({name: {"value": value} for name, value in outputs.items()}))
        (tmp_path / "log").write_text("")
        done = subprocess.run([tmp_path / "scripts/reminders", "prod", *options], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "GH_LOG": str(tmp_path / "log")})
        return done.returncode, done.stdout + done.stderr, (tmp_path / "log").read_text()
    return run


def test_nothing_is_reported_more_than_30_days_ahead(reminders):
    code, said, _ = reminders(consumers={"shop": consumer("shop", 31)}, rules={"common/X": {"reason": "r", "expires_on": day(31)}})
    assert code == 0 and "Nothing expires within 30 days in prod" in said


@pytest.mark.parametrize("days, when", [(30, "in 30 days, on "), (1, "in 1 days, on "), (0, "since "), (-400, "since ")])
def test_a_consumer_is_reported_from_30_days_ahead_with_whom_to_ask(reminders, days, when):
    code, said, _ = reminders(consumers={"shop": consumer("shop", days)})
    assert code == 2 and f"Consumer `shop` is rejected {when}{day(days)}. Ask Shop team (shop@example.com)" in said
    assert "s3cret" not in said


def test_a_counted_rule_is_reported(reminders):
    code, said, _ = reminders(rules={"common/X": {"reason": "HTML in plots", "expires_on": day(3)}})
    assert code == 2 and "WAF's rule `common/X` only counts (HTML in plots)" in said


def test_what_is_due_opens_an_issue(reminders):
    code, _, asked = reminders("--issue", consumers={"shop": consumer("shop", 3)})
    assert code == 2 and "issue create --title To do in prod" in asked and "Consumer `shop`" in asked


SUBSCRIPTIONS = """<ListSubscriptionsByTopicResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><ListSubscriptionsByTopicResult><Subscriptions>
<member><TopicArn>t</TopicArn><Protocol>email</Protocol><SubscriptionArn>%s</SubscriptionArn><Owner>1</Owner><Endpoint>on-call@example.com</Endpoint></member>
</Subscriptions></ListSubscriptionsByTopicResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></ListSubscriptionsByTopicResponse>"""


@pytest.mark.parametrize("arn, code", [("PendingConfirmation", 2), ("arn:aws:sns:eu-west-1:1:t:1", 0)])
def test_a_subscriber_who_has_not_confirmed_is_reported(reminders, monkeypatch, arn, code):
    """The emulator confirms at once, so this is what SNS says on the wire: an ARN "PendingConfirmation" until the link was followed.
    https://docs.aws.amazon.com/sns/latest/api/API_ListSubscriptionsByTopic.html"""
    class Sns(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            body = (SUBSCRIPTIONS % arn).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sns) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", f"http://127.0.0.1:{server.server_port}")
        found, said, _ = reminders()
        server.shutdown()
    assert found == code and ("A subscriber of severity page (email) has not confirmed" in said) == (code == 2)


def test_every_environment_has_the_outputs_that_are_read():
    for file in (ROOT / "infra/environments").glob("*/outputs.tf"):
        assert {"consumers", "counted_rules", "topics", "region"} <= set(re.findall(r'^output "(\w+)"', file.read_text(), re.M)), file
