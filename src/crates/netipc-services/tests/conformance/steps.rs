//! What the steps of a case are made of.

use netipc_testkit::{Value, list, uint};

/// A number; zero when it is absent.
pub(crate) fn number<T: TryFrom<u64> + Default>(fields: &Value, name: &str) -> T {
    if fields[name].is_null() { T::default() } else { uint(fields, name) }
}

/// A list of numbers, those above 2^53 as text.
pub(crate) fn numbers(fields: &Value, name: &str) -> Vec<u64> {
    let whole = |value: &Value| value.as_u64().or_else(|| value.as_str()?.parse().ok());
    list(&fields[name]).iter().map(|value| whole(value).expect("a number")).collect()
}

/// Whether a list of texts has this one.
pub(crate) fn has(list: &Value, wanted: &str) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|text| text == wanted))
}
