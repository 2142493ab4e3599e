//! Converts the contract to JSON, which the service serves: it needs no YAML parser.

use std::{env, error::Error, fs, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=openapi.yaml");
    let contract: serde_json::Value = serde_saphyr::from_str(&fs::read_to_string("openapi.yaml")?)?;
    for (variable, member) in [("CONTRACT_TITLE", "title"), ("CONTRACT_VERSION", "version")] {
        let value = contract["info"][member]
            .as_str()
            .ok_or(format!("info.{member} is missing"))?;
        println!("cargo::rustc-env={variable}={value}");
    }
    let folder = env::var_os("OUT_DIR").ok_or("Cargo sets OUT_DIR")?;
    fs::write(
        Path::new(&folder).join("openapi.json"),
        contract.to_string(),
    )?;
    Ok(())
}
