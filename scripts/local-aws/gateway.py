"""How AWS carries a request to a REST API's function and its answer back, where ministack does otherwise.

Not imitated: compression, usage of a resource policy or a lambda permission, normalisation of `//`, `.` and `..`.
A token that has none of the method's scopes is refused as ministack does it, with UNAUTHORIZED (401): so AWS's
knowledge centre says (repost.aws/knowledge-center/api-gateway-cognito-401-unauthorized) and live deployments show
(aws-amplify/amplify-flutter issue 1539); HTTP APIs, not REST APIs, answer 403. Tests: test_gateway.py
"""
import asyncio
import json
import re
import time
from contextvars import ContextVar

from hypercorn.config import Config
from ministack import app
from ministack.core.responses import new_uuid
from ministack.core.sigv4 import decode_header_value
from ministack.services import apigateway_v1 as ag, cloudwatch, cloudwatch_logs, lambda_svc

_MAX_BODY_BYTES = 10 * 1024 * 1024
wire = ContextVar("wire")  # the ASGI scope: path, header names and peer as the client sent them
current = ContextVar("current")  # ministack's record of the request being answered; "context" holds $context variables
firewall = []  # called with the request before it is routed; web_acl adds itself

_app, _execute_api, _event = app.app, app._handle_execute_api_request, ag._build_lambda_event_v1
_invoke, _call, _validate = ag._invoke_lambda_proxy_v1, ag._call_lambda_raw, ag._check_request_validation


async def remember_the_wire(scope, receive, send):
    """ministack lowers header names and joins repeated ones before any handler sees them."""
    wire.set(scope)
    await _app(scope, receive, send)


async def execute_api(host, path, method, headers, body, query_params, raw_path=None, raw_query_string=None):
    """A REST API routes, matches and delivers the path percent-encoded as it came; ministack decodes it first, so `%2F`
    would split a title and `%25` be decoded twice. AWS's way: captures in hotsock/voker pull request 8, cited by
    middleapi/standard-server pull request 93. HTTP APIs do decode, hence only REST APIs are given the raw path."""
    target = app._parse_execute_api_url(host, path)
    is_rest = target and ag.find_api_scope(target[0])
    return await _execute_api(host, raw_path if is_rest and raw_path else path, method, headers, body, query_params,
                              raw_path=raw_path, raw_query_string=raw_query_string)


def event(*args, **kwargs):
    """AWS keeps header names and every value of a repeated one, gives the last value of a repeated query parameter,
    takes the caller's address from the connection, and one request has one id."""
    made, request = _event(*args, **kwargs), current.get()
    made["multiValueHeaders"] = {}
    for name, value in wire.get()["headers"]:
        made["multiValueHeaders"].setdefault(name.decode("latin-1"), []).append(decode_header_value(value))
    made["headers"] = {name: values[-1] for name, values in made["multiValueHeaders"].items()}
    if made["multiValueQueryStringParameters"]:
        made["queryStringParameters"] = {k: v[-1] for k, v in made["multiValueQueryStringParameters"].items()}
    context = made["requestContext"]
    context["requestId"] = context["extendedRequestId"] = request["request_id"]
    context["identity"]["sourceIp"] = request["context"]["identity.sourceIp"]
    claims = (context.get("authorizer") or {}).get("claims", {})
    request["context"].update({f"authorizer.claims.{name}": claim for name, claim in claims.items()})
    request["context"] |= {"resourceId": context["resourceId"], "accountId": context["accountId"]}
    return made


def check_request_validation(method, api_id, request, headers, body, query_params):
    """AWS validates a body only against the model of its content type; ministack falls back to application/json's."""
    kind = (ag._header_ci(headers, "content-type") or "application/json").split(";")[0].strip()
    if kind not in method["requestModels"]:
        method = {**method, "requestModels": {}}
    return _validate(method, api_id, request, headers, body, query_params)


async def invoke(integration, *args, **kwargs):
    """AWS gives up at the integration's timeout (504, INTEGRATION_TIMEOUT); ministack waits for the function's own."""
    started, seconds = time.monotonic(), int(integration["timeoutInMillis"]) / 1000
    invocation = asyncio.ensure_future(_invoke(integration, *args, **kwargs))
    done, _ = await asyncio.wait({invocation}, timeout=seconds)
    current.get()["context"]["integrationLatency"] = int((time.monotonic() - started) * 1000)
    if not done:
        return ag._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")
    return invocation.result()


async def call(function_ref, *args, **kwargs):
    """AWS counts every invocation in AWS/Lambda; ministack only those through the Invoke API."""
    started = time.monotonic()
    result, error = await _call(function_ref, *args, **kwargs)
    if result is not None:
        name = function_ref.split(":function:")[-1].split(":")[0]
        lambda_svc._emit_lambda_metrics(name, (time.monotonic() - started) * 1000, bool(result.get("error")), False)
    return result, error


class NoAnswer(Exception):
    """The function failed, or answered what is not a proxy response."""


