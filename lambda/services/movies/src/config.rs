//! The service's environment variables, read once, here and nowhere else. Lambda's runtime and the
//! AWS SDK (crate `outbound`) read their own.
//!
//! A value without effect is an error: otherwise nobody notices it until the setting is needed.

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat as Format};
use inbound::{Consumer, Consumers, Function};
use std::{fmt, path::PathBuf, time::SystemTime};
use tracing::Level;

/// The region that requests to an emulator are signed for when none is set.
const EMULATED_REGION: &str = "eu-west-1";
const KEY_VARIABLES: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

const ORIGINS_EXPECTED: &str = "must be web origins such as https://app.example.org, separated by commas, without a path and in lower case; * is not accepted";
const LEVEL_EXPECTED: &str = "must be TRACE, DEBUG, INFO, WARN, ERROR or FATAL";

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `TABLE_NAME`: the table of movies.
    pub table_name: String,
    /// `CREATIONS_TABLE_NAME`, else `TABLE_NAME` with `-creations`: the table of what was created under which `Idempotency-Key`.
    pub creations_table_name: String,
    /// How AWS is reached: `REGION`, else `AWS_REGION` (Lambda always sets it), else
    /// `AWS_DEFAULT_REGION`; `SSL_CERT_FILE`, a PEM file, and `SSL_CERT_DIR`, folders separated by
    /// colons. The SDK reads the rest of AWS's variables.
    pub aws: outbound::aws::Settings,
    /// `CORS_ORIGINS`, separated by commas: the web origins (`https://app.example.org`) whose pages
    /// may call the API. None by default. `*` is an error: origins are compared byte for byte with
    /// what browsers send, so it would match none.
    pub cors_origins: Vec<String>,
    /// `CONSUMERS`, `CLIENT_ID=NAME:YYYY-MM-DD` separated by commas: whose each client is, and the first day on which it is rejected. None
    /// by default: every client that has a token is served.
    pub consumers: Consumers,
    /// `TOKEN_URL`: where clients request access tokens, for the contract that is served. The file's own by default.
    pub token_url: Option<String>,
    /// `DOCUMENTATION_URL`: where the API reference is; `GET /` links to it. No link by default.
    pub documentation_url: Option<String>,
    /// `AWS_LAMBDA_FUNCTION_NAME` and `AWS_LAMBDA_FUNCTION_VERSION`: set where Lambda started the process, and nowhere else.
    pub function: Option<Function>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: where the telemetry layer takes traces, such as <http://127.0.0.1:4318>. No traces by default.
    pub otlp_endpoint: Option<String>,
    /// `AWS_LAMBDA_LOG_LEVEL`, set by the function's logging configuration: TRACE, DEBUG, INFO (the
    /// default), WARN, ERROR or FATAL. FATAL logs errors: nothing that the service logs is more
    /// severe.
    pub log_level: Level,
}

/// A variable that is missing or wrong, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    variable: &'static str,
    wanted: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the environment variable {} {}",
            self.variable, self.wanted
        )
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// The variable that is missing or makes no sense.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::from_variables(&variable)
    }

    fn from_variables(given: &impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let table_name = given("TABLE_NAME").ok_or(error(
            "TABLE_NAME",
            "is missing: set it to the name of the movies table",
        ))?;
        Ok(Self {
            creations_table_name: given("CREATIONS_TABLE_NAME")
                .unwrap_or_else(|| format!("{table_name}-creations")),
            table_name,
            aws: aws(given)?,
            cors_origins: match given("CORS_ORIGINS") {
                None => Vec::new(),
                Some(list) => origins(&list).ok_or(error("CORS_ORIGINS", ORIGINS_EXPECTED))?,
            },
            consumers: given("CONSUMERS")
                .map_or(Ok(Consumers::default()), |list| consumers(&list))?,
            token_url: given("TOKEN_URL"),
            documentation_url: given("DOCUMENTATION_URL"),
            function: given("AWS_LAMBDA_FUNCTION_NAME").map(|name| Function {
                name,
                version: given("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_else(|| "$LATEST".into()),
            }),
            otlp_endpoint: given("OTEL_EXPORTER_OTLP_ENDPOINT"),
            log_level: match given("AWS_LAMBDA_LOG_LEVEL") {
                None => Level::INFO,
                Some(name) => {
                    log_level(&name).ok_or(error("AWS_LAMBDA_LOG_LEVEL", LEVEL_EXPECTED))?
                }
            },
        })
    }
}

