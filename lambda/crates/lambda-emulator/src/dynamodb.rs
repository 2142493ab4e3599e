//! DynamoDB's wire format, and a stub of a table.

use bytes::Bytes;
use hyper::{Request, Response};
use serde_json::{Value, json};
use std::{
    future::{Ready, ready},
    sync::Arc,
};

/// Returns the operation of a request, such as `GetItem`.
#[must_use]
pub fn operation(request: &Request<Bytes>) -> &str {
    let target = request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .unwrap_or_default();
    target.rsplit('.').next().unwrap_or_default()
}

/// Returns a response with status 200.
#[must_use]
pub fn success(body: &Value) -> Response<Bytes> {
    response(200, body)
}

/// Returns an error response, such as `(400, "ProvisionedThroughputExceededException")`.
#[must_use]
pub fn failure(status: u16, code: &str) -> Response<Bytes> {
    response(
        status,
        &json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "injected fault" }),
    )
}

fn response(status: u16, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    let checksum = crc32fast::hash(response.body());
    response
        .headers_mut()
        .insert("x-amz-crc32", checksum.into());
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(
        "content-type",
        hyper::header::HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    response
}

/// Returns a stub of a table: reads return `items`, and writes succeed without effect. It evaluates
/// no conditions, and a Query returns the items that have the first expression value as an
/// attribute. It is a fast table for measurements and for tests of other parts, not an emulator.
pub fn stub(
    items: Vec<Value>,
) -> impl Fn(Request<Bytes>) -> Ready<Option<Response<Bytes>>> + Send + Sync + 'static {
    let items = Arc::new(items);
    move |request| ready(Some(respond(&items, &request)))
}

fn respond(items: &[Value], request: &Request<Bytes>) -> Response<Bytes> {
    let input: Value = serde_json::from_slice(request.body()).unwrap_or_default();
    let page = |found: Vec<&Value>| {
        let limit = input["Limit"]
            .as_u64()
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX);
        let found: Vec<_> = found.into_iter().take(limit).collect();
        json!({ "Count": found.len(), "ScannedCount": found.len(), "Items": found })
    };
    match operation(request) {
        "GetItem" => {
            let key = input["Key"].as_object();
            let found = items.iter().find(|item| {
                key.is_some_and(|key| key.iter().all(|(name, value)| item[name] == *value))
            });
            success(&found.map_or(json!({}), |item| json!({ "Item": item })))
        }
        "Query" => {
            let values: Vec<_> = input["ExpressionAttributeValues"]
                .as_object()
                .into_iter()
                .flat_map(|values| values.values())
                .collect();
            let has = |item: &&Value| {
                item.as_object()
                    .is_some_and(|item| item.values().any(|value| values.first() == Some(&value)))
            };
            success(&page(items.iter().filter(has).collect()))
        }
        "Scan" => success(&page(items.iter().collect())),
        "PutItem" | "DeleteItem" | "TransactWriteItems" => success(&json!({})),
        "BatchWriteItem" => success(&json!({ "UnprocessedItems": {} })),
        _ => failure(400, "UnknownOperationException"),
    }
}
