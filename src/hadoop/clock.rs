//! Dates and times as Hadoop prints them, in UTC.

use std::time::{Duration, SystemTime};

use mapfold_terms::Date;

/// A moment as it stands in logs and lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// Since 1970.
    since: Duration,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self::of(SystemTime::now())
    }

    /// Of what was before 1970, that.
    pub(super) fn of(time: SystemTime) -> Self {
        Self {
            since: time
                .duration_since(SystemTime::UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// Milliseconds since 1970.
    pub(super) fn millis(self) -> u128 {
        self.since.as_millis()
    }

    /// `2026-11-23 08:30`
    pub(super) fn to_minute(self) -> String {
        let minutes = self.since.as_secs() / 60;
        let (hour, minute) = (minutes / 60 % 24, minutes % 60);
        let date = Date::of((minutes / (60 * 24)).cast_signed());
        format!("{date} {hour:02}:{minute:02}")
    }

    /// `2026-11-23 08:30:59`
    pub(super) fn to_second(self) -> String {
        format!("{}:{:02}", self.to_minute(), self.since.as_secs() % 60)
    }

    /// `2026-11-23 08:30:59,123`
    pub(super) fn to_millisecond(self) -> String {
        format!("{},{:03}", self.to_second(), self.since.subsec_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        let check = |seconds: u64, want: &str| {
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7);
            assert_eq!(Moment::of(time).to_millisecond(), want);
        };
        check(0, "1970-01-01 00:00:00,007");
        check(951_782_399, "2000-02-28 23:59:59,007");
        check(951_868_800, "2000-03-01 00:00:00,007");
        check(951_782_400, "2000-02-29 00:00:00,007");
        check(1_795_422_600, "2026-11-23 08:30:00,007");
        check(4_107_542_399, "2100-02-28 23:59:59,007");
        check(4_107_542_400, "2100-03-01 00:00:00,007");
    }
}
