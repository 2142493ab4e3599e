"""AWS makes a REST API out of an OpenAPI 3 document (PutRestApi); ministack answers "unknown path".

Not imitated: mode `merge`, and that AWS refuses what it does not understand (some keywords of JSON Schema, model names
with a hyphen). Tests: test_import_rest_api.py
"""
import json

import yaml
from ministack.services import apigateway_v1 as ag

_METHODS = {name: name.upper() for name in ("get", "head", "post", "put", "patch", "delete", "options")} | {"x-amazon-apigateway-any-method": "ANY"}
_LOCATIONS = {"path": "path", "query": "querystring", "header": "header"}
_handle_request = ag.handle_request


async def handle_request(method, path, headers, body, query_params):
    kind, _, api_id = path.strip("/").partition("/")
    if method != "PUT" or kind != "restapis" or api_id not in ag._rest_apis:
        return await _handle_request(method, path, headers, body, query_params)
    try:
        document = yaml.safe_load(body)
        assert document["openapi"].startswith("3.") and document["paths"]
    except (yaml.YAMLError, AssertionError, KeyError, TypeError) as error:
        return ag._v1_error("BadRequestException", f"Unable to parse the API definition: {error!r}", 400)
    import_document(api_id, document)
    return ag._v1_response(ag._rest_api_view(ag._rest_apis[api_id]))


def import_document(api_id, document):
    info, components = document["info"], document.get("components", {})
    models = f"https://apigateway.amazonaws.com/restapis/{api_id}/models/"
    ag._rest_apis[api_id] |= {"name": info["title"], "description": info.get("description", ""), "version": info["version"]}
    ag._resources[api_id] = {key: {**resource, "resourceMethods": {}} for key, resource in ag._resources[api_id].items()
                             if resource["path"] == "/"}
    for store in (ag._authorizers_v1, ag._models, ag._gateway_responses, ag._request_validators):
        store[api_id] = {}

    for name, schema in components.get("schemas", {}).items():
        ag._create_model(api_id, {"name": name, "contentType": "application/json",
                                  "schema": json.dumps(schema).replace("#/components/schemas/", models)})
    validators = {name: json.loads(ag._create_request_validator(api_id, {**validator, "name": name})[2])["id"]
                  for name, validator in document.get("x-amazon-apigateway-request-validators", {}).items()}
    for response_type, response in document.get("x-amazon-apigateway-gateway-responses", {}).items():
        ag._put_gateway_response(api_id, response_type, response)
    schemes = ag._import_security_schemes(api_id, document)

    for path, item in document["paths"].items():
        ag._import_path_item(api_id, path, {}, schemes)
        resource_id = next(key for key, resource in ag._resources[api_id].items() if resource["path"] == path)
        for method in _METHODS.keys() & item.keys():
            operation, verb = item[method], _METHODS[method]
            parameters = [components["parameters"][p["$ref"].rsplit("/", 1)[1]] if "$ref" in p else p
                          for p in item.get("parameters", []) + operation.get("parameters", [])]
            validator = operation.get("x-amazon-apigateway-request-validator", document.get("x-amazon-apigateway-request-validator"))
            ag._put_method(api_id, resource_id, verb, {
                **ag._method_security(operation.get("security", document.get("security")), schemes),
                "operationName": operation.get("operationId", ""), "requestValidatorId": validators.get(validator),
                "requestParameters": {f"method.request.{_LOCATIONS[p['in']]}.{p['name']}": p.get("required", False) for p in parameters},
                "requestModels": {kind: media["schema"]["$ref"].rsplit("/", 1)[1]
                                  for kind, media in operation.get("requestBody", {}).get("content", {}).items() if "$ref" in media.get("schema", {})}})
            if integration := operation.get("x-amazon-apigateway-integration"):
                ag._put_integration(api_id, resource_id, verb, {**integration, "type": integration["type"].upper()})


ag.handle_request = handle_request
