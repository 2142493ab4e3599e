"""A REST API, made from a document as Terraform makes it, in front of a function that answers what its request's header tells it."""
import base64
import http.client
import io
import json
import os
import sys
import time
import urllib.parse
import urllib.request
import uuid
import zipfile

import boto3
import pytest

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL") or pytest.exit("Run by: scripts/with-local-aws -- pytest scripts/local-aws", 2)
# Says `answer` (base64 of JSON) of the query when it is there, the event it was given otherwise.
BOOTSTRAP = f"""#!{sys.executable}
import base64, http.client, json, os, time
runtime = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    runtime.request("GET", "/2018-06-01/runtime/invocation/next")
    answer = runtime.getresponse()
    event, invocation = json.loads(answer.read()), answer.headers["Lambda-Runtime-Aws-Request-Id"]
    said = (event.get("queryStringParameters") or {{}}).get("answer")
    body = base64.b64decode(said).decode() if said else json.dumps({{"statusCode": 200, "body": json.dumps(event)}})
    if body == "crash":
        raise SystemExit(1)
    if body == "sleep":
        time.sleep(2)
    print("answered", flush=True)
    runtime.request("POST", f"/2018-06-01/runtime/invocation/{{invocation}}/response", body.encode())
    runtime.getresponse().read()
"""
PROBLEM = '{"code":"%s","request_id":"$context.requestId"}'


def gateway_response(code, status=None):
    return {"responseParameters": {"gatewayresponse.header.Content-Type": "'application/problem+json'"},
            "responseTemplates": {"application/json": PROBLEM % code}} | ({"statusCode": status} if status else {})


