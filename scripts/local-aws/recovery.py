"""AWS keeps for how many days a table can be recovered, and tells; ministack keeps only whether. Test: test_recovery.py"""
from ministack.services import dynamodb

_describe, _update = dynamodb._describe_continuous_backups, dynamodb._update_continuous_backups


def update(data):
    answer, said = _update(data), data["PointInTimeRecoverySpecification"]
    days = said["PointInTimeRecoveryEnabled"] and said.get("RecoveryPeriodInDays", 35)
    dynamodb._pitr_settings[dynamodb._normalize_table_name(data["TableName"])] = days
    return answer


def describe(data):
    status, headers, body = _describe(data)
    days = dynamodb._pitr_settings.get(dynamodb._normalize_table_name(data["TableName"])) or 35
    return status, headers, body.replace(b'"EarliestRestorable', b'"RecoveryPeriodInDays":%d,"EarliestRestorable' % days)


dynamodb._describe_continuous_backups, dynamodb._update_continuous_backups = describe, update
