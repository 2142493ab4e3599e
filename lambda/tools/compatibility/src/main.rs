//! Prints the differences between two OpenAPI documents, and fails if one of them breaks clients of
//! the old document, unless the major version in `info.version` rises.
//!
//! `drift` classifies most changes; this program decides by its `ChangeClass`.

use anyhow::{Context, Result};
use clap::Parser;
use drift::ChangeClass;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Checks whether clients of one OpenAPI document keep working with another.
///
/// Prints every difference, and BREAKS before those that break clients. Clients are expected to
/// ignore properties of a response that they do not know.
///
/// Exit code: 0 if no difference breaks clients or the major version of info.version rises, 1 if
/// clients would break or a document cannot be read, 2 for wrong usage.
#[derive(Parser)]
struct Arguments {
    /// The OpenAPI document that clients use today
    old: PathBuf,
    /// The OpenAPI document that replaces it
    new: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("compatibility: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    let (old, new) = (read(&arguments.old)?, read(&arguments.new)?);
    let differences = differences(&old, &new)?;
    for Difference { breaks, text } in &differences {
        println!("{}  {text}", if *breaks { "BREAKS" } else { "ok    " });
    }
    let (before, after) = (major(&old)?, major(&new)?);
    let breaks = differences
        .iter()
        .filter(|difference| difference.breaks)
        .count();
    println!(
        "{} differences, {breaks} of them break clients; version {before} -> {after}",
        differences.len()
    );
    Ok(if breaks == 0 || after > before {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read(path: &Path) -> Result<Value> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_saphyr::from_str(&text)
        .with_context(|| format!("{} is not valid YAML or JSON", path.display()))
}

/// Returns the major version in `info.version`.
fn major(contract: &Value) -> Result<u64> {
    let version = contract["info"]["version"]
        .as_str()
        .context("the contract has no info.version")?;
    version
        .split('.')
        .next()
        .unwrap_or_default()
        .parse()
        .with_context(|| format!("info.version {version:?} does not begin with a number"))
}

/// The list of problem codes in the contract.
const PROBLEM_CODES: &str = "/components/schemas/Problem/properties/code/enum";

struct Difference {
    breaks: bool,
    text: String,
}

/// Lists the differences between two contracts. What drift does not compare, or treats more
/// strictly than clients may expect, is compared here first and then made equal, so that drift
/// compares the rest.
fn differences(old: &Value, new: &Value) -> Result<Vec<Difference>> {
    let mut walk = Walk { found: Vec::new() };
    let (mut old, mut new) = (old.clone(), new.clone());
    // Clients that do not know a code use the status. drift reports removed codes.
    if let (Some(Value::Array(before)), Some(Value::Array(after))) =
        (old.pointer_mut(PROBLEM_CODES), new.pointer(PROBLEM_CODES))
        && before.iter().all(|code| after.contains(code))
    {
        let added = after.iter().filter(|code| !before.contains(code));
        walk.found.extend(added.map(|code| Difference {
            breaks: false,
            text: format!("#{PROBLEM_CODES}/{code}: added"),
        }));
        before.clone_from(after);
    }
    walk.document("#", &mut old, &mut new);
    let mut found = walk.found;

    let (old, new) = (&old, &new);
    for change in drift::compare(old, new)? {
        let place = change
            .paths
            .first()
            .map(|path| path.new.to_string())
            .unwrap_or_default();
        for info in change.changes {
            // A change that drift cannot classify counts as a break.
            let breaks = !matches!(
                info.class,
                ChangeClass::ForwardIncompatible | ChangeClass::Trivial
            );
            let text = format!(
                "{place} {}: {} ({:?})",
                info.new_subpath, info.message, info.class
            );
            found.push(Difference { breaks, text });
        }
    }
    // drift does not compare security requirements.
    for (path, method, operation) in operations(new) {
        let (before, after) = (&old["paths"][path][method], operation);
        let required = |contract: &Value, operation: &Value| {
            operation
                .get("security")
                .unwrap_or(&contract["security"])
                .clone()
        };
        if !before.is_null() && required(old, before) != required(new, after) {
            let text = format!("#/paths{path}/{method}: the security requirements changed");
            found.push(Difference { breaks: true, text });
        }
    }
    Ok(found)
}

/// Compares both documents side by side. Records compatible additions and removes them from the new
/// document, and records the breaks that drift does not report.
struct Walk {
    found: Vec<Difference>,
}

impl Walk {
    /// Compares the values at one place of both documents.
    fn document(&mut self, place: &str, old: &mut Value, new: &mut Value) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => {
                for (name, old) in old {
                    let Some(after) = new.get_mut(name) else {
                        continue;
                    };
                    let place = at(place, name);
                    match name.as_str() {
                        "example" | "examples" => {}
                        "schema" => self.schema(&place, old, after),
                        "schemas" => self.each(&place, old, after, Self::schema),
                        "responses" => self.responses(&place, old, after),
                        "content" => self.content(&place, old, after),
                        _ => self.document(&place, old, after),
                    }
                }
            }
            // Parameters are paired by name, because an added one moves the following ones.
            (Value::Array(old), Value::Array(new)) => {
                let name =
                    |value: &Value| ["$ref", "name", "in"].map(|key| value.get(key).cloned());
                for old in old {
                    if let Some(new) = new.iter_mut().find(|new| name(new) == name(old)) {
                        self.document(place, old, new);
                    }
                }
            }
            _ => {}
        }
    }

    fn each(
        &mut self,
        place: &str,
        old: &mut Value,
        new: &mut Value,
        compare: fn(&mut Self, &str, &mut Value, &mut Value),
    ) {
        let Value::Object(old) = old else { return };
        for (name, old) in old {
            if let Some(new) = new.get_mut(name) {
                compare(self, &at(place, name), old, new);
            }
        }
    }

    /// A new 4xx status is compatible: clients treat an unknown one as 400 (RFC 9110, section 15).
    /// So is 304: only clients that ask for it by a precondition get it.
    fn responses(&mut self, place: &str, old: &mut Value, new: &mut Value) {
        self.remove_added(place, old, new, |status| {
            status == "304" || status.len() == 3 && status.starts_with('4')
        });
        self.document(place, old, new);
    }

    /// A new media type is compatible: clients send and request those that they know.
    fn content(&mut self, place: &str, old: &mut Value, new: &mut Value) {
        self.remove_added(place, old, new, |_| true);
        // drift requires that both have the same ones.
        if let (Value::Object(old), Value::Object(new)) = (&mut *old, &*new) {
            old.retain(|media_type, _| {
                let is_left = new.contains_key(media_type);
                if !is_left {
                    self.found.push(Difference {
                        breaks: true,
                        text: format!("{}: removed", at(place, media_type)),
                    });
                }
                is_left
            });
        }
        self.document(place, old, new);
    }

    /// A new optional property is compatible: clients need not send it, and ignore it in a
    /// response.
    fn schema(&mut self, place: &str, old: &mut Value, new: &mut Value) {
        let nullable = |schema: &Value| schema["nullable"] == true;
        if nullable(old) != nullable(new) {
            self.found.push(Difference {
                breaks: true,
                text: format!("{place}: nullable changed"),
            });
        }
        let required = new["required"].as_array().cloned().unwrap_or_default();
        if let (Some(old), Some(new)) = (old.get_mut("properties"), new.get_mut("properties")) {
            let place = format!("{place}/properties");
            self.remove_added(&place, old, new, |name| {
                !required.iter().any(|required| required == name)
            });
            self.each(&place, old, new, Self::schema);
        }
        for keyword in ["items", "additionalProperties", "not"] {
            if let (Some(old), Some(new)) = (old.get_mut(keyword), new.get_mut(keyword)) {
                self.schema(&format!("{place}/{keyword}"), old, new);
            }
        }
        for keyword in ["allOf", "anyOf", "oneOf"] {
            if let (Some(Value::Array(old)), Some(Value::Array(new))) =
                (old.get_mut(keyword), new.get_mut(keyword))
            {
                for (index, (old, new)) in old.iter_mut().zip(new).enumerate() {
                    self.schema(&format!("{place}/{keyword}/{index}"), old, new);
                }
            }
        }
    }

    /// Records the members of `new` that `old` does not have and that are compatible, and removes
    /// them.
    fn remove_added(
        &mut self,
        place: &str,
        old: &Value,
        new: &mut Value,
        is_compatible: impl Fn(&str) -> bool,
    ) {
        let (Value::Object(old), Value::Object(new)) = (old, new) else {
            return;
        };
        new.retain(|name, _| {
            let added = !old.contains_key(name) && is_compatible(name);
            if added {
                self.found.push(Difference {
                    breaks: false,
                    text: format!("{}: added", at(place, name)),
                });
            }
            !added
        });
    }
}

/// The JSON pointer of a member.
fn at(place: &str, name: &str) -> String {
    format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"))
}

fn operations(contract: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = contract["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(path, item)| {
        item.as_object()
            .into_iter()
            .flatten()
            .map(move |(method, operation)| (path, method, operation))
    });
    operations
        .filter(|(_, method, _)| *method != "parameters")
        .map(|(path, method, operation)| (path.as_str(), method.as_str(), operation))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const CONTRACT: &str = include_str!("../../../services/movies/openapi.yaml");

