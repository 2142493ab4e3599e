//! The boundaries between the parts of the workspace that Cargo does not enforce.

#![allow(clippy::unwrap_used, reason = "a test that cannot continue has failed")]

use std::{fs, path::Path};

/// Returns every source file below `folder` with its text, without unit tests.
fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(path: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((
                    path.display().to_string(),
                    text.split("#[cfg(test)]").next().unwrap().to_owned(),
                ));
            }
        }
    }
    let mut found = Vec::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src")
            .join(folder),
        &mut found,
    );
    assert!(!found.is_empty(), "{folder} is empty");
    found
}

/// Returns the lines of code that contain one of `words`. Comments do not count.
fn lines_with(sources: &[(String, String)], words: &[&str]) -> Vec<String> {
    let code = sources
        .iter()
        .flat_map(|(file, text)| text.lines().map(move |line| (file, line)));
    let code = code.filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        .map(|(file, line)| format!("{file}: {}", line.trim()))
        .collect()
}

#[track_caller]
fn assert_absent(folder: &str, words: &[&str]) {
    let found = lines_with(&sources(folder), words);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn domain_depends_on_neither_http_nor_aws_nor_serde() {
    // `decimal` is the only module of `inbound` that the domain uses.
    let domain: Vec<_> = sources("domain")
        .into_iter()
        .map(|(file, text)| (file, text.replace("inbound::decimal", "decimal")))
        .collect();
    let found = lines_with(
        &domain,
        &[
            "http::",
            "axum",
            "hyper",
            "inbound",
            "aws_",
            "serde",
            "crate::api",
            "crate::json",
            "crate::store",
            "tokio",
            "lambda",
        ],
    );
    assert!(found.is_empty(), "{found:#?}");
}

/// The loader reads the same documents, without HTTP and without a table.
#[test]
fn json_depends_on_neither_http_nor_aws() {
    let json: Vec<_> = sources("")
        .into_iter()
        .filter(|(file, _)| file.ends_with("src/json.rs"))
        .collect();
    assert_eq!(json.len(), 1);
    let words = [
        "http::",
        "axum",
        "aws_",
        "crate::api",
        "crate::store",
        "Problem",
    ];
    let found = lines_with(&json, &words);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn api_names_neither_the_aws_sdk_nor_a_table() {
    assert_absent(
        "api",
        &[
            "aws_",
            "lambda_",
            "AttributeValue",
            "table_name",
            "serde_dynamo",
        ],
    );
}

#[test]
fn store_names_no_status_code() {
    assert_absent(
        "store",
        &["use http::", "StatusCode", "crate::api", "axum", "Problem"],
    );
}

#[test]
fn only_item_rs_names_attributes() {
    let elsewhere: Vec<_> = sources("store")
        .into_iter()
        .filter(|(file, _)| !file.ends_with("item.rs"))
        .collect();
    let found = lines_with(
        &elsewhere,
        &[
            "\"year\"",
            "\"title\"",
            "\"info\"",
            "\"etag\"",
            "\"rating\"",
        ],
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_service_reads_the_environment_in_config_rs_only() {
    let sources = files("lambda/services", ".rs");
    let (config, elsewhere): (Vec<_>, Vec<_>) = sources
        .into_iter()
        .partition(|(file, _)| file.ends_with("/src/config.rs"));
    let found = lines_with(&elsewhere, &["env::var", "env::vars"]);
    assert!(found.is_empty(), "{found:#?}");
    for file in &config {
        let found = lines_with(std::slice::from_ref(file), &["std::env::var("]);
        assert_eq!(found.len(), 1, "{found:#?}");
    }
    assert_eq!(config.len(), services().len());
}

#[test]
fn domain_store_and_api_read_neither_clock_nor_random_numbers() {
    for folder in ["domain", "store", "api"] {
        assert_absent(
            folder,
            &[
                "SystemTime::now",
                "Instant::now",
                "elapsed()",
                "fastrand",
                "rand::",
            ],
        );
    }
}

const PROBLEM: &str = "../../crates/inbound/src/problem.rs";

#[test]
fn problem_has_no_field_that_can_hold_an_error() {
    let problem = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(PROBLEM)).unwrap();
    let fields = problem
        .split("pub struct Problem {")
        .nth(1)
        .unwrap()
        .split('}')
        .next()
        .unwrap();
    let types: Vec<_> = fields
        .lines()
        .filter_map(|line| line.trim().trim_end_matches(',').split_once(": "))
        .map(|(_, of_type)| of_type)
        .collect();
    assert_eq!(
        types,
        [
            "StatusCode",
            "&'static str",
            "&'static str",
            "Option<(header::HeaderName, &'static str)>",
            "Vec<FieldError>"
        ]
    );
}

/// Follows the dependencies of `inbound` through Cargo.lock.
#[test]
fn inbound_has_no_aws_sdk_in_its_dependency_tree() {
    let lock = include_str!("../../../Cargo.lock");
    let packages: std::collections::BTreeMap<&str, Vec<&str>> = lock
        .split("[[package]]")
        .filter_map(|package| {
            let name = package.split("name = \"").nth(1)?.split('"').next()?;
            let list = package.split("dependencies = [").nth(1).unwrap_or_default();
            let names = list.split('"').skip(1).step_by(2);
            Some((
                name,
                names.filter_map(|name| name.split(' ').next()).collect(),
            ))
        })
        .collect();
    let (mut found, mut next) = (std::collections::BTreeSet::new(), vec!["inbound"]);
    while let Some(name) = next.pop() {
        if found.insert(name) {
            next.extend(&packages[name]);
        }
    }
    assert!(found.contains("axum") && found.contains("lambda_runtime"));
    let sdk: Vec<_> = found
        .iter()
        .filter(|name| name.starts_with("aws-"))
        .collect();
    assert!(sdk.is_empty(), "{sdk:?}");
}

/// A service reads its environment and passes the values to `inbound`.
#[test]
fn inbound_reads_no_environment_variable() {
    let found = lines_with(&files("lambda/crates/inbound/src", ".rs"), &["env::var"]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn contracts_have_no_aws_extensions() {
    let contracts = files("lambda/services", "openapi.yaml");
    assert_eq!(contracts.len(), services().len());
    let found = lines_with(&contracts, &["x-amazon", "aws", "${", "<<:"]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn item_keys_are_those_of_tables_json() {
    let tables: serde_json::Value = serde_json::from_str(include_str!("../tables.json")).unwrap();
    let item = sources("store")
        .into_iter()
        .find(|(file, _)| file.ends_with("item.rs"))
        .unwrap()
        .1;
    for (constant, table, part) in [
        ("YEAR", "movies", "partition_key"),
        ("TITLE", "movies", "sort_key"),
        ("CALLER", "creations", "partition_key"),
        ("KEY", "creations", "sort_key"),
        ("EXPIRES", "creations", "expires"),
    ] {
        let schema = &tables[table][part];
        let name = schema.get("name").unwrap_or(schema).as_str().unwrap();
        assert!(
            item.contains(&format!("{constant}: &str = \"{name}\"")),
            "{constant} is not {name}"
        );
    }
}

#[test]
fn store_sends_exactly_the_operations_that_it_declares() {
    // Every use of the SDK's client, such as `.client.get_item()`, across line breaks. A
    // transaction needs the actions of its parts, which are found by their builders.
    let code: String = lines_with(&sources("store"), &[""])
        .iter()
        .flat_map(|line| line.split_once(": "))
        .map(|(_, code)| code)
        .collect();
    let code: String = code.split_whitespace().collect();
    let camel = |call: &str| {
        call.split('_')
            .map(|word| word[..1].to_uppercase() + &word[1..])
            .collect::<String>()
    };
    let mut made: std::collections::BTreeSet<_> = code
        .split("self.client.")
        .skip(1)
        .map(|call| camel(call.split('(').next().unwrap()))
        .collect();
    assert!(made.remove("TransactWriteItems"));
    for (part, operation) in [
        ("PutRow::builder", "PutItem"),
        ("Delete::builder", "DeleteItem"),
        ("Update::builder", "UpdateItem"),
    ] {
        if code.contains(part) {
            made.insert(operation.to_owned());
        }
    }
    assert!(!code.contains("ConditionCheck::builder"));
    assert_eq!(made, movies::store::OPERATIONS.map(String::from).into());
    let known = ["self.client.", "client:", "modclient;"].map(|known| code.matches(known).count());
    assert_eq!(
        code.matches("client").count(),
        known.into_iter().sum::<usize>()
    );
}

/// Returns the names of the services.
fn services() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let services: Vec<_> = folders
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert!(services.contains(&"movies".to_owned()));
    services
}

/// Returns every file below `folder` of the repository whose name ends in `ending`, with its text.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    fn walk(path: &Path, ending: &str, found: &mut Vec<(String, String)>) {
        for path in fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("tests") {
                walk(&path, ending, found);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push((
                    path.display().to_string(),
                    fs::read_to_string(&path).unwrap(),
                ));
            }
        }
    }
    let mut found = Vec::new();
    walk(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../..")
            .join(folder),
        ending,
        &mut found,
    );
    assert!(!found.is_empty(), "{folder} has no {ending}");
    found
}

/// `outbound` must not decide which response a caller gets.
#[test]
fn outbound_names_no_status_code_and_needs_no_inbound_library() {
    let sources = files("lambda/crates/outbound/src", ".rs");
    let found = lines_with(&sources, &["StatusCode", "http::status"]);
    assert!(found.is_empty(), "{found:#?}");
    let manifest = files("lambda/crates/outbound", "Cargo.toml");
    let (name, text) = &manifest[0];
    let dependencies = text.split("[dev-dependencies]").next().unwrap();
    let found = lines_with(
        &[(name.clone(), dependencies.to_owned())],
        &["axum", "lambda", "tower", "inbound", "movies"],
    );
    assert!(found.is_empty(), "{found:#?}");
}

/// ring is the only cryptography library of the packages. `cargo tree` resolves the features of one
/// service; a build of the workspace's tests would include those of the tools.
#[test]
fn services_are_built_without_aws_lc_openssl_and_http2() {
    for service in services() {
        assert_built_without_aws_lc_openssl_and_http2(&service);
    }
}

fn assert_built_without_aws_lc_openssl_and_http2(service: &str) {
    let tree = std::process::Command::new(env!("CARGO"))
        .args([
            "tree",
            "--locked",
            "--package",
            service,
            "--edges",
            "normal,build",
        ])
        .args(["--prefix", "none", "--format", "{p}", "--manifest-path"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"))
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("ring v"), "{tree}");
    for absent in [
        "aws-lc",
        "openssl",
        "native-tls",
        "h2 v",
        "rustls-native-certs",
    ] {
        assert!(!tree.contains(absent), "{service}: {absent}: {tree}");
    }
}

#[test]
fn no_crate_mocks_the_sdk() {
    let found = lines_with(
        &files("lambda", "Cargo.toml"),
        &["mock", "test-util", "wiremock"],
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_lambda_emulator_implements_the_runtime_api() {
    let found = files("lambda", ".rs")
        .into_iter()
        .filter(|(_, text)| text.contains("invocation/next"));
    let crates: std::collections::BTreeSet<_> = found
        .map(|(file, _)| {
            file.split("/lambda/")
                .last()
                .unwrap()
                .split('/')
                .nth(1)
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(crates, ["lambda-emulator".to_owned()].into());
}

#[test]
fn terraform_modules_name_no_environment_and_have_no_switches() {
    let modules = files("infra/modules", ".tf");
    let found = lines_with(
        &modules,
        &[
            "\"local\"",
            "\"dev\"",
            "\"prod\"",
            "variable \"create_",
            "variable \"enable_",
            "var.environment.name ==",
        ],
    );
    assert!(found.is_empty(), "{found:#?}");
}

/// A file that `main.rs` does not name is not compiled, and its tests do not run.
#[test]
fn every_file_of_the_api_tests_is_compiled() {
    let tests = files("lambda/services/movies/tests/api", ".rs");
    let (main, others): (Vec<_>, Vec<_>) = tests
        .iter()
        .partition(|(path, _)| path.ends_with("/main.rs"));
    let forgotten: Vec<_> = others
        .iter()
        .filter_map(|(path, _)| Path::new(path).file_stem()?.to_str())
        .filter(|module| !main[0].1.contains(&format!("\nmod {module};\n")))
        .collect();
    assert!(forgotten.is_empty(), "main.rs does not name {forgotten:?}");
}

#[test]
fn every_route_of_the_contract_is_called_by_a_behaviour_test() {
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.yaml");
    let contract = fs::read_to_string(contract).unwrap();
    let tests: String = files("lambda/services/movies/tests/api", ".rs")
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let routes = contract.lines().filter_map(|line| {
        let route = line.strip_prefix("  /")?.strip_suffix(':')?;
        Some(format!("\"/{}", route.split('{').next().unwrap()))
    });
    let uncalled: Vec<_> = routes.filter(|route| !tests.contains(route)).collect();
    assert!(
        uncalled.is_empty(),
        "no test in tests/api sends a request to {uncalled:?}"
    );
}

#[test]
fn line_with_a_forbidden_word_is_found_but_not_in_a_comment() {
    let broken = [(
        "x.rs".to_owned(),
        "// aws_ in a comment\nuse aws_config::Region;".to_owned(),
    )];
    assert_eq!(
        lines_with(&broken, &["aws_"]),
        ["x.rs: use aws_config::Region;"]
    );
}