def proxy_response(result):
    """AWS answers a function's failure and a malformed response through DEFAULT_5XX, as 502 unless that entry names
    another status; ministack answers the failure's text, and 200 with a malformed response as the body."""
    try:
        answer = result["body"]
        answer = answer if isinstance(answer, dict) else json.loads(answer)
        well_formed = (100 <= int(answer["statusCode"]) <= 599 and isinstance(answer.get("body"), str | None)
                       and all(isinstance(answer.get(key), dict | None) for key in ("headers", "multiValueHeaders")))
    except (KeyError, TypeError, ValueError):
        well_formed = False
    if result.get("error") or not well_formed:
        raise NoAnswer(500 if result.get("throttle") else 502)
    return {**answer, "statusCode": int(answer["statusCode"]), "body": answer.get("body") or ""}, None


async def execute(api_id, stage_name, method, path, headers, body, query_params, account_id, region):
    """The way of a request: firewall, size, ministack's own checks and integration, gateway response, log, metrics."""
    started, now, stage = time.monotonic(), time.time(), ag._stages_v1.get(api_id, {}).get(stage_name)
    if stage is None:
        return 403, {"Content-Type": "application/json"}, b'{"message":"Forbidden"}'
    request = {
        "api_id": api_id, "stage_name": stage_name, "stage": stage, "headers": headers, "query_params": query_params,
        "path_params": {}, "resource_path": "", "request_id": new_uuid(), "method": method, "body": body,
        "stage_arn": f"arn:aws:apigateway:{region}::/restapis/{api_id}/stages/{stage_name}"}
    request["context"] = context = {
        "requestId": request["request_id"], "extendedRequestId": request["request_id"], "apiId": api_id,
        "stage": stage_name, "httpMethod": method, "path": f"/{stage_name}{path}", "accountId": account_id,
        "protocol": "HTTP/1.1", "requestTimeEpoch": int(now * 1000),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)), "domainName": headers.get("host", ""),
        "identity.sourceIp": (wire.get()["client"] or ["127.0.0.1"])[0],
        "identity.userAgent": headers.get("user-agent", "")}
    current.set(request)
    response = next(filter(None, (check(request) for check in firewall)), None)
    if response is None and len(body or b"") > _MAX_BODY_BYTES:
        response = ag._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
    try:
        response = response or await ag._execute_in_scope(
            request, api_id, stage_name, method, path, headers, body, query_params, account_id, region)
    except NoAnswer as failure:
        response, context["status"] = ag._gw_error("DEFAULT_5XX", "Internal server error"), failure.args[0]
    if isinstance(response, ag._GatewayError):
        response = gateway_response(response, request)
    status, answer_headers, answer = response
    answer_headers.setdefault("x-amzn-requestid", request["request_id"])
    context |= {"status": status, "responseLength": len(answer), "resourcePath": request["resource_path"],
                "responseLatency": int((time.monotonic() - started) * 1000)}
    write_access_log(stage.get("accessLogSettings") or {}, context)
    count(ag._rest_apis[api_id]["name"], stage_name, context)
    return response


def gateway_response(error, request):
    """ministack renders a few of the $context variables and leaves the others in the text."""
    context = request["context"]
    context |= {"error.message": error.message, "error.responseType": error.response_type,
                "error.messageString": json.dumps(error.message), "resourcePath": request["resource_path"]}
    status, headers, body = ag._gateway_error_response(error, request)
    deployed = ag._deployed_gateway_responses[request["api_id"]][request["stage"]["deploymentId"]]
    if "statusCode" not in deployed.get(error.response_type, {}):
        status = context.get("status", status)
    return status, headers, rendered(body.decode(), context, "").encode()


def rendered(template, context, absent):
    return re.sub(r"\$context\.([A-Za-z_][\w.]*\w)", lambda m: str(context.get(m[1], absent)), template)


def write_access_log(settings, context):
    """AWS writes a line a request, values unescaped, to the stage's log group; ministack none. A variable unknown here is "-"."""
    if not settings.get("destinationArn"):
        return
    stream = {"logGroupName": settings["destinationArn"].split(":log-group:")[1].removesuffix(":*"), "logStreamName": "stage"}
    line = {"timestamp": context["requestTimeEpoch"], "message": rendered(settings["format"], context, "-")}
    cloudwatch_logs._create_log_stream(stream)
    cloudwatch_logs._put_log_events({**stream, "logEvents": [line]})


def count(api_name, stage_name, context):
    """AWS counts requests, errors and latencies of an API and of its stage in AWS/ApiGateway; ministack does not."""
    status, milliseconds = context["status"], {"Latency": context["responseLatency"]}
    if "integrationLatency" in context:
        milliseconds["IntegrationLatency"] = context["integrationLatency"]
    for dimensions in ({"ApiName": api_name}, {"ApiName": api_name, "Stage": stage_name}):
        for name, value in {"Count": 1, "4XXError": 400 <= status < 500, "5XXError": status >= 500}.items():
            cloudwatch.record_metric("AWS/ApiGateway", name, int(value), "Count", dimensions)
        for name, value in milliseconds.items():
            cloudwatch.record_metric("AWS/ApiGateway", name, value, "Milliseconds", dimensions)


Config.h11_pass_raw_headers = True
app.app, app._handle_execute_api_request = remember_the_wire, execute_api
ag._build_lambda_event_v1, ag._check_request_validation, ag._lambda_proxy_response = event, check_request_validation, proxy_response
ag._invoke_lambda_proxy_v1, ag._call_lambda_raw, ag._handle_execute_in_scope = invoke, call, execute
