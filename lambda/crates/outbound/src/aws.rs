//! The SDK's configuration, shared by the clients of every AWS service.

pub use aws_config::SdkConfig;

use crate::{http_client, retry};
use aws_config::{
    AppName, BehaviorVersion, Region, environment::EnvironmentVariableCredentialsProvider,
    meta::region::ProvideRegion, profile::ProfileFileRegionProvider,
    stalled_stream_protection::StalledStreamProtectionConfig,
};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use std::{io, path::PathBuf};

/// What a service decides about its configuration. `aws-config` reads the rest: credentials and
/// the variables `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The application's name in the `User-Agent`, and so in CloudTrail: letters, digits and
    /// `-`, at most 50.
    pub app_name: &'static str,
    /// The region. By default that of the profile, outside Lambda.
    pub region: Option<String>,
    /// PEM files and folders of root certificates to trust instead of those compiled in.
    pub ca_paths: Vec<PathBuf>,
    /// Whether AWS Lambda runs the process.
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

/// Loads the configuration. It makes no request: credentials are loaded with the first one.
///
/// In Lambda, credentials are those of the environment, and no profile is read: to look elsewhere
/// would only lengthen cold starts. Anywhere else the SDK's default chain provides and renews them:
/// environment, profile, web identity token (EKS), container endpoint (ECS, EKS Pod Identity) and
/// EC2 instance role.
///
/// # Errors
/// There is no region, or the root certificates cannot be read.
pub async fn load(settings: Settings) -> Result<SdkConfig, ConfigError> {
    let region = region(&settings).await?;
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .app_name(AppName::new(settings.app_name)?)
        .region(region)
        .http_client(http_client::new(&settings.ca_paths)?)
        .retry_config(retry::retry_config())
        .timeout_config(retry::timeout_config())
        // The timeout of the attempt includes reading its response.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let loader = if settings.in_lambda {
        loader
            .credentials_provider(EnvironmentVariableCredentialsProvider::new())
            .profile_files(no_profile())
    } else {
        loader
    };
    Ok(loader.load().await)
}

/// The SDK would go on to ask the EC2 metadata service. A region that nobody wrote down could be
/// that of another table of the same name.
async fn region(settings: &Settings) -> Result<Region, ConfigError> {
    let mut region = settings.region.clone().map(Region::new);
    if region.is_none() && !settings.in_lambda {
        region = ProfileFileRegionProvider::new().region().await;
    }
    let region = region.ok_or(ConfigError::NoRegion)?;
    let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.as_ref().is_empty() || !region.as_ref().bytes().all(is_valid) {
        return Err(ConfigError::InvalidRegion(region.to_string()));
    }
    Ok(region)
}

/// A profile without a setting, so that no file is read.
fn no_profile() -> EnvConfigFiles {
    EnvConfigFiles::builder()
        .with_contents(EnvConfigFileKind::Config, "")
        .build()
}
