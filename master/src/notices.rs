//! What happened to a job, for people, in a ring of bounded length.

use std::collections::VecDeque;
use std::time::Duration;

use mapfold_terms::{Notice, NoticeKind};

/// Notices kept of one job. Older ones are dropped; the numbers of the others show it.
const KEPT_MAX: usize = 256;

/// Notices in one answer. Each is a version of its own, so a watcher that is behind gets the rest with
/// its next ones.
const ANSWER_MAX: usize = 32;

/// Bytes of one notice's text, so that an answer stays far below the frame limit.
const TEXT_MAX: usize = 1024;

/// The ring.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    ring: VecDeque<Notice>,
    next: u64,
}

impl Notices {
    /// Adds one, `at` after the job was accepted.
    pub(crate) fn push(&mut self, at: Duration, kind: NoticeKind, mut text: String) {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        if self.ring.len() == KEPT_MAX {
            self.ring.pop_front();
        }
        self.ring.push_back(Notice {
            number: self.next,
            at,
            kind,
            text,
        });
        self.next += 1;
    }

    /// The oldest of those numbered `from` and above.
    pub(crate) fn since(&self, from: u64) -> Vec<Notice> {
        let start = self.ring.partition_point(|notice| notice.number < from);
        let pending = self.ring.range(start..);
        pending.take(ANSWER_MAX).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_when_old_notices_are_dropped() {
        let mut notices = Notices::default();
        assert_eq!(notices.since(0), []);
        for n in 0..KEPT_MAX + 10 {
            notices.push(Duration::ZERO, NoticeKind::Retry, n.to_string());
        }
        let got = notices.since(0);
        assert_eq!(got.len(), ANSWER_MAX);
        assert_eq!((got[0].number, got[0].text.as_str()), (10, "10"));
        assert_eq!(notices.since(KEPT_MAX as u64 + 9).len(), 1);
        assert_eq!(notices.since(KEPT_MAX as u64 + 10), []);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut notices = Notices::default();
        notices.push(Duration::ZERO, NoticeKind::Worker, "é".repeat(TEXT_MAX));
        assert_eq!(notices.since(0)[0].text.len(), TEXT_MAX);
    }
}
