//! The SDK's configuration, shared by the clients of every AWS service.

pub use aws_config::SdkConfig;

use crate::{http_client, retry};
use aws_config::{
    AppName, BehaviorVersion, Region, ecs::EcsCredentialsProvider,
    environment::EnvironmentVariableCredentialsProvider,
    meta::credentials::CredentialsProviderChain, provider_config::ProviderConfig,
    stalled_stream_protection::StalledStreamProtectionConfig,
    web_identity_token::WebIdentityTokenCredentialsProvider,
};
use aws_credential_types::provider::SharedCredentialsProvider;
use std::{io, path::PathBuf};

/// The settings of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The application's name in the `User-Agent`, and so in CloudTrail: letters, digits and
    /// `-`, at most 50.
    pub app_name: &'static str,
    /// The region. There is no default.
    pub region: Option<String>,
    /// The endpoint of the services, if it is not the region's.
    pub endpoint_url: Option<String>,
    /// PEM files and folders of root certificates to trust instead of those compiled in.
    pub ca_paths: Vec<PathBuf>,
    /// True if AWS Lambda runs the process.
    pub in_lambda: bool,
}

/// A setting without which no client can be created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No region is configured.
    #[error("no AWS region is configured: set AWS_REGION, for example to eu-west-1")]
    NoRegion,
    /// A name that no region has. Otherwise a typo shows as an unknown host name at the first
    /// request.
    #[error("{0:?} is not an AWS region: set REGION or AWS_REGION, for example to eu-west-1")]
    InvalidRegion(String),
    /// The application's name has characters that a user agent cannot have.
    #[error("invalid application name")]
    AppName(#[from] aws_config::InvalidAppName),
    /// The root certificates cannot be read.
    #[error(transparent)]
    RootCertificates(#[from] io::Error),
}

/// Returns the configuration. It makes no request: credentials are loaded with the first one.
///
/// In Lambda, credentials come from the environment, because other sources would only lengthen cold
/// starts. Elsewhere they come from the environment, a web identity token (EKS) or the container
/// endpoint (ECS, EKS Pod Identity). The last two are renewed. `aws-config`'s default chain is not
/// used: profiles, SSO and EC2's metadata would make the package 200 KB larger.
///
/// # Errors
/// There is no region, or the root certificates cannot be read.
pub fn config(settings: Settings) -> Result<SdkConfig, ConfigError> {
    let region = region(settings.region)?;
    let http_client = http_client::new(&settings.ca_paths)?;
    let environment = EnvironmentVariableCredentialsProvider::new();
    let credentials = if settings.in_lambda {
        SharedCredentialsProvider::new(environment)
    } else {
        let provider = ProviderConfig::without_region()
            .with_region(Some(region.clone()))
            .with_http_client(http_client.clone())
            .with_retry_config(retry::retry_config())
            .with_timeout_config(retry::timeout_config());
        let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(&provider);
        let container = EcsCredentialsProvider::builder().configure(&provider);
        SharedCredentialsProvider::new(
            CredentialsProviderChain::first_try("Environment", environment)
                .or_else("WebIdentityToken", web_identity.build())
                .or_else("EcsContainer", container.build()),
        )
    };
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .app_name(AppName::new(settings.app_name)?)
        .region(region)
        .http_client(http_client)
        .credentials_provider(credentials)
        .retry_config(retry::retry_config())
        .timeout_config(retry::timeout_config())
        // The timeout of the attempt includes reading its response.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    config.set_endpoint_url(settings.endpoint_url);
    Ok(config.build())
}

fn region(region: Option<String>) -> Result<Region, ConfigError> {
    let region = region.ok_or(ConfigError::NoRegion)?;
    let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty() || !region.bytes().all(is_valid) {
        return Err(ConfigError::InvalidRegion(region));
    }
    Ok(Region::new(region))
}
