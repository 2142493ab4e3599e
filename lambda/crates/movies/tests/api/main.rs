//! The API's behaviour, asked as API Gateway asks, on a real DynamoDB emulator. Every answer is held to the contract.
//!
//! `make test` starts the emulator; each test has a table of its own, made from the schema that is deployed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod binary;
mod catalogue;
mod contract;
mod events;
mod hostile;
mod listing;
mod logs;
mod preconditions;
mod properties;
mod reading;
mod refusals;
mod server;
#[path = "../tables/mod.rs"]
mod tables;
mod writing;

use aws_sdk_dynamodb::Client;
use contract::Contract;
use movies::{
    config::Aws,
    entry::{Door, lambda},
    http::Api,
    store::Store,
};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tables::Tables;

const READ: &str = "movies/read";
const WRITE: &str = "movies/write";

/// The service on an empty table, and a gateway in front of it that passes on whatever it is given.
#[derive(Clone)]
struct World {
    door: Arc<Door>,
    client: Client,
    table: String,
    creations: String,
}

impl World {
    async fn new() -> Self {
        Self::with_origins(&[]).await
    }

    /// One that caches, and another on the same table.
    async fn with_cache(ttl: Duration) -> (Self, Self) {
        let other = Self::new().await;
        let store = Store::open(other.table.clone(), other.creations.clone(), Aws::from_environment().unwrap(), ttl).unwrap();
        (Self { door: Arc::new(Door::new(Api::new(store, Vec::new()), None)), ..other.clone() }, other)
    }

    async fn with_origins(origins: &[&str]) -> Self {
        let Tables { client, movies: table, creations } = Tables::create().await;
        let store = Store::open(table.clone(), creations.clone(), Aws::from_environment().unwrap(), Duration::ZERO).unwrap();
        let origins = origins.iter().map(ToString::to_string).collect();
        Self { door: Arc::new(Door::new(Api::new(store, origins), None)), client, table, creations }
    }

    /// Asks as a caller who may write.
    async fn ask(&self, method: &str, path: &str) -> Answer {
        self.send(Ask::new(method, path)).await
    }

    async fn send(&self, ask: Ask) -> Answer {
        self.invoke_without(ask.lacking, &ask.event().to_string()).await
    }

    /// Gives the function an event as it is.
    async fn invoke(&self, event: &str) -> Answer {
        self.invoke_without(None, event).await
    }

    async fn invoke_without(&self, header: Option<&str>, event: &str) -> Answer {
        let response = lambda::invoke(&self.door, event, "invocation", None).await;
        let answer = Answer::from(serde_json::to_value(response).unwrap());
        // An event that is no request has no operation either.
        let event = serde_json::from_str(event).unwrap_or(Value::Null);
        let text = |member: &str| event[member].as_str().unwrap_or_default();
        let id = event["requestContext"]["requestId"].as_str().unwrap_or("invocation");
        assert_eq!(answer.header("x-request-id"), Some(id), "{answer:?}");
        Contract::get().check(text("httpMethod"), text("path"), header, &answer);
        answer
    }

    async fn create(&self, movie: &Value) -> Answer {
        let answer = self.send(Ask::new("POST", "/movies").json(movie)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer
    }
}

/// A request, as it is put into a proxy event.
#[derive(Clone, Debug)]
struct Ask {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Option<String>,
    scope: Option<&'static str>,
    client: &'static str,
    lacking: Option<&'static str>,
}

impl Ask {
    /// `path` as a client sends it: percent-encoded, with its query if there is one.
    fn new(method: &str, path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let decode = |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8().unwrap().into_owned();
        let query = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self {
            method: method.into(),
            path: path.into(),
            query: query.map(|(name, value)| (decode(name), decode(value))).collect(),
            headers: Vec::new(),
            body: None,
            scope: Some(WRITE),
            client: "client-1",
            lacking: None,
        }
    }

    fn scope(mut self, scope: Option<&'static str>) -> Self {
        self.scope = scope;
        self
    }

    /// Expects an answer without a header that the contract has there otherwise.
    fn lacking(mut self, header: &'static str) -> Self {
        self.lacking = Some(header);
        self
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn body(mut self, content_type: &str, text: &str) -> Self {
        self.body = Some(text.into());
        self.header("Content-Type", content_type)
    }

    fn json(self, body: &Value) -> Self {
        self.body("application/json", &body.to_string())
    }

    /// The event that API Gateway makes of it; the members it fills in besides are in the recorded ones.
    fn event(&self) -> Value {
        let single =
            |pairs: &[(String, String)]| pairs.iter().cloned().map(|(name, value)| (name, json!(value))).collect::<serde_json::Map<_, _>>();
        let multi = |pairs: &[(String, String)]| {
            let mut map = serde_json::Map::new();
            for (name, value) in pairs {
                map.entry(name).or_insert(json!([])).as_array_mut().unwrap().push(json!(value));
            }
            map
        };
        let null_if_empty = |map: serde_json::Map<String, Value>| if map.is_empty() { Value::Null } else { map.into() };
        json!({
            "resource": "/{proxy+}",
            "httpMethod": self.method,
            "path": self.path,
            "headers": null_if_empty(single(&self.headers)),
            "multiValueHeaders": null_if_empty(multi(&self.headers)),
            "queryStringParameters": null_if_empty(single(&self.query)),
            "multiValueQueryStringParameters": null_if_empty(multi(&self.query)),
            "body": self.body,
            "isBase64Encoded": false,
            "requestContext": {
                "stage": "v1",
                "requestId": "request-1",
                "authorizer": self.scope.map(|scope| json!({ "claims": { "scope": scope, "client_id": self.client } })),
            },
        })
    }
}

/// An answer, as the function gives it to the gateway.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    headers: Value,
    text: String,
}

impl From<Value> for Answer {
    fn from(response: Value) -> Self {
        assert_eq!(response["isBase64Encoded"], false);
        Self {
            status: response["statusCode"].as_u64().unwrap().try_into().unwrap(),
            headers: response["headers"].clone(),
            text: response["body"].as_str().unwrap().to_owned(),
        }
    }
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers[name].as_str()
    }

    fn etag(&self) -> String {
        self.header("etag").unwrap_or_else(|| panic!("no ETag: {self:?}")).to_owned()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Holds a refusal to its status and code, and gives the fields that it names, sorted.
    #[track_caller]
    fn refused(&self, status: u16, code: &str) -> Vec<String> {
        let body = self.json();
        assert_eq!((self.status, body["code"].as_str()), (status, Some(code)), "{self:?}");
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let mut fields: Vec<_> = errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect();
        fields.sort();
        fields
    }
}

fn rush() -> Value {
    json!({
        "year": 2013,
        "title": "Rush",
        "info": {
            "directors": ["Ron Howard"],
            "release_date": "2013-09-02T00:00:00Z",
            "genres": ["Action", "Biography", "Drama", "Sport"],
            "image_url": "https://example.org/rush.jpg",
            "plot": "Two drivers, one season.",
            "rank": 2,
            "running_time_secs": 7380,
            "actors": ["Daniel Brühl", "Chris Hemsworth", "Olivia Wilde"]
        }
    })
}

fn named(title: &str) -> Value {
    json!({ "year": 2013, "title": title })
}

/// A title in a path, encoded as strictly as a client may.
fn path_of(year: u64, title: &str) -> String {
    let title = percent_encoding::utf8_percent_encode(title, percent_encoding::NON_ALPHANUMERIC);
    format!("/movies/{year}/{title}")
}
