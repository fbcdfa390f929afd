//! Names of users and groups, from the files that list them.

use std::collections::HashMap;
use std::fs;

/// Names by number.
#[derive(Debug)]
pub(super) struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    pub(super) fn read() -> Self {
        Self {
            users: read("/etc/passwd"),
            groups: read("/etc/group"),
        }
    }

    /// Whoever runs this process.
    pub(super) fn own(&self) -> String {
        self.user(rustix::process::getuid().as_raw())
    }

    /// Its name; its number, if it has none here.
    pub(super) fn user(&self, number: u32) -> String {
        named(&self.users, number)
    }

    /// The same of a group.
    pub(super) fn group(&self, number: u32) -> String {
        named(&self.groups, number)
    }
}

fn named(names: &HashMap<u32, String>, number: u32) -> String {
    names
        .get(&number)
        .map_or_else(|| number.to_string(), Clone::clone)
}

/// Lines of name, password and number, with colons between.
fn read(path: &str) -> HashMap<u32, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
    });
    lines.collect()
}
