"""AWS keeps for how many days a table can be recovered, and tells; ministack keeps only whether. Test: test_recovery.py"""
from ministack.services import dynamodb

_describe, _update = dynamodb._describe_continuous_backups, dynamodb._update_continuous_backups
days = {}


def update(data):
    days[data["TableName"]] = data["PointInTimeRecoverySpecification"].get("RecoveryPeriodInDays", 35)
    return _update(data)


def describe(data):
    status, headers, body = _describe(data)
    return status, headers, body.replace(b'"Earliest', b'"RecoveryPeriodInDays":%d,"Earliest' % days.get(data["TableName"], 35))


dynamodb._describe_continuous_backups, dynamodb._update_continuous_backups = describe, update
