//! The loader on a DynamoDB emulator, on a table with the deployed schema.

#![allow(clippy::unwrap_used, reason = "failures in tests")]

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use aws_sdk_dynamodb::types::AttributeValue;
use flate2::{Compression, write::GzEncoder};
use movies::store::item::{Item, etag, from_item};
use serde_json::Value;
use serde_json::value::RawValue;
use testkit::Tables;
use tokio::runtime::Runtime;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sample.json");

/// A table of one test.
struct Table {
    runtime: Runtime,
    tables: Tables,
}

impl Table {
    /// Returns `None` if there is no DynamoDB emulator: see [`testkit::emulator`].
    fn new() -> Option<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let schemas = include_str!("../../../services/movies/tables.json");
        let tables = runtime.block_on(Tables::create(schemas))?;
        Some(Self { runtime, tables })
    }

    fn name(&self) -> &str {
        self.tables.name("movies")
    }

    fn items(&self) -> HashMap<(String, String), Item> {
        let mut items = HashMap::new();
        let mut pages = self
            .tables
            .client
            .scan()
            .table_name(self.name())
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        while let Some(item) = self.runtime.block_on(pages.next()) {
            let item = item.unwrap();
            items.insert(
                (
                    item["year"].as_n().unwrap().clone(),
                    item["title"].as_s().unwrap().clone(),
                ),
                item,
            );
        }
        items
    }

    fn load(&self, file: &Path, options: &[&str]) -> Output {
        loader()
            .arg("--table")
            .arg(self.name())
            .args(options)
            .arg(file)
            .output()
            .unwrap()
    }
}

fn loader() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loader"));
    command.stdin(Stdio::null());
    command
}

struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(content: &[u8]) -> Self {
        let file = std::env::temp_dir().join(format!("loader-test-{:016x}", fastrand::u64(..)));
        std::fs::write(&file, content).unwrap();
        Self(file)
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_exit(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
}

fn sample() -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(SAMPLE).unwrap()).unwrap()
}

#[test]
fn the_sample_is_loaded_with_etags_and_a_second_run_changes_nothing() {
    let Some(table) = Table::new() else {
        return;
    };
    let output = table.load(Path::new(SAMPLE), &[]);
    assert_exit(&output, 0);
    let items = table.items();
    assert_eq!(items.len(), sample().len());
    for item in items.values() {
        assert!(from_item(item.clone()).is_some());
        assert_eq!(item["etag"].as_s().unwrap(), etag(item).as_str());
    }
    let rush = &items[&("2013".to_owned(), "Rush".to_owned())];
    assert_eq!(
        rush["info"].as_m().unwrap()["rating"],
        AttributeValue::N("8.3".to_owned())
    );
    let pi = &items[&("1998".to_owned(), "π".to_owned())];
    assert_eq!(
        pi["info"].as_m().unwrap()["rating"],
        AttributeValue::N("3.1415926535897932384626433832795028842".to_owned())
    );

    assert_exit(&table.load(Path::new(SAMPLE), &["--concurrency", "1"]), 0);
    assert_eq!(table.items(), items);
}

#[test]
fn lines_and_gzip_load_the_same_items_as_an_array() {
    let movies: Vec<Box<RawValue>> =
        serde_json::from_str(&std::fs::read_to_string(SAMPLE).unwrap()).unwrap();
    let lines: String = movies.iter().map(|movie| format!("{movie}\n")).collect();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(lines.as_bytes()).unwrap();
    let (plain, packed) = (
        TemporaryFile::new(lines.as_bytes()),
        TemporaryFile::new(&encoder.finish().unwrap()),
    );
    let loaded = |file: &Path| {
        let table = Table::new()?;
        assert_exit(&table.load(file, &[]), 0);
        Some(table.items())
    };
    let Some(from_array) = loaded(Path::new(SAMPLE)) else {
        return;
    };
    assert_eq!(from_array.len(), movies.len());
    assert_eq!(loaded(&plain.0).as_ref(), Some(&from_array));
    assert_eq!(loaded(&packed.0).as_ref(), Some(&from_array));
}

#[test]
fn a_dry_run_validates_everything_and_writes_nothing() {
    let Some(table) = Table::new() else {
        return;
    };
    let output = table.load(Path::new(SAMPLE), &["--dry-run"]);
    assert_exit(&output, 0);
    assert!(
        text(&output.stdout).starts_with(&format!("{} valid, 0 invalid", sample().len())),
        "{}",
        text(&output.stdout)
    );
    assert!(table.items().is_empty());
}