    /// Replaces `from` by `to` in the contract. Returns the number of differences that break
    /// clients and the number of all differences.
    #[track_caller]
    fn changed(from: &str, to: &str) -> (usize, usize) {
        let new = CONTRACT.replacen(from, to, 1);
        assert_ne!(new, CONTRACT, "the contract has no {from:?}");
        let parse = |text: &str| serde_saphyr::from_str(text).unwrap();
        let differences = differences(&parse(CONTRACT), &parse(&new)).unwrap();
        (
            differences
                .iter()
                .filter(|difference| difference.breaks)
                .count(),
            differences.len(),
        )
    }

    #[test]
    fn a_changed_description_is_compatible() {
        assert_eq!(
            changed("Movies, addressed by year and title.", "Movies.").0,
            0
        );
    }

    #[test]
    fn a_new_optional_parameter_is_compatible() {
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
        let more = "/Cursor'\n        - { name: tenant, in: query, required: true, \
                    schema: { type: string } }\n";
        assert!(changed("/Cursor'\n", more).0 > 0);
    }

    #[test]
    fn a_removed_enum_value_breaks() {
        assert!(changed("enum: [title, -title]", "enum: [title]").0 > 0);
    }

    #[test]
    fn a_smaller_maximum_breaks() {
        assert!(changed("maximum: 100, default: 20", "maximum: 50, default: 20").0 > 0);
    }

