//! Lines of a web server in combined log format, with the skew that logs have: few clients and paths make most
//! requests. Time moves on with the bytes, over all files of a set.

use super::number;
use super::random::Random;
use super::ranks::Ranks;
use super::records::Records;

const CLIENTS: u32 = 50_000;
const PATHS: u32 = 20_000;

/// Makes clients and paths, which are the same for every data set.
const SITE_SEED: u64 = 0x6c6f_6773;

/// The bytes that the log grows by in a second, some 100 requests: 1 GiB is 18 hours.
const BYTES_PER_SECOND: u64 = 16 << 10;

/// The first second, 2026-01-01, in days since 1970-01-01.
const FIRST_DAY: u64 = 20_454;

const METHODS: [&str; 16] = [
    "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET", "GET",
    "POST", "POST", "HEAD",
];
/// With 200 in all other cases.
const RARE_STATUSES: [&str; 12] = [
    "304", "304", "304", "301", "302", "404", "404", "404", "403", "401", "500", "503",
];
const SECTIONS: [&str; 10] = [
    "articles",
    "products",
    "images",
    "static/js",
    "static/css",
    "api/v1/items",
    "api/v1/users",
    "blog",
    "docs",
    "search",
];
const TOPICS: [&str; 16] = [
    "river", "winter", "lamp", "garden", "engine", "copper", "harbour", "paper", "signal",
    "mountain", "orchard", "ticket", "violin", "window", "yellow", "zebra",
];
const SUFFIXES: [&str; 8] = ["", "", "/", ".html", ".html", ".png", ".js", ".json"];
const AGENTS: [&str; 8] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "curl/8.11.0",
    "python-requests/2.32.3",
];

/// Who asks for what.
#[derive(Debug)]
pub(super) struct Site {
    clients: Vec<String>,
    client_frequencies: Ranks,
    paths: Vec<String>,
    path_frequencies: Ranks,
}

impl Site {
    pub(super) fn new() -> Self {
        let mut random = Random::new(SITE_SEED, 0);
        Self {
            clients: (0..CLIENTS).map(|_| client(&mut random)).collect(),
            client_frequencies: Ranks::zipf(CLIENTS),
            paths: (0..PATHS).map(|rank| path(rank, &mut random)).collect(),
            path_frequencies: Ranks::zipf(PATHS),
        }
    }
}

fn client(random: &mut Random) -> String {
    let first = random.between(11, 223);
    let [second, third, last] = [(); 3].map(|()| random.below(255));
    format!("{first}.{second}.{third}.{last}")
}

/// A path, made distinct by its rank.
fn path(rank: u32, random: &mut Random) -> String {
    if rank == 0 {
        return "/".to_owned();
    }
    let section = random.pick(&SECTIONS);
    let topic = random.pick(&TOPICS);
    let suffix = random.pick(&SUFFIXES);
    format!("/{section}/{topic}-{rank}{suffix}")
}

/// Requests of one file.
pub(super) struct Requests<'a> {
    site: &'a Site,
    /// Bytes before the next line, in this file and those before it.
    bytes: u64,
    second: Second,
    random: Random,
}

impl<'a> Requests<'a> {
    /// `bytes` is the length of the files before this one.
    pub(super) fn new(site: &'a Site, bytes: u64, random: Random) -> Self {
        Self {
            site,
            bytes,
            second: Second::new(bytes / BYTES_PER_SECOND),
            random,
        }
    }
}

impl Records for Requests<'_> {
    fn append(&mut self, out: &mut Vec<u8>) {
        let start = out.len();
        let random = &mut self.random;
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());

        put(&self.site.clients[self.site.client_frequencies.draw(random) as usize]);
        put(if random.one_in(40) {
            " - alice "
        } else {
            " - - "
        });
        put(&self.second.text);
        put(" \"");
        put(random.pick(&METHODS));
        put(" ");
        put(&self.site.paths[self.site.path_frequencies.draw(random) as usize]);
        if random.one_in(8) {
            put("?page=");
            number::append(u64::from(random.between(1, 50)), out);
        }
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
        put(" HTTP/1.1\" ");
        let status = if random.one_in(8) {
            random.pick(&RARE_STATUSES)
        } else {
            "200"
        };
        put(status);
        put(" ");
        if status == "304" {
            put("-");
        } else {
            // Sizes spread evenly over powers of two, from 128 bytes to 256 KiB.
            let least = 128 << random.below(11);
            number::append(u64::from(least + random.below(least)), out);
        }
        let mut put = |text: &str| out.extend_from_slice(text.as_bytes());
        if random.one_in(2) {
            put(" \"-\" \"");
        } else {
            put(" \"https://www.example.com");
            put(&self.site.paths[self.site.path_frequencies.draw(random) as usize]);
            put("\" \"");
        }
        put(random.pick(&AGENTS));
        put("\"\n");

        self.bytes += (out.len() - start) as u64;
        self.second.move_to(self.bytes / BYTES_PER_SECOND);
    }
}

/// A second as logs write it, kept for all the requests in it.
struct Second {
    number: u64,
    text: String,
}

impl Second {
    /// The second `number` after the first.
    fn new(number: u64) -> Self {
        Self {
            number,
            text: timestamp(number),
        }
    }

    fn move_to(&mut self, number: u64) {
        if number != self.number {
            *self = Self::new(number);
        }
    }
}

/// `[01/Jan/2026:00:00:00 +0000]`.
fn timestamp(second: u64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (year, month, day) = date(FIRST_DAY + second / 86_400);
    let month = MONTHS[month];
    let (hour, minute, second) = (second / 3600 % 24, second / 60 % 60, second % 60);
    format!("[{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000]")
}

/// Year, month from 0, and day from 1 of a day counted since 1970-01-01.
fn date(mut day: u64) -> (u64, usize, u64) {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let days = [
            31,
            if leap(year) { 29 } else { 28 },
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ];
        for (month, days) in days.into_iter().enumerate() {
            if day < days {
                return (year, month, day + 1);
            }
            day -= days;
        }
        year += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_begins_with_2026_and_knows_the_calendar() {
        for (second, want) in [
            (0, "[01/Jan/2026:00:00:00 +0000]"),
            (86_399, "[01/Jan/2026:23:59:59 +0000]"),
            (31 * 86_400, "[01/Feb/2026:00:00:00 +0000]"),
            (365 * 86_400 + 3_661, "[01/Jan/2027:01:01:01 +0000]"),
            ((365 * 2 + 59) * 86_400, "[29/Feb/2028:00:00:00 +0000]"),
        ] {
            assert_eq!(timestamp(second), want);
        }
    }
}
