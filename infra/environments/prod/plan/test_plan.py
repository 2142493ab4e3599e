"""Prod as it would be: its data, how the stack's modules are wired, and what each role may do.

The modules' own tests say what a module makes of its inputs; here is what prod puts in, as planned.py tells it.
Run by: .mvdb/venv/bin/python -m pytest infra/environments/prod/plan
"""
import json
import re
import sys

import pytest
import yaml

import planned
from planned import INFRA

sys.path.append(str(INFRA.parent / "scripts"))
import cost  # noqa: E402

LAMBDA = INFRA.parent / "lambda"
KEY = "arn:aws:kms:eu-west-1:222222222222:key/{}".format
TOPIC = "arn:aws:sns:eu-west-1:222222222222:mvdb-prod-movies-{}".format


def contract():
    return yaml.safe_load((LAMBDA / "services/movies/openapi.yaml").read_text())


def resources(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from resources(child)


@pytest.fixture(scope="session")
def root_module():
    return planned.root_module()


@pytest.fixture(scope="session")
def prod(root_module):
    """Every resource's values, by its address in the stack."""
    return {resource["address"].removeprefix("module.movies."): resource["values"] for resource in resources(root_module) if resource["mode"] == "managed"}


@pytest.fixture
def of(prod):
    """The only resource of a type, or all of them."""
    def all_of(kind):
        return {address: values for address, values in prod.items() if address.split("[")[0].split(".")[-2] == kind or f".{kind}." in f".{address}"}

    def one(kind):
        (values,) = all_of(kind).values()
        return values
    one.all = all_of
    return one


@pytest.fixture
def table(prod):
    """The movies'; the other is told apart where it differs."""
    return prod["module.table.aws_dynamodb_table.this"]


def statements(policy):
    return {statement["Sid"]: statement for statement in json.loads(policy)["Statement"]}


# Its data.

def test_the_movies_cannot_be_deleted_and_can_be_restored(of, table):
    (rule,) = of("aws_backup_plan")["rule"]
    assert table["deletion_protection_enabled"] and of("aws_cognito_user_pool")["deletion_protection"] == "ACTIVE"
    assert table["point_in_time_recovery"] == [{"enabled": True, "recovery_period_in_days": 35}]
    assert rule["lifecycle"][0]["delete_after"] == 90 and of("aws_backup_selection")["resources"] == [table["arn"]]


def test_what_may_be_spent_has_an_end(of):
    assert [table["on_demand_throughput"] for table in of.all("aws_dynamodb_table").values()] == [[{"max_read_request_units": 5000, "max_write_request_units": 1000}]] * 2
    # "You can reserve up to the Unreserved account concurrency value minus 100", and a young account has 10:
    # https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    assert of("aws_lambda_function")["reserved_concurrent_executions"] == -1
    rates = {path: (method["settings"][0]["throttling_rate_limit"], method["settings"][0]["throttling_burst_limit"]) for method in of.all("aws_api_gateway_method_settings").values() for path in [method["method_path"]]}
    assert rates == {"*/*": (500, 1000), "~1movies/GET": (200, 400), "~1movies/HEAD": (200, 400)}


def test_no_managed_rule_is_shorter_than_the_contract(of):
    """SizeRestrictions_QUERYSTRING: "URI query strings that are over 2,048 bytes"; _URIPATH: "over 1,024 bytes"; _BODY: 8 KB.
    https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html"""
    contract = yaml.safe_load((LAMBDA / "services/movies/openapi.yaml").read_text())
    limits = {parameter["name"]: parameter["schema"].get("maxLength", 0) for parameter in contract["components"]["parameters"].values()}
    encoded = 3  # characters of each byte, percent-encoded
    longest = {"URIPATH": len("/v1/movies/2100/") + encoded * limits["title"], "QUERYSTRING": len("cursor=") + limits["cursor"], "BODY": 64 * 1024}
    (common,) = [group for rule in of("aws_wafv2_web_acl")["rule"] for group in rule["statement"][0]["managed_rule_group_statement"] if group["name"] == "AWSManagedRulesCommonRuleSet"]
    counted = {override["name"] for override in common["rule_action_override"]}
    for part, limit in {"URIPATH": 1024, "QUERYSTRING": 2048, "BODY": 8192}.items():
        assert longest[part] <= limit or f"SizeRestrictions_{part}" in counted, f"the contract allows {longest[part]} bytes, WAF {limit}"


def test_every_log_is_kept_for_400_days_with_its_key(of):
    logs = of.all("aws_cloudwatch_log_group").values()
    assert len(logs) == 5 and {(log["retention_in_days"], log["kms_key_id"]) for log in logs} == {(400, KEY("logs"))}


def test_the_budget_counts_this_stack_alone(of):
    budget = of("aws_budgets_budget")
    assert budget["limit_amount"] == "300" and budget["limit_unit"] == "USD"
    assert {value for filter in budget["cost_filter"] for value in filter["values"]} == {"user:product$mvdb"}


def test_somebody_is_told(of):
    told = {(subscription["topic_arn"], subscription["protocol"]) for subscription in of.all("aws_sns_topic_subscription").values()}
    assert told == {(TOPIC("page"), "email"), (TOPIC("ticket"), "email")}


def test_promises_and_silence_are_watched(of):
    alarms = {alarm["alarm_name"].removeprefix("mvdb-prod-movies-"): alarm for alarm in of.all("aws_cloudwatch_metric_alarm").values()}
    assert alarms["availability-burn-fast-1h"]["threshold"] == pytest.approx(14.4 * 0.001) and alarms["latency-burn-slow-6h"]["threshold"] == pytest.approx(6 * 0.01)
    assert [query["metric"][0]["period"] for query in alarms["silence"]["metric_query"] if query["metric"]] == [30 * 60]
    assert {"breakout", "backup-missing", "backup-failed", "consumer-usage-reader", "consumer-usage-writer"} <= alarms.keys()


@pytest.mark.parametrize("environment", ["local", "dev", "prod"])
def test_everything_bears_the_tags_that_rights_and_costs_hang_on(environment):
    tags = re.search(r"default_tags \{\s*tags = \{(.*?)\}", (INFRA / "environments" / environment / "main.tf").read_text(), re.S)[1]
    tags = dict(re.findall(r'^\s*([\w-]+)\s*=\s*"([^"]+)"', tags, re.M))
    assert {"product": "mvdb", "environment": environment, "managed-by": "terraform"}.items() <= tags.items()
    assert {"owner", "repository", "cost-centre", "data-classification"} <= tags.keys()


# What it costs.

@pytest.mark.parametrize("text, part", [("infra/README.md", cost.report), ("README.md", cost.doors)])
def test_the_readme_says_what_make_cost_prints(root_module, text, part):
    text = (INFRA.parent / text).read_text()
    ((rps, hit),) = re.findall(r"make cost RPS=([\d.]+) HIT=([\d.]+) ENV=prod", text)
    assert part(cost.Stack(cost.resources(root_module)), float(rps), float(hit)) in text


def test_scale_md_has_the_tables_of_the_cost_script(root_module):
    text = (LAMBDA / "SCALE.md").read_text()
    assert "scripts/cost --scale" in text and cost.scale() in text and cost.heat(cost.Stack(cost.resources(root_module))) in text


def test_every_price_has_a_day_and_a_source_and_everything_that_is_counted_a_price(root_module):
    for what, price in cost.PRICES.items():
        assert re.fullmatch(r"\d{4}-\d\d(-\d\d)?", price["as_of"]) and price["per"] and re.match(r"https://aws\.amazon\.com/|offer \w+$", price["source"]), what
    stack = cost.Stack(cost.resources(root_module))
    assert all(count for count in stack.counts.values()) and stack.standing().keys() <= cost.PRICES.keys()


def test_the_cost_of_a_million_reads_grows_as_its_parts_do(root_module):
    stack = cost.Stack(cost.resources(root_module))
    cold, cached = (cost.per_million(stack, "REST API", 100, hit) for hit in (0, 1))
    assert cached == cold and cold["table"] == pytest.approx(0.1415 / 2), "only an edge has a cache"
    assert {name: usd for name, usd in cold.items() if name in ("front door", "WAF")} == {"front door": 3.5, "WAF": 0.6}
    edge = cost.per_million(stack, "CloudFront", 100, 1)
    assert edge["function"] == edge["table"] == edge["logs"] == edge["traces"] == 0 and edge["front door"] == pytest.approx(1.3)
    # 5 ms of 512 MB, arm64, and the call: 0.2 + 5e-3 * 0.5 * 13.3334
    assert cold["function"] == pytest.approx(0.2 + 0.0333, abs=1e-3)
    assert cost.per_million(stack, "REST API", 1000, 0)["front door"] == pytest.approx((333 * 3.5 + 667 * 3.19 + 1628 * 2.71) / 2628)
    assert cost.per_million(stack, "REST API", 0.5, 0)["traces"] == pytest.approx(5), "the first request of each second is traced"


# How the stack is wired.

def test_each_thing_is_encrypted_with_the_key_of_its_purpose(of):
    assert [encryption["kms_key_arn"] for table in of.all("aws_dynamodb_table").values() for encryption in table["server_side_encryption"]] == [KEY("table")] * 2 and of("aws_backup_vault")["kms_key_arn"] == KEY("table")
    assert of("aws_lambda_function")["kms_key_arn"] == KEY("function")
    (rule,) = of("aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert rule["apply_server_side_encryption_by_default"][0]["kms_master_key_id"] == KEY("function")
    assert {topic["kms_master_key_id"] for topic in of.all("aws_sns_topic").values()} == {KEY("notifications")}
    watched = json.loads(of.all("aws_cloudwatch_event_rule")["module.observability.aws_cloudwatch_event_rule.key"]["event_pattern"])["detail"]["resources"]["ARN"]
    assert sorted(watched) == [KEY("function"), KEY("logs"), KEY("notifications"), KEY("table")]


def test_lambda_takes_only_what_was_signed(of):
    function, layer = of("aws_lambda_function"), of("aws_lambda_layer_version")
    assert function["code_signing_config_arn"] == of("aws_lambda_code_signing_config")["arn"]
    for made, package in ((function, "movies"), (layer, "telemetry")):
        assert (made["filename"], made["s3_bucket"], made["s3_key"]) == (None, "packages", f"signed/{package}")


def test_the_function_stands_in_the_network_with_the_layer_and_knows_its_table(of, table):
    function = of("aws_lambda_function")
    subnets = {subnet["id"] for subnet in of.all("aws_subnet").values()}
    (group,) = [group["id"] for address, group in of.all("aws_security_group").items() if address.endswith(".function")]
    assert len(subnets) == 3 and set(function["vpc_config"][0]["subnet_ids"]) == subnets and function["vpc_config"][0]["security_group_ids"] == [group]
    assert function["layers"] == [of("aws_lambda_layer_version")["arn"]] and function["architectures"] == of("aws_lambda_layer_version")["compatible_architectures"] == ["arm64"]
    assert function["environment"][0]["variables"] == {
        "TABLE_NAME": table["name"], "CREATIONS_TABLE_NAME": f"{table['name']}-creations", "REGION": "eu-west-1",
        "TOKEN_URL": "https://mvdb-prod-movies-222222222222.auth.eu-west-1.amazoncognito.com/oauth2/token",
        "DOCUMENTATION_URL": contract()["externalDocs"]["url"], "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
        "CONSUMERS": function["environment"][0]["variables"]["CONSUMERS"]}
    assert re.sub(r"\w+=", "", function["environment"][0]["variables"]["CONSUMERS"]).split(",") == ["operations:9999-12-31", "reader:2028-12-31", "writer:2028-12-31"]


def test_the_web_acl_stands_before_the_stage_and_the_stage_proves_itself(of):
    assert of("aws_wafv2_web_acl_association")["resource_arn"] == of("aws_api_gateway_stage")["arn"]
    assert of("aws_api_gateway_stage")["client_certificate_id"] == of("aws_api_gateway_client_certificate")["id"]


def test_the_switch_that_is_watched_is_the_one_before_the_stage(of):
    watched = json.loads(of.all("aws_cloudwatch_event_rule")["module.observability.aws_cloudwatch_event_rule.switch"]["event_pattern"])["detail"]["requestParameters"]["id"]
    assert watched == [of("aws_wafv2_regex_pattern_set")["id"]]


def test_every_alarm_tells_the_topic_of_its_severity(of):
    for alarm in of.all("aws_cloudwatch_metric_alarm").values():
        assert alarm["actions_enabled"] and set(alarm["alarm_actions"]) <= {TOPIC("page"), TOPIC("ticket")} and alarm["alarm_actions"] == alarm["ok_actions"]
        assert alarm["alarm_actions"] or "burn" in alarm["alarm_name"], f"{alarm['alarm_name']} tells nobody"
    assert {alarm["threshold_metric_id"] or alarm["threshold"] is not None for alarm in of.all("aws_cloudwatch_metric_alarm").values()} <= {True, "result"}
    for address, alarm in of.all("aws_cloudwatch_composite_alarm").items():
        assert alarm["ok_actions"] == [TOPIC("ticket" if '"ticket"' in address else "page")]


def test_no_masked_log_is_one_that_an_alarm_reads_addresses_of(of):
    masked = {policy["log_group_name"] for policy in of.all("aws_cloudwatch_log_data_protection_policy").values()}
    (flow,) = [filter["log_group_name"] for address, filter in of.all("aws_cloudwatch_log_metric_filter").items() if "refused_packets" in address]
    assert len(masked) == 3 and flow not in masked


# What the roles may do: exactly what the code calls, by its own declaration, and what the platform does for it.

def declared(crate, name):
    source = (LAMBDA / crate).read_text()
    return set(re.findall(r'"([\w:]+)"', re.search(rf"const {name}: \[&str; \d+\] = \[(.*?)\]", source, re.S)[1]))


def allowed(policy):
    return {sid: (set(statement["Action"]), set(statement["Resource"])) for sid, statement in statements(policy).items() if statement["Effect"] == "Allow"}


INTERFACES = {f"ec2:{action}" for action in ("CreateNetworkInterface", "DeleteNetworkInterface", "DescribeNetworkInterfaces", "DescribeSubnets", "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")}
LAMBDAS_TRACES = {"xray:PutTraceSegments", "xray:PutTelemetryRecords"}  # by Lambda itself, while tracing is on


def test_the_functions_role_allows_what_the_code_calls_and_the_platform_needs(prod, table):
    policy = prod["module.function.aws_iam_role_policy.this"]["policy"]
    calls = {f"dynamodb:{operation}" for operation in declared("services/movies/src/store/mod.rs", "OPERATIONS")}
    assert allowed(policy) == {
        "ReadAndWriteMovies": (calls, {table["arn"]}),
        "RememberCreations": ({"dynamodb:PutItem"}, {prod["module.creations.aws_dynamodb_table.this"]["arn"]}),
        "ReadWithTheTablesKey": ({"kms:Decrypt"}, {KEY("table")}),
        "WriteItsOwnLog": ({"logs:CreateLogStream", "logs:PutLogEvents"}, {"arn:aws:logs:eu-west-1:222222222222:log-group:group:*"}),
        "SendTraces": (LAMBDAS_TRACES | declared("tools/telemetry-extension/src/main.rs", "REQUIRED_ACTIONS"), {"*"}),
        "StandInTheNetwork": (INTERFACES, {"*"}),
    }
    denied = statements(policy)["ButNotByItsCode"]
    assert denied["Effect"] == "Deny" and set(denied["Action"]) == INTERFACES
    assert denied["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": ["arn:aws:lambda:eu-west-1:222222222222:function:mvdb-prod-movies"]}}
    assert statements(policy)["ReadWithTheTablesKey"]["Condition"] == {"StringEquals": {"kms:ViaService": "dynamodb.eu-west-1.amazonaws.com"}}


def test_no_role_has_rights_by_another_way(of):
    assert len(of.all("aws_iam_role")) == len(of.all("aws_iam_role_policy")) and not of.all("aws_iam_role_policy_attachment") and not of.all("aws_iam_policy")


def test_every_role_bears_the_boundary_of_bootstrap(of):
    assert {role["permissions_boundary"] for role in of.all("aws_iam_role").values()} == {"arn:aws:iam::222222222222:policy/mvdb-bootstrap-boundary"}


def test_the_networks_endpoints_let_through_what_the_role_allows_and_no_more(of, prod):
    role = allowed(prod["module.function.aws_iam_role_policy.this"]["policy"])
    endpoints = {address.split(".")[-1]: json.loads(endpoint["policy"])["Statement"] for address, endpoint in of.all("aws_vpc_endpoint").items()}
    through = {statement["Sid"]: (set(statement["Action"]), {statement["Resource"]}) for statement in endpoints["dynamodb"]}
    assert through == {"Movies": role["ReadAndWriteMovies"], "Creations": role["RememberCreations"]}
    assert [set(statement["Action"]) for statement in endpoints["xray"]] == [role["SendTraces"][0]]


def test_nobody_but_the_stage_calls_the_function_and_only_its_alias(of):
    permission = of("aws_lambda_permission")
    assert permission["qualifier"] == of("aws_lambda_alias")["name"] == "live" and permission["source_arn"] == "arn:aws:execute-api:eu-west-1:222222222222:api/v1/*"


def test_the_alarms_read_the_metrics_where_the_code_prints_them(of):
    (namespace,) = set(re.findall(r'const NAMESPACE: &str = "(\w+)"', (LAMBDA / "crates/inbound/src/access_log.rs").read_text()))
    own = {metric["namespace"] for alarm in of.all("aws_cloudwatch_metric_alarm").values() for metric in [metric for query in alarm["metric_query"] for metric in query["metric"]] or [alarm] if not metric["namespace"].startswith("AWS/")}
    assert own == {namespace}


def test_the_contract_states_prods_limits_and_the_life_of_a_token(of):
    words = re.sub(r"\s+", " ", contract()["info"]["description"])
    for client in of.all("aws_cognito_user_pool_client").values():
        assert client["token_validity_units"][0]["access_token"] == "minutes"
        assert f"A token is valid for {client['access_token_validity']} minutes" in words
    settings = of.all("aws_api_gateway_method_settings").values()
    rates = {one["method_path"]: int(one["settings"][0]["throttling_rate_limit"]) for one in settings}
    assert (f"all clients together may send {rates['*/*']} requests a second, "
            f"{rates['~1movies/GET']} of them to `GET /movies` and {rates['~1movies/HEAD']} to `HEAD /movies`") in words
    rules = {rule["name"]: rule["statement"][0]["rate_based_statement"] for rule in of("aws_wafv2_web_acl")["rule"]}
    source, token = (rules[f"rate-per-{key}"][0]["limit"] for key in ("source", "token"))
    assert f"One address may send {source:,} requests a minute, one token {token:,}." in words
