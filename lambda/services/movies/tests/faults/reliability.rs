//! `lambda/RELIABILITY.md` and the tests agree.

use std::{collections::BTreeSet, fs, path::Path};

/// The names in `text` that stand between `before` and whatever is no part of a name, and begin with a fault's number.
fn names(text: &str, before: &str) -> BTreeSet<String> {
    let candidates = text.split(before).skip(1).map(|rest| {
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .next()
            .unwrap()
    });
    let numbered = |name: &&str| {
        name.len() > 4
            && name.starts_with('f')
            && name[1..3].bytes().all(|byte| byte.is_ascii_digit())
            && &name[3..4] == "_"
    };
    candidates.filter(numbered).map(str::to_owned).collect()
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
fn the_table_names_every_test_of_a_fault_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = fs::read_to_string(root.join("RELIABILITY.md")).unwrap();
    let mut code = String::new();
    for folder in [
        "services/movies/src",
        "services/movies/tests",
        "tools/loader/tests",
    ] {
        sources(&root.join(folder), &mut code);
    }
    assert_eq!(names(&table, "`"), names(&code, "fn "));
    // F40 is delivery's; its tests are in scripts/, in Python.
    for fault in 1..=40 {
        let row = table
            .lines()
            .find(|line| line.starts_with(&format!("| F{fault:02} |")))
            .unwrap_or_else(|| panic!("F{fault:02} has no row"));
        assert!(
            fault == 40
                || names(row, "`")
                    .iter()
                    .any(|name| name.contains(&format!("f{fault:02}_"))),
            "{row}"
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
fn the_tests_that_the_http_servers_table_names_exist() {
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
