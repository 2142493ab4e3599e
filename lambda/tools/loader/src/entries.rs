//! Reads the entries of a file one at a time: a JSON array, NDJSON or pages of the API, plain or
//! gzip. Memory holds one entry, never the file.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use thiserror::Error;

/// The beginning of an entry in the unpacked file. All numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    entry: u64,
    line: u64,
    byte: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "entry {} (line {}, byte {})",
            self.entry, self.line, self.byte
        )
    }
}

/// The reason why the rest of a file was not read.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    /// The file has another format. The message names it and the next step.
    #[error("{0}")]
    Format(String),
    /// The file is truncated, or its gzip or JSON is broken. The message has the position.
    #[error("{0}")]
    Broken(String),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// The arrangement of entries in a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// One array of movies.
    Array,
    /// One movie on each line (NDJSON).
    Lines,
    /// One movie after another, each on several lines, as `jq` prints them.
    Objects,
    /// The API's own responses: pages of movies, one after another.
    Pages,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Number of bytes that are read to detect the format.
const HEAD_BYTES: u64 = 4096;
/// Number of characters of a file of another format that a message quotes.
const EXCERPT_CHARS: usize = 40;

impl Format {
    fn detect(head: &[u8]) -> Result<Self, String> {
        const UTF_16: &str =
            "is UTF-16, not UTF-8. Convert it first: iconv -f UTF-16 -t UTF-8 FILE > movies.json";
        let compressed =
            |program| format!("is compressed by {program}. Unpack it first: {program} -d FILE");
        let known: [(&[u8], String); 8] = [
            (b"\xff\xfe", UTF_16.to_owned()),
            (b"\xfe\xff", UTF_16.to_owned()),
            (
                b"PK\x03\x04",
                "is a zip archive. Unpack it first: unzip FILE".to_owned(),
            ),
            (b"\x28\xb5\x2f\xfd", compressed("zstd")),
            (b"\xfd7zXZ", compressed("xz")),
            (b"BZh", compressed("bzip2")),
            (
                b"\x1f\x8b",
                "is compressed by gzip twice. Unpack it once: gzip -d FILE".to_owned(),
            ),
            (
                b"SQLite format 3",
                "is an SQLite database. Export its movies as JSON first".to_owned(),
            ),
        ];
        if let Some((_, reason)) = known.into_iter().find(|(magic, _)| head.starts_with(magic)) {
            return Err(reason);
        }
        if matches!(head, [0, _, ..] | [_, 0, ..]) {
            return Err(UTF_16.to_owned());
        }
        let text = head
            .strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(head)
            .trim_ascii_start();
        match text.first() {
            Some(b'[') => Ok(Self::Array),
            Some(b'{') => {
                let member = text[1..].trim_ascii_start();
                let blank = &text[1..text.len() - member.len()];
                if [&b"\"movies\""[..], b"\"next\""]
                    .iter()
                    .any(|name| member.starts_with(name))
                {
                    Ok(Self::Pages)
                } else if blank.contains(&b'\n') {
                    Ok(Self::Objects)
                } else {
                    Ok(Self::Lines)
                }
            }
            Some(b'<') => Err(
                "is HTML or XML, not JSON. Was a web page saved instead of the data?".to_owned(),
            ),
            Some(_) => {
                let line = String::from_utf8_lossy(
                    text.split(|byte| *byte == b'\n').next().unwrap_or_default(),
                );
                let excerpt: String = line.trim().chars().take(EXCERPT_CHARS).collect();
                let guess = if excerpt.contains([',', ';', '\t']) {
                    " (CSV?)"
                } else {
                    ""
                };
                Err(format!("is not JSON{guess}: it begins with {excerpt:?}"))
            }
            None => Ok(Self::Lines),
        }
    }
}

/// Passes the bytes of each entry to `take` until it returns `false`. Returns whether the last page
/// of the file has a `next`: the list then continues in pages that are not in the file.
///
/// # Errors
/// The file has another format, or cannot be read to its end. The entries before the error were
/// passed on.
pub(crate) fn read(
    file: impl Read,
    take: impl FnMut(Position, &[u8]) -> bool,
) -> Result<bool, ReadError> {
    let mut file = BufReader::new(file);
    if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        read_unpacked(BufReader::new(MultiGzDecoder::new(file)), take)
    } else {
        read_unpacked(file, take)
    }
}

