//! Times in payloads: strings of RFC 3339, or less: without a zone (then UTC), without seconds, a date alone. A zone
//! may stand behind a space, and be called UTC, as Qdrant prints its times and reads them back.
//!
//! A time is a number of microseconds since 1970, which is what indexes and orders hold. Finer parts are cut off.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::{Error, Result};

/// Microseconds since 1970 of a text; nothing if it is no time.
pub fn micros(text: &str) -> Option<i64> {
    let text = text.trim_start();
    // No time begins otherwise; most strings of a payload end here.
    if !text.as_bytes().first()?.is_ascii_digit() && !text.starts_with(['-', '+']) {
        return None;
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time.as_microsecond());
    }
    if let Some(time) = spaced(text) {
        return Some(time.as_microsecond());
    }
    let civil: DateTime = text.parse().ok()?;
    // A zone without a time that it makes, or in words, is none of this form.
    if text.contains(['Z', 'z', '[']) {
        return None;
    }
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_microsecond())
}

/// A time whose zone stands behind a space, or is called UTC: `2024-01-31 12:00:00 +0200`.
fn spaced(text: &str) -> Option<Timestamp> {
    let text = text.trim_end();
    let named = text.len().checked_sub("UTC".len()).and_then(|at| text.split_at_checked(at));
    let (local, zone) = match named {
        Some((local, zone)) if zone.eq_ignore_ascii_case("UTC") => (local, "Z"),
        _ => text.rsplit_once(char::is_whitespace)?,
    };
    // Behind a space stands the hour of most; or words, and then it is no time.
    if !zone.starts_with(['+', '-', 'Z', 'z']) {
        return None;
    }
    format!("{}{zone}", local.trim_end()).parse().ok()
}

/// Microseconds since 1970 of a text that must be a time.
///
/// # Errors
/// `InvalidArgument` naming the field.
pub fn parse(text: &str, field: &str) -> Result<i64> {
    micros(text).ok_or_else(|| {
        let message = format!("`{text}` is no time; one is \"2024-01-31T12:00:00Z\" or \"2024-01-31\"");
        Error::invalid(field, message)
    })
}

/// The time as RFC 3339, in UTC.
pub fn format(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        let noon = 1_717_243_200_000_000;
        for (text, expected) in [
            ("2024-06-01T12:00:00Z", Some(noon)),
            ("2024-06-01T14:00:00+02:00", Some(noon)),
            ("2024-06-01T12:00:00", Some(noon)),
            ("2024-06-01 12:00:00", Some(noon)),
            ("2024-06-01 12:00", Some(noon)),
            ("2024-06-01T12:00:00.000001Z", Some(noon + 1)),
            ("2024-06-01T14:00:00+0200", Some(noon)),
            ("2024-06-01 14:00:00+02", Some(noon)),
            ("2024-06-01T14:00:00 +0200", Some(noon)),
            ("2024-06-01 14:00:00.000001 +02:00", Some(noon + 1)),
            ("2024-06-01 02:00:00 -1000", Some(noon)),
            ("2024-06-01 12:00:00 UTC", Some(noon)),
            ("2024-06-01 12:00:00.000001 UTC", Some(noon + 1)),
            ("2024-06-01 12:00:00z", Some(noon)),
            (" 2024-06-01 12:00:00", Some(noon)),
            ("2024-06-01", Some(noon - 12 * 3_600_000_000)),
            ("2024-06-01 +0200", None),
            ("2024-06-01 UTC", None),
            ("2024-06-01T14:00:00+02:00 UTC", None),
            ("2024-06-01 12:00:00 CET", None),
            ("1969-12-31T23:59:59Z", Some(-1_000_000)),
            ("2024", None),
            ("2024-13-01", None),
            ("now", None),
            ("", None),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
        assert_eq!(micros(&format(noon + 1)), Some(noon + 1));
        assert_eq!(parse("x", "a").expect_err("no time").field(), Some("a"));
    }
}
