use serde_json::{Map, Value, json};

/// A response, whichever entry point sent it.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header values by name, in lower case.
    pub headers: Value,
    /// The body.
    pub text: String,
}

impl Response {
    /// Reads the response that a function returns to API Gateway.
    ///
    /// # Panics
    /// It is not a proxy response whose body is a string.
    #[must_use]
    pub fn from_proxy(response: &Value) -> Self {
        assert_eq!(response["isBase64Encoded"], false, "{response}");
        Self {
            status: response["statusCode"].as_u64().unwrap().try_into().unwrap(),
            headers: response["headers"].clone(),
            text: response["body"].as_str().unwrap().to_owned(),
        }
    }

    /// Reads an HTTP/1.1 response with a body of known length.
    ///
    /// # Panics
    /// It is not a response.
    #[must_use]
    pub fn from_http1(text: &str) -> Self {
        let parts = text.split_once("\r\n\r\n");
        let (head, body) = parts.unwrap_or_else(|| panic!("no response: {text:?}"));
        let (status, lines) = head.split_once("\r\n").unwrap_or((head, ""));
        let lines = lines.lines().filter_map(|line| line.split_once(": "));
        let headers: Map<_, _> = lines
            .map(|(name, value)| (name.to_ascii_lowercase(), json!(value)))
            .collect();
        Self {
            status: status.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: headers.into(),
            text: body.into(),
        }
    }

    /// A header by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers[name].as_str()
    }

    /// The ETag, in its quotes.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    #[track_caller]
    pub fn etag(&self) -> String {
        self.header("etag")
            .unwrap_or_else(|| panic!("no ETag: {self:?}"))
            .to_owned()
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// It is not JSON.
    #[must_use]
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Asserts a problem's status and code, and returns the fields that it names, sorted.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, code: &str) -> Vec<String> {
        let body = self.json();
        assert_eq!(
            (self.status, body["code"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        let errors = body["errors"].as_array().cloned().unwrap_or_default();
        let field = |error: &Value| error["field"].as_str().unwrap().to_owned();
        let mut fields: Vec<_> = errors.iter().map(field).collect();
        fields.sort();
        fields
    }
}
