"""AWS tells everything of an alarm in DescribeAlarms; over the Query protocol, which Terraform speaks, ministack leaves
most of it out, so that every plan would change every alarm. Test: test_alarms.py
"""
import re
from datetime import datetime, timezone
from xml.sax.saxutils import escape

from ministack.services import cloudwatch

_describe_alarms = cloudwatch._describe_alarms


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


cloudwatch._describe_alarms = describe_alarms
