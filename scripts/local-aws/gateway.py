"""How AWS carries a request to a REST API's function and its answer back, where ministack does otherwise.

Not imitated: compression, metrics, resource policies and lambda permissions, what AWS makes of `.` and `..` in a path.
A token without any of the method's scopes gets UNAUTHORIZED (401) from ministack as from AWS: its knowledge centre says so
(repost.aws/knowledge-center/api-gateway-cognito-401-unauthorized), users saw it (aws-amplify/amplify-flutter issue 1539);
it is HTTP APIs that answer 403. Tests: test_gateway.py
"""
import asyncio
import json
import re
import socketserver
import time
from contextvars import ContextVar

from hypercorn.config import Config
from ministack import app
from ministack.core.responses import new_uuid
from ministack.core.sigv4 import decode_header_value
from ministack.services import apigateway_v1 as ag, cloudwatch_logs

wire = ContextVar("wire")  # the ASGI scope: the request as it was sent; "context" holds its $context variables
_app, _execute_api, _event = app.app, app._handle_execute_api_request, ag._build_lambda_event_v1
_invoke, _validate, _settings = ag._invoke_lambda_proxy_v1, ag._check_request_validation, ag._method_throttle_settings


def milliseconds_since(started):
    return int((time.monotonic() - started) * 1000)


async def remember_the_wire(scope, receive, send):
    """ministack lowers header names and joins repeated ones before any handler sees them."""
    wire.set(scope)
    await _app(scope, receive, send)


async def execute_api(host, path, *args, raw_path, **kwargs):
    """A REST API routes by the path percent-encoded as it came and delivers it so; ministack decodes it first, so that
    `%2F` would split a title and `%25` be decoded twice. AWS's way: captures in hotsock/voker pull request 8, cited by
    middleapi/standard-server pull request 93. HTTP APIs do decode, hence only REST APIs get the raw path."""
    is_rest = (target := app._parse_execute_api_url(host, path)) and ag.find_api_scope(target[0])
    return await _execute_api(host, raw_path if is_rest else path, *args, raw_path=raw_path, **kwargs)


def event(*args, **kwargs):
    """AWS keeps header names and every value of a repeated one, gives the last value of a repeated query parameter, takes
    the caller's address from the connection, has one id for one request, and keeps empty segments but the first and last."""
    made, known = _event(*args, **kwargs), wire.get()["context"]
    if greedy := re.search(r"{(\w+)\+}$", made["resource"]):
        made["pathParameters"][greedy[1]] = made["path"].split("/", made["resource"].count("/"))[-1].rstrip("/")
    headers = made["multiValueHeaders"] = {}
    for name, value in wire.get()["headers"]:
        headers.setdefault(name.decode("latin-1"), []).append(decode_header_value(value))
    made["headers"] = {name: values[-1] for name, values in headers.items()}
    if queries := made["multiValueQueryStringParameters"]:
        made["queryStringParameters"] = {name: values[-1] for name, values in queries.items()}
    context = made["requestContext"]
    context["requestId"] = context["extendedRequestId"] = known["requestId"]
    context["identity"]["sourceIp"], context["path"] = known["identity.sourceIp"], known["path"]
    known |= {f"authorizer.claims.{name}": claim for name, claim in context.get("authorizer", {}).get("claims", {}).items()}
    return made


def check_request_validation(method, api_id, request, headers, body, query_params):
    """AWS holds a body against the model of its content type; ministack takes application/json's where there is none."""
    kind = (ag._header_ci(headers, "content-type") or "application/json").split(";")[0].strip()
    method = method if kind in method["requestModels"] else {**method, "requestModels": {}}
    return _validate(method, api_id, request, headers, body, query_params)


async def invoke(integration, *args, **kwargs):
    """AWS gives up at the integration's timeout (504, INTEGRATION_TIMEOUT); ministack waits for the function's own."""
    started, invocation = time.monotonic(), asyncio.ensure_future(_invoke(integration, *args, **kwargs))
    done, _ = await asyncio.wait({invocation}, timeout=int(integration["timeoutInMillis"]) / 1000)
    wire.get()["context"]["integrationLatency"] = milliseconds_since(started)
    return invocation.result() if done else ag._gw_error("INTEGRATION_TIMEOUT", "Endpoint request timed out")


def method_throttle_settings(stage, path, method):
    """AWS writes a route's settings as `~1movies/GET`; ministack decodes that, and Terraform no longer finds them."""
    return _settings(stage, path.replace("/", "~1"), method)


