//! The service's own environment variables, read once, here and nowhere else.
//! (AWS's, such as credentials and `AWS_ENDPOINT_URL`, are read by AWS's SDK; Lambda's, by its runtime.)

use std::fmt;

/// What the environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `TABLE_NAME`: the table of movies.
    pub table_name: String,
    /// `CREATIONS_TABLE_NAME`, else `TABLE_NAME` with `-creations`: the table of what was created under which `Idempotency-Key`.
    pub creations_table_name: String,
    /// `REGION`, else `AWS_REGION`, else eu-west-1.
    pub region: String,
    /// `CORS_ORIGINS`, separated by commas: the web origins whose pages may call the API. None by default.
    pub cors_origins: Vec<String>,
    /// `AWS_LAMBDA_FUNCTION_NAME` and `AWS_LAMBDA_FUNCTION_VERSION`: set where Lambda started the process, and nowhere else.
    pub function: Option<Function>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`: where the telemetry layer takes traces, such as <http://127.0.0.1:4318>. No traces by default.
    pub otlp_endpoint: Option<String>,
    /// `AWS_LAMBDA_LOG_LEVEL`, set by the function's logging configuration; INFO by default.
    pub log_level: tracing::Level,
}

/// The Lambda function that the process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The published version, a number; `$LATEST` for what is not published.
    pub version: String,
}

/// A variable that is missing or wrong, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    variable: &'static str,
    wanted: &'static str,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment variable {} {}", self.variable, self.wanted)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// The variable that is missing or makes no sense.
    pub fn from_environment() -> Result<Self, ConfigError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let given = |name: &str| variable(name).filter(|value| !value.is_empty());
        let error = |variable, wanted| ConfigError { variable, wanted };
        let region = given("REGION").or_else(|| given("AWS_REGION")).unwrap_or_else(|| "eu-west-1".into());
        // A typo here would otherwise show only as a name that cannot be resolved, at the first request.
        if !region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') {
            return Err(error("REGION", "must be an AWS region such as eu-west-1"));
        }
        let table_name = given("TABLE_NAME").ok_or(error("TABLE_NAME", "is missing: set it to the name of the movies table"))?;
        Ok(Self {
            creations_table_name: given("CREATIONS_TABLE_NAME").unwrap_or_else(|| format!("{table_name}-creations")),
            table_name,
            region,
            cors_origins: given("CORS_ORIGINS")
                .map(|list| list.split(',').map(|origin| origin.trim().to_owned()).collect())
                .unwrap_or_default(),
            function: given("AWS_LAMBDA_FUNCTION_NAME")
                .map(|name| Function { name, version: given("AWS_LAMBDA_FUNCTION_VERSION").unwrap_or_else(|| "$LATEST".into()) }),
            otlp_endpoint: given("OTEL_EXPORTER_OTLP_ENDPOINT"),
            log_level: given("AWS_LAMBDA_LOG_LEVEL").and_then(|level| level.parse().ok()).unwrap_or(tracing::Level::INFO),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_variables(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_missing_or_empty_table_name_is_refused_by_name() {
        for variables in [&[][..], &[("TABLE_NAME", "")]] {
            assert!(read(variables).unwrap_err().to_string().contains("TABLE_NAME"));
        }
    }

    #[test]
    fn the_region_is_regions_then_awss_then_irelands() {
        let region = |variables: &[(&str, &str)]| {
            let all: Vec<_> = variables.iter().copied().chain([("TABLE_NAME", "t")]).collect();
            read(&all).map(|config| config.region)
        };
        assert_eq!(region(&[]).unwrap(), "eu-west-1");
        assert_eq!(region(&[("AWS_REGION", "eu-north-1")]).unwrap(), "eu-north-1");
        assert_eq!(region(&[("AWS_REGION", "eu-north-1"), ("REGION", "eu-west-2")]).unwrap(), "eu-west-2");
        assert_eq!(region(&[("REGION", "")]).unwrap(), "eu-west-1");
        assert!(region(&[("REGION", "eu west 1")]).unwrap_err().to_string().contains("REGION"));
    }

    #[test]
    fn origins_are_split_at_commas() {
        let config = read(&[("TABLE_NAME", "t"), ("CORS_ORIGINS", "https://a.example, https://b.example")]).unwrap();
        assert_eq!(config.cors_origins, ["https://a.example", "https://b.example"]);
    }
}