    #[test]
    fn a_new_required_member_of_a_request_breaks() {
        assert!(changed("required: [year, title]", "required: [year, title, info]").0 > 0);
    }

    /// Returns the number of differences that break clients after an edit at `pointer` of the
    /// contract.
    #[track_caller]
    fn breaks_after(pointer: &str, edit: impl FnOnce(&mut Value)) -> usize {
        let old: Value = serde_saphyr::from_str(CONTRACT).unwrap();
        let mut new = old.clone();
        edit(
            new.pointer_mut(pointer)
                .unwrap_or_else(|| panic!("the contract has no {pointer}")),
        );
        assert_ne!(old, new);
        let differences = differences(&old, &new).unwrap();
        assert!(!differences.is_empty(), "the change is not reported");
        differences
            .iter()
            .filter(|difference| difference.breaks)
            .count()
    }

    const INFO: &str = "/components/schemas/Info";
    const INFO_PATCH: &str = "/components/schemas/InfoPatch";
    const PAGE: &str = "/components/schemas/MoviePage";
    const LANGUAGE: &str = "language";

    #[test]
    fn an_added_optional_property_of_a_response_is_compatible() {
        for schema in [
            PAGE,
            "/components/schemas/Version",
            "/components/schemas/Problem",
        ] {
            let added = breaks_after(&format!("{schema}/properties"), |properties| {
                properties[LANGUAGE] = json!({ "type": "string" });
            });
            assert_eq!(added, 0, "{schema}");
        }
        let items = "/components/schemas/Problem/properties/errors/items/properties";
        assert_eq!(
            breaks_after(items, |properties| properties["pointer"] =
                json!({ "type": "string" })),
            0
        );
    }

    #[test]
    fn an_added_optional_property_of_a_request_is_compatible() {
        for schema in [INFO, INFO_PATCH, "/components/schemas/MovieReplacement"] {
            let added = breaks_after(&format!("{schema}/properties"), |properties| {
                properties[LANGUAGE] =
                    json!({ "nullable": true, "allOf": [{ "$ref": "#/components/schemas/Plot" }] });
            });
            assert_eq!(added, 0, "{schema}");
        }
    }

    #[test]
    fn an_added_property_with_a_schema_of_its_own_is_compatible() {
        let added = breaks_after("/components/schemas", |schemas| {
            schemas["Language"] = json!({ "type": "string" });
            for schema in ["Info", "InfoPatch"] {
                schemas[schema]["properties"][LANGUAGE] =
                    json!({ "$ref": "#/components/schemas/Language" });
            }
        });
        assert_eq!(added, 0);
    }