fn read_unpacked(
    mut input: impl BufRead,
    mut take: impl FnMut(Position, &[u8]) -> bool,
) -> Result<bool, ReadError> {
    let mut head = Vec::new();
    input.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
    let format = Format::detect(&head).map_err(ReadError::Format)?;
    let offset = Rc::new(Cell::new(Offset::default()));
    let mut input = Counted {
        input: head.as_slice().chain(input),
        offset: Rc::clone(&offset),
    };
    if head.starts_with(BYTE_ORDER_MARK) {
        input.consume(BYTE_ORDER_MARK.len());
    }
    if format == Format::Lines {
        read_lines(input, take)?;
        return Ok(false);
    }
    let mut entries = Entries {
        offset: &offset,
        count: 0,
        wants_more: true,
        continued: false,
        take: &mut take,
    };
    let mut first = true;
    loop {
        while input
            .fill_buf()?
            .first()
            .is_some_and(u8::is_ascii_whitespace)
        {
            input.consume(1);
        }
        if input.fill_buf()?.is_empty() {
            return Ok(entries.continued);
        }
        let start = offset.get();
        if format == Format::Array && !first {
            return Err(ReadError::Broken(format!(
                "line {}: data after the end of the array",
                start.lines + 1
            )));
        }
        let mut json = serde_json::Deserializer::from_reader(&mut input);
        let read = match format {
            Format::Objects => {
                <Box<RawValue>>::deserialize(&mut json).map(|element| _ = entries.pass(&element))
            }
            _ => json.deserialize_any(&mut entries),
        };
        if !entries.wants_more {
            // The rest was not read, so an error is only the missing end of the array.
            return Ok(false);
        }
        read.map_err(|error| ReadError::Broken(describe(&error, start)))?;
        first = false;
    }
}

/// Returns the message of an error with its position in the file. `start` is the offset of the
/// document.
fn describe(error: &serde_json::Error, start: Offset) -> String {
    let (line, column) = (error.line() as u64, error.column() as u64);
    let message = error.to_string();
    let Some(message) = message.strip_suffix(&format!(" at line {line} column {column}")) else {
        return message;
    };
    let column = if line == 1 {
        start.column + column
    } else {
        column
    };
    format!("line {}, column {column}: {message}", start.lines + line)
}

fn read_lines<R: BufRead>(
    mut input: Counted<R>,
    mut take: impl FnMut(Position, &[u8]) -> bool,
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut entry = 0;
    loop {
        let start = input.offset.get();
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        entry += 1;
        if !take(
            Position {
                entry,
                line: start.lines + 1,
                byte: start.bytes + 1,
            },
            text,
        ) {
            return Ok(());
        }
    }
}

/// Passes on the entries of an array or a page as they are read. serde reads the input byte by
/// byte, so the offset is the end of the element.
struct Entries<'a> {
    offset: &'a Cell<Offset>,
    count: u64,
    wants_more: bool,
    /// True if the last page has a `next`.
    continued: bool,
    take: &'a mut dyn FnMut(Position, &[u8]) -> bool,
}

impl Entries<'_> {
    fn pass(&mut self, element: &RawValue) -> bool {
        self.count += 1;
        let (text, end) = (element.get().as_bytes(), self.offset.get());
        let (line, byte) = (
            end.lines + 1 - newlines(text),
            end.bytes + 1 - text.len() as u64,
        );
        self.wants_more = (self.take)(
            Position {
                entry: self.count,
                line,
                byte,
            },
            text,
        );
        self.wants_more
    }
}

