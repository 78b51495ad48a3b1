//! The published worked examples: `seeds/golden.json` in the data directory, one object per example.

use crate::data::data;
use serde_json::Value;

/// The examples of `area`; `None` where there is no data.
///
/// # Panics
/// If the file is damaged or there is no example of `area`.
pub fn examples(area: &str) -> Option<Vec<Value>> {
    let examples: Vec<Value> = all()?.into_iter().filter(|example| example["area"] == area).collect();
    assert!(!examples.is_empty(), "no example of {area}");
    Some(examples)
}

/// The example `id`; `None` where there is no data.
///
/// # Panics
/// If the file is damaged or there is no example `id`.
pub fn example(id: &str) -> Option<Value> {
    Some(all()?.into_iter().find(|example| example["id"] == id).expect("the example is there"))
}

fn all() -> Option<Vec<Value>> {
    let json = std::fs::read_to_string(data("seeds/golden.json")?).expect("readable");
    Some(serde_json::from_str(&json).expect("an array of examples"))
}

/// A number; infinities are strings.
///
/// # Panics
/// If it is none.
pub fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        _ => value.as_f64().unwrap_or_else(|| panic!("not a number: {value}")),
    }
}

/// A list.
///
/// # Panics
/// If it is none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("not a list: {value}"))
}

/// A list of numbers, rounded to f32.
pub fn vector(value: &Value) -> Vec<f32> {
    list(value).iter().map(|value| number(value) as f32).collect()
}

/// A list of lists of numbers.
pub fn matrix(value: &Value) -> Vec<Vec<f32>> {
    list(value).iter().map(vector).collect()
}

/// Asserts that `found` is what `example` expects under `name`, within its tolerance and the rounding of the
/// example's numbers to f32.
///
/// # Panics
/// If it is not.
pub fn assert_expected(example: &Value, name: &str, found: &[f32]) {
    assert_near(example, name, found, &example["expected"][name]);
}

/// As [`assert_expected`], for a list inside of what is expected.
///
/// # Panics
/// If it is not.
pub fn assert_near(example: &Value, name: &str, found: &[f32], expected: &Value) {
    let (id, expected) = (&example["id"], list(expected));
    assert_eq!(found.len(), expected.len(), "{id} {name}");
    let tolerance = number(&example["tolerance"]);
    for (&found, expected) in found.iter().zip(expected.iter().map(number)) {
        let allowed = tolerance.max(expected.abs() * 2.0_f64.powi(-22));
        assert!((f64::from(found) - expected).abs() <= allowed, "{id} {name}: {found}, not {expected}");
    }
}
