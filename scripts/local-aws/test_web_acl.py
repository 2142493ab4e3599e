"""What web_acl adds: the rules of a stage's web ACL judge its requests. Callers differ by their loopback address."""
import itertools
import json
import uuid

import pytest

_rate_source = (f"127.0.3.{n}" for n in itertools.count(1))
VISIBILITY = {"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "test"}
PLAIN = [{"Priority": 0, "Type": "NONE"}]


@pytest.fixture
def firewall(aws, api):
    """Puts one statement in front of the API for one test."""
    waf, made = aws("wafv2"), []

    def put(statement, action=None, **more):
        rule = {"Name": "test", "Priority": 0, "Statement": statement, "Action": action or {"Block": {}}, "VisibilityConfig": VISIBILITY}
        acl = waf.create_web_acl(Name=f"test-{uuid.uuid4().hex}", Scope="REGIONAL", DefaultAction={"Allow": {}}, Rules=[rule],
                                 VisibilityConfig=VISIBILITY, **more)["Summary"]
        waf.associate_web_acl(WebACLArn=acl["ARN"], ResourceArn=api.stage_arn)
        made.append(acl)
        return acl
    yield put
    waf.disassociate_web_acl(ResourceArn=api.stage_arn)
    for acl in made:
        waf.delete_web_acl(Name=acl["Name"], Scope="REGIONAL", Id=acl["Id"], LockToken=acl["LockToken"])


def header(name, value):
    return {"ByteMatchStatement": {"SearchString": value, "FieldToMatch": {"SingleHeader": {"Name": name}},
                                   "PositionalConstraint": "EXACTLY", "TextTransformations": PLAIN}}


def body_above(size, oversize="MATCH"):
    return {"SizeConstraintStatement": {"FieldToMatch": {"Body": {"OversizeHandling": oversize}}, "ComparisonOperator": "GT",
                                        "Size": size, "TextTransformations": PLAIN}}


def status(api, who="", **more):
    return api.call("GET", "/movies", headers=[("X-Who", who)], **more).status


def test_a_blocked_request_has_the_gateway_response_of_the_firewall(api, firewall):
    firewall(header("x-who", "bad"))
    answer = api.call("GET", "/movies", headers=[("X-Who", "bad")])
    assert (answer.status, json.loads(answer.text)["code"]) == (403, "forbidden")
    assert api.log(answer.headers["x-amzn-requestid"])["waf"] == "WAF_BLOCK"
    passed = api.call("GET", "/movies", headers=[("X-Who", "good")])
    assert (passed.status, api.log(passed.headers["x-amzn-requestid"])["waf"]) == (200, "WAF_ALLOW")


def test_a_counting_rule_blocks_nothing(api, firewall):
    firewall(header("x-who", "bad"), {"Count": {}})
    assert status(api, "bad") == 200


def test_a_custom_response_has_its_status_its_body_and_its_headers(aws, api, firewall):
    bodies = {"busy": {"ContentType": "APPLICATION_JSON", "Content": '{"code":"too_many_requests"}'}}
    acl = firewall(header("x-who", "bad"), {"Block": {"CustomResponse": {
        "ResponseCode": 429, "CustomResponseBodyKey": "busy", "ResponseHeaders": [{"Name": "Retry-After", "Value": "60"}]}}},
        CustomResponseBodies=bodies)
    answer = api.call("GET", "/movies", headers=[("X-Who", "bad")])
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Retry-After"]) == (429, "application/json", "60")
    assert answer.text == bodies["busy"]["Content"]
    assert aws("wafv2").get_web_acl(Name=acl["Name"], Scope="REGIONAL", Id=acl["Id"])["WebACL"]["CustomResponseBodies"] == bodies


@pytest.mark.parametrize("statement, blocked", [
    (header("x-who", "bad"), True), (header("x-who", "ba"), False),
    ({"AndStatement": {"Statements": [header("x-who", "bad"), header("x-who", "good")]}}, False),
    ({"OrStatement": {"Statements": [header("x-who", "bad"), header("x-who", "good")]}}, True),
    ({"NotStatement": {"Statement": header("x-who", "bad")}}, False),
    ({"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesSQLiRuleSet"}}, False)])
def test_statements_match_as_they_say(api, firewall, statement, blocked):
    firewall(statement)
    assert status(api, "bad") == (403 if blocked else 200)


def test_an_ip_set_matches_its_addresses(aws, api, firewall):
    ips = aws("wafv2").create_ip_set(Name=f"test-{uuid.uuid4().hex}", Scope="REGIONAL", IPAddressVersion="IPV4", Addresses=["127.0.2.0/24"])
    firewall({"IPSetReferenceStatement": {"ARN": ips["Summary"]["ARN"]}})
    assert status(api, source="127.0.2.7") == 403
    assert status(api, source="127.0.1.7") == 200


