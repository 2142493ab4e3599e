use crate::{Contract, Issuer, Response, assert_contract};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The scope of a request that is not sent by [`crate::TestApp`], whose contract has the scopes.
const DEFAULT_SCOPE: &str = "movies/write";

/// A request by a client that may write, unless [`RequestBuilder::scope`] changes that.
#[derive(Clone, Debug)]
pub struct RequestBuilder {
    id: String,
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    base64: bool,
    /// `None` until it is set; a request without a token has `Some(None)`.
    scope: Option<Option<String>>,
    client: String,
    without: Option<&'static str>,
    judged: bool,
    time_limit: Duration,
}

impl RequestBuilder {
    /// A request for `target`: a percent-encoded path, with its query if there is one.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            id: "request-1".into(),
            method: method.into(),
            path: path.into(),
            query: query.into(),
            headers: Vec::new(),
            body: None,
            base64: false,
            scope: None,
            client: "client-1".into(),
            without: None,
            judged: true,
            time_limit: Duration::from_secs(10),
        }
    }

    /// Replaces the path by any string, which may contain question marks.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn parameter(mut self, name: &str, value: &str) -> Self {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        if !self.query.is_empty() {
            self.query.push('&');
        }
        self.query += &format!("{}={}", encode(name), encode(value));
        self
    }

    /// Adds a header line. A name that is given twice makes two lines.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Removes every header line, the Content-Type of a body included.
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        self.headers.clear();
        self
    }

    /// Sets the body and adds its Content-Type.
    #[must_use]
    pub fn body(mut self, content_type: &str, text: &str) -> Self {
        self.body = Some(text.into());
        self.header("Content-Type", content_type)
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", &body.to_string())
    }

    /// Marks the body as base64, as API Gateway passes binary bodies. By HTTP it changes nothing.
    #[must_use]
    pub fn base64(mut self) -> Self {
        self.base64 = true;
        self
    }

    /// Sets the scope of the client's token. `None` is a request without a token.
    #[must_use]
    pub fn scope(mut self, scope: Option<&str>) -> Self {
        self.scope = Some(scope.map(str::to_owned));
        self
    }

    /// Sets the client's id.
    #[must_use]
    pub fn client(mut self, id: &str) -> Self {
        self.client = id.into();
        self
    }

    /// Sets the gateway's request id.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = id.into();
        self
    }

    /// Expects a response without a header that the contract requires.
    #[must_use]
    pub fn expect_without(mut self, header: &'static str) -> Self {
        self.without = Some(header);
        self
    }

    /// Expects a response that the contract does not declare, such as a stored value beyond today's
    /// limits.
    #[must_use]
    pub fn without_contract(mut self) -> Self {
        self.judged = false;
        self
    }

    /// Sets the time until Lambda's timeout.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The query parameters, decoded as API Gateway decodes them.
    ///
    /// # Panics
    /// The query is not UTF-8. The gateway does not pass that on; send it to the HTTP server.
    #[must_use]
    pub fn parameters(&self) -> Vec<(String, String)> {
        // form_urlencoded itself replaces what is not UTF-8.
        percent_decode_str(&self.query)
            .decode_utf8()
            .expect("a query in UTF-8");
        form_urlencoded::parse(self.query.as_bytes())
            .into_owned()
            .collect()
    }

    /// Asserts that the contract declares this response to the request. After
    /// [`RequestBuilder::without_contract`] it asserts nothing.
    #[track_caller]
    pub fn assert_contract(&self, contract: &Contract, response: &Response) {
        if self.judged {
            assert_contract(contract, &self.method, &self.path, self.without, response);
        }
    }

    /// The time until Lambda's timeout.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.time_limit
    }

    /// The event that API Gateway makes of it (REST API, payload format 1.0). What the function
    /// does not read is left out.
    #[must_use]
    pub fn event(&self) -> Value {
        let query = self.parameters();
        let claims =
            |scope: &str| json!({ "claims": { "scope": scope, "client_id": self.client } });
        json!({
            "resource": "/{proxy+}",
            "httpMethod": self.method,
            "path": self.path,
            "headers": single(&self.headers),
            "multiValueHeaders": multi(&self.headers),
            "queryStringParameters": single(&query),
            "multiValueQueryStringParameters": multi(&query),
            "body": self.body,
            "isBase64Encoded": self.base64,
            "requestContext": {
                "stage": "v1",
                "httpMethod": self.method,
                "requestId": self.id,
                "authorizer": self.token_scope().map(claims),
            },
        })
    }

    /// With the scope to write that a contract has, unless [`RequestBuilder::scope`] set one.
    pub(crate) fn default_scope(mut self, contract: &Contract) -> Self {
        self.scope.get_or_insert_with(|| {
            contract
                .scopes()
                .into_iter()
                .find(|scope| scope.ends_with("/write"))
        });
        self
    }

    /// The scope of the token. `None` is a request without a token.
    fn token_scope(&self) -> Option<&str> {
        self.scope
            .as_ref()
            .map_or(Some(DEFAULT_SCOPE), Option::as_deref)
    }

    /// With a token of `issuer` that has the scope and the client id, unless there is an
    /// Authorization header or no scope.
    pub(crate) fn authorized_by(self, issuer: &Issuer) -> Self {
        let is_set = self
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let Some(scope) = self.token_scope().filter(|_| !is_set) else {
            return self;
        };
        let token = issuer.token(&json!({ "scope": scope, "client_id": self.client }));
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// The bytes of an HTTP/1.1 request. The connection closes after the response.
    #[must_use]
    pub fn http1(&self) -> Vec<u8> {
        let mut head = format!("{} {}", self.method, self.path);
        if !self.query.is_empty() {
            head += &format!("?{}", self.query);
        }
        head += " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        format!("{head}\r\n{body}").into_bytes()
    }
}