class NoAnswer(Exception):
    """The function failed, or answered what is not a proxy response."""


def proxy_response(result):
    """AWS answers a function's failure and a malformed response through DEFAULT_5XX, with 502 unless that entry names
    a status; ministack tells the failure's text, and makes a 200 of a malformed response."""
    try:
        answer = result["body"] if isinstance(result["body"], dict) else json.loads(result["body"])
        well_formed = (100 <= int(answer["statusCode"]) <= 599 and isinstance(answer.get("body"), str | None)
                       and all(isinstance(answer.get(key), dict | None) for key in ("headers", "multiValueHeaders")))
    except (KeyError, TypeError, ValueError):
        well_formed = False
    if result.get("error") or not well_formed:
        raise NoAnswer
    return {**answer, "statusCode": int(answer["statusCode"]), "body": answer.get("body") or ""}, None


async def execute(api_id, stage_name, method, path, headers, body, query_params, account_id, region):
    """The way of a request: size, ministack's own checks and integration, gateway response, log."""
    started, now, stage = time.monotonic(), time.time(), ag._stages_v1.get(api_id, {}).get(stage_name, {})
    request_id = new_uuid()
    context = wire.get()["context"] = {
        "requestId": request_id, "extendedRequestId": request_id, "apiId": api_id, "stage": stage_name, "accountId": account_id,
        "httpMethod": method, "path": f"/{stage_name}{path}", "protocol": "HTTP/1.1", "domainName": headers.get("host", ""),
        "requestTime": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)), "requestTimeEpoch": int(now * 1000),
        "identity.sourceIp": wire.get()["client"][0], "identity.userAgent": headers.get("user-agent", "")}
    request = {
        "api_id": api_id, "stage_name": stage_name, "stage": stage, "headers": headers, "query_params": query_params,
        "path_params": {}, "resource_path": "", "request_id": request_id, "context": context}
    try:
        too_large = len(body or b"") > 10 * 1024 * 1024 and ag._gw_error("REQUEST_TOO_LARGE", "Request Too Long")
        response = too_large or await ag._execute_in_scope(
            request, api_id, stage_name, method, "/" + path.lstrip("/"), headers, body, query_params, account_id, region)
    except NoAnswer:
        response, context["status"] = ag._gw_error("DEFAULT_5XX", "Internal server error"), 502
    context["resourcePath"] = request["resource_path"]
    if isinstance(response, ag._GatewayError):
        response = gateway_response(response, request)
    status, answer_headers, answer = response
    answer_headers.setdefault("x-amzn-requestid", request_id)
    context |= {"status": status, "responseLength": len(answer), "responseLatency": milliseconds_since(started)}
    write_access_log(stage.get("accessLogSettings") or {}, context)
    return response


def gateway_response(error, request):
    """The text and the headers are ministack's; it knows no 502 for DEFAULT_5XX, and the log wants to know the error."""
    context = request["context"]
    context |= {"error.message": error.message, "error.responseType": error.response_type}
    status, headers, body = ag._gateway_error_response(error, request)
    deployed = ag._deployed_gateway_responses[request["api_id"]][request["stage"]["deploymentId"]]
    named = "statusCode" in deployed.get(error.response_type, {})
    return status if named else context.get("status", status), headers, body


def write_access_log(settings, context):
    """AWS writes a line a request, values unescaped, to the stage's log group; ministack none. A variable unknown here is "-"."""
    if settings.get("destinationArn"):
        stream = {"logGroupName": settings["destinationArn"].split(":log-group:")[1].removesuffix(":*"), "logStreamName": "stage"}
        text = re.sub(r"\$context\.([A-Za-z_][\w.]*\w)", lambda name: str(context.get(name[1], "-")), settings["format"])
        cloudwatch_logs._create_log_stream(stream)
        cloudwatch_logs._put_log_events({**stream, "logEvents": [{"timestamp": context["requestTimeEpoch"], "message": text}]})


Config.h11_pass_raw_headers = True
ag._method_throttle_settings, ag._decode_json_pointer_token = method_throttle_settings, str
app.app, app._handle_execute_api_request = remember_the_wire, execute_api
ag._build_lambda_event_v1, ag._check_request_validation, ag._lambda_proxy_response = event, check_request_validation, proxy_response
ag._invoke_lambda_proxy_v1, ag._handle_execute_in_scope = invoke, execute
# ministack's Runtime API sends headers and body apart: Nagle's algorithm would hold the second for 40 ms of every invocation.
socketserver.StreamRequestHandler.disable_nagle_algorithm = True
