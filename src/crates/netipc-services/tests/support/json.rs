//! Reading the fields of vectors.

use std::fmt::Debug;

use netipc::codec::BString;
use netipc_testkit::Value;

/// A number, which is written as a string above 2^53.
pub(crate) fn number<T: TryFrom<i128, Error: Debug>>(json: &Value) -> T {
    let number = match json {
        Value::String(digits) => digits.parse().ok(),
        json => json.as_u64().map(i128::from).or_else(|| json.as_i64().map(i128::from)),
    };
    let number: i128 = number.unwrap_or_else(|| panic!("not a number: {json}"));
    T::try_from(number).expect("a number of the field's type")
}

/// A string of text.
pub(crate) fn text(json: &Value) -> &str {
    json.as_str().unwrap_or_else(|| panic!("not a string: {json}"))
}

/// A string of bytes, in hexadecimal digits.
pub(crate) fn hex_bytes(json: &Value) -> Vec<u8> {
    netipc_testkit::unhex(text(json))
}

/// A list.
pub(crate) fn list(json: &Value) -> impl Iterator<Item = &Value> {
    json.as_array().unwrap_or_else(|| panic!("not a list: {json}")).iter()
}

/// A list of pairs.
pub(crate) fn pairs(json: &Value) -> Vec<(BString, BString)> {
    list(json).map(|pair| (text(&pair[0]).into(), text(&pair[1]).into())).collect()
}
