//! Random values of the kinds that schemas have.

use netipc::codec::BString;
use proptest::prelude::*;

/// Many enough to cross a directory's edges, few enough to be quick.
const MOST_ELEMENTS: usize = 6;

/// A string of a lookup: no NUL inside, otherwise any bytes.
pub(crate) fn any_text(min: usize, max: usize) -> impl Strategy<Value = BString> {
    prop::collection::vec(1..=u8::MAX, min..=max).prop_map(BString::from)
}

/// A string of any bytes.
pub(crate) fn any_bytes(min: usize, max: usize) -> impl Strategy<Value = BString> {
    prop::collection::vec(any::<u8>(), min..=max).prop_map(BString::from)
}

/// Labels.
pub(crate) fn any_pairs() -> impl Strategy<Value = Vec<(BString, BString)>> {
    prop::collection::vec((any_text(1, 20), any_text(0, 20)), 0..4)
}

/// A few of them.
pub(crate) fn any_list<S: Strategy>(element: S) -> impl Strategy<Value = Vec<S::Value>> {
    prop::collection::vec(element, 0..MOST_ELEMENTS)
}

/// Makes a string that a rule wants filled longer than nothing.
pub(crate) fn fill(text: &mut BString) {
    if text.is_empty() {
        text.push(b'x');
    }
}

/// Makes a table that a rule wants filled longer than nothing.
#[allow(dead_code, reason = "for schemas that have such a rule")]
pub(crate) fn fill_pairs(pairs: &mut Vec<(BString, BString)>) {
    if pairs.is_empty() {
        pairs.push(("k".into(), "v".into()));
    }
}
