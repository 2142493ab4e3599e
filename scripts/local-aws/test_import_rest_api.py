"""What import_rest_api adds: a REST API made out of an OpenAPI document, read back as the provider reads it."""
import json

import pytest


def resources(aws, api):
    items = aws("apigateway").get_resources(restApiId=api.id, embed=["methods"])["items"]
    return {item["path"]: item for item in items}


def test_a_documents_paths_and_methods_become_resources(aws, api):
    methods = {path: set(item.get("resourceMethods", {})) for path, item in resources(aws, api).items()}
    assert methods == {"/": set(), "/movies": {"GET", "POST"}, "/genres": {"GET"}, "/movies/{year}": set(),
                       "/movies/{year}/{title+}": {"GET", "HEAD"}}


def test_a_method_keeps_its_scopes_its_model_and_its_validator(aws, api):
    method = aws("apigateway").get_method(restApiId=api.id, resourceId=resources(aws, api)["/movies"]["id"], httpMethod="POST")
    validators = aws("apigateway").get_request_validators(restApiId=api.id)["items"]
    assert method["authorizationType"] == "COGNITO_USER_POOLS" and method["authorizationScopes"] == ["movies/write"]
    assert method["requestModels"] == {"application/json": "Movie"}
    assert method["requestValidatorId"] == validators[0]["id"] and validators[0]["validateRequestBody"]
    assert method["methodIntegration"]["type"] == "AWS_PROXY" and method["methodIntegration"]["timeoutInMillis"] == 1000


def test_a_referenced_parameter_becomes_a_request_parameter(aws, api):
    method = aws("apigateway").get_method(restApiId=api.id, resourceId=resources(aws, api)["/genres"]["id"], httpMethod="GET")
    assert method["requestParameters"] == {"method.request.querystring.genre": True}
    assert api.call("GET", "/genres").status == 400
    assert api.call("GET", "/genres?genre=Drama").status == 200


def test_a_body_is_judged_by_its_model_and_the_models_that_it_refers_to(api):
    kind = [("Content-Type", "application/json")]
    assert api.call("POST", "/movies", "movies/write", b'{"year": 2013}', kind).status == 200
    assert api.call("POST", "/movies", "movies/write", b'{"year": 1887}', kind).status == 400
    assert api.call("POST", "/movies", "movies/write", b"{}", kind).status == 400


def test_an_any_method_takes_the_paths_and_methods_that_the_document_lacks(aws, api):
    """AWS falls back to the greedy path, and does so before it asks for a token."""
    function = {"x-amazon-apigateway-integration": api.document["paths"]["/movies"]["get"]["x-amazon-apigateway-integration"]}
    anything, secured = {"x-amazon-apigateway-any-method": function}, {**function, "security": [{"cognito": ["movies/read"]}]}
    catch_all = {**api.document, "paths": {"/": anything, "/{proxy+}": anything, "/movies/{year}/{title+}": {"get": secured}}}
    rest = aws("apigateway")
    base = rest.create_rest_api(name="catch-all")["id"]
    rest.put_rest_api(restApiId=base, mode="overwrite", body=json.dumps(catch_all))
    rest.create_deployment(restApiId=base, stageName="v1")

    def resource(method, path, headers=()):
        return api.event(method, path, scope=None, base=f"{base}/v1", headers=headers)["resource"]
    for method, path in [("GET", "/nothing"), ("DELETE", "/movies"), ("GET", "/movies/2013"), ("POST", "/movies/2013/Rush")]:
        assert resource(method, path) == "/{proxy+}"
        assert resource(method, path, [("Authorization", "Bearer not-sigv4")]) == "/{proxy+}"
    assert resource("POST", "/") == "/"
    assert api.call("GET", "/movies/2013/Rush", None, base=f"{base}/v1").status == 401


def test_a_second_import_overwrites_the_first(aws):
    rest = aws("apigateway")
    first = {"openapi": "3.0.3", "info": {"title": "first", "version": "1"}, "paths": {"/a": {"get": {"responses": {}}}}}
    api_id = rest.create_rest_api(name="first")["id"]
    rest.put_rest_api(restApiId=api_id, mode="overwrite", body=json.dumps(first))
    rest.put_rest_api(restApiId=api_id, mode="overwrite", body=json.dumps({**first, "paths": {"/b": {"get": {"responses": {}}}}}))
    assert {item["path"] for item in rest.get_resources(restApiId=api_id)["items"]} == {"/", "/b"}


def test_what_is_no_openapi_3_document_is_refused(aws, api):
    with pytest.raises(aws("apigateway").exceptions.BadRequestException):
        aws("apigateway").put_rest_api(restApiId=api.id, mode="overwrite", body=json.dumps({"swagger": "2.0", "paths": {}}))
