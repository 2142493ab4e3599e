"""Each alarm of the module's plan, on series in which it has to ring and on series in which it must not. The series are made
for the question, none was recorded: they show what an alarm does with numbers, not which numbers AWS sends.

What CloudWatch computes is cloudwatch.py's; expressions, periods and thresholds are read from `terraform show -json`.
Run by: .mvdb/venv/bin/python -m pytest infra/modules/observability/tests
"""
import json
import os
import subprocess
from pathlib import Path

import pytest

import cloudwatch

MODULE = Path(__file__).resolve().parents[1]
PROVIDERS = MODULE.parents[2] / ".mvdb/local/terraform/providers"
NAME = "mvdb-test-movies"
VARIABLES = {
    "name": NAME, "region": "eu-west-1", "account_id": "123456789012", "runbook_url": "https://example.com/infra/RUNBOOK.md",
    "slo": {"availability": {"target": 0.999}, "latency": {"target": 0.99, "threshold_milliseconds": 300}, "minimum_requests": 120},
    "api": {"name": NAME, "stage_name": "v1"},
    "function": {"name": NAME, "timeout_seconds": 10, "reserved_concurrency": 100, "log_group_name": f"/aws/lambda/{NAME}", "namespace": "mvdb"},
    "canary": {"alias": "live", "version": "8"},
    "table": {"name": NAME, "operations": ["GetItem", "PutItem"]}, "web_acl": {"metric_name": NAME}, "switch": {"id": "set"},
    "backup": {"vault_name": NAME}, "flow_log": {"log_group_name": f"/aws/vpc/{NAME}", "addresses": "10.0.0.*"}, "keys": {},
    "consumers": {"reader": {"requests_per_hour": 5000}}, "silence_minutes": 30, "log_groups": {},
    "subscribers": {"page": [], "ticket": []}, "budget": {"usd_per_month": 50},
}