@pytest.mark.parametrize("looked_at, patterns, blocked", [
    ({"Method": {}}, ["^nothing$", "^(GET|PUT)$"], True), ({"Method": {}}, ["^(POST|PUT)$"], False),
    ({"SingleHeader": {"Name": "x-who"}}, ["^nothing$", "a.$"], True), ({"SingleHeader": {"Name": "x-who"}}, ["^ad"], False),
    ({"SingleHeader": {"Name": "x-other"}}, ["bad"], False)])
def test_a_set_of_patterns_matches_what_it_finds(aws, api, firewall, looked_at, patterns, blocked):
    made = aws("wafv2").create_regex_pattern_set(Name=f"test-{uuid.uuid4().hex}", Scope="REGIONAL", RegularExpressionList=[{"RegexString": each} for each in patterns])
    firewall({"RegexPatternSetReferenceStatement": {"ARN": made["Summary"]["ARN"], "FieldToMatch": looked_at, "TextTransformations": PLAIN}})
    assert status(api, "bad") == (403 if blocked else 200)


def test_a_rate_counts_each_source_for_itself(api, firewall):
    firewall({"RateBasedStatement": {"Limit": 10, "EvaluationWindowSec": 60, "AggregateKeyType": "IP"}})
    fast, slow = next(_rate_source), next(_rate_source)
    assert [status(api, source=fast) for _ in range(12)] == [200] * 10 + [403] * 2
    assert status(api, source=slow) == 200


def test_a_body_is_measured_up_to_what_is_inspected(api, firewall):
    firewall(body_above(60000), AssociationConfig={"RequestBody": {"API_GATEWAY": {"DefaultSizeInspectionLimit": "KB_64"}}})

    def answer(size):
        return api.call("POST", "/movies", "movies/write", bytes(size), [("Content-Type", "text/plain")]).status
    assert [answer(60000), answer(60001), answer(70000)] == [200, 403, 403]


def test_a_body_beyond_what_is_inspected_passes_where_the_rule_does_not_mind(api, firewall):
    firewall(body_above(20000, "NO_MATCH"))
    assert api.call("POST", "/movies", "movies/write", bytes(30000), [("Content-Type", "text/plain")]).status == 200


def test_headers_are_measured_up_to_what_is_inspected(api, firewall):
    for oversize, seen in (("MATCH", 403), ("NO_MATCH", 200)):
        firewall({"SizeConstraintStatement": {"FieldToMatch": {"Headers": {"MatchPattern": {"All": {}}, "MatchScope": "ALL", "OversizeHandling": oversize}},
                                              "ComparisonOperator": "GT", "Size": 8192, "TextTransformations": PLAIN}})
        assert [status(api, "x" * size) for size in (100, 8192)] == [200, seen]


def test_a_logging_configuration_is_kept_and_deleted(aws, firewall):
    waf, arn = aws("wafv2"), firewall(header("x-who", "bad"))["ARN"]
    configuration = {"ResourceArn": arn, "LogDestinationConfigs": ["arn:aws:logs:eu-west-1:000000000000:log-group:aws-waf-logs-test"]}
    waf.put_logging_configuration(LoggingConfiguration=configuration)
    assert waf.get_logging_configuration(ResourceArn=arn)["LoggingConfiguration"] == configuration
    waf.delete_logging_configuration(ResourceArn=arn)
    with pytest.raises(waf.exceptions.WAFNonexistentItemException):
        waf.get_logging_configuration(ResourceArn=arn)


@pytest.mark.parametrize("path, counted, expected", [
    ("/movies?x=" + "a" * 2046, [], 200), ("/movies?x=" + "a" * 2047, [], 403),
    ("/movies?x=" + "a" * 2047, ["SizeRestrictions_QUERYSTRING"], 200),
    ("/movies/2013/" + "a" * 1011, [], 200), ("/movies/2013/" + "a" * 1012, [], 403),
    ("/movies/2013/" + "%E5%8D%83" * 350, [], 403), ("/movies/2013/" + "%E5%8D%83" * 350, ["SizeRestrictions_URIPATH"], 200)])
def test_the_common_group_blocks_long_paths_and_queries_unless_they_count(api, firewall, path, counted, expected):
    """https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html"""
    overrides = [{"Name": name, "ActionToUse": {"Count": {}}} for name in counted]
    firewall({"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet", "RuleActionOverrides": overrides}})
    assert api.call("GET", path, headers=[("User-Agent", "test")]).status == expected
