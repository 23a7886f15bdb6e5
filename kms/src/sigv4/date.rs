//! The dates of signed requests.

use std::ops::Range;
use std::time::Duration;

use attestation::Timestamp;
use der::DateTime;

/// Parses `20260102T030405Z`, ISO 8601's basic format, as `X-Amz-Date` has it.
pub(super) fn parse_basic_format(text: &str) -> Option<Timestamp> {
    if text.len() != 16 || text.get(8..9)? != "T" || !text.ends_with('Z') {
        return None;
    }
    let part = |range| digits(text, range);
    timestamp(
        part(0..4)?,
        [part(4..6)?, part(6..8)?],
        [part(9..11)?, part(11..13)?, part(13..15)?],
    )
}

/// Parses `Fri, 02 Jan 2026 03:04:05 GMT`, the form of HTTP's own `Date` header.
pub(super) fn parse_http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let separators = [
        (3, ", "),
        (7, " "),
        (11, " "),
        (16, " "),
        (19, ":"),
        (22, ":"),
        (25, " GMT"),
    ];
    let in_place = |(at, separator): (usize, &str)| {
        text.get(at..)
            .is_some_and(|rest| rest.starts_with(separator))
    };
    if text.len() != 29 || !separators.into_iter().all(in_place) {
        return None;
    }
    let month = text.get(8..11)?;
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    let part = |range| digits(text, range);
    timestamp(
        part(12..16)?,
        [month, part(5..7)?],
        [part(17..19)?, part(20..22)?, part(23..25)?],
    )
}

/// Formats a time as `20260102T030405Z`.
pub(super) fn basic_format(time: Timestamp) -> String {
    let duration = Duration::from_secs(time.as_secs());
    // Only times after the year 9999 are not a DateTime.
    let time = DateTime::from_unix_duration(duration).unwrap_or(DateTime::INFINITY);
    format!(
        "{:04}{:02}{:02}T{:02}{:02}{:02}Z",
        time.year(),
        time.month(),
        time.day(),
        time.hour(),
        time.minutes(),
        time.seconds(),
    )
}

fn digits(text: &str, range: Range<usize>) -> Option<u16> {
    let digits = text.get(range)?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok()).flatten()
}

fn timestamp(year: u16, month_day: [u16; 2], time: [u16; 3]) -> Option<Timestamp> {
    let [month, day] = month_day.map(u8::try_from);
    let [hour, minute, second] = time.map(u8::try_from);
    let time = DateTime::new(
        year,
        month.ok()?,
        day.ok()?,
        hour.ok()?,
        minute.ok()?,
        second.ok()?,
    );
    Some(Timestamp::from_secs(time.ok()?.unix_duration().as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_name_the_same_times() {
        let cases = [
            (0, "19700101T000000Z", "Thu, 01 Jan 1970 00:00:00 GMT"),
            (
                951_827_696,
                "20000229T123456Z",
                "Tue, 29 Feb 2000 12:34:56 GMT",
            ),
            (
                1_440_938_160,
                "20150830T123600Z",
                "Sun, 30 Aug 2015 12:36:00 GMT",
            ),
            (
                253_402_300_799,
                "99991231T235959Z",
                "Fri, 31 Dec 9999 23:59:59 GMT",
            ),
        ];
        for (seconds, basic, http) in cases {
            let time = Timestamp::from_secs(seconds);
            assert_eq!(parse_basic_format(basic), Some(time), "{basic}");
            assert_eq!(parse_http_date(http), Some(time), "{http}");
            assert_eq!(basic_format(time), basic);
        }
        assert_eq!(
            basic_format(Timestamp::from_millis(u64::MAX)),
            "99991231T235959Z"
        );
    }

    #[test]
    fn other_texts_are_not_dates() {
        let texts = [
            "",
            "201",
            "20150830T123600",
            "20150830T123600z",
            "20150830 123600Z",
            "20150230T123600Z",
            "20151330T123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "20150830T123660Z",
            "+0150830T123600Z",
            "2015 830T123600Z",
            "19690830T123600Z",
            "2015-08-30T12:36:00Z",
            "２0150830T1236Z",
            "Sun, 30 Aug 2015 12:36:00 UTC",
            "Sun, 30 aug 2015 12:36:00 GMT",
            "Sunday, 30-Aug-15 12:36:00 GMT",
            "Sun, 30 Aug 2015 12:36:00 GMT ",
        ];
        for text in texts {
            assert_eq!(parse_basic_format(text), None, "{text}");
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }
}