/// Reads AWS's part of the process's environment.
///
/// # Errors
/// The variable that is missing.
pub fn aws_from_environment() -> Result<outbound::aws::Settings, ConfigError> {
    aws(&variable)
}

fn aws(given: &impl Fn(&str) -> Option<String>) -> Result<outbound::aws::Settings, ConfigError> {
    // The SDK would look for credentials elsewhere, and might find those of another account.
    let [id, secret] = KEY_VARIABLES;
    for (name, other) in [(id, secret), (secret, id)] {
        if given(name).is_none() && given(other).is_some() {
            return Err(error(name, "is missing: set both parts of the access key"));
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

fn consumers(list: &str) -> Result<Consumers, ConfigError> {
    let client = |text: &str| {
        let (id, rest) = text.split_once('=')?;
        let (name, day) = rest.split_once(':')?;
        let expires = DateTime::from_str(&format!("{day}T00:00:00Z"), Format::DateTime).ok()?;
        let consumer = Consumer {
            name: name.to_owned(),
            expires: SystemTime::try_from(expires).ok()?,
        };
        Some((id.to_owned(), consumer)).filter(|_| !id.is_empty() && !name.is_empty())
    };
    let all: Option<_> = list.split(',').map(client).collect();
    all.ok_or(error(
        "CONSUMERS",
        "must be a list such as 4h1k=shop:2028-12-31,7b2m=operations:9999-12-31",
    ))
}

/// Returns the web origins of a list, as browsers send them in `Origin`: scheme, host and a port
/// that is not the scheme's default, in lower case. `None` if no browser sends one of them.
fn origins(list: &str) -> Option<Vec<String>> {
    let is_origin = |origin: &&str| {
        origin.split_once("://").is_some_and(|(scheme, host)| {
            let is_part = |part: &str, also: &str| {
                !part.is_empty()
                    && part
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || also.contains(c))
            };
            is_part(scheme, "+-.") && is_part(host, "-._:[]")
        })
    };
    list.split(',')
        .map(str::trim)
        .map(|origin| Some(origin).filter(is_origin).map(str::to_owned))
        .collect()
}

/// A level by the name that Lambda has for it.
fn log_level(name: &str) -> Option<Level> {
    const LEVELS: [(&str, Level); 6] = [
        ("TRACE", Level::TRACE),
        ("DEBUG", Level::DEBUG),
        ("INFO", Level::INFO),
        ("WARN", Level::WARN),
        ("ERROR", Level::ERROR),
        ("FATAL", Level::ERROR),
    ];
    LEVELS
        .into_iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, level)| level)
}

/// A variable of the process; an empty one counts as none.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

