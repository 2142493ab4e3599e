//! The user agent of calls to DynamoDB: who called, as CloudTrail tells it.

use aws_runtime::user_agent::UserAgentInterceptor;
use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{
            BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
        },
    },
    error::BoxError,
};
use aws_smithy_runtime_api::client::interceptors::disable_interceptor;

const USER_AGENT: &str = concat!("mvdb/", env!("CARGO_PKG_VERSION"));

/// Has calls bear [`USER_AGENT`]. What the SDK says of itself instead, in two headers, one of them signed, it composes anew for each.
#[derive(Debug)]
pub(super) struct Ours;

impl Intercept for Ours {
    fn name(&self) -> &'static str {
        "user agent"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config
            .interceptor_state()
            .store_put(disable_interceptor::<UserAgentInterceptor>(
                "calls bear our own",
            ));
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        context
            .request_mut()
            .headers_mut()
            .insert("user-agent", USER_AGENT);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Aws, store::Store};
    use aws_sdk_dynamodb::config::Credentials;
    use lambda_emulator::Server;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn calls_bear_our_user_agent_and_no_other() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&calls);
        let table = Server::http(move |request| {
            heard.lock().unwrap().push(request.headers().clone());
            std::future::ready(Some(http::Response::new("{}".into())))
        });
        let (table, credentials) = (
            table.await.unwrap(),
            Credentials::new("AKIA", "secret", None, None, "test"),
        );
        let aws = Aws {
            region: "eu-west-1".into(),
            endpoint: Some(table.url().into()),
            roots: Vec::new(),
            credentials,
        };
        Store::open("t".into(), "c".into(), aws)
            .unwrap()
            .warm()
            .await
            .unwrap();
        let calls = calls.lock().unwrap();
        assert_eq!(
            (calls.len(), &calls[0]["user-agent"]),
            (1, &http::HeaderValue::from_static(USER_AGENT))
        );
        assert!(!calls[0].contains_key("x-amz-user-agent"), "{calls:?}");
    }
}