def plan(folder, **changes):
    """The planned alarms and composites, by name without the stack's."""
    provider = {"region": "eu-west-1", "access_key": "none", "secret_key": "none", "skip_credentials_validation": True,
                "skip_metadata_api_check": True, "skip_requesting_account_id": True}
    (folder / "main.tf.json").write_text(json.dumps(
        {"provider": {"aws": provider}, "module": {"observability": {"source": os.path.relpath(MODULE, folder.resolve()), **VARIABLES, **changes}}}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_DATA_DIR"))}

    def terraform(*arguments):
        return subprocess.run(["terraform", *arguments], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE).stdout

    terraform("init", "-input=false", *([f"-plugin-dir={PROVIDERS}"] if PROVIDERS.exists() else []))
    terraform("plan", "-input=false", "-out=plan")
    resources = json.loads(terraform("show", "-json", "plan"))["planned_values"]["root_module"]["child_modules"][0]["resources"]
    return {kind: {resource["values"]["alarm_name"].removeprefix(f"{NAME}-"): resource["values"] for resource in resources if resource["type"] == f"aws_cloudwatch_{kind}"}
            for kind in ("metric_alarm", "composite_alarm")}


@pytest.fixture(scope="session")
def planned(tmp_path_factory):
    return plan(tmp_path_factory.mktemp("plan"))


@pytest.fixture(scope="session")
def heard():
    """Every alarm that rang in some test: at the end it has to be each of them."""
    return set()


@pytest.fixture
def ringing(planned, heard):
    def alarms(minutes, quota=1000):
        found = {key for key, alarm in planned["metric_alarm"].items()
                 if alarm["threshold"] is not None and cloudwatch.rings(alarm, minutes, quota)}
        names = {f"{NAME}-{key}" for key in found}
        for _ in range(2):  # a composite of composites is known after them
            names |= {f"{NAME}-{key}" for key, alarm in planned["composite_alarm"].items() if cloudwatch.composite_rings(alarm["alarm_rule"], names)}
        found = {name.removeprefix(f"{NAME}-") for name in names}
        heard.update(found)
        return found
    return alarms


def lasting(minutes, sent=100, failed=0, slow=0, **others):
    """So many minutes of traffic, in each of them so many requests sent; others: metric name -> value, or {value: how often}."""
    minute = {"NumberOfBackupJobsCompleted": {1: 1}, **{name: of if isinstance(of, dict) else {of: 1} for name, of in others.items()}}
    if sent:
        minute |= {"Count": {sent: 1}, "5XXError": {failed: 1}, "Latency": {50: sent - slow, 900: slow}}
    return [minute] * minutes


HOURS, DAYS = 60, 24 * 60


def test_a_promise_that_is_kept_rings_nothing(ringing):
    assert ringing(lasting(3 * DAYS, sent=10_000, failed=9, slow=90)) == set()


def test_an_outage_pages_within_two_minutes(ringing):
    rings = ringing(lasting(1 * DAYS) + lasting(2, failed=100))
    assert {"availability-burn-fast", "page"} <= rings and "availability-burn-slow" not in rings


def test_the_fast_page_ends_soon_after_the_outage(ringing):
    assert "availability-burn-fast" in ringing(lasting(6 * HOURS) + lasting(10, failed=100) + lasting(4))
    rings = ringing(lasting(6 * HOURS) + lasting(10, failed=100) + lasting(6))
    assert "availability-burn-fast-1h" in rings and "availability-burn-fast" not in rings


def test_two_in_a_hundred_page_when_they_last(ringing):
    assert "availability-burn-fast" not in ringing(lasting(1 * DAYS) + lasting(40, failed=2))
    assert "availability-burn-fast" in ringing(lasting(1 * DAYS) + lasting(45, failed=2))


def test_seven_in_a_thousand_page_within_six_hours_and_not_before(ringing):
    quick, long = lasting(1 * DAYS, sent=1000) + lasting(4 * HOURS, sent=1000, failed=7), lasting(6 * HOURS, sent=1000, failed=7)
    assert not {"availability-burn-fast", "availability-burn-slow"} & ringing(quick)
    rings = ringing(quick + long)
    assert "availability-burn-slow" in rings and "availability-burn-fast" not in rings


def test_a_small_burn_is_a_ticket_after_three_days(ringing):
    assert ringing(lasting(2 * DAYS, sent=1000, failed=2)) == set()
    assert ringing(lasting(3 * DAYS, sent=1000, failed=2)) == {"availability-burn-daily", "ticket"}


def test_exactly_the_budget_is_not_too_much(ringing):
    assert ringing(lasting(3 * DAYS, sent=1000, failed=1, slow=10)) == set()


def test_a_failure_at_night_is_no_outage(ringing):
    assert not {"page", "ticket"} & ringing(lasting(6 * HOURS, sent=None) + lasting(1, sent=3, failed=1))
    assert not {"page", "ticket"} & ringing(lasting(1 * DAYS, sent=None) + lasting(60, sent=2, failed=2))


def test_just_above_the_guard_an_outage_is_one(ringing):
    assert "availability-burn-fast" in ringing(lasting(60, sent=3, failed=3))


def test_slow_answers_page_as_failures_do(ringing):
    assert {"latency-burn-fast"} == ringing(lasting(6 * HOURS) + lasting(60, slow=15)) & {"latency-burn-fast", "availability-burn-fast"}
    assert "latency-burn-fast" not in ringing(lasting(6 * HOURS) + lasting(60, slow=14))
    assert "latency-burn-slow" in ringing(lasting(6 * HOURS, slow=7))
    assert ringing(lasting(3 * DAYS, slow=2)) == {"latency-burn-daily", "ticket"}


def test_silence_pages_after_its_time(ringing):
    assert ringing(lasting(1 * DAYS) + lasting(29, sent=None)) == set()
    assert ringing(lasting(1 * DAYS) + lasting(30, sent=None)) - {"ticket"} == {"silence", "page"}


@pytest.mark.parametrize("alarm, severity, minutes, quiet, loud", [
    ("function-errors", "ticket", 5, {"Errors": 0}, {"Errors": 1}),
    ("function-locked-out", "page", 5, {"faults of table": 9}, {"faults of credentials": 1}),
    ("function-locked-out", "page", 5, {}, {"faults of denied": 1}),
    ("function-locked-out", "page", 5, {}, {"faults of missing": 1}),
    ("function-throttled", "page", 15, {"Throttles": 0}, {"Throttles": 1}),
    ("function-slow", "ticket", 15, {"Duration": {20: 90, 7000: 10}}, {"Duration": {20: 90, 7001: 10}}),
    ("function-crowded", "ticket", 5, {"ConcurrentExecutions": 80}, {"ConcurrentExecutions": 81}),
    ("function-does-not-start", "page", 5, {}, {f"{NAME}-init-failures": 1}),
    ("table-throttled", "page", 15, {"ReadThrottleEvents": 0, "WriteThrottleEvents": 0}, {"WriteThrottleEvents": 1}),
    ("table-errors", "ticket", 15, {"SystemErrors": 0}, {"SystemErrors": 1}),
    ("table-slow", "ticket", 15, {"SuccessfulRequestLatency": {5: 9, 205: 1}}, {"SuccessfulRequestLatency": {5: 9, 206: 1}}),
    ("waf-blocks", "ticket", 15, {"AllowedRequests": 80, "BlockedRequests": 20}, {"AllowedRequests": 79, "BlockedRequests": 21}),
    ("waf-blocks", "ticket", 15, {"AllowedRequests": 10, "BlockedRequests": 10}, {"AllowedRequests": 10, "BlockedRequests": 11}),
    ("event-lost", "ticket", 5, {}, {"FailedInvocations": 1}),
    ("breakout", "ticket", 5, {}, {f"{NAME}-refused-packets": 1}),
    ("version-slow", "ticket", 3, {"Duration of 8": {20: 98, 301: 1, 300: 1}}, {"Duration of 8": {20: 98, 301: 2}}),
    ("version-fails", "ticket", 3, {"Invocations of 8": 100, "Errors of 8": 1}, {"Invocations of 8": 100, "Errors of 8": 2}),
    ("version-fails", "ticket", 3, {"Invocations of 8": 100, "faults of 8": 1}, {"Invocations of 8": 100, "faults of 8": 2}),
    ("version-fails", "ticket", 3, {"Invocations of 8": 100, "Errors of 8": 1}, {"Invocations of 8": 100, "Errors of 8": 1, "faults of 8": 1}),
    ("consumer-usage-reader", None, 60, {"requests": 83}, {"requests": 84}),
])
def test_an_alarm_rings_above_its_threshold_and_not_at_it(ringing, alarm, severity, minutes, quiet, loud):
    before = lasting(1 * DAYS)
    assert ringing(before + lasting(minutes, **quiet)) == set()
    assert ringing(before + lasting(minutes, **loud)) == {alarm, severity} - {None}


def test_one_bad_point_of_three_is_not_enough_where_two_are_asked(ringing):
    assert ringing(lasting(1 * DAYS) + lasting(5, Throttles=1)) == set()


def test_a_version_that_fails_rings_in_its_second_minute_and_one_bad_minute_is_forgiven(ringing):
    before, good, bad = lasting(1 * DAYS), *(lasting(1, **{"Invocations of 8": 3, "faults of 8": failed}) for failed in (0, 3))
    assert ringing(before + bad) == ringing(before + bad + good + good) == set()
    assert ringing(before + bad + bad) == ringing(before + bad + good + bad) == {"version-fails", "ticket"}


def test_a_version_is_not_blamed_for_anothers_failures_nor_for_silence(ringing):
    assert not {"version-fails", "version-slow"} & ringing(lasting(1 * DAYS) + lasting(5, **{
        "Invocations": 100, "Errors": 50, "Duration": 5000, "Invocations of 7": 90, "Errors of 7": 50, "faults of 7": 40, "Duration of 7": 5000}))


def without_backups(minutes):
    return [{name: samples for name, samples in minute.items() if name != "NumberOfBackupJobsCompleted"} for minute in lasting(minutes)]


def test_a_failed_backup_is_a_ticket_at_once(ringing):
    assert ringing(lasting(2 * DAYS - 1) + lasting(1, NumberOfBackupJobsFailed=1)) == {"backup-failed", "ticket"}


def test_a_backup_is_missing_when_two_days_have_none(ringing):
    assert ringing(lasting(1) + without_backups(2 * DAYS - 1)) == set(), "one ended early, the next is late: a day without is none"
    assert ringing(without_backups(2 * DAYS)) == {"backup-missing", "ticket"}


def test_what_is_frozen_rings_until_it_is_thawed(ringing):
    turned = lasting(1 * DAYS) + lasting(1, frozen=2)
    assert ringing(turned) == ringing(turned + lasting(1 * DAYS)) == {"frozen", "ticket"}
    assert ringing(turned + lasting(1 * DAYS) + lasting(1, frozen=0) + lasting(1 * DAYS)) == set()


def test_without_a_share_of_its_own_the_accounts_quota_counts(tmp_path):
    alarm = plan(tmp_path, function={**VARIABLES["function"], "reserved_concurrency": None})["metric_alarm"]["function-crowded"]
    assert not cloudwatch.rings(alarm, lasting(5, ResourceCount=800), quota=1000)
    assert cloudwatch.rings(alarm, lasting(5, ResourceCount=801), quota=1000)


def test_every_alarm_has_rung(planned, heard):  # the last: it asks what the others have heard
    learned = {key for key, alarm in planned["metric_alarm"].items() if alarm["threshold"] is None}
    assert learned == {"refusals", "traffic", "slower"}, "only AWS can tell when these ring"
    assert heard == (set(planned["metric_alarm"]) - learned) | set(planned["composite_alarm"])