const fn error(variable: &'static str, wanted: &'static str) -> ConfigError {
    ConfigError { variable, wanted }
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

    /// What is read with these variables over those that are enough; an empty one is as good as unset.
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
    fn what_is_needed_and_missing_is_refused_by_name() {
        assert!(read(&[]).is_ok());
        for (name, _) in &ENOUGH[..3] {
            assert!(read(&[(*name, "")]).unwrap_err().to_string().contains(name));
        }
    }

    #[test]
    fn the_region_is_that_of_region_then_aws_region_then_aws_default_region() {
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
    fn an_access_key_without_its_secret_is_an_error_and_neither_is_none() {
        let [id, secret] = KEY_VARIABLES;
        for missing in KEY_VARIABLES {
            let error = read(&[(missing, "")]).unwrap_err().to_string();
            assert!(error.contains(&format!("{missing} is missing")), "{error}");
        }
        assert!(read(&[(id, ""), (secret, "")]).is_ok());
    }

    #[test]
    fn a_log_level_is_one_of_lambdas_and_an_unknown_one_is_an_error() {
        let level =
            |name: &str| read(&[("AWS_LAMBDA_LOG_LEVEL", name)]).map(|config| config.log_level);
        assert_eq!(
            [level(""), level("INFO"), level("info")],
            [Ok(Level::INFO), Ok(Level::INFO), Ok(Level::INFO)]
        );
        assert_eq!(
            [level("TRACE"), level("DEBUG"), level("WARN")],
            [Ok(Level::TRACE), Ok(Level::DEBUG), Ok(Level::WARN)]
        );
        assert_eq!(
            [level("ERROR"), level("FATAL")],
            [Ok(Level::ERROR), Ok(Level::ERROR)]
        );
        for wrong in ["VERBOSE", "INFOO", "WARNING", "3", "off"] {
            assert!(
                level(wrong)
                    .unwrap_err()
                    .to_string()
                    .contains("AWS_LAMBDA_LOG_LEVEL must be TRACE"),
                "{wrong}"
            );
        }
    }

    #[test]
    fn root_certificates_come_from_a_file_and_from_folders() {
        let paths = |variables: &[(&str, &str)]| read(variables).unwrap().aws.ca_paths;
        assert!(paths(&[]).is_empty());
        let all = [("SSL_CERT_FILE", "/a.pem"), ("SSL_CERT_DIR", "/b:/c")];
        assert_eq!(paths(&all), ["/a.pem", "/b", "/c"].map(PathBuf::from));
        assert_eq!(paths(&all[1..]), ["/b", "/c"].map(PathBuf::from));
    }

    #[test]
    fn consumers_have_a_client_a_name_and_a_day() {
        let day = |seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let consumer = |name: &str, expires| Consumer {
            name: name.to_owned(),
            expires,
        };
        let known = [
            ("c1".to_owned(), consumer("shop", day(1_861_833_600))),
            ("c2".to_owned(), consumer("shop", day(1_861_833_600))),
            ("o".to_owned(), consumer("operations", day(253_402_214_400))),
        ];
        let config = read(&[(
            "CONSUMERS",
            "c1=shop:2028-12-31,c2=shop:2028-12-31,o=operations:9999-12-31",
        )])
        .unwrap();
        assert_eq!(config.consumers, known.into_iter().collect());
        assert_eq!(read(&[]).unwrap().consumers, Consumers::default());
        for wrong in [
            "c1",
            "c1=shop",
            "c1=shop:soon",
            "c1=shop:2028-02-30",
            "=shop:2028-12-31",
            "c1=:2028-12-31",
            "c1=shop:2028-12-31,",
        ] {
            let error = read(&[("CONSUMERS", wrong)]).unwrap_err().to_string();
            assert!(error.contains("CONSUMERS"), "{wrong}: {error}");
        }
    }

    #[test]
    fn origins_are_split_at_commas() {
        let list = "https://a.example, http://localhost:5173,capacitor://localhost,http://[::1]:80";
        let config = read(&[("CORS_ORIGINS", list)]).unwrap();
        let expected = [
            "https://a.example",
            "http://localhost:5173",
            "capacitor://localhost",
            "http://[::1]:80",
        ];
        assert_eq!(config.cors_origins, expected);
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_an_error() {
        for wrong in [
            "*",
            "https://*.example.org",
            "https://a.example/",
            "https://a.example/app",
            "https://A.example",
            "a.example",
            "null",
            "https://a.example,",
            "https://a.example https://b.example",
        ] {
            let error = read(&[("CORS_ORIGINS", wrong)]).unwrap_err().to_string();
            assert!(
                error.contains("CORS_ORIGINS must be web origins"),
                "{wrong}: {error}"
            );
        }
    }
}
