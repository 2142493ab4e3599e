"""What gateway adds: the way of a request to the function and of the answer back."""
import base64
import json
import pathlib
import statistics
import time

import pytest

RECORDED = json.loads((pathlib.Path(__file__).parents[2] / "lambda/services/movies/tests/api/events/recorded.json").read_text())


def problem(answer):
    assert answer.headers["Content-Type"] == "application/problem+json"
    said = json.loads(answer.text)
    assert said["request_id"] == answer.headers["x-amzn-requestid"]
    return answer.status, said["code"]


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda recorded: recorded["target"])
def test_an_event_is_what_aws_delivered(api, recorded):
    aws, context = recorded["event"], recorded["event"]["requestContext"]
    event = api.event(aws["httpMethod"], recorded["target"], scope=None, body=aws["body"] and aws["body"].encode(), base=f"{api.plain}/{context['stage']}",
                      headers=[(name, value) for name, values in aws["multiValueHeaders"].items() for value in values])
    for part in ("headers", "multiValueHeaders", "requestContext"):
        event[part] = {name: event[part].get(name) for name in aws[part]}
    assert {name: event[name] for name in aws} == aws


@pytest.mark.parametrize("title", ["Rush", "Face%2FOff", "100%25", "100%2525", "a+b", "a%20b", "what%3F%23%26", "%C3%A9", "a/b", "%E2%80%AE"])
def test_a_path_reaches_the_function_as_it_was_sent(api, title):
    event = api.event("GET", f"/movies/2013/{title}")
    assert event["path"] == f"/movies/2013/{title}"
    assert event["pathParameters"] == {"year": "2013", "title": title}
    assert event["requestContext"]["path"] == f"/v1/movies/2013/{title}"
    assert event["resource"] == "/movies/{year}/{title+}"


@pytest.mark.parametrize("title", ["a//b", ".", "..", "a/../b", "%2E%2E", "%FF", "%00", "%zz", "%", "a%"])
def test_a_strange_path_is_answered(api, title):
    assert api.call("GET", f"/movies/2013/{title}").status in (200, 404)


def test_a_query_is_decoded_once_and_its_last_value_stands_alone(api):
    event = api.event("GET", "/movies?title=a%2520b+c%2Bd&year=1&year=2")
    assert event["multiValueQueryStringParameters"] == {"title": ["a%20b c+d"], "year": ["1", "2"]}
    assert event["queryStringParameters"] == {"title": "a%20b c+d", "year": "2"}


def test_without_a_query_its_maps_are_null(api):
    event = api.event("GET", "/movies")
    assert event["queryStringParameters"] is None and event["multiValueQueryStringParameters"] is None


def test_headers_keep_their_names_and_all_their_values(api):
    event = api.event("GET", "/movies", headers=[("X-Who", "one"), ("X-Who", "two"), ("If-None-Match", '"é"'.encode())])
    assert event["multiValueHeaders"]["X-Who"] == ["one", "two"] and event["headers"]["X-Who"] == "two"
    assert event["headers"]["If-None-Match"] == '"é"'


def test_the_caller_cannot_choose_its_address(api):
    event = api.event("GET", "/movies", headers=[("X-Forwarded-For", "192.0.2.1")], source="127.0.0.9")
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.9"


def test_a_token_brings_its_claims_as_strings(api):
    claims = api.event("GET", "/movies")["requestContext"]["authorizer"]["claims"]
    assert claims["scope"] == "movies/read" and claims["client_id"] == api.client["ClientId"]
    assert all(isinstance(claim, str) for claim in claims.values())


def test_one_request_has_one_id(api):
    answer = api.call("GET", "/movies")
    request_id = json.loads(answer.text)["requestContext"]["requestId"]
    assert answer.headers.get_all("x-amzn-requestid") == [request_id]
    assert api.log(request_id)["status"] == "200"


@pytest.mark.parametrize("scope", [None, "movies/other"])
def test_no_token_and_no_scope_of_the_method_are_401(api, scope):
    assert problem(api.call("GET", "/movies", scope)) == (401, "unauthorized")


def test_one_scope_of_several_is_enough(api):
    assert api.call("GET", "/movies", "movies/write").status == 200