/// Returns a map with the last value of each name.
fn single(pairs: &[(String, String)]) -> Value {
    let pairs = pairs
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)));
    null_if_empty(pairs.collect())
}

fn multi(pairs: &[(String, String)]) -> Value {
    let mut map = Map::new();
    for (name, value) in pairs {
        let values = map.entry(name).or_insert(json!([]));
        values.as_array_mut().unwrap().push(json!(value));
    }
    null_if_empty(map)
}

/// API Gateway sends no empty map.
fn null_if_empty(map: Map<String, Value>) -> Value {
    if map.is_empty() {
        Value::Null
    } else {
        map.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_has_the_last_value_in_single_maps_and_all_in_multi_value_maps() {
        let request = RequestBuilder::new("GET", "/movies?year=2013&year=2014&title=a%20b+c");
        let event = request
            .header("If-Match", "\"a\"")
            .header("If-Match", "\"b\"")
            .event();
        assert_eq!(event["path"], "/movies");
        assert_eq!(
            event["queryStringParameters"],
            json!({ "year": "2014", "title": "a b c" })
        );
        let multi = json!({ "year": ["2013", "2014"], "title": ["a b c"] });
        assert_eq!(event["multiValueQueryStringParameters"], multi);
        assert_eq!(event["headers"], json!({ "If-Match": "\"b\"" }));
        assert_eq!(
            event["multiValueHeaders"],
            json!({ "If-Match": ["\"a\"", "\"b\""] })
        );
    }

    #[test]
    fn event_without_headers_and_parameters_has_null_maps() {
        let event = RequestBuilder::new("GET", "/health").scope(None).event();
        for member in [
            "headers",
            "multiValueHeaders",
            "multiValueQueryStringParameters",
            "body",
        ] {
            assert_eq!(event[member], Value::Null, "{member}");
        }
        assert_eq!(event["requestContext"]["authorizer"], Value::Null);
    }

    #[test]
    fn http_request_has_the_target_as_it_was_given() {
        let request = RequestBuilder::new("PUT", "/movies/2013/a%2Fb?x=%zz").json(&json!({}));
        let text = String::from_utf8(request.http1()).unwrap();
        assert!(
            text.starts_with("PUT /movies/2013/a%2Fb?x=%zz HTTP/1.1\r\n"),
            "{text}"
        );
        assert!(text.ends_with("Content-Length: 2\r\n\r\n{}"), "{text}");
    }

    #[test]
    fn parameter_is_encoded_and_decoded_to_what_it_was() {
        let request = RequestBuilder::new("GET", "/movies").parameter("title", "a&b=c+d é");
        assert_eq!(
            request.parameters(),
            [("title".to_owned(), "a&b=c+d é".to_owned())]
        );
    }
}