#[test]
fn invalid_and_repeated_entries_are_reported_and_the_others_written() {
    let file = TemporaryFile::new(
        br#"[
  {"year": 2013, "title": "Rush", "info": {"rank": 1}},
  {"year": 1, "title": "", "info": {"rating": 11}},
  {"year": 2013, "title": "Rush", "info": {"rank": 2}},
  {"year": 2014, "title": "'71", "note": "unknown"},
  {"year": 1931, "title": "M"}
]"#,
    );
    let Some(table) = Table::new() else {
        return;
    };
    let output = table.load(&file.0, &[]);
    assert_exit(&output, 1);
    let reported = text(&output.stderr);
    for line in [
        "invalid: entry 2 (line 3, byte 61): ",
        "duplicate: entry 3 (line 4, byte 113): 2013 \"Rush\"",
        "invalid: entry 4 (line 5, ",
    ] {
        assert!(reported.contains(line), "{line} in {reported}");
    }
    for reason in ["year ", "title ", "info.rating ", "note "] {
        assert!(reported.contains(reason), "{reason} in {reported}");
    }
    assert!(
        text(&output.stdout).starts_with("2 written, 2 invalid, 1 duplicate"),
        "{}",
        text(&output.stdout)
    );
    let items = table.items();
    assert_eq!(items.len(), 2);
    let rush = &items[&("2013".to_owned(), "Rush".to_owned())];
    assert_eq!(
        rush["info"].as_m().unwrap()["rank"],
        AttributeValue::N("1".to_owned())
    );
}