impl<'de> Visitor<'de> for &mut Entries<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of movies")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while let Some(element) = elements.next_element::<Box<RawValue>>()? {
            if !self.pass(&element) {
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut page: A) -> Result<(), A::Error> {
        self.continued = false;
        while let Some(name) = page.next_key::<String>()? {
            match name.as_str() {
                "movies" => page.next_value_seed(&mut *self)?,
                "next" => self.continued = page.next_value::<Option<String>>()?.is_some(),
                _ => _ = page.next_value::<IgnoredAny>()?,
            }
            if !self.wants_more {
                break;
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Entries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

#[derive(Clone, Copy, Default)]
struct Offset {
    bytes: u64,
    lines: u64,
    /// Bytes since the beginning of the line.
    column: u64,
}

/// Counts the bytes and lines that are read from a buffered reader.
struct Counted<R> {
    input: R,
    offset: Rc<Cell<Offset>>,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?.read(buffer)?;
        self.consume(bytes);
        Ok(bytes)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        let mut offset = self.offset.get();
        // The buffer was filled by the caller's `fill_buf`, so this cannot fail.
        if let Ok(buffer) = self.input.fill_buf() {
            let consumed = &buffer[..bytes.min(buffer.len())];
            offset.lines += newlines(consumed);
            offset.column = match consumed.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => (consumed.len() - end - 1) as u64,
                None => offset.column + consumed.len() as u64,
            };
        }
        self.input.consume(bytes);
        offset.bytes += bytes as u64;
        self.offset.set(offset);
    }
}

fn newlines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn all(file: &[u8]) -> (Vec<(String, String)>, Result<bool, ReadError>) {
        let mut entries = Vec::new();
        let end = read(file, |position, text| {
            entries.push((
                position.to_string(),
                String::from_utf8_lossy(text).into_owned(),
            ));
            true
        });
        (entries, end)
    }

    fn owned(entries: &[(&str, &str)]) -> Vec<(String, String)> {
        entries
            .iter()
            .map(|(position, text)| ((*position).to_owned(), (*text).to_owned()))
            .collect()
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    const ARRAY: &[u8] = b"\n[\n  {\"a\": 1},\n  {\n    \"b\": [2]\n  }, {}\n]\n";
    const LINES: &[u8] = b"\n{\"a\": 1}\r\n\n  {\"b\": 2}\nnot json\n{}";

    #[test]
    fn array_elements_are_read_with_their_position() {
        let (entries, end) = all(ARRAY);
        end.unwrap();
        let expected = [
            ("entry 1 (line 3, byte 6)", "{\"a\": 1}"),
            ("entry 2 (line 4, byte 18)", "{\n    \"b\": [2]\n  }"),
            ("entry 3 (line 6, byte 38)", "{}"),
        ];
        assert_eq!(entries, owned(&expected));
    }

    #[test]
    fn each_line_is_an_entry() {
        let (entries, end) = all(LINES);
        end.unwrap();
        let expected = [
            ("entry 1 (line 2, byte 2)", "{\"a\": 1}"),
            ("entry 2 (line 4, byte 13)", "{\"b\": 2}"),
            ("entry 3 (line 5, byte 24)", "not json"),
            ("entry 4 (line 6, byte 33)", "{}"),
        ];
        assert_eq!(entries, owned(&expected));
    }

    #[test]
    fn gzip_is_detected_and_all_members_are_read() {
        assert_eq!(all(&gzip(ARRAY)).0, all(ARRAY).0);
        let members = [gzip(b"{\"a\": 1}\n"), gzip(b"{\"b\": 2}\n")].concat();
        assert_eq!(all(&members).0.len(), 2);
    }

    #[test]
    fn entries_before_an_error_are_read() {
        for broken in [
            &b"[{\"a\": 1}, {\"b\""[..],
            b"[{\"a\": 1} {}]",
            b"[{\"a\": 1}",
            b"[{\"a\": 1}] {}",
            b"[{\"a\": 1}, \xff]",
        ] {
            let (entries, end) = all(broken);
            assert_eq!(entries.len(), 1, "{}", String::from_utf8_lossy(broken));
            assert!(end.is_err(), "{}", String::from_utf8_lossy(broken));
        }
        let packed = gzip(&b"{\"a\": 1}\n".repeat(1000));
        assert!(all(&packed[..packed.len() - 10]).1.is_err());
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        for file in [ARRAY, LINES] {
            let marked = [b"\xef\xbb\xbf", file].concat();
            let (entries, end) = all(&marked);
            end.unwrap();
            let texts = |entries: Vec<(String, String)>| {
                entries
                    .into_iter()
                    .map(|(_, text)| text)
                    .collect::<Vec<_>>()
            };
            assert_eq!(texts(entries), texts(all(file).0));
            assert_eq!(texts(all(&gzip(&marked)).0), texts(all(file).0));
        }
        assert_eq!(
            all(b"\xef\xbb\xbf{}\n").0,
            owned(&[("entry 1 (line 1, byte 4)", "{}")])
        );
    }

    #[test]
    fn movies_of_api_pages_are_read() {
        let last = b"{\"movies\":[{\"a\": 1},{\"b\": 2}],\"next\":null}\n";
        let first = b"{ \"next\": \"abc\",\n  \"movies\": [ {\"c\": 3} ] }\n";
        let (entries, end) = all(last);
        assert!(!end.unwrap());
        assert_eq!(
            entries,
            owned(&[
                ("entry 1 (line 1, byte 12)", "{\"a\": 1}"),
                ("entry 2 (line 1, byte 21)", "{\"b\": 2}")
            ])
        );
        let (entries, end) = all(&[&first[..], last].concat());
        assert!(!end.unwrap());
        assert_eq!(
            entries
                .iter()
                .map(|(_, text)| text.as_str())
                .collect::<Vec<_>>(),
            ["{\"c\": 3}", "{\"a\": 1}", "{\"b\": 2}"]
        );
        assert!(all(first).1.unwrap(), "the list continues");
    }

    #[test]
    fn objects_on_several_lines_are_entries() {
        let (entries, end) = all(b"{\n  \"a\": 1\n}\n{\n  \"b\": 2\n}\n");
        end.unwrap();
        let expected = [
            ("entry 1 (line 1, byte 1)", "{\n  \"a\": 1\n}"),
            ("entry 2 (line 4, byte 14)", "{\n  \"b\": 2\n}"),
        ];
        assert_eq!(entries, owned(&expected));
    }

    #[test]
    fn another_format_is_detected() {
        let utf_16: Vec<u8> = "[{\"a\": 1}]"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let html = b"<!DOCTYPE html>\n<html>".to_vec();
        for (file, word) in [
            ([b"\xff\xfe", &utf_16[..]].concat(), "UTF-16"),
            (utf_16.clone(), "UTF-16"),
            ([b"\xfe\xff\x00", &utf_16[..]].concat(), "UTF-16"),
            (html, "HTML"),
            (
                b"\n year,title,rank\n2013,Rush,2\n".to_vec(),
                "not JSON (CSV?): it begins with \"year,title,rank\"",
            ),
            (b"no JSON at all".to_vec(), "not JSON: it begins with"),
            (b"PK\x03\x04".to_vec(), "zip"),
            (b"\x28\xb5\x2f\xfd".to_vec(), "zstd"),
            (gzip(&gzip(ARRAY)), "gzip twice"),
        ] {
            let (entries, end) = all(&file);
            let Err(ReadError::Format(reason)) = end else {
                panic!("{word}: {end:?}")
            };
            assert!(
                reason.contains(word) && entries.is_empty(),
                "{word}: {reason}"
            );
        }
    }

    #[test]
    fn a_broken_array_is_reported_with_line_and_column() {
        for (file, place) in [
            (&b"\n [{\"a\": 1} {}]"[..], "line 2, column 12: "),
            (b"\n [{\"a\": 1},\n{\"b\" 1}]", "line 3, column 6: "),
            (b"[{\"a\": 1}]\n{}", "line 2"),
        ] {
            let Err(ReadError::Broken(reason)) = all(file).1 else {
                panic!("{place}")
            };
            assert!(reason.starts_with(place), "{place}: {reason}");
        }
    }

    #[test]
    fn an_empty_file_has_no_entries() {
        for empty in [&b""[..], b" \n", b"[]", b" [ ] "] {
            let (entries, end) = all(empty);
            assert!(entries.is_empty() && end.is_ok());
        }
    }

    #[test]
    fn reading_stops_when_the_callback_returns_false() {
        for file in [ARRAY, LINES] {
            let mut taken = 0;
            let end = read(file, |_, _| {
                taken += 1;
                false
            });
            assert!(end.is_ok() && taken == 1);
        }
    }
}
