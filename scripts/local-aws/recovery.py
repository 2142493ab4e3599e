"""AWS keeps for how many days a table can be recovered, and tells; ministack keeps only whether. Test: test_recovery.py"""
from ministack.services import dynamodb

_describe, _update = dynamodb._describe_continuous_backups, dynamodb._update_continuous_backups
days = {}


def update(data):
    answer, said = _update(data), data["PointInTimeRecoverySpecification"]
    days[data["TableName"]] = said.get("RecoveryPeriodInDays", 35)
    return answer


def describe(data):
    status, headers, body = _describe(data)
    said = b'"RecoveryPeriodInDays":%d,' % days.get(data["TableName"], 35)
    return status, headers, body.replace(b'"EarliestRestorable', said + b'"EarliestRestorable')


dynamodb._describe_continuous_backups, dynamodb._update_continuous_backups = describe, update
