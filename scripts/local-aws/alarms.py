"""AWS tells everything of an alarm in DescribeAlarms; over the Query protocol, which Terraform speaks, ministack leaves
most of it out, forgets expressions and keeps numbers as text: every plan would change every alarm. Test: test_alarms.py
"""
import re
from datetime import datetime, timezone
from xml.sax.saxutils import escape

from ministack.services import cloudwatch

_describe_alarms, _put_metric_alarm = cloudwatch._describe_alarms, cloudwatch._put_metric_alarm
KINDS = {"Period": int, "Threshold": float, "ReturnData": "true".__eq__}


def put_metric_alarm(params, data, is_cbor, is_json=False):
    answer, said = _put_metric_alarm(params, data, is_cbor, is_json), data if is_cbor or is_json else tree(params)
    if "Metrics" in said:
        kept = ("Metrics", "ThresholdMetricId", "Threshold", "Period", "Statistic")
        cloudwatch._alarms[said["AlarmName"]] |= {key: said.get(key) for key in kept}
    return answer


def tree(params):
    """{"A.member.1.B": [x]} is {"A": [{"B": x}]}."""
    if "" in params:
        return params[""][0]
    made = {head: tree({key.partition(".")[2]: value for key, value in params.items() if key.partition(".")[0] == head})
            for head in {key.partition(".")[0] for key in params}}
    typed = {key: KINDS.get(key, lambda part: part)(part) for key, part in made.items()}
    return [made["member"][key] for key in sorted(made["member"], key=int)] if made.keys() == {"member"} else typed


def describe_alarms(params, data, is_cbor, is_json=False):
    status, headers, body = _describe_alarms(params, data, is_cbor, is_json)
    if not is_cbor and not is_json:
        alarms = {**dict(cloudwatch._alarms.items()), **dict(cloudwatch._composite_alarms.items())}
        body = re.sub(rb"<member><AlarmName>(.*?)</AlarmName>.*?</member>", lambda alarm: xml([alarms[alarm[1].decode()]]).encode(), body)
    return status, headers, body


def xml(value, name=""):
    match value:
        case dict():
            return "".join(f"<{key}>{xml(part, key)}</{key}>" for key, part in value.items() if part not in (None, ""))
        case list():
            return "".join(f"<member>{xml(part)}</member>" for part in value)
        case int() | float() if name.endswith("Timestamp"):
            return datetime.fromtimestamp(value, timezone.utc).isoformat()
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


cloudwatch._describe_alarms, cloudwatch._put_metric_alarm = describe_alarms, put_metric_alarm
