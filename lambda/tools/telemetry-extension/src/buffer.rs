//! Spans that have not been sent yet.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::{
    cell::RefCell,
    collections::VecDeque,
    time::{Duration, SystemTime},
};

/// X-Ray's endpoint accepts 5 MB and 10,000 spans per request, so that all pending spans fit into
/// one request.
const MAX_BYTES: usize = 1024 * 1024;
const MAX_SPANS: usize = 5_000;
/// Age of the oldest span at which the spans are sent.
pub(crate) const FLUSH_AFTER: Duration = Duration::from_secs(5);
/// Spans are also sent when more than one group in this many of the buffer is used.
const FLUSH_FRACTION: usize = 4;

/// One `ResourceSpans` object of an OTLP document, as JSON.
#[derive(Debug)]
struct SpanGroup {
    json: Box<str>,
    spans: usize,
    since: SystemTime,
}

#[derive(Debug, Default)]
struct Pending {
    groups: VecDeque<SpanGroup>,
    bytes: usize,
    spans: usize,
    dropped: usize,
}

/// A bounded buffer that drops its oldest spans when it is full.
#[derive(Debug, Default)]
pub(crate) struct Buffer(RefCell<Pending>);

/// Spans that were taken from a buffer to be sent.
#[derive(Debug)]
pub(crate) struct Batch(VecDeque<SpanGroup>);

impl Batch {
    pub(crate) fn spans(&self) -> usize {
        self.0.iter().map(|group| group.spans).sum()
    }

    /// Returns all spans as one OTLP document.
    pub(crate) fn document(&self) -> String {
        let groups: Vec<&str> = self.0.iter().map(|group| &*group.json).collect();
        format!(r#"{{"resourceSpans":[{}]}}"#, groups.join(","))
    }
}

/// The parts of an OTLP document that are needed to split it and to count its spans.
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

impl Pending {
    fn push_back(&mut self, group: SpanGroup) {
        self.bytes += group.json.len();
        self.spans += group.spans;
        self.groups.push_back(group);
        self.make_room();
    }

    fn push_front(&mut self, group: SpanGroup) {
        self.bytes += group.json.len();
        self.spans += group.spans;
        self.groups.push_front(group);
        self.make_room();
    }

    fn make_room(&mut self) {
        while self.bytes > MAX_BYTES || self.spans > MAX_SPANS {
            let Some(oldest) = self.groups.pop_front() else {
                return;
            };
            self.bytes -= oldest.json.len();
            self.spans -= oldest.spans;
            self.dropped += oldest.spans;
        }
    }
}

impl Buffer {
    /// Adds the spans of an OTLP document.
    ///
    /// # Errors
    /// Fails if the document is not OTLP. It would make the request that contains it invalid.
    pub(crate) fn push(&self, document: &[u8]) -> serde_json::Result<()> {
        let document: Document<'_> = serde_json::from_slice(document)?;
        for group in document.resource_spans {
            let spans = serde_json::from_str::<ResourceSpans>(group.get())?
                .scope_spans
                .iter()
                .map(|scope| scope.spans.len())
                .sum();
            if spans > 0 {
                self.0.borrow_mut().push_back(SpanGroup {
                    json: group.get().into(),
                    spans,
                    since: SystemTime::now(),
                });
            }
        }
        Ok(())
    }

    /// Returns whether the spans should be sent now. Uses the wall clock, because the monotonic
    /// clock may stop while the environment is frozen.
    pub(crate) fn is_due(&self) -> bool {
        let pending = self.0.borrow();
        let old = pending
            .groups
            .front()
            .is_some_and(|group| group.since.elapsed().is_ok_and(|age| age >= FLUSH_AFTER));
        old || pending.bytes > MAX_BYTES / FLUSH_FRACTION
            || pending.spans > MAX_SPANS / FLUSH_FRACTION
    }

    /// Takes out all pending spans; returns `None` if there are none. Spans that arrive during the
    /// send belong to the next batch.
    pub(crate) fn take(&self) -> Option<Batch> {
        let mut pending = self.0.borrow_mut();
        let taken = std::mem::take(&mut *pending);
        pending.dropped = taken.dropped;
        (!taken.groups.is_empty()).then_some(Batch(taken.groups))
    }

    /// Puts back a batch that could not be sent. If newer spans have filled the buffer, the oldest
    /// spans of the batch are dropped.
    pub(crate) fn put_back(&self, batch: Batch) {
        let mut pending = self.0.borrow_mut();
        for group in batch.0.into_iter().rev() {
            pending.push_front(group);
        }
    }

    /// Counts a batch as dropped: it was rejected, and would be rejected again.
    pub(crate) fn count_lost(&self, batch: &Batch) {
        self.0.borrow_mut().dropped += batch.spans();
    }

    /// Returns the number of spans dropped since the last call.
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
    fn a_batch_contains_the_spans_of_all_documents() {
        let buffer = Buffer::default();
        for spans in [1, 0, 3] {
            buffer.push(&document(spans, 1)).unwrap();
        }
        let document: serde_json::Value =
            serde_json::from_str(&buffer.take().unwrap().document()).unwrap();
        let counts: Vec<_> = document["resourceSpans"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["scopeSpans"][0]["spans"].as_array().unwrap().len())
            .collect();
        assert_eq!(counts, [1, 3]);
        assert!(buffer.take().is_none() && buffer.take_dropped() == 0);
    }

    #[test]
    fn invalid_otlp_documents_are_rejected_and_not_stored() {
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
    fn the_oldest_spans_are_dropped_and_counted() {
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
                "more spans were dropped than necessary"
            );
            assert_eq!(buffer.take_dropped(), pushes * spans - left);
        }
    }

    #[test]
    fn a_batch_that_is_put_back_precedes_later_spans() {
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
    fn a_batch_that_is_put_back_into_a_full_buffer_is_dropped_and_counted() {
        let buffer = Buffer::default();
        for _ in 0..10 {
            buffer.push(&document(MAX_SPANS / 10, 1)).unwrap();
        }
        let batch = buffer.take().unwrap();
        for _ in 0..9 {
            buffer.push(&document(MAX_SPANS / 10, 1)).unwrap();
        }
        buffer.put_back(batch);
        let pending = buffer.0.borrow().spans;
        assert_eq!(
            (pending, buffer.take_dropped()),
            (MAX_SPANS, MAX_SPANS / 10 * 9)
        );
    }

    #[test]
    fn spans_are_due_when_they_are_many_or_old() {
        let buffer = Buffer::default();
        buffer.push(&document(1, 1)).unwrap();
        assert!(!buffer.is_due());
        buffer.0.borrow_mut().groups[0].since = SystemTime::now() - FLUSH_AFTER;
        assert!(buffer.is_due());
        buffer.count_lost(&buffer.take().unwrap());
        assert_eq!(buffer.take_dropped(), 1);
        assert!(!buffer.is_due());
        buffer.push(&document(MAX_SPANS / 2, 1)).unwrap();
        assert!(buffer.is_due());
    }
}
