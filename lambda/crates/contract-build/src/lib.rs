//! The build script of a service. It converts `openapi.yaml` to JSON, so that the service can serve
//! its contract without a YAML parser.

use std::{env, error::Error, fs, path::Path};

/// Writes the contract as `openapi.json` into `OUT_DIR`, and sets `CONTRACT_TITLE` and
/// `CONTRACT_VERSION`, from `info`. The macro `inbound::service!` reads them.
///
/// # Errors
/// `openapi.yaml` cannot be read, is not YAML, or lacks `info.title` or `info.version`.
pub fn convert_contract() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=openapi.yaml");
    let contract: serde_json::Value = serde_saphyr::from_str(&fs::read_to_string("openapi.yaml")?)?;
    for (variable, member) in [("CONTRACT_TITLE", "title"), ("CONTRACT_VERSION", "version")] {
        let value = contract["info"][member]
            .as_str()
            .ok_or(format!("openapi.yaml: info.{member} is missing"))?;
        println!("cargo::rustc-env={variable}={value}");
    }
    let folder = env::var_os("OUT_DIR").ok_or("Cargo sets OUT_DIR")?;
    fs::write(
        Path::new(&folder).join("openapi.json"),
        contract.to_string(),
    )?;
    Ok(())
}
