"""AWS WAF judges every request to a stage that has a web ACL; ministack keeps the ACL and never asks it, drops what an ACL
says of custom bodies and of inspected bytes, and knows no logging configuration.

Judged: sets of IPs and patterns, equal text, size, rate, AND, OR, NOT; texts as they came, untransformed. No other statement ever matches.
Of managed groups only the common group's lengths and its User-Agent are judged, which AWS documents; the other rules are not public. Rates and changes count at once, not with AWS's delay; no log. Tests: test_web_acl.py
"""
import base64
import json
import operator
import re
import time
from collections import defaultdict, deque
from ipaddress import ip_address, ip_network

from ministack.core.responses import json_response
from ministack.services import apigateway_v1 as ag, waf

import gateway

_logging = {}
_seen = defaultdict(deque)  # (rule, source) -> when its requests came
_handle_request, _execute = waf.handle_request, ag._execute_in_scope


async def handle_request(method, path, headers, body, query_params):
    action, data = headers.get("x-amz-target", "").split(".")[-1], json.loads(body or b"{}")
    if action in ("PutLoggingConfiguration", "GetLoggingConfiguration", "DeleteLoggingConfiguration"):
        said = data.get("LoggingConfiguration") or _logging.get(data["ResourceArn"])
        if said is None:
            return waf._waf_err("WAFNonexistentItemException", f"{data['ResourceArn']} has no logging configuration")
        _logging[said["ResourceArn"]] = None if action.startswith("Delete") else said
        return json_response({"LoggingConfiguration": said})
    response = await _handle_request(method, path, headers, body, query_params)
    if action in ("CreateWebACL", "UpdateWebACL") and response[0] == 200:
        acl = next(acl for acl in waf._web_acls.values() if acl["Name"] == data["Name"])
        acl |= {key: data.get(key, {}) for key in ("CustomResponseBodies", "AssociationConfig")}
    return response


async def execute(request, api_id, stage_name, method, path, headers, body, query_params, account_id, region):
    arn = waf._associations.get(f"arn:aws:apigateway:{region}::/restapis/{api_id}/stages/{stage_name}")
    if acl := next((acl for acl in waf._web_acls.values() if acl["ARN"] == arn), None):
        limit = acl["AssociationConfig"].get("RequestBody", {}).get("API_GATEWAY", {}).get("DefaultSizeInspectionLimit", "KB_16")
        query = gateway.wire.get().get("query_string", b"").decode()
        judged = {**request["context"], "path": path, "query": query, "headers": headers, "body": body or b"",
                  "inspected_bytes": int(limit[3:]) * 1024}
        actions = (rule.get("Action") or ({"Block": {}} if "None" in rule.get("OverrideAction", {}) else {}) for rule in sorted(acl["Rules"], key=operator.itemgetter("Priority"))
                   if matches(rule["Statement"], judged, (arn, rule["Name"])))
        action = next((action for action in actions if action.keys() & {"Block", "Allow"}), acl["DefaultAction"])
        request["context"] |= {"webaclArn": arn, "wafResponseCode": "WAF_BLOCK" if "Block" in action else "WAF_ALLOW"}
        if "Block" in action:
            return blocked(acl, action["Block"].get("CustomResponse"))
    return await _execute(request, api_id, stage_name, method, path, headers, body, query_params, account_id, region)


def blocked(acl, custom):
    if custom is None:
        return ag._gw_error("WAF_FILTERED", "Forbidden")
    body = acl["CustomResponseBodies"].get(custom.get("CustomResponseBodyKey"), {"Content": "", "ContentType": "TEXT_PLAIN"})
    headers = {header["Name"]: header["Value"] for header in custom.get("ResponseHeaders", [])}
    return custom["ResponseCode"], headers | {"Content-Type": body["ContentType"].lower().replace("_", "/")}, body["Content"].encode()


def matches(statement, request, rule):
    (kind, said), = statement.items()
    match kind:
        case "AndStatement" | "OrStatement":
            return (all if kind == "AndStatement" else any)(matches(part, request, rule) for part in said["Statements"])
        case "NotStatement":
            return not matches(said["Statement"], request, rule)
        case "IPSetReferenceStatement" | "RegexPatternSetReferenceStatement":
            (kept,) = (kept for store in (waf._ip_sets, waf._regex_pattern_sets) for kept in store.values() if kept["ARN"] == said["ARN"])
            return (any(ip_address(request["identity.sourceIp"]) in ip_network(network) for network in kept["Addresses"]) if "Addresses" in kept
                    else any(re.search(regex["RegexString"], field(said, request)) for regex in kept["RegularExpressionList"]))
        case "ByteMatchStatement":
            return field(said, request) == base64.b64decode(said["SearchString"]).decode()
        case "SizeConstraintStatement":
            text, compares = field(said, request), getattr(operator, said["ComparisonOperator"].lower())
            return text if isinstance(text, bool) else compares(len(text.encode()), said["Size"])
        case "ManagedRuleGroupStatement" if said["Name"] == "AWSManagedRulesCommonRuleSet":
            counted = {override["Name"] for override in said.get("RuleActionOverrides", []) if "Count" in override["ActionToUse"]}
            sizes = {"URIPATH": (request["path"].encode(), 1024), "QUERYSTRING": (request["query"].encode(), 2048), "BODY": (request["body"], 8192)}
            matched = {f"SizeRestrictions_{part}" for part, (text, limit) in sizes.items() if len(text) > limit}
            matched |= set() if ag._header_ci(request["headers"], "user-agent") else {"NoUserAgent_HEADER"}
            return bool(matched - counted)
        case "RateBasedStatement":
            if not matches(said.get("ScopeDownStatement", {"AndStatement": {"Statements": []}}), request, rule):
                return False
            keys = [ag._header_ci(request["headers"], key["Header"]["Name"]) for key in said.get("CustomKeys", []) if "Header" in key]
            times = _seen[rule, request["identity.sourceIp"], *keys]
            times.append(time.monotonic())
            while times[0] < times[-1] - said.get("EvaluationWindowSec", 300):
                times.popleft()
            return len(times) > said["Limit"]
    return False


def field(statement, request):
    """The text that a statement looks at, or what it says of a body or headers beyond what WAF is given of them."""
    (kind, said), = statement["FieldToMatch"].items()
    whole, given = (("".join(map("".join, request["headers"].items())).encode(), 8192) if kind == "Headers" else (request["body"], request["inspected_bytes"]))
    if len(whole) > given and (beyond := said.get("OversizeHandling", "CONTINUE")) != "CONTINUE":
        return beyond == "MATCH"
    return {"Method": request["httpMethod"], "SingleHeader": ag._header_ci(request["headers"], said.get("Name", ""))}.get(kind, whole[:given].decode(errors="replace"))


waf.handle_request, ag._execute_in_scope = handle_request, execute
