//! Invokes one published version of the function with the events that API Gateway would send,
//! before the version receives traffic.
//!
//! Tokens, throttles and WAF are the gateway's and are not checked. The event contains the scope
//! that a token would have.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use ureq::http::{HeaderMap, HeaderName};

use crate::api::{ApiRequest, ApiResponse};
use crate::aws::Aws;
use crate::outputs::{Deployed, Outputs, READ, WRITE};

pub(crate) struct Version {
    aws: Aws,
    client: Client,
    function: String,
    stage: String,
    number: u32,
    /// The client id for each scope. The function counts requests by client.
    clients: BTreeMap<&'static str, String>,
}

impl Version {
    pub(crate) fn new(
        aws: Aws,
        outputs: &Outputs,
        deployed: &Deployed,
        number: u32,
    ) -> Result<Self> {
        let client = Client::new(&aws.config);
        let clients = [READ, WRITE]
            .into_iter()
            .map(|scope| Ok((scope, outputs.operations(scope)?.client_id.clone())));
        Ok(Self {
            aws,
            client,
            function: deployed.function_name.value.clone(),
            stage: deployed.stage_name.value.clone(),
            number,
            clients: clients.collect::<Result<_>>()?,
        })
    }

    pub(crate) fn invoke(&self, call: &ApiRequest, time: Duration) -> Result<ApiResponse> {
        let event = self.event(call);
        let request = self
            .client
            .invoke()
            .function_name(&self.function)
            .qualifier(self.number.to_string());
        let response = self
            .aws
            .call_within(time, request.payload(Blob::new(event.to_string())).send())?;
        let payload =
            String::from_utf8_lossy(response.payload().map(Blob::as_ref).unwrap_or_default())
                .into_owned();
        if let Some(error) = response.function_error() {
            bail!(
                "version {} of {} failed ({error}): {payload}",
                self.number,
                self.function
            );
        }
        parse(&payload).with_context(|| {
            format!("not a valid response; API Gateway would return 502: {payload}")
        })
    }

    /// Returns the event that API Gateway sends for a request (payload format 1.0).
    fn event(&self, call: &ApiRequest) -> Value {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let query: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let headers: Vec<_> = call
            .headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let claims =
            |scope| json!({"claims": {"scope": scope, "client_id": self.clients.get(scope)}});
        json!({
            "resource": "/{proxy+}",
            "httpMethod": call.method.as_str(),
            "path": path,
            "headers": last_values(&headers),
            "multiValueHeaders": all_values(&headers),
            "queryStringParameters": last_values(&query),
            "multiValueQueryStringParameters": all_values(&query),
            "pathParameters": null_or(Map::new()),
            "stageVariables": null_or(Map::new()),
            "body": call.body.as_deref().map(String::from_utf8_lossy),
            "isBase64Encoded": false,
            "requestContext": {
                "stage": self.stage,
                "requestId": format!("smoke-{:016x}", fastrand::u64(..)),
                "httpMethod": call.method.as_str(),
                "path": format!("/{}{path}", self.stage),
                "identity": {},
                "authorizer": call.token.map(claims),
            },
        })
    }
}

fn last_values(pairs: &[(String, String)]) -> Value {
    null_or(
        pairs
            .iter()
            .cloned()
            .map(|(name, value)| (name, value.into()))
            .collect(),
    )
}

fn all_values(pairs: &[(String, String)]) -> Value {
    let mut map = BTreeMap::<_, Vec<_>>::new();
    for (name, value) in pairs {
        map.entry(name.clone()).or_default().push(value.clone());
    }
    null_or(
        map.into_iter()
            .map(|(name, values)| (name, values.into()))
            .collect(),
    )
}

/// API Gateway sends `null` instead of an empty map.
fn null_or(map: Map<String, Value>) -> Value {
    if map.is_empty() {
        Value::Null
    } else {
        map.into()
    }
}

/// Parses a response of the function as API Gateway does.
fn parse(payload: &str) -> Result<ApiResponse> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct ProxyResponse {
        status_code: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        body: String,
        is_base64_encoded: bool,
    }
    let response: ProxyResponse = serde_json::from_str(payload)?;
    if response.is_base64_encoded {
        bail!("the body is Base64, but every body of this API is text");
    }
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers {
        headers.append(HeaderName::try_from(name)?, value.parse()?);
    }
    Ok(ApiResponse {
        status: response.status_code,
        headers,
        body: response.body,
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_valid_proxy_responses_are_accepted() {
        let response = parse(
            r#"{"statusCode":404,"headers":{"content-type":"application/problem+json"},"body":"{}","isBase64Encoded":false}"#,
        );
        let response = response.unwrap();
        assert_eq!(
            (response.status, response.header("Content-Type").unwrap()),
            (404, "application/problem+json")
        );
        for payload in [
            "null",
            "{}",
            r#"{"statusCode":"200","headers":{},"body":"","isBase64Encoded":false}"#,
            r#"{"statusCode":200,"headers":{"not a name":"x"},"body":"","isBase64Encoded":false}"#,
            r#"{"statusCode":200,"headers":{},"body":"e30=","isBase64Encoded":true}"#,
        ] {
            assert!(parse(payload).is_err(), "{payload}");
        }
    }
}
