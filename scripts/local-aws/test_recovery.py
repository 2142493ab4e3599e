"""What recovery adds: for how many days a table can be recovered is read back as it was asked for."""
import uuid


def test_the_days_of_recovery_are_described_as_asked(aws):
    dynamodb, name = aws("dynamodb"), f"test-{uuid.uuid4().hex}"
    dynamodb.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "year", "KeyType": "HASH"}],
                          AttributeDefinitions=[{"AttributeName": "year", "AttributeType": "N"}])
    dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 7})
    described = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert (described["PointInTimeRecoveryStatus"], described["RecoveryPeriodInDays"]) == ("ENABLED", 7)