def test_unknown_paths_and_methods_have_the_answer_of_a_missing_token(api):
    assert problem(api.call("GET", "/nothing")) == (404, "route_not_found")
    assert problem(api.call("DELETE", "/movies")) == (404, "route_not_found")


def test_head_has_no_body(api):
    answer = api.call("HEAD", "/movies/2013/Rush")
    assert (answer.status, answer.text) == (200, "")


def test_only_a_body_of_the_models_type_is_judged(api):
    assert api.call("POST", "/movies", "movies/write", b"no JSON", [("Content-Type", "text/plain")]).status == 200
    assert problem(api.call("POST", "/movies", "movies/write", b"no JSON", [("Content-Type", "application/json")])) == (400, "invalid_request")
    assert problem(api.call("POST", "/movies", "movies/write", b"no JSON")) == (400, "invalid_request")


def test_a_body_above_10_mib_is_413(api):
    assert problem(api.call("POST", "/movies", "movies/write", bytes(10 * 1024 * 1024 + 1))) == (413, "payload_too_large")


@pytest.mark.parametrize("said", ["crash", "no JSON", "[]", {}, {"statusCode": "many"}, {"statusCode": 200, "body": {}}, {"statusCode": 200, "headers": []}])
def test_a_crash_and_a_malformed_answer_are_502_and_tell_nothing(api, said):
    assert problem(api.answers(said)) == (502, "internal_error")


def test_a_function_slower_than_the_integration_allows_is_504(api):
    started = time.monotonic()
    assert problem(api.answers("sleep")) == (504, "timeout")
    assert time.monotonic() - started < 1.8


def test_an_answer_keeps_its_status_its_headers_and_its_body(api):
    answer = api.answers({"statusCode": 412, "headers": {"ETag": '"1"', "content-type": "application/problem+json"},
                          "multiValueHeaders": {"Link": ["<a>", "<b>"]}, "body": "é"})
    assert (answer.status, answer.headers["ETag"], answer.text) == (412, '"1"', "é")
    assert answer.headers.get_all("Link") == ["<a>", "<b>"]
    assert answer.headers.get_all("Content-Type") == ["application/problem+json"]


def test_base64_stays_text_where_no_binary_media_type_is_declared(api):
    said = base64.b64encode(b"bytes").decode()
    assert api.answers({"statusCode": 200, "isBase64Encoded": True, "body": said}).text == said


def test_the_access_log_has_the_stages_format(api):
    answer = api.call("GET", "/movies/2013/Rush", headers=[("User-Agent", "tests")])
    line = api.log(answer.headers["x-amzn-requestid"])
    assert line.pop("integration").isdigit()
    assert line == {"id": answer.headers["x-amzn-requestid"], "status": "200", "client": api.client["ClientId"], "waf": "-",
                    "agent": "tests", "resource": "/movies/{year}/{title+}", "unknown": "-"}


def test_a_refused_request_is_logged_too(api):
    line = api.log(api.call("GET", "/movies", None).headers["x-amzn-requestid"])
    assert (line["status"], line["client"], line["integration"]) == ("401", "-", "-")


def test_a_routes_throttle_is_kept_as_aws_writes_it_and_holds(aws, api):
    def throttle(limit):
        aws("apigateway").update_stage(restApiId=api.id, stageName="v1", patchOperations=[
            {"op": "replace", "path": f"/~1movies/GET/throttling/{what}", "value": str(limit)} for what in ("rateLimit", "burstLimit")])
    throttle(0)
    assert "~1movies/GET" in aws("apigateway").get_stage(restApiId=api.id, stageName="v1")["methodSettings"]
    assert api.call("GET", "/movies").status == 429
    assert api.call("GET", "/movies/2013/Rush").status == 200
    throttle(1000)
    assert api.call("GET", "/movies").status == 200


def test_a_warm_invocation_takes_less_than_the_delay_of_an_acknowledgement(api):
    api.event("GET", "/movies")
    milliseconds = []
    for _ in range(20):
        started = time.monotonic()
        api.event("GET", "/movies")
        milliseconds.append((time.monotonic() - started) * 1000)
    assert statistics.median(milliseconds) < 40