    #[test]
    fn an_added_required_property_breaks() {
        for schema in [INFO, PAGE] {
            let added = breaks_after(schema, |schema| {
                schema["properties"][LANGUAGE] = json!({ "type": "string" });
                schema["required"] = json!([LANGUAGE]);
            });
            assert!(added > 0, "{schema}");
        }
    }

    #[test]
    fn a_removed_property_breaks_though_another_is_added() {
        for (schema, property) in [(INFO, "plot"), (INFO_PATCH, "plot"), (PAGE, "next")] {
            let changed = breaks_after(&format!("{schema}/properties"), |properties| {
                properties.as_object_mut().unwrap().remove(property);
                properties[LANGUAGE] = json!({ "type": "string" });
            });
            assert!(changed > 0, "{schema}");
        }
    }

    #[test]
    fn a_narrowed_property_breaks_though_another_is_added() {
        for (property, narrowed) in [
            ("plot", json!({ "type": "string", "maxLength": 10 })),
            ("rank", json!({ "type": "string" })),
            (
                "actors",
                json!({ "type": "array", "maxItems": 1, "items": { "type": "string" } }),
            ),
        ] {
            let changed = breaks_after(&format!("{INFO}/properties"), |properties| {
                properties[property] = narrowed;
                properties[LANGUAGE] = json!({ "type": "string" });
            });
            assert!(changed > 0, "{property}");
        }
    }

    #[test]
    fn a_change_of_nullable_breaks() {
        for (pointer, nullable) in [
            (format!("{INFO_PATCH}/properties/plot"), false), // a request that may no longer send null
            (format!("{INFO}/properties"), true),             // a response that may now send null
            (format!("{PAGE}/properties/next"), false),
        ] {
            let changed = breaks_after(&pointer, |schema| {
                let schema = if nullable {
                    &mut schema["plot"]
                } else {
                    schema
                };
                *schema = json!({ "nullable": nullable, "allOf": [schema] });
            });
            assert!(changed > 0, "{pointer}");
        }
    }

    #[test]
    fn an_optional_body_is_compatible_and_an_opened_object_breaks() {
        let open = breaks_after("/paths/~1movies/post/requestBody", |body| {
            body["required"] = json!(false)
        });
        assert_eq!(open, 0);
        let schema = "/components/schemas/Health/additionalProperties";
        assert!(breaks_after(schema, |closed| *closed = json!(true)) > 0);
    }

    #[test]
    fn an_added_304_is_compatible() {
        let responses = "/paths/~1movies~1{year}~1{title}/put/responses";
        assert_eq!(
            breaks_after(responses, |responses| responses["304"] =
                json!({ "description": "Not modified." })),
            0
        );
        assert!(
            breaks_after(responses, |responses| responses["302"] =
                json!({ "description": "Elsewhere." }))
                > 0
        );
    }

    #[test]
    fn an_added_media_type_is_compatible_and_a_removed_one_breaks() {
        let content = "/paths/~1movies/post/requestBody/content";
        let added = breaks_after(content, |content| {
            content["application/cbor"] = content["application/json"].clone()
        });
        assert_eq!(added, 0);
        let renamed = breaks_after(content, |content| {
            let content = content.as_object_mut().unwrap();
            let json = content.remove("application/json").unwrap();
            content.insert("application/cbor".into(), json);
        });
        assert!(renamed > 0);
    }

    #[test]
    fn a_new_problem_code_and_a_new_4xx_status_are_compatible_and_reported() {
        assert_eq!(
            changed(
                "            - timeout\n",
                "            - timeout\n            - teapot\n"
            ),
            (0, 1)
        );
        let removed = "        '415': { $ref: '#/components/responses/UnsupportedMediaType' }\n";
        let (breaks, seen) = changed(
            removed,
            &format!("{removed}        '418': {{ $ref: '#/components/responses/NotFound' }}\n"),
        );
        assert!(breaks == 0 && seen > 0);
    }

    #[test]
    fn a_removed_problem_code_and_another_success_status_break() {
        assert!(changed("            - timeout\n", "").0 > 0);
        assert!(
            changed(
                "        '201':\n          description: Created.\n",
                "        '202':\n          description: Created.\n"
            )
            .0 > 0
        );
    }

    #[test]
    fn a_changed_scope_breaks() {
        assert!(
            changed(
                "        - oauth2: [movies/write]",
                "        - oauth2: [movies/admin]"
            )
            .0 > 0
        );
    }

    #[test]
    fn a_removed_status_is_reported() {
        let removed = "        '412': { $ref: '#/components/responses/PreconditionFailed' }\n";
        assert!(changed(removed, "").1 > 0);
    }
}