#[test]
fn a_truncated_file_is_loaded_up_to_the_error_and_reported() {
    let file = TemporaryFile::new(br#"[{"year": 1931, "title": "M"}, {"year": 1969, "tit"#);
    let Some(table) = Table::new() else {
        return;
    };
    let output = table.load(&file.0, &[]);
    assert_exit(&output, 1);
    assert!(
        text(&output.stderr).contains("broken: "),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(table.items().len(), 1);
}

fn dry_run(content: &[u8], options: &[&str]) -> Output {
    let file = TemporaryFile::new(content);
    loader()
        .args(["--table", "any", "--dry-run"])
        .args(options)
        .arg(&file.0)
        .output()
        .unwrap()
}

#[test]
fn another_format_is_reported_by_one_message() {
    let csv = "year,title,rank\n".to_owned() + &"2013,Rush,2\n".repeat(1000);
    let utf_16: Vec<u8> = std::fs::read_to_string(SAMPLE)
        .unwrap()
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [b"\xff\xfe", &utf_16[..]].concat();
    for (content, word) in [
        (csv.as_bytes(), "CSV"),
        (&marked, "UTF-16"),
        (b"<!DOCTYPE html>\n<html>\n", "HTML"),
    ] {
        let output = dry_run(content, &[]);
        assert_exit(&output, 1);
        let reported = text(&output.stderr);
        assert!(
            reported.contains(word) && reported.contains("Expected: a JSON array of movies"),
            "{reported}"
        );
        assert_eq!(reported.lines().count(), 2, "{reported}");
    }
}

#[test]
fn a_byte_order_mark_is_ignored() {
    let marked = [b"\xef\xbb\xbf", &std::fs::read(SAMPLE).unwrap()[..]].concat();
    let output = dry_run(&marked, &[]);
    assert_exit(&output, 0);
    assert!(
        text(&output.stdout).starts_with(&format!("{} valid, 0 invalid", sample().len())),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn a_page_of_the_api_is_loaded_and_a_next_is_reported() {
    let page = |next: Value| serde_json::json!({ "movies": sample(), "next": next });
    for (page, continued) in [
        (page(Value::Null).to_string(), false),
        (format!("{:#}", page("c".into())), true),
    ] {
        let output = dry_run(page.as_bytes(), &[]);
        assert_exit(&output, 0);
        assert!(
            text(&output.stdout).starts_with(&format!("{} valid, 0 invalid", sample().len())),
            "{}",
            text(&output.stdout)
        );
        assert_eq!(
            text(&output.stderr).contains("the list continues"),
            continued,
            "{}",
            text(&output.stderr)
        );
    }
}

#[test]
fn max_messages_limits_the_reported_entries() {
    let lines = "{\"year\": 1, \"title\": \"a\"}\n".repeat(100);
    let output = dry_run(lines.as_bytes(), &[]);
    assert_exit(&output, 1);
    let reported = text(&output.stderr);
    assert_eq!(
        reported
            .lines()
            .filter(|line| line.starts_with("invalid: "))
            .count(),
        20,
        "{reported}"
    );
    assert!(
        reported.contains("80 more invalid or duplicate entries"),
        "{reported}"
    );
    assert!(
        text(&output.stdout).starts_with("0 valid, 100 invalid"),
        "{}",
        text(&output.stdout)
    );
    let all = dry_run(lines.as_bytes(), &["--max-messages", "100"]);
    assert_eq!(text(&all.stderr).lines().count(), 100);
}

#[test]
fn a_line_that_is_not_json_is_reported_with_its_column() {
    let output = dry_run(
        b"{\"year\": 1931, \"title\": \"M\"}\n{\"year\": 1969 \"title\": \"Z\"}\n[]\n",
        &[],
    );
    assert_exit(&output, 1);
    let reported = text(&output.stderr);
    assert!(
        reported
            .contains("entry 2 (line 2, byte 30): is not JSON: expected `,` or `}` at column 15"),
        "{reported}"
    );
    assert!(
        reported.contains("entry 3 (line 3, byte 58): must be a JSON object"),
        "{reported}"
    );
    assert!(!reported.contains("body"), "{reported}");
}

#[test]
fn a_folder_is_a_usage_error() {
    let output = loader().args(["--table", "any", "/"]).output().unwrap();
    assert_exit(&output, 2);
    assert!(
        text(&output.stderr).contains("/ is a folder"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_missing_region_is_a_usage_error() {
    let mut command = loader();
    command
        .env_remove("AWS_REGION")
        .env_remove("AWS_DEFAULT_REGION")
        .env("AWS_CONFIG_FILE", "/dev/null");
    let output = command.args(["--table", "any", SAMPLE]).output().unwrap();
    assert_exit(&output, 2);
    assert!(
        text(&output.stderr).contains("AWS_REGION"),
        "{}",
        text(&output.stderr)
    );
}

/// As with `make load … | head -1`.
#[test]
fn a_closed_output_does_not_end_the_load() {
    let Some(table) = Table::new() else {
        return;
    };
    let file = TemporaryFile::new(
        format!(
            "[{{}},{}",
            &std::fs::read_to_string(SAMPLE).unwrap().trim_start()[1..]
        )
        .as_bytes(),
    );
    let mut child = loader()
        .arg("--table")
        .arg(table.name())
        .arg(&file.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(
        child.wait().unwrap().code(),
        Some(1),
        "one entry is invalid"
    );
    assert_eq!(table.items().len(), sample().len());
}

#[test]
fn a_missing_table_is_named_and_zero_items_are_reported_as_written() {
    if testkit::emulator().is_none() {
        return;
    }
    let output = loader()
        .args(["--table", "loader-test-no-such-table", SAMPLE])
        .output()
        .unwrap();
    assert_exit(&output, 1);
    assert!(
        text(&output.stdout).starts_with("0 written"),
        "{}",
        text(&output.stdout)
    );
    assert!(
        text(&output.stderr).contains("loader-test-no-such-table"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_missing_file_is_a_usage_error() {
    let output = loader()
        .args(["--table", "any", "no-such-file.json"])
        .output()
        .unwrap();
    assert_exit(&output, 2);
    assert!(
        text(&output.stderr).contains("no-such-file.json"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn the_complete_catalogue_is_loaded_exactly() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data/moviedata.json");
    if !file.exists() {
        eprintln!(
            "NOT RUN: the catalogue is not on this machine ({})",
            file.display()
        );
        return;
    }
    let Some(table) = Table::new() else {
        return;
    };
    let output = table.load(&file, &[]);
    assert_exit(&output, 0);
    eprintln!("{}", text(&output.stdout).trim());
    let movies: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let items = table.items();
    assert_eq!(items.len(), movies.len());
    for movie in &movies {
        let key = (
            movie["year"].to_string(),
            movie["title"].as_str().unwrap().to_owned(),
        );
        let info = items[&key]["info"].as_m().unwrap();
        assert_eq!(
            info.len(),
            movie["info"].as_object().unwrap().len(),
            "{key:?}"
        );
        // The file's ratings have one decimal, so that converting them to a float and back is
        // exact.
        let rating = movie["info"]
            .get("rating")
            .map(|rating| AttributeValue::N(rating.to_string()));
        assert_eq!(info.get("rating"), rating.as_ref(), "{key:?}");
    }
}
