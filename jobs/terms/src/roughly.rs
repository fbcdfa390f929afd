//! Times for people.

use std::time::Duration;

/// A time in one unit, rounded down: `250 ms`, `30 s`, `10 min`. Three digits and a unit are more than an estimate has.
pub fn roughly(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds if seconds < 120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
