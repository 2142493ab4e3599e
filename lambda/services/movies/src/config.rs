//! The environment variables of the service, read once, here and nowhere else. [`inbound::Config`]
//! has those of every service. Lambda's runtime and the AWS SDK (crate `outbound`) read their own.

use inbound::ConfigError;
use std::path::PathBuf;

/// The region that requests to an emulator are signed for when none is set.
const EMULATED_REGION: &str = "eu-west-1";
const KEY_VARIABLES: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// The configuration that only this service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `TABLE_NAME`: the table of movies.
    pub table_name: String,
    /// `CREATIONS_TABLE_NAME`, else `TABLE_NAME` with `-creations`: the table of idempotency keys.
    pub creations_table_name: String,
    /// The settings of AWS clients. The region is `REGION`, else `AWS_REGION` (Lambda always sets
    /// it), else `AWS_DEFAULT_REGION`. `SSL_CERT_FILE` is a PEM file, `SSL_CERT_DIR` has folders
    /// separated by colons. The SDK reads AWS's other variables.
    pub aws: outbound::aws::Settings,
}

impl Config {
    /// Reads the environment of the process.
    ///
    /// # Errors
    /// A variable is missing.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::from_variables(&variable)
    }

    fn from_variables(given: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let table_name = given("TABLE_NAME").ok_or(ConfigError::new(
            "TABLE_NAME",
            "is missing: set it to the name of the movies table",
        ))?;
        Ok(Self {
            creations_table_name: given("CREATIONS_TABLE_NAME")
                .unwrap_or_else(|| format!("{table_name}-creations")),
            table_name,
            aws: aws(given)?,
        })
    }
}

fn aws(given: &impl Fn(&str) -> Option<String>) -> Result<outbound::aws::Settings, ConfigError> {
    // The SDK would try other sources of credentials, and might find those of another account.
    let [id, secret] = KEY_VARIABLES;
    for (name, other) in [(id, secret), (secret, id)] {
        if given(name).is_none() && given(other).is_some() {
            return Err(ConfigError::new(
                name,
                "is missing: set both parts of the access key",
            ));
        }
    }
    let endpoint_url = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"]
        .into_iter()
        .find_map(given);
    // An emulator does not verify the region that a request is signed for.
    let emulated = endpoint_url.as_ref().map(|_| EMULATED_REGION.to_owned());
    Ok(outbound::aws::Settings {
        app_name: concat!(
            "mvdb-",
            env!("CARGO_PKG_NAME"),
            "-",
            env!("CARGO_PKG_VERSION")
        ),
        region: ["REGION", "AWS_REGION", "AWS_DEFAULT_REGION"]
            .into_iter()
            .find_map(given)
            .or(emulated),
        endpoint_url,
        ca_paths: given("SSL_CERT_FILE")
            .iter()
            .map(PathBuf::from)
            .chain(given("SSL_CERT_DIR").iter().flat_map(std::env::split_paths))
            .collect(),
        in_lambda: given("AWS_LAMBDA_FUNCTION_NAME").is_some(),
    })
}

/// Returns a variable of the process. An empty one is not set.
#[must_use]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOUGH: [(&str, &str); 4] = [
        ("TABLE_NAME", "t"),
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_REGION", "eu-west-1"),
    ];

    /// Reads these variables and the required ones. An empty one is not set.
    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let all = || variables.iter().chain(&ENOUGH);
        let given = |name: &str| {
            all()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Config::from_variables(&|name: &str| given(name).filter(|value| !value.is_empty()))
    }

    #[test]
    fn missing_required_variable_is_named() {
        assert!(read(&[]).is_ok());
        for (name, _) in &ENOUGH[..3] {
            assert!(read(&[(*name, "")]).unwrap_err().to_string().contains(name));
        }
    }

    #[test]
    fn region_is_that_of_region_then_aws_region_then_aws_default_region() {
        let region = |variables: &[(&str, &str)]| read(variables).unwrap().aws.region.unwrap();
        let default = ("AWS_DEFAULT_REGION", "eu-west-3");
        let aws = ("AWS_REGION", "eu-north-1");
        assert_eq!(region(&[("AWS_REGION", ""), default]), "eu-west-3");
        assert_eq!(region(&[aws, default]), "eu-north-1");
        assert_eq!(
            region(&[aws, ("REGION", "eu-west-2"), default]),
            "eu-west-2"
        );
        assert_eq!(region(&[("REGION", ""), aws]), "eu-north-1");
    }

    #[test]
    fn with_an_endpoint_the_region_is_optional() {
        let region = |variables: &[(&str, &str)]| read(variables).unwrap().aws.region;
        let missing = ("AWS_REGION", "");
        assert_eq!(region(&[missing]), None);
        for endpoint in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"] {
            let endpoint = (endpoint, "http://127.0.0.1:4566");
            assert_eq!(region(&[missing, endpoint]).as_deref(), Some("eu-west-1"));
            assert_eq!(
                region(&[("REGION", "eu-west-2"), endpoint]).as_deref(),
                Some("eu-west-2")
            );
        }
    }

    #[test]
    fn access_key_without_its_secret_is_an_error_and_neither_is_none() {
        let [id, secret] = KEY_VARIABLES;
        for missing in KEY_VARIABLES {
            let error = read(&[(missing, "")]).unwrap_err().to_string();
            assert!(error.contains(&format!("{missing} is missing")), "{error}");
        }
        assert!(read(&[(id, ""), (secret, "")]).is_ok());
    }

    #[test]
    fn root_certificates_come_from_a_file_and_from_folders() {
        let paths = |variables: &[(&str, &str)]| read(variables).unwrap().aws.ca_paths;
        assert!(paths(&[]).is_empty());
        let all = [("SSL_CERT_FILE", "/a.pem"), ("SSL_CERT_DIR", "/b:/c")];
        assert_eq!(paths(&all), ["/a.pem", "/b", "/c"].map(PathBuf::from));
        assert_eq!(paths(&all[1..]), ["/b", "/c"].map(PathBuf::from));
    }
}
