//! Numbers and dates, as policies and requests write them.
//!
//! Both are kept in billionths, so that what is equal in decimal notation is equal here. An integer
//! has up to twenty digits, a fraction up to nine.

use der::DateTime;

/// One, in billionths.
const ONE: i128 = 1_000_000_000;

/// Parses a number in decimal notation.
pub(super) fn decimal(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    if fraction.is_empty() {
        return None;
    }
    let billionths = integer(&format!("{fraction:0<9}"), 9)?;
    Some(sign * (integer(whole, 20)? * ONE + billionths))
}

/// Parses a date: seconds since 1970, or ISO 8601 in the forms of W3C's note, from a year and a
/// month to fractions of a second and a time zone. None before 1970, when there were no requests.
pub(super) fn date(text: &str) -> Option<i128> {
    if !text.contains(['-', 'T', 't']) {
        return decimal(text);
    }
    let (day, time) = match text.split_once(['T', 't']) {
        Some((day, time)) => (day, Some(time)),
        None => (text, None),
    };
    let mut day = day.split('-');
    let year = integer(day.next()?, 4)?;
    let mut of_year = || match day.next() {
        None => Some(1),
        Some(text) => integer(text, 2),
    };
    let (month, date) = (of_year()?, of_year()?);
    if day.next().is_some() {
        return None;
    }
    let (time, offset) = match time {
        Some(time) => zone(time)?,
        None => ("0", 0),
    };
    let mut time = time.split(':');
    let hour = integer(time.next()?, 2)?;
    let minute = time.next().map_or(Some(0), |text| integer(text, 2))?;
    let second = time.next().map_or(Some(0), decimal)?;
    if time.next().is_some() || second < 0 {
        return None;
    }
    let moment = DateTime::new(
        year.try_into().ok()?,
        month.try_into().ok()?,
        date.try_into().ok()?,
        hour.try_into().ok()?,
        minute.try_into().ok()?,
        (second / ONE).try_into().ok()?,
    );
    let seconds = i128::from(moment.ok()?.unix_duration().as_secs()) - offset;
    Some(seconds * ONE + second % ONE)
}

/// Splits a time of day from its time zone, which is given in seconds east of Greenwich.
fn zone(time: &str) -> Option<(&str, i128)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.find(['+', '-']) else {
        return Some((time, 0));
    };
    let (time, zone) = time.split_at_checked(at)?;
    let (sign, zone) = match zone.strip_prefix('-') {
        Some(zone) => (-1, zone),
        None => (1, zone.strip_prefix('+')?),
    };
    let (hours, minutes) = zone.split_once(':').unwrap_or((zone, "00"));
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (integer(hours, 2)?, integer(minutes, 2)?);
    (hours < 24 && minutes < 60).then_some((time, sign * (hours * 3600 + minutes * 60)))
}

/// Parses one to `longest` digits.
fn integer(text: &str, longest: usize) -> Option<i128> {
    let digits = (1..=longest).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, expected) in [
            ("0", 0),
            ("7", 7 * ONE),
            ("+7", 7 * ONE),
            ("007.0", 7 * ONE),
            ("-7.25", -7_250_000_000),
            ("0.000000001", 1),
            ("18446744073709551615", i128::from(u64::MAX) * ONE),
            (
                "99999999999999999999.999999999",
                99_999_999_999_999_999_999_999_999_999,
            ),
        ] {
            assert_eq!(decimal(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_decimal_is_none() {
        for text in [
            "",
            " ",
            "-",
            "+",
            ".",
            "1.",
            ".5",
            "1.2.3",
            "--1",
            "+-1",
            "1e3",
            "0x10",
            "1 ",
            " 1",
            "٣",
            "1,5",
            "NaN",
            "0.0000000001",
            "100000000000000000000",
        ] {
            assert_eq!(decimal(text), None, "{text}");
        }
    }

    #[test]
    fn dates_come_in_the_forms_of_iso_8601() {
        for (text, seconds) in [
            ("1970-01", 0),
            ("1970-01-02", 86_400),
            ("2020-02-29", 1_582_934_400),
            ("2020-02-29T01", 1_582_938_000),
            ("2020-02-29T01:02", 1_582_938_120),
            ("2020-02-29T01:02:03", 1_582_938_123),
            ("2020-02-29T01:02:03Z", 1_582_938_123),
            ("2020-02-29t1:02:03z", 1_582_938_123),
            ("2020-02-29T01:02:03+00:00", 1_582_938_123),
            ("2020-02-29T03:32:03+02:30", 1_582_938_123),
            ("2020-02-28T20:02:03-05", 1_582_938_123),
            ("1582938123", 1_582_938_123),
            ("1582938123.0", 1_582_938_123),
            ("2020", 2020),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ] {
            assert_eq!(date(text), Some(seconds * ONE), "{text}");
        }
        assert_eq!(date("1970-01-01T00:00:00.5Z"), Some(500_000_000));
        assert_eq!(
            date("1970-01-01T00:00:01.000000001+01"),
            Some(-3_598_999_999_999)
        );
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "T",
            "-",
            "now",
            "sdfdsf",
            "234-13",
            "2020-13-01",
            "2020-00-01",
            "2021-02-29",
            "2020-01-32",
            "2020-01-01-01",
            "20200-01-01",
            "1969-12-31",
            "2020-01-01T24",
            "2020-01-01T00:60",
            "2020-01-01T00:00:60",
            "2020-01-01T00:00:-1",
            "2020-01-01T00:00:00:00",
            "2020-01-01T00:00:00.1999999999+10:59",
            "2016-12-13t2:00:00.593194+1",
            "2020-01-01T00:00:00+24",
            "2020-01-01T00:00:00+01:60",
            "2020-01-01T00:00:00+01:5",
            "2020-01-01T00:00:00+01:00:00",
            "2020-01-01T00:00:00ZZ",
            "2020-01-01T00:00:00 Z",
            "2020-01-01 00:00:00",
            "2020-01-01T",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }
}
