//! Checks that `lambda/RELIABILITY.md` names the tests that exist.

use std::{collections::BTreeSet, fs, path::Path};

/// Returns the fault and name of each test in `code` whose doc comment has a line such as
/// `/// Fault F01.`, or whose name begins with the id, such as `f27_`.
fn tests(code: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    let mut faults: Vec<String> = Vec::new();
    for line in code.lines().map(str::trim_start) {
        if let Some(ids) = line.strip_prefix("/// Fault ") {
            let ids = ids.trim_end_matches('.').split(" and ");
            faults.extend(ids.map(str::to_owned));
        } else if let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.split('(').next().unwrap();
            let prefix = name.get(..4).filter(|prefix| {
                let bytes = prefix.as_bytes();
                bytes[0] == b'f' && bytes[1..3].iter().all(u8::is_ascii_digit) && bytes[3] == b'_'
            });
            faults.extend(prefix.map(|prefix| format!("F{}", &prefix[1..3])));
            found.extend(faults.drain(..).map(|fault| (fault, name.to_owned())));
        } else if !line.starts_with("#[") && !line.starts_with("///") {
            faults.clear();
        }
    }
    found
}

/// Returns the fault and name of each test that the table's rows have in backticks.
fn rows(table: &str) -> BTreeSet<(String, String)> {
    let faults = table.lines().filter(|line| line.starts_with("| F"));
    let named = faults.flat_map(|line| {
        let fault = line[2..5].to_owned();
        let names = line.split('`').skip(1).step_by(2);
        let names = names.filter(|name| name.matches('_').count() > 2 && !name.contains('.'));
        names.map(move |name| (fault.clone(), name.to_owned()))
    });
    named.filter(|(fault, _)| fault != "F40").collect()
}

fn sources(folder: &Path, found: &mut String) {
    for path in fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn reliability_md_names_every_test_of_a_fault() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = fs::read_to_string(root.join("RELIABILITY.md")).unwrap();
    let mut code = String::new();
    for folder in [
        "crates/inbound/src",
        "services/movies/src",
        "services/movies/tests",
        "tools/loader/tests",
    ] {
        sources(&root.join(folder), &mut code);
    }
    let (rows, tests) = (rows(&table), tests(&code));
    let missing: Vec<_> = tests.difference(&rows).collect();
    let unknown: Vec<_> = rows.difference(&tests).collect();
    assert!(
        missing.is_empty() && unknown.is_empty(),
        "RELIABILITY.md lacks the tests {missing:?}; its tests {unknown:?} do not exist"
    );
    // The tests of F40, delivery, are in scripts/, in Python.
    for fault in (1..40).map(|number| format!("F{number:02}")) {
        assert!(
            rows.iter().any(|(named, _)| *named == fault),
            "{fault} has no test"
        );
    }
    let scripts = fs::read_to_string(root.join("../scripts/test_delivery.py")).unwrap();
    let last = table
        .lines()
        .find(|line| line.starts_with("| F40 |"))
        .unwrap();
    let named: Vec<_> = last
        .split('`')
        .filter(|part| part.starts_with("test_") && !part.ends_with(".py"))
        .collect();
    assert!(
        !named.is_empty()
            && named
                .iter()
                .all(|name| scripts.contains(&format!("def {name}("))),
        "{named:?}"
    );
}

#[test]
fn tests_in_reliability_md_of_the_http_server_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = fs::read_to_string(root.join("RELIABILITY.md")).unwrap();
    let section = document
        .split("## HTTP server")
        .nth(1)
        .unwrap()
        .split("\n## ")
        .next()
        .unwrap();
    let mut code = String::new();
    sources(&root.join("services/movies/tests"), &mut code);
    let named: Vec<_> = section
        .split('`')
        .filter(|part| part.matches('_').count() > 2)
        .collect();
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !code.contains(&format!("fn {name}(")))
        .collect();
    assert!(
        named.len() >= 10 && missing.is_empty(),
        "{missing:?} of {named:?}"
    );
}
