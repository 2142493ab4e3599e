"""The kill switch: its pattern of a consumer against tokens, and what it says when it is called wrongly. With a web ACL before a real
API it is turned by `make freeze-drill`."""
import base64
import json
import os
import random
import re
import string
import subprocess
import sys
import uuid
from pathlib import Path

import boto3
import pytest
import yaml

import switch

os.environ.get("AWS_ENDPOINT_URL") or pytest.exit("Run by: scripts/test scripts", 2)
ROOT = Path(__file__).parent.parent
IDS = [f"{n:02}" + "".join(random.Random(n).choices(string.ascii_lowercase + string.digits, k=24)) for n in range(30)]


def token(client_id, before):
    """As Cognito's, with so many bytes before the id."""
    claims = json.dumps({"sub": "x" * before, "token_use": "access", "client_id": client_id, "version": 2}, separators=(",", ":"))
    return "Bearer " + ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in ('{"alg":"RS256"}', claims, "signature"))


@pytest.mark.parametrize("before", range(6))
def test_a_consumer_is_found_wherever_its_id_stands_in_the_token_and_no_other_is(before):
    for client_id in IDS:
        assert [other for other in IDS if re.search(switch.in_a_token(other), token(client_id, before))] == [client_id]


def test_every_spelling_is_needed():
    for n in range(3):
        one = switch.in_a_token(IDS[0]).split("|")[n]
        assert [bool(re.search(one, token(IDS[0], before))) for before in range(6)].count(True) == 2


def test_waf_takes_the_patterns_as_they_are():
    for pattern in [switch.WRITES, *map(switch.in_a_token, IDS)]:
        assert len(pattern) <= 200  # WAF's quota
    assert re.fullmatch(r"[A-Za-z0-9_|-]+", switch.in_a_token(IDS[0])), "nothing in it means something else in a pattern"


def test_writes_are_what_the_contract_asks_the_scope_for():
    contract = yaml.safe_load((ROOT / "lambda/services/movies/openapi.yaml").read_text())
    operations = [(method.upper(), operation.get("security", contract["security"])) for path in contract["paths"].values()
                  for method, operation in path.items() if method in ("get", "head", "options", "put", "post", "patch", "delete")]
    writes = {method for method, security in operations if security == [{"oauth2": ["movies/write"]}]}
    assert writes and {method for method, _ in operations if re.search(switch.WRITES, method)} == writes
    assert not re.search(switch.NOTHING, "GET") and not re.search(switch.WRITES, "OPTIONS")


def outputs(**switch):
    return {"region": "eu-west-1", "api_url": "http://127.0.0.1:1", "switch": switch, "alarms": {"a-frozen": {"heading": "frozen"}},
            "consumers": {"reader": {"client_id": IDS[0], "consumer": "reader"}, "writer": {"client_id": IDS[1], "consumer": "writer"},
                          "writer-next": {"client_id": IDS[2], "consumer": "writer"}}}


@pytest.fixture
def turned():
    """A switch, and what WAF then has: record and patterns."""
    waf, name = boto3.client("wafv2", region_name="eu-west-1"), f"test-{uuid.uuid4().hex}"
    made = waf.create_regex_pattern_set(Name=name, Scope="REGIONAL", Description="Nothing is frozen.", RegularExpressionList=[{"RegexString": switch.NOTHING}])["Summary"]

    def turn(change, reason):
        switch.Switch(outputs(id=made["Id"], name=name)).turn(change, reason)
        kept = waf.get_regex_pattern_set(Name=name, Scope="REGIONAL", Id=made["Id"])["RegexPatternSet"]
        return kept["Description"], [each["RegexString"] for each in kept["RegularExpressionList"]]
    return turn


def test_the_record_says_what_who_when_and_why_in_what_waf_takes(turned):
    record, patterns = turned(lambda before: [*before, switch.WRITES], 'it\'s "wild" – 100 %!')
    assert patterns == [switch.WRITES]
    assert re.fullmatch(r"Frozen: writes\. Froze writes\. By arn:aws:\S+ at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: it s  wild    100", record)
    record, patterns = turned(lambda before: [*before, switch.in_a_token(IDS[0]), "by hand"], "x" * 300)
    assert len(record) == 256 and record.startswith("Frozen: writes, consumer reader, what the stack does not know. Froze consumer reader. Froze what the stack does not know.")
    assert re.fullmatch(r"[\w+=:#@/\-,.][\w+=:#@/\-,.\s]+[\w+=:#@/\-,.]", record, re.ASCII)
    assert patterns == [switch.WRITES, switch.in_a_token(IDS[0]), "by hand"]


def test_what_is_thawed_is_all_gone_and_the_record_says_so(turned):
    turned(lambda before: [switch.WRITES, switch.in_a_token(IDS[1])], "x")
    record, patterns = turned(lambda before: before[1:], "over")
    assert record.startswith("Frozen: consumer writer. Thawed writes. By ") and patterns == [switch.in_a_token(IDS[1])]
    record, patterns = turned(lambda before: [], "over")
    assert record.startswith("Nothing is frozen. Thawed consumer writer. By ") and patterns == [switch.NOTHING]


def test_a_consumer_with_two_clients_is_frozen_and_thawed_as_one():
    both = switch.Switch(outputs(id="none", name="none")).patterns["consumer writer"]
    assert both == [switch.in_a_token(IDS[1]), switch.in_a_token(IDS[2])]
    assert switch.Switch(outputs(id="none", name="none")).names(both) == ["consumer writer"]


def turn(verb, **said):
    told = outputs(id="none", name="none") if said.pop("deployed", True) else {}
    run = subprocess.run([sys.executable, ROOT / "scripts/switch.py", verb], capture_output=True, text=True, timeout=60,
                         env={**os.environ, "ENV": "prod", "OUTPUTS": json.dumps({name: {"value": value} for name, value in told.items()}), **said})
    return run.returncode, run.stderr


@pytest.mark.parametrize("said, told", [
    ({}, "say why"), ({"WHAT": "writes"}, "say why"), ({"CONSUMER": "stranger", "REASON": "x"}, "It is one of: reader, writer"),
    ({"WHAT": "reads", "REASON": "x"}, "one at a time"), ({"WHAT": "writes", "CONSUMER": "reader", "REASON": "x"}, "one at a time"),
    ({"deployed": False}, "make deploy ENV=prod")])
def test_who_freezes_wrongly_is_told_what_to_say(said, told):
    code, error = turn("freeze", **said)
    assert code == 1 and told in error and "Traceback" not in error
