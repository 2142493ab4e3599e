//! One published version of the function, asked as API Gateway would ask it, before the gateway sends it anybody.
//!
//! The gateway's own work is left out with it: tokens, throttles, WAF. What a token allows is said in the event.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use ureq::http::{HeaderMap, HeaderName};

use crate::api::{Answer, Call};
use crate::aws::Aws;
use crate::outputs::{Deployed, Outputs, READ, WRITE};

pub(crate) struct Version {
    aws: Aws,
    client: Client,
    function: String,
    stage: String,
    number: u32,
    /// The consumer in whose name a scope is used: the function counts requests by consumer.
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

    pub(crate) fn ask(&self, call: &Call, time: Duration) -> Result<Answer> {
        let event = self.event(call);
        let request = self
            .client
            .invoke()
            .function_name(&self.function)
            .qualifier(self.number.to_string());
        let answer = self
            .aws
            .ask_within(time, request.payload(Blob::new(event.to_string())).send())?;
        let payload =
            String::from_utf8_lossy(answer.payload().map(Blob::as_ref).unwrap_or_default())
                .into_owned();
        if let Some(error) = answer.function_error() {
            bail!(
                "version {} of {} failed ({error}): {payload}",
                self.number,
                self.function
            );
        }
        read(&payload).with_context(|| format!("what a gateway would answer 502: {payload}"))
    }

    /// The event that API Gateway makes of a request (payload format 1.0).
    fn event(&self, call: &Call) -> Value {
        let (path, query) = call.path.split_once('?').unwrap_or((&call.path, ""));
        let decode = |text: &str| {
            percent_decode_str(&text.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let query: Vec<_> = query
            .map(|(name, value)| (decode(name), decode(value)))
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
            "headers": single(&headers),
            "multiValueHeaders": multi(&headers),
            "queryStringParameters": single(&query),
            "multiValueQueryStringParameters": multi(&query),
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

fn single(pairs: &[(String, String)]) -> Value {
    null_or(
        pairs
            .iter()
            .cloned()
            .map(|(name, value)| (name, value.into()))
            .collect(),
    )
}

fn multi(pairs: &[(String, String)]) -> Value {
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

/// API Gateway sends no empty map.
fn null_or(map: Map<String, Value>) -> Value {
    if map.is_empty() {
        Value::Null
    } else {
        map.into()
    }
}

/// An answer of the form that API Gateway takes.
fn read(payload: &str) -> Result<Answer> {
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
        bail!("the body is base64, but every body of this API is text");
    }
    let mut headers = HeaderMap::new();
    for (name, value) in response.headers {
        headers.append(HeaderName::try_from(name)?, value.parse()?);
    }
    Ok(Answer {
        status: response.status_code,
        headers,
        body: response.body,
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn only_what_a_gateway_takes_is_an_answer() {
        let answer = read(
            r#"{"statusCode":404,"headers":{"content-type":"application/problem+json"},"body":"{}","isBase64Encoded":false}"#,
        );
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status, answer.header("Content-Type").unwrap()),
            (404, "application/problem+json")
        );
        for payload in [
            "null",
            "{}",
            r#"{"statusCode":"200","headers":{},"body":"","isBase64Encoded":false}"#,
            r#"{"statusCode":200,"headers":{"not a name":"x"},"body":"","isBase64Encoded":false}"#,
            r#"{"statusCode":200,"headers":{},"body":"e30=","isBase64Encoded":true}"#,
        ] {
            assert!(read(payload).is_err(), "{payload}");
        }
    }
}
