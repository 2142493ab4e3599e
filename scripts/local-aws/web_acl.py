"""AWS WAF judges every request to a stage that has a web ACL; ministack keeps the ACL and never asks it. It also drops
what an ACL says of custom bodies and of its association, and knows no logging configuration.

Judged: IP sets, byte match, size constraint, rate, AND, OR, NOT. Any other statement, a managed group above all (its
rules are AWS's secret), never matches. A rate counts at once, not with AWS's delay. No log is written. Tests: test_web_acl.py
"""
import base64
import html
import json
import operator
import re
import time
from collections import defaultdict, deque
from ipaddress import ip_address, ip_network
from urllib.parse import unquote_plus

import gateway
from ministack.core.responses import json_response
from ministack.services import apigateway_v1 as ag, waf

_TRANSFORMATIONS = {
    "LOWERCASE": str.lower, "URL_DECODE": unquote_plus, "URL_DECODE_UNI": unquote_plus,
    "HTML_ENTITY_DECODE": html.unescape, "COMPRESS_WHITE_SPACE": lambda text: re.sub(r"\s+", " ", text)}
_logging = {}
_seen = defaultdict(deque)  # (ACL, rule, source) -> when its requests came
_handle_request = waf.handle_request


async def handle_request(method, path, headers, body, query_params):
    action, data = headers.get("x-amz-target", "").split(".")[-1], json.loads(body or b"{}")
    if action.endswith("LoggingConfiguration"):
        return logging_configuration(action, data)
    custom = [rule.get("Action", {}).get("Block", {}).get("CustomResponse", {}) for rule in data.get("Rules", [])]
    if "content-type" in {header["Name"].lower() for response in custom for header in response.get("ResponseHeaders", [])}:
        return waf._waf_err("WAFInvalidParameterException", "A custom response may name any header except content-type.")
    response = await _handle_request(method, path, headers, body, query_params)
    if action in ("CreateWebACL", "UpdateWebACL") and response[0] == 200:
        acl = next(acl for acl in waf._web_acls.values() if acl["Name"] == data["Name"])
        acl |= {key: data.get(key, {}) for key in ("CustomResponseBodies", "AssociationConfig")}
    return response


def logging_configuration(action, data):
    said = data.get("LoggingConfiguration") or _logging.get(data["ResourceArn"])
    if said is None:
        return waf._waf_err("WAFNonexistentItemException", f"{data['ResourceArn']} has no logging configuration")
    _logging[said["ResourceArn"]] = None if action.startswith("Delete") else said
    return json_response({"LoggingConfiguration": said})


def judge(request):
    """The answer to a blocked request; None lets it pass."""
    arn = waf._associations.get(request["stage_arn"])
    acl = next((acl for acl in waf._web_acls.values() if acl["ARN"] == arn), None)
    if acl is None:
        return None
    request["context"] |= {"webaclArn": arn, "wafResponseCode": "WAF_ALLOW", "waf.status": 200}
    limit = acl.get("AssociationConfig", {}).get("RequestBody", {}).get("API_GATEWAY", {}).get("DefaultSizeInspectionLimit", "KB_16")
    request["inspected_bytes"] = int(limit.removeprefix("KB_")) * 1024
    for rule in sorted(acl["Rules"], key=lambda rule: rule["Priority"]):
        action = rule.get("Action", {})
        if action.keys() & {"Block", "Allow"} and matches(rule["Statement"], request, (arn, rule["Name"])):
            return blocked(action["Block"], acl, request) if "Block" in action else None
    return blocked(acl["DefaultAction"]["Block"], acl, request) if "Block" in acl["DefaultAction"] else None


def blocked(action, acl, request):
    request["context"] |= {"wafResponseCode": "WAF_BLOCK", "waf.status": 403}
    custom = action.get("CustomResponse")
    if custom is None:
        return ag._gw_error("WAF_FILTERED", "Forbidden")
    body = acl.get("CustomResponseBodies", {}).get(custom.get("CustomResponseBodyKey"), {"Content": "", "ContentType": "TEXT_PLAIN"})
    kind = {"APPLICATION_JSON": "application/json", "TEXT_HTML": "text/html"}.get(body["ContentType"], "text/plain")
    headers = {header["Name"]: header["Value"] for header in custom.get("ResponseHeaders", [])}
    return custom["ResponseCode"], {"Content-Type": kind, **headers}, body["Content"].encode()


def matches(statement, request, rule):
    (kind, said), = statement.items()
    match kind:
        case "AndStatement":
            return all(matches(part, request, rule) for part in said["Statements"])
        case "OrStatement":
            return any(matches(part, request, rule) for part in said["Statements"])
        case "NotStatement":
            return not matches(said["Statement"], request, rule)
        case "IPSetReferenceStatement":
            ips = next(ips for ips in waf._ip_sets.values() if ips["ARN"] == said["ARN"])
            return any(ip_address(request["context"]["identity.sourceIp"]) in ip_network(a) for a in ips["Addresses"])
        case "ByteMatchStatement":
            sought, text = re.escape(base64.b64decode(said["SearchString"]).decode()), field(said, request)
            pattern = {"EXACTLY": rf"\A{sought}\Z", "STARTS_WITH": rf"\A{sought}", "ENDS_WITH": rf"{sought}\Z",
                       "CONTAINS": sought, "CONTAINS_WORD": rf"\b{sought}\b"}[said["PositionalConstraint"]]
            return text if isinstance(text, bool) else re.search(pattern, text) is not None
        case "SizeConstraintStatement":
            text = field(said, request)
            return text if isinstance(text, bool) else getattr(operator, said["ComparisonOperator"].lower())(len(text.encode()), said["Size"])
        case "RateBasedStatement":
            if "ScopeDownStatement" in said and not matches(said["ScopeDownStatement"], request, rule):
                return False
            sources = [ag._header_ci(request["headers"], key["Header"]["Name"]) for key in said.get("CustomKeys", []) if "Header" in key]
            times, now = _seen[rule, request["context"]["identity.sourceIp"], *sources], time.monotonic()
            times.append(now)
            while times[0] < now - said.get("EvaluationWindowSec", 300):
                times.popleft()
            return len(times) > said["Limit"]
    return False


def field(statement, request):
    """The text a statement looks at, or what it says of a body beyond the inspection limit."""
    (kind, said), = statement["FieldToMatch"].items()
    body = request["body"] or b""
    if kind == "Body" and len(body) > request["inspected_bytes"] and said.get("OversizeHandling", "CONTINUE") != "CONTINUE":
        return said["OversizeHandling"] == "MATCH"
    text = {"SingleHeader": lambda: ag._header_ci(request["headers"], said["Name"]), "Method": lambda: request["method"],
            "UriPath": lambda: request["context"]["path"], "QueryString": lambda: gateway.wire.get()["query_string"].decode(),
            "Body": lambda: body[:request["inspected_bytes"]].decode("utf-8", "replace")}.get(kind, str)()
    for transformation in sorted(statement["TextTransformations"], key=lambda t: t["Priority"]):
        text = _TRANSFORMATIONS.get(transformation["Type"], str)(text)
    return text


waf.handle_request = handle_request
gateway.firewall.append(judge)
