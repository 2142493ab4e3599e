"""AWS tells everything of an alarm in DescribeAlarms; over the Query protocol, which Terraform speaks, ministack leaves
most of it out, so that every plan would change every alarm. Test: test_alarms.py
"""
import json
from datetime import datetime, timezone
from xml.sax.saxutils import escape

from ministack.services import cloudwatch

_describe_alarms = cloudwatch._describe_alarms


def describe_alarms(params, data, is_cbor, is_json=False):
    if is_cbor or is_json:
        return _describe_alarms(params, data, is_cbor, is_json)
    asked = {key: [v for name, values in params.items() if name.startswith(f"{key}.member.") for v in values] for key in ("AlarmNames", "AlarmTypes")}
    asked |= {key: cloudwatch._p(params, key) for key in ("AlarmNamePrefix", "StateValue", "NextToken", "MaxRecords")}
    status, _, body = _describe_alarms(params, asked, False, True)
    return cloudwatch._xml(status, "DescribeAlarmsResponse", f"<DescribeAlarmsResult>{xml(json.loads(body))}</DescribeAlarmsResult>")


def xml(value, name=""):
    match value:
        case dict():
            return "".join(f"<{key}>{xml(part, key)}</{key}>" for key, part in value.items() if part not in (None, ""))
        case list():
            return "".join(f"<member>{xml(part)}</member>" for part in value)
        case int() | float() if name.endswith("Timestamp"):
            return datetime.fromtimestamp(value, timezone.utc).isoformat()
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


cloudwatch._describe_alarms = describe_alarms
