//! How DynamoDB is reached.

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

/// TLS by rustls on ring, with the roots of the system (or of `SSL_CERT_FILE`). The SDK's own choice, AWS-LC, gathers entropy
/// from the CPU's jitter at the first handshake: ten times the CPU time of all else that a cold start does.
pub(super) fn https() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}
