//! The spans that wait to be sent.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::{
    cell::RefCell,
    collections::VecDeque,
    time::{Duration, SystemTime},
};

/// X-Ray's endpoint takes 5 MB and 10,000 spans at once; what waits always fits into one request.
const MAX_BYTES: usize = 1024 * 1024;
const MAX_SPANS: usize = 5_000;
/// Spans are sent when the oldest has waited this long, ...
pub(crate) const DUE: Duration = Duration::from_secs(5);
/// ... or when this much of the room is taken.
const DUE_SHARE: usize = 4;

/// A part of an OTLP document, `ResourceSpans`, as JSON.
#[derive(Debug)]
struct Part {
    json: Box<str>,
    spans: usize,
    since: SystemTime,
}

#[derive(Debug, Default)]
struct Waiting {
    parts: VecDeque<Part>,
    bytes: usize,
    spans: usize,
    dropped: usize,
}

/// Bounded: what is too much pushes out what is oldest.
#[derive(Debug, Default)]
pub(crate) struct Buffer(RefCell<Waiting>);

/// Spans taken out of a buffer to be sent.
#[derive(Debug)]
pub(crate) struct Batch(VecDeque<Part>);

impl Batch {
    pub(crate) fn spans(&self) -> usize {
        self.0.iter().map(|part| part.spans).sum()
    }

    /// All spans as one OTLP document.
    pub(crate) fn document(&self) -> String {
        let parts: Vec<&str> = self.0.iter().map(|part| &*part.json).collect();
        format!(r#"{{"resourceSpans":[{}]}}"#, parts.join(","))
    }
}

/// What is read of an OTLP document: enough to take it apart and to count.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(borrow)]
    resource_spans: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize)]
struct ScopeSpans {
    spans: Vec<IgnoredAny>,
}

impl Waiting {
    fn push_back(&mut self, part: Part) {
        self.bytes += part.json.len();
        self.spans += part.spans;
        self.parts.push_back(part);
        self.make_room();
    }

    fn push_front(&mut self, part: Part) {
        self.bytes += part.json.len();
        self.spans += part.spans;
        self.parts.push_front(part);
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.bytes > MAX_BYTES || self.spans > MAX_SPANS {
            let Some(oldest) = self.parts.pop_front() else {
                return;
            };
            self.bytes -= oldest.json.len();
            self.spans -= oldest.spans;
            self.dropped += oldest.spans;
        }
    }
}

impl Buffer {
    /// Takes the spans of an OTLP document.
    ///
    /// # Errors
    /// It is none. Were it kept, it would spoil the request that it is sent in.
    pub(crate) fn push(&self, document: &[u8]) -> serde_json::Result<()> {
        let document: Document<'_> = serde_json::from_slice(document)?;
        for part in document.resource_spans {
            let spans = serde_json::from_str::<ResourceSpans>(part.get())?
                .scope_spans
                .iter()
                .map(|scope| scope.spans.len())
                .sum();
            if spans > 0 {
                self.0.borrow_mut().push_back(Part {
                    json: part.get().into(),
                    spans,
                    since: SystemTime::now(),
                });
            }
        }
        Ok(())
    }

    /// Whether it is time to send. By the wall clock: the other one may stand still in a frozen environment.
    pub(crate) fn is_due(&self) -> bool {
        let waiting = self.0.borrow();
        let old = waiting
            .parts
            .front()
            .is_some_and(|part| part.since.elapsed().is_ok_and(|age| age >= DUE));
        old || waiting.bytes > MAX_BYTES / DUE_SHARE || waiting.spans > MAX_SPANS / DUE_SHARE
    }

    /// Takes out all waiting spans; `None` if there are none. Spans that arrive during the send
    /// belong to the next batch.
    pub(crate) fn take(&self) -> Option<Batch> {
        let mut waiting = self.0.borrow_mut();
        let taken = std::mem::take(&mut *waiting);
        waiting.dropped = taken.dropped;
        (!taken.parts.is_empty()).then_some(Batch(taken.parts))
    }

    /// Puts back a batch that could not be sent. If newer spans have taken its room, its oldest
    /// spans are dropped.
    pub(crate) fn put_back(&self, batch: Batch) {
        let mut waiting = self.0.borrow_mut();
        for part in batch.0.into_iter().rev() {
            waiting.push_front(part);
        }
    }

