//! `contract OLD NEW` prints what differs between two OpenAPI documents, and fails if a caller of the old one could not live with
//! the new one, unless the new one says so with a higher major version in `info.version`.

use anyhow::{Context, Result, bail};
use drift::ChangeClass;
use serde_json::Value;
use std::{env, fs, process::ExitCode};

fn main() -> Result<ExitCode> {
    let [old, new] = &env::args().skip(1).collect::<Vec<_>>()[..] else { bail!("Usage: contract OLD NEW") };
    let (old, new) = (read(old)?, read(new)?);
    let differences = differences(&old, &new)?;
    for Difference { breaks, text } in &differences {
        println!("{}  {text}", if *breaks { "BREAKS" } else { "ok    " });
    }
    let (before, after) = (major(&old)?, major(&new)?);
    let breaks = differences.iter().filter(|difference| difference.breaks).count();
    println!("{} differences, {breaks} of them break callers; version {before} -> {after}", differences.len());
    Ok(if breaks == 0 || after > before { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read(path: &str) -> Result<Value> {
    serde_saphyr::from_str(&fs::read_to_string(path).with_context(|| path.to_owned())?).with_context(|| path.to_owned())
}

/// The part of `info.version` that callers go by.
fn major(contract: &Value) -> Result<u64> {
    let version = contract["info"]["version"].as_str().context("the contract has no info.version")?;
    version.split('.').next().unwrap_or_default().parse().with_context(|| format!("info.version: {version}"))
}

/// Where the contract lists what may be the matter, in words for programs.
const PROBLEM_CODES: &str = "/components/schemas/Problem/properties/code/enum";

struct Difference {
    breaks: bool,
    text: String,
}

fn differences(old: &Value, new: &Value) -> Result<Vec<Difference>> {
    let (mut found, mut old) = (Vec::new(), old.clone());
    // To a code that it does not know a caller pays no more heed than to none: it goes by the status. One that is gone, or
    // another form of it, is left for drift to find.
    if let (Some(Value::Array(before)), Some(Value::Array(after))) = (old.pointer_mut(PROBLEM_CODES), new.pointer(PROBLEM_CODES))
        && before.iter().all(|code| after.contains(code))
    {
        let added = after.iter().filter(|code| !before.contains(code));
        found.extend(added.map(|code| Difference { breaks: false, text: format!("#{PROBLEM_CODES}: a new code, {code}") }));
        before.clone_from(after);
    }
    let old = &old;
    for change in drift::compare(old, new)? {
        let place = change.paths.first().map(|path| path.new.to_string()).unwrap_or_default();
        for info in change.changes {
            // What cannot be judged is to be judged by a person: it breaks until the version says otherwise.
            // A status of 4xx that is not known is 400 to every client (RFC 9110, 15). 304 comes only to a client that sent
            // If-None-Match.
            let added = ["added a new response code 4", "added a new response code 304"];
            let breaks = !matches!(info.class, ChangeClass::ForwardIncompatible | ChangeClass::Trivial)
                && !added.iter().any(|added| info.message.contains(added));
            found.push(Difference { breaks, text: format!("{place} {}: {} ({:?})", info.new_subpath, info.message, info.class) });
        }
    }
    // drift does not look at who may call.
    for (path, method, operation) in operations(new) {
        let (before, after) = (&old["paths"][path][method], operation);
        let who = |contract: &Value, operation: &Value| operation.get("security").unwrap_or(&contract["security"]).clone();
        if !before.is_null() && who(old, before) != who(new, after) {
            found.push(Difference { breaks: true, text: format!("#/paths{path}/{method}: who may call it has changed") });
        }
    }
    Ok(found)
}

fn operations(contract: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = contract["paths"].as_object().into_iter().flatten();
    let operations =
        paths.flat_map(|(path, item)| item.as_object().into_iter().flatten().map(move |(method, operation)| (path, method, operation)));
    operations.filter(|(_, method, _)| *method != "parameters").map(|(path, method, operation)| (path.as_str(), method.as_str(), operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTRACT: &str = include_str!("../../movies/openapi.yaml");

    /// How many differences break callers, and how many there are, when `from` becomes `to` in the contract.
    #[track_caller]
    fn changed(from: &str, to: &str) -> (usize, usize) {
        let new = CONTRACT.replacen(from, to, 1);
        assert_ne!(new, CONTRACT, "the contract has no {from:?}");
        let parse = |text: &str| serde_saphyr::from_str(text).unwrap();
        let differences = differences(&parse(CONTRACT), &parse(&new)).unwrap();
        (differences.iter().filter(|difference| difference.breaks).count(), differences.len())
    }

    #[test]
    fn a_text_is_no_break() {
        assert_eq!(changed("Movies, addressed by year and title.", "Movies.").0, 0);
    }

    #[test]
    fn a_new_optional_parameter_is_no_break() {
        let more = "/Cursor'\n        - { name: tenant, in: query, schema: { type: string } }\n";
        assert_eq!(changed("/Cursor'\n", more).0, 0);
    }

    #[test]
    fn a_removed_operation_breaks() {
        let start = CONTRACT.find("    delete:\n").unwrap();
        let end = start + CONTRACT[start..].find("\n  /health:").unwrap();
        assert!(changed(&CONTRACT[start..end], "").0 > 0);
    }

    #[test]
    fn a_required_parameter_breaks() {
        let more = "/Cursor'\n        - { name: tenant, in: query, required: true, schema: { type: string } }\n";
        assert!(changed("/Cursor'\n", more).0 > 0);
    }

    #[test]
    fn a_removed_value_breaks() {
        assert!(changed("enum: [title, -title]", "enum: [title]").0 > 0);
    }

    #[test]
    fn a_smaller_maximum_breaks() {
        assert!(changed("maximum: 100, default: 20", "maximum: 50, default: 20").0 > 0);
    }

    #[test]
    fn a_member_that_a_request_must_have_breaks() {
        assert!(changed("required: [year, title]", "required: [year, title, info]").0 > 0);
    }

    #[test]
    fn a_new_code_and_a_new_refusal_are_no_break_but_seen() {
        assert_eq!(changed("            - timeout\n", "            - timeout\n            - teapot\n"), (0, 1));
        let gone = "        '415': { $ref: '#/components/responses/UnsupportedMediaType' }\n";
        let (breaks, seen) = changed(gone, &format!("{gone}        '418': {{ $ref: '#/components/responses/NotFound' }}\n"));
        assert!(breaks == 0 && seen > 0);
    }

    #[test]
    fn a_new_304_is_no_break_but_seen() {
        let conflict = "        '409': { $ref: '#/components/responses/Conflict' }\n";
        let (breaks, seen) = changed(conflict, &format!("        '304': {{ description: Not modified. }}\n{conflict}"));
        assert!(breaks == 0 && seen > 0);
    }

    #[test]
    fn a_code_that_is_gone_and_a_new_success_break() {
        assert!(changed("            - timeout\n", "").0 > 0);
        assert!(changed("        '201':\n          description: Created.\n", "        '202':\n          description: Created.\n").0 > 0);
    }

    #[test]
    fn another_scope_breaks() {
        assert!(changed("        - oauth2: [movies/write]", "        - oauth2: [movies/admin]").0 > 0);
    }

    #[test]
    fn a_status_that_is_gone_is_told() {
        let gone = "        '412': { $ref: '#/components/responses/PreconditionFailed' }\n";
        assert!(changed(gone, "").1 > 0);
    }
}
