//! Dates and times as Hadoop prints them, in UTC.

use std::time::{Duration, SystemTime};

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
        let (year, month, day) = self.date();
        let minutes = self.since.as_secs() / 60;
        let (hour, minute) = (minutes / 60 % 24, minutes % 60);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
    }

    /// `2026-11-23 08:30:59`
    pub(super) fn to_second(self) -> String {
        format!("{}:{:02}", self.to_minute(), self.since.as_secs() % 60)
    }

    /// `2026-11-23 08:30:59,123`
    pub(super) fn to_millisecond(self) -> String {
        format!("{},{:03}", self.to_second(), self.since.subsec_millis())
    }

    /// Year, month and day in the Gregorian calendar: Hinnant's `civil_from_days`, for days since 1970.
    fn date(self) -> (u64, u64, u64) {
        /// In 400 years.
        const ERA_DAYS: u64 = 146_097;
        /// From 0000-03-01 to 1970-01-01.
        const BEFORE: u64 = 719_468;
        let days = self.since.as_secs() / 86_400 + BEFORE;
        let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524
            - day_of_era / (ERA_DAYS - 1))
            / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Years that begin in March end with the day that may be missing.
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = match month_from_march {
            0..=9 => month_from_march + 3,
            _ => month_from_march - 9,
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        (year, month, day)
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
