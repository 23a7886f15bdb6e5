//! Dates as CloudTrail writes them.

use std::time::Duration;

use attestation::Timestamp;
use der::DateTime;

/// The civil date and time, in UTC. Moments after the year 9999, which no clock of ours shows,
/// count as its last second.
fn civil(moment: Timestamp) -> DateTime {
    DateTime::from_unix_duration(Duration::from_secs(moment.as_secs()))
        .unwrap_or(DateTime::INFINITY)
}

/// ISO 8601 to the second: `2022-08-10T22:38:27Z`.
pub(crate) fn iso8601(moment: Timestamp) -> String {
    Iso8601::of(moment).as_str().to_owned()
}

/// A date in that form.
pub(super) struct Iso8601([u8; 20]);

impl Iso8601 {
    pub(super) fn of(moment: Timestamp) -> Self {
        let date = civil(moment);
        let [thousands, hundreds, tens, ones] = [1000, 100, 10, 1].map(|unit| {
            let digit = date.year() / unit % 10;
            b'0' + digit as u8
        });
        let [month, day, hour, minute, second] = [
            date.month(),
            date.day(),
            date.hour(),
            date.minutes(),
            date.seconds(),
        ]
        .map(|number| [b'0' + number / 10, b'0' + number % 10]);
        Self([
            thousands, hundreds, tens, ones, b'-', month[0], month[1], b'-', day[0], day[1], b'T',
            hour[0], hour[1], b':', minute[0], minute[1], b':', second[0], second[1], b'Z',
        ])
    }

    pub(super) fn as_str(&self) -> &str {
        // Digits and signs are ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// The form of dates inside a response's elements: `Aug 10, 2022, 10:38:27 PM`.
pub(super) fn in_words(moment: Timestamp) -> String {
    let date = civil(moment);
    let month = match date.month() {
        1 => "Jan",
        2 => "Feb",
        3 => "Mar",
        4 => "Apr",
        5 => "May",
        6 => "Jun",
        7 => "Jul",
        8 => "Aug",
        9 => "Sep",
        10 => "Oct",
        11 => "Nov",
        _ => "Dec",
    };
    let (hour, half) = match date.hour() {
        0 => (12, "AM"),
        hour @ 1..=11 => (hour, "AM"),
        12 => (12, "PM"),
        hour => (hour - 12, "PM"),
    };
    format!(
        "{month} {}, {}, {hour}:{:02}:{:02} {half}",
        date.day(),
        date.year(),
        date.minutes(),
        date.seconds(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_forms_of_cloudtrails_records() {
        let moment = Timestamp::from_secs(1_660_171_107);
        assert_eq!(iso8601(moment), "2022-08-10T22:38:27Z");
        assert_eq!(in_words(moment), "Aug 10, 2022, 10:38:27 PM");
    }

    #[test]
    fn the_clock_has_twelve_hours() {
        for (seconds, expected) in [
            (0, "Jan 1, 1970, 12:00:00 AM"),
            (12 * 3600, "Jan 1, 1970, 12:00:00 PM"),
            (11 * 3600 + 59 * 60 + 59, "Jan 1, 1970, 11:59:59 AM"),
            (13 * 3600, "Jan 1, 1970, 1:00:00 PM"),
        ] {
            assert_eq!(in_words(Timestamp::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn the_end_of_time_has_a_date() {
        assert_eq!(
            iso8601(Timestamp::from_millis(u64::MAX)),
            "9999-12-31T23:59:59Z"
        );
    }
}
