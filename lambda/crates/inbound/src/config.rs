//! The configuration that every service has, from its environment variables. The service reads the
//! environment, so that one place of each does, and passes a function that returns a value by name.
//!
//! A value without effect is an error. Otherwise it would only be noticed when the setting is
//! needed.

use crate::{Consumer, Consumers, Function};
use std::{fmt, time::SystemTime};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tracing::Level;

const ORIGINS_EXPECTED: &str = "must be web origins such as https://app.example.org, separated by \
    commas, without a path and in lower case; * is not accepted";
const LEVEL_EXPECTED: &str = "must be TRACE, DEBUG, INFO, WARN, ERROR or FATAL";

/// The configuration that every service has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `CORS_ORIGINS`, separated by commas: the web origins (`https://app.example.org`) whose pages
    /// may call the API. None by default. `*` is an error: origins are compared byte for byte with
    /// what browsers send, so it would match none.
    pub cors_origins: Vec<String>,
    /// `CONSUMERS`, `CLIENT_ID=NAME:YYYY-MM-DD` separated by commas: the consumer of each client,
    /// and the first day on which it is rejected. None by default: every client that has a token
    /// is served.
    pub consumers: Consumers,
    /// `TOKEN_URL`: the URL for access tokens in the served contract. Default: that of the file.
    pub token_url: Option<String>,
    /// `DOCUMENTATION_URL`: the API reference, to which `GET /` links. No link by default.
    pub documentation_url: Option<String>,
    /// `AWS_LAMBDA_FUNCTION_NAME` and `AWS_LAMBDA_FUNCTION_VERSION`: set where Lambda started the
    /// process, and nowhere else.
    pub function: Option<Function>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: the endpoint of the telemetry layer, such as
    /// <http://127.0.0.1:4318>. No traces by default.
    pub otlp_endpoint: Option<String>,
    /// `AWS_LAMBDA_LOG_LEVEL`, set by the function's logging configuration: TRACE, DEBUG, INFO (the
    /// default), WARN, ERROR or FATAL. FATAL logs errors: nothing that a service logs is more
    /// severe.
    pub log_level: Level,
}

/// An environment variable that is missing or invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    variable: &'static str,
    problem: &'static str,
}

impl ConfigError {
    /// The error of a variable. `problem` continues a sentence that begins with its name: "is
    /// missing: set it to ...", "must be ...".
    #[must_use]
    pub const fn new(variable: &'static str, problem: &'static str) -> Self {
        Self { variable, problem }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, problem } = self;
        write!(f, "the environment variable {variable} {problem}")
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Parses the variables that `variable` returns by name; `None` is one that is not set.
    ///
    /// # Errors
    /// A variable is invalid.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Ok(Self {
            cors_origins: match variable("CORS_ORIGINS") {
                None => Vec::new(),
                Some(list) => {
                    origins(&list).ok_or(ConfigError::new("CORS_ORIGINS", ORIGINS_EXPECTED))?
                }
            },
            consumers: variable("CONSUMERS")
                .map_or(Ok(Consumers::default()), |list| consumers(&list))?,
            token_url: variable("TOKEN_URL"),
            documentation_url: variable("DOCUMENTATION_URL"),
            function: variable("AWS_LAMBDA_FUNCTION_NAME").map(|name| Function {
                name,
                version: variable("AWS_LAMBDA_FUNCTION_VERSION")
                    .unwrap_or_else(|| "$LATEST".into()),
            }),
            otlp_endpoint: variable("OTEL_EXPORTER_OTLP_ENDPOINT"),
            log_level: match variable("AWS_LAMBDA_LOG_LEVEL") {
                None => Level::INFO,
                Some(name) => log_level(&name)
                    .ok_or(ConfigError::new("AWS_LAMBDA_LOG_LEVEL", LEVEL_EXPECTED))?,
            },
        })
    }
}

fn consumers(list: &str) -> Result<Consumers, ConfigError> {
    let client = |text: &str| {
        let (id, rest) = text.split_once('=')?;
        let (name, day) = rest.split_once(':')?;
        let expires = OffsetDateTime::parse(&format!("{day}T00:00:00Z"), &Rfc3339).ok()?;
        let consumer = Consumer {
            name: name.to_owned(),
            expires: SystemTime::from(expires),
        };
        Some((id.to_owned(), consumer)).filter(|_| !id.is_empty() && !name.is_empty())
    };
    let all: Option<_> = list.split(',').map(client).collect();
    all.ok_or(ConfigError::new(
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

/// Returns a level by the name that Lambda has for it.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses these variables. An empty one is not set.
    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_variables(|name| {
            let variable = variables.iter().find(|(key, _)| *key == name);
            variable
                .map(|(_, value)| (*value).to_owned())
                .filter(|value| !value.is_empty())
        })
    }

    #[test]
    fn log_level_is_one_of_lambdas_and_an_unknown_one_is_an_error() {
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
    fn origin_that_no_browser_sends_is_an_error() {
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