    /// Counts a batch as dropped: it was rejected, and would be rejected again.
    pub(crate) fn count_lost(&self, batch: &Batch) {
        self.0.borrow_mut().dropped += batch.spans();
    }

    /// The spans that were dropped since this was asked last.
    pub(crate) fn take_dropped(&self) -> usize {
        std::mem::take(&mut self.0.borrow_mut().dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn document(spans: usize, padding: usize) -> Vec<u8> {
        let span = serde_json::json!({ "name": "x".repeat(padding) });
        serde_json::json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": vec![span; spans] }] }] })
            .to_string()
            .into_bytes()
    }

    #[test]
    fn documents_become_one_that_holds_all_their_spans() {
        let buffer = Buffer::default();
        for spans in [1, 0, 3] {
            buffer.push(&document(spans, 1)).unwrap();
        }
        let whole: serde_json::Value =
            serde_json::from_str(&buffer.take().unwrap().document()).unwrap();
        let counts: Vec<_> = whole["resourceSpans"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| part["scopeSpans"][0]["spans"].as_array().unwrap().len())
            .collect();
        assert_eq!(counts, [1, 3]);
        assert!(buffer.take().is_none() && buffer.take_dropped() == 0);
    }

    #[test]
    fn what_is_no_otlp_is_refused_and_leaves_nothing() {
        let buffer = Buffer::default();
        for text in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"resourceSpans":[1]}"#,
            r#"{"resourceSpans":[{"scopeSpans":[{"spans":1}]}]}"#,
        ] {
            assert!(buffer.push(text.as_bytes()).is_err(), "{text}");
        }
        assert!(buffer.take().is_none());
    }

    #[test]
    fn the_oldest_spans_make_room_and_are_counted() {
        for (spans, padding, pushes) in [(100, 1, 100), (1, 10_000, 500)] {
            let buffer = Buffer::default();
            for _ in 0..pushes {
                buffer.push(&document(spans, padding)).unwrap();
            }
            let (bytes, left) = (buffer.0.borrow().bytes, buffer.0.borrow().spans);
            assert!(
                bytes <= MAX_BYTES && left <= MAX_SPANS,
                "{bytes} bytes, {left} spans"
            );
            assert!(
                bytes > MAX_BYTES / 2 || left > MAX_SPANS / 2,
                "more was dropped than had to be"
            );
            assert_eq!(buffer.take_dropped(), pushes * spans - left);
        }
    }

    #[test]
    fn a_batch_that_is_put_back_goes_before_later_spans() {
        let named = |name: &str| {
            json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": [{ "name": name }] }] }] })
                .to_string()
        };
        let buffer = Buffer::default();
        for name in ["a", "b"] {
            buffer.push(named(name).as_bytes()).unwrap();
        }
        let batch = buffer.take().unwrap();
        assert!(buffer.take().is_none() && !buffer.is_due());
        buffer.push(named("c").as_bytes()).unwrap();
        buffer.put_back(batch);
        let all: Value = serde_json::from_str(&buffer.take().unwrap().document()).unwrap();
        let names: Vec<_> = (0..3)
            .map(|at| &all["resourceSpans"][at]["scopeSpans"][0]["spans"][0]["name"])
            .collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(buffer.take_dropped(), 0);
    }

    #[test]
    fn a_batch_that_is_put_back_is_dropped_and_counted_where_there_is_no_room() {
        let buffer = Buffer::default();
        for _ in 0..10 {
            buffer.push(&document(MAX_SPANS / 10, 1)).unwrap();
        }
        let batch = buffer.take().unwrap();
        for _ in 0..9 {
            buffer.push(&document(MAX_SPANS / 10, 1)).unwrap();
        }
        buffer.put_back(batch);
        let waiting = buffer.0.borrow().spans;
        assert_eq!(
            (waiting, buffer.take_dropped()),
            (MAX_SPANS, MAX_SPANS / 10 * 9)
        );
    }

    #[test]
    fn spans_are_due_when_they_are_many_or_old() {
        let buffer = Buffer::default();
        buffer.push(&document(1, 1)).unwrap();
        assert!(!buffer.is_due());
        buffer.0.borrow_mut().parts[0].since = SystemTime::now() - DUE;
        assert!(buffer.is_due());
        buffer.count_lost(&buffer.take().unwrap());
        assert_eq!(buffer.take_dropped(), 1);
        assert!(!buffer.is_due());
        buffer.push(&document(MAX_SPANS / 2, 1)).unwrap();
        assert!(buffer.is_due());
    }
}