def document(uri, pool):
    """As the real one is: a greedy title, scopes by operation, a model, validators, gateway responses."""
    integration = {"type": "aws_proxy", "httpMethod": "POST", "uri": uri, "timeoutInMillis": 1000}

    def operation(scopes, **more):
        return {"security": [{"cognito": scopes}], "responses": {"200": {"description": "ok"}},
                "x-amazon-apigateway-integration": integration, **more}
    movie = {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Movie"}}}}}
    return {
        "openapi": "3.0.3", "info": {"title": "movies", "version": "1.0.0"},
        "x-amazon-apigateway-request-validators": {"all": {"validateRequestBody": True, "validateRequestParameters": True}},
        "x-amazon-apigateway-request-validator": "all",
        "x-amazon-apigateway-gateway-responses": {
            "DEFAULT_4XX": gateway_response("invalid_request"), "DEFAULT_5XX": gateway_response("internal_error"),
            "UNAUTHORIZED": gateway_response("unauthorized"), "MISSING_AUTHENTICATION_TOKEN": gateway_response("route_not_found", "404"),
            "REQUEST_TOO_LARGE": gateway_response("payload_too_large"), "INTEGRATION_TIMEOUT": gateway_response("timeout"),
            "WAF_FILTERED": gateway_response("forbidden")},
        "components": {
            "parameters": {"Genre": {"name": "genre", "in": "query", "required": True, "schema": {"type": "string"}}},
            "schemas": {
                "Year": {"type": "integer", "minimum": 1888},
                "Movie": {"type": "object", "required": ["year"], "properties": {"year": {"$ref": "#/components/schemas/Year"}}}},
            "securitySchemes": {"cognito": {
                "type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "cognito_user_pools",
                "x-amazon-apigateway-authorizer": {"type": "cognito_user_pools", "providerARNs": [pool]}}}},
        "paths": {
            "/movies": {"get": operation(["movies/read", "movies/write"]), "post": operation(["movies/write"], **movie)},
            "/genres": {"get": operation(["movies/read"], parameters=[{"$ref": "#/components/parameters/Genre"}])},
            "/movies/{year}/{title+}": {method: operation(["movies/read"]) for method in ("get", "head")}}}


def client(service):
    return boto3.client(service, region_name="eu-west-1", endpoint_url=ENDPOINT, aws_access_key_id="test", aws_secret_access_key="test")


class Api:
    def __init__(self):
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        pools, functions, apis, logs = (client(s) for s in ("cognito-idp", "lambda", "apigateway", "logs"))
        pool = pools.create_user_pool(PoolName=self.name)["UserPool"]
        pools.create_resource_server(UserPoolId=pool["Id"], Identifier="movies", Name="movies", Scopes=[
            {"ScopeName": scope, "ScopeDescription": scope} for scope in ("read", "write", "other")])
        pools.create_user_pool_domain(UserPoolId=pool["Id"], Domain=self.name)
        self.client = pools.create_user_pool_client(
            UserPoolId=pool["Id"], ClientName="test", GenerateSecret=True, AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthFlowsUserPoolClient=True, AllowedOAuthScopes=["movies/read", "movies/write", "movies/other"])["UserPoolClient"]
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, BOOTSTRAP)
        functions.create_function(
            FunctionName=self.name, Role="arn:aws:iam::000000000000:role/test", Runtime="provided.al2023", Handler="bootstrap",
            Code={"ZipFile": package.getvalue()}, Timeout=5, Publish=True)
        alias = functions.create_alias(FunctionName=self.name, Name="live", FunctionVersion="1")["AliasArn"]
        self.log_group = f"/test/{self.name}"
        logs.create_log_group(logGroupName=self.log_group)
        self.document = document(f"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{alias}/invocations", pool["Arn"])
        self.id = apis.create_rest_api(name=self.name)["id"]
        apis.put_rest_api(restApiId=self.id, mode="overwrite", body=json.dumps(self.document))
        apis.create_deployment(restApiId=self.id, stageName="v1")
        apis.update_stage(restApiId=self.id, stageName="v1", patchOperations=[
            {"op": "replace", "path": "/accessLogSettings/destinationArn", "value": f"arn:aws:logs:eu-west-1:000000000000:log-group:{self.log_group}"},
            {"op": "replace", "path": "/accessLogSettings/format", "value": '{"id":"$context.requestId","status":"$context.status",'
             '"client":"$context.authorizer.claims.client_id","waf":"$context.wafResponseCode","agent":"$context.identity.userAgent",'
             '"resource":"$context.resourcePath","integration":"$context.integrationLatency","unknown":"$context.unheard.of"}'}])
        self.stage_arn = f"arn:aws:apigateway:eu-west-1::/restapis/{self.id}/stages/v1"
        # Everything goes to the function: what AWS was seen to make of a request can be compared.
        self.plain = apis.create_rest_api(name=f"{self.name}-plain")["id"]
        integration = {"type": "aws_proxy", "httpMethod": "POST", "timeoutInMillis": 1000,
                       "uri": f"arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/{alias}/invocations"}
        anything = {method: {"responses": {}, "x-amazon-apigateway-integration": integration} for method in ("get", "post")}
        apis.put_rest_api(restApiId=self.plain, mode="overwrite", body=json.dumps(
            {"openapi": "3.0.3", "info": {"title": "plain", "version": "1.0.0"}, "paths": {"/{proxy+}": anything}}))
        for stage in ("stage", "live"):
            apis.create_deployment(restApiId=self.plain, stageName=stage)
        self.tokens = {scope: self.token(scope) for scope in ("movies/read", "movies/write", "movies/other")}

    def token(self, scope):
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": scope,
                                       "client_id": self.client["ClientId"], "client_secret": self.client["ClientSecret"]})
        with urllib.request.urlopen(f"{ENDPOINT}/oauth2/token", form.encode()) as answer:
            return json.load(answer)["access_token"]

    def call(self, method, path, scope="movies/read", body=None, headers=(), source="127.0.0.1", base=None):
        """The path goes out as it is written here; headers are pairs."""
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(ENDPOINT).netloc, source_address=(source, 0))
        connection.putrequest(method, f"/_aws/execute-api/{base or f'{self.id}/v1'}{path}")
        pairs = [*headers] + ([("Authorization", f"Bearer {self.tokens[scope]}")] if scope else [])
        for name, value in pairs + ([("Content-Length", str(len(body)))] if body is not None else []):
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        return answer

    def event(self, method, path, **more):
        answer = self.call(method, path, **more)
        assert answer.status == 200, answer.text
        return json.loads(answer.text)

    def answers(self, said):
        """What comes out when the function says this."""
        said = said if isinstance(said, str) else json.dumps(said)
        return self.call("GET", "/movies?answer=" + urllib.parse.quote(base64.b64encode(said.encode())))

    def log(self, request_id):
        for _ in range(50):
            for line in client("logs").filter_log_events(logGroupName=self.log_group)["events"]:
                if request_id in line["message"]:
                    return json.loads(line["message"])
            time.sleep(0.1)
        raise AssertionError(f"no access log of {request_id}")


@pytest.fixture(scope="session")
def api():
    return Api()


@pytest.fixture(scope="session")
def aws():
    return client
