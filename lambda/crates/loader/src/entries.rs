//! A file's entries, one at a time: a JSON array or NDJSON, plain or gzip. Memory holds one entry, never the file.

use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Where an entry begins, in the file as it reads when unpacked; all count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    entry: u64,
    line: u64,
    byte: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "entry {} (line {}, byte {})", self.entry, self.line, self.byte)
    }
}

/// Hands each entry's text to `take`, until that gives `false`.
///
/// # Errors
/// The file cannot be read on: its gzip, or the array around the entries, is broken. Entries before the break were taken.
pub(crate) fn read(file: impl Read, take: impl FnMut(Place, &[u8]) -> bool) -> io::Result<()> {
    let mut file = BufReader::new(file);
    if file.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        read_unpacked(BufReader::new(MultiGzDecoder::new(file)), take)
    } else {
        read_unpacked(file, take)
    }
}

fn read_unpacked(input: impl BufRead, mut take: impl FnMut(Place, &[u8]) -> bool) -> io::Result<()> {
    let position = Rc::new(Cell::new(Position::default()));
    let mut input = Counted { input, position: Rc::clone(&position) };
    loop {
        match input.fill_buf()?.first() {
            Some(byte) if byte.is_ascii_whitespace() => input.consume(1),
            Some(b'[') => break,
            Some(_) => return read_lines(input, take),
            None => return Ok(()),
        }
    }
    let mut array = serde_json::Deserializer::from_reader(input);
    let mut goes_on = true;
    let mut take = |place, text: &[u8]| {
        goes_on = take(place, text);
        goes_on
    };
    let end = array.deserialize_seq(Elements { position: &position, take: &mut take }).and_then(|()| array.end());
    // An array that is left early has an end that was not read, and none the worse for it.
    if goes_on { end.map_err(io::Error::from) } else { Ok(()) }
}

fn read_lines<R: BufRead>(mut input: Counted<R>, mut take: impl FnMut(Place, &[u8]) -> bool) -> io::Result<()> {
    let mut line = Vec::new();
    let mut entry = 0;
    loop {
        let start = input.position.get();
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = line.trim_ascii();
        if text.is_empty() {
            continue;
        }
        entry += 1;
        if !take(Place { entry, line: start.lines + 1, byte: start.bytes + 1 }, text) {
            return Ok(());
        }
    }
}

/// The elements of an array, unread. (serde reads the input byte by byte, so the count stands right behind an element.)
struct Elements<'a, F> {
    position: &'a Cell<Position>,
    take: &'a mut F,
}

impl<'de, F: FnMut(Place, &[u8]) -> bool> Visitor<'de> for Elements<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of movies")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut entry = 0;
        while let Some(element) = elements.next_element::<Box<RawValue>>()? {
            entry += 1;
            let text = element.get().as_bytes();
            let end = self.position.get();
            let place = Place { entry, line: end.lines + 1 - newlines(text), byte: end.bytes + 1 - text.len() as u64 };
            if !(self.take)(place, text) {
                break;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Default)]
struct Position {
    bytes: u64,
    lines: u64,
}

/// Counts what is taken out of a buffered reader.
struct Counted<R> {
    input: R,
    position: Rc<Cell<Position>>,
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
        let Position { bytes: before, lines } = self.position.get();
        // In memory already, so this cannot fail; what is consumed was handed out by `fill_buf`.
        let lines = lines + self.input.fill_buf().map_or(0, |buffer| newlines(&buffer[..bytes.min(buffer.len())]));
        self.input.consume(bytes);
        self.position.set(Position { bytes: before + bytes as u64, lines });
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

    fn all(file: &[u8]) -> (Vec<(String, String)>, io::Result<()>) {
        let mut entries = Vec::new();
        let end = read(file, |place, text| {
            entries.push((place.to_string(), String::from_utf8_lossy(text).into_owned()));
            true
        });
        (entries, end)
    }

    fn owned(entries: &[(&str, &str)]) -> Vec<(String, String)> {
        entries.iter().map(|(place, text)| ((*place).to_owned(), (*text).to_owned())).collect()
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    const ARRAY: &[u8] = b"\n[\n  {\"a\": 1},\n  {\n    \"b\": [2]\n  }, {}\n]\n";
    const LINES: &[u8] = b"\n{\"a\": 1}\r\n\n  {\"b\": 2}\nnot json\n{}";

    #[test]
    fn an_array_gives_each_element_and_where_it_begins() {
        let (entries, end) = all(ARRAY);
        end.unwrap();
        let places = [
            ("entry 1 (line 3, byte 6)", "{\"a\": 1}"),
            ("entry 2 (line 4, byte 18)", "{\n    \"b\": [2]\n  }"),
            ("entry 3 (line 6, byte 38)", "{}"),
        ];
        assert_eq!(entries, owned(&places));
    }

    #[test]
    fn lines_are_entries_each_by_itself() {
        let (entries, end) = all(LINES);
        end.unwrap();
        let places = [
            ("entry 1 (line 2, byte 2)", "{\"a\": 1}"),
            ("entry 2 (line 4, byte 13)", "{\"b\": 2}"),
            ("entry 3 (line 5, byte 24)", "not json"),
            ("entry 4 (line 6, byte 33)", "{}"),
        ];
        assert_eq!(entries, owned(&places));
    }

    #[test]
    fn gzip_is_seen_by_its_first_bytes_and_read_through_all_members() {
        assert_eq!(all(&gzip(ARRAY)).0, all(ARRAY).0);
        let members = [gzip(b"{\"a\": 1}\n"), gzip(b"{\"b\": 2}\n")].concat();
        assert_eq!(all(&members).0.len(), 2);
    }

    #[test]
    fn what_stands_before_a_break_is_taken_and_the_break_is_told() {
        for broken in [&b"[{\"a\": 1}, {\"b\""[..], b"[{\"a\": 1} {}]", b"[{\"a\": 1}", b"[{\"a\": 1}] {}", b"[{\"a\": 1}, \xff]"] {
            let (entries, end) = all(broken);
            assert_eq!(entries.len(), 1, "{}", String::from_utf8_lossy(broken));
            assert!(end.is_err(), "{}", String::from_utf8_lossy(broken));
        }
        let packed = gzip(&b"{\"a\": 1}\n".repeat(1000));
        assert!(all(&packed[..packed.len() - 10]).1.is_err());
    }

    #[test]
    fn an_empty_file_has_no_entries() {
        for empty in [&b""[..], b" \n", b"[]", b" [ ] "] {
            let (entries, end) = all(empty);
            assert!(entries.is_empty() && end.is_ok());
        }
    }

    #[test]
    fn reading_stops_when_no_more_is_taken() {
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
