"""What alarms adds: an alarm is read back whole over the protocol that Terraform speaks."""
import uuid
import xml.etree.ElementTree as ElementTree
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from conftest import ENDPOINT


def described(name):
    form = urlencode({"Action": "DescribeAlarms", "Version": "2010-08-01", "AlarmNames.member.1": name}).encode()
    credential = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/monitoring/aws4_request, SignedHeaders=host, Signature=0"
    with urlopen(Request(ENDPOINT, form, {"Authorization": credential})) as answer:
        document = ElementTree.fromstring(answer.read().replace(b' xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"', b""))
    return document.find(".//MetricAlarms/member")


def test_an_alarm_is_described_as_it_was_made(aws):
    said = {"AlarmName": f"test-{uuid.uuid4().hex}", "Namespace": "AWS/Lambda", "MetricName": "Errors", "Statistic": "Sum", "Period": 60,
            "EvaluationPeriods": 3, "DatapointsToAlarm": 2, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold",
            "TreatMissingData": "notBreaching", "AlarmDescription": "a < b & c"}
    aws("cloudwatch").put_metric_alarm(**said, ActionsEnabled=True, AlarmActions=["arn:aws:sns:eu-west-1:000000000000:page"],
                                       Dimensions=[{"Name": "FunctionName", "Value": "movies"}])
    alarm = described(said["AlarmName"])
    assert {key: alarm.findtext(key) for key in said} == {key: str(value) for key, value in said.items()}
    assert alarm.findtext("ActionsEnabled") == "true"
    assert alarm.findtext("AlarmActions/member") == "arn:aws:sns:eu-west-1:000000000000:page"
    assert alarm.findtext("Dimensions/member/Value") == "movies"
    assert alarm.findtext("StateUpdatedTimestamp").startswith("20")


def test_an_alarm_on_an_expression_has_no_period_and_no_statistic(aws):
    name = f"test-{uuid.uuid4().hex}"
    metric = {"Metric": {"Namespace": "AWS/Lambda", "MetricName": "Errors"}, "Stat": "Sum", "Period": 60}
    aws("cloudwatch").put_metric_alarm(
        AlarmName=name, EvaluationPeriods=1, Threshold=0.0, ComparisonOperator="GreaterThanThreshold",
        Metrics=[{"Id": "errors", "MetricStat": metric, "ReturnData": False}, {"Id": "result", "Expression": "FILL(errors, 0)", "ReturnData": True}])
    alarm = described(name)
    assert (alarm.find("Period"), alarm.find("Statistic"), alarm.findtext("Metrics/member/MetricStat/Period")) == (None, None, "60")
