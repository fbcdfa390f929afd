//! What a file is, by its first bytes: opening a library runs code, so whatever cannot be one is refused before.

use std::fmt;

/// Bytes of a file that are looked at.
pub(super) const HEAD_LEN: usize = 64;

/// What a file is instead of a library for this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoLibrary {
    /// It has no bytes.
    Empty,
    /// Rust source.
    Source,
    /// Bytes that no library begins with.
    Other,
    /// A program, or an object file.
    NotShared,
    /// For another kind of processor.
    Machine(String),
    /// For another system.
    System(&'static str),
}

impl fmt::Display for NoLibrary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "it is empty"),
            Self::Source => write!(f, "it is text"),
            Self::Other => write!(f, "it does not begin like one"),
            Self::NotShared => write!(f, "it is a program or an object file, not a shared library"),
            Self::Machine(machine) => write!(f, "it is for another kind of processor ({machine})"),
            Self::System(system) => write!(f, "it is for {system}"),
        }
    }
}

impl std::error::Error for NoLibrary {}

/// Whether a file that begins with `head` may be a shared library for this machine.
pub(super) fn check(head: &[u8]) -> Result<(), NoLibrary> {
    if head.is_empty() {
        return Err(NoLibrary::Empty);
    }
    if cfg!(target_os = "linux") {
        check_elf(head)
    } else {
        Ok(())
    }
}

/// The header of ELF: magic, class, byte order, then type and machine (System V ABI, chapter 4).
fn check_elf(head: &[u8]) -> Result<(), NoLibrary> {
    const SHARED: u16 = 3;
    let half = |at: usize| {
        let bytes: [u8; 2] = head.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_ne_bytes(bytes))
    };
    match head {
        [0x7f, b'E', b'L', b'F', ..] => {}
        [0xcf, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] => {
            return Err(NoLibrary::System("macOS"));
        }
        [b'M', b'Z', ..] => return Err(NoLibrary::System("Windows")),
        head if is_text(head) => return Err(NoLibrary::Source),
        _ => return Err(NoLibrary::Other),
    }
    let class = if cfg!(target_pointer_width = "64") {
        2
    } else {
        1
    };
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    match (half(16), half(18)) {
        _ if head.get(4..6) != Some(&[class, order]) => {
            Err(NoLibrary::Machine("other words".to_owned()))
        }
        (Some(kind), Some(machine)) => {
            let name = |machine| MACHINES.iter().find(|it| it.0 == machine).map(|it| it.1);
            let ours = MACHINES.iter().find(|it| it.1 == std::env::consts::ARCH);
            match ours {
                Some((ours, _)) if *ours != machine => Err(NoLibrary::Machine(
                    name(machine).map_or_else(|| format!("number {machine}"), str::to_owned),
                )),
                _ if kind != SHARED => Err(NoLibrary::NotShared),
                _ => Ok(()),
            }
        }
        _ => Err(NoLibrary::Other),
    }
}

/// Machines of ELF, in the words of [`std::env::consts::ARCH`].
const MACHINES: [(u16, &str); 8] = [
    (3, "x86"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];

fn is_text(head: &[u8]) -> bool {
    head.iter()
        .all(|byte| *byte >= b' ' || matches!(byte, b'\n' | b'\r' | b'\t'))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn header(kind: u16, machine: u16) -> Vec<u8> {
        let mut head = vec![0; HEAD_LEN];
        let class = if cfg!(target_pointer_width = "64") {
            2
        } else {
            1
        };
        let order = if cfg!(target_endian = "little") { 1 } else { 2 };
        head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, order]);
        head[16..18].copy_from_slice(&kind.to_ne_bytes());
        head[18..20].copy_from_slice(&machine.to_ne_bytes());
        head
    }

    #[test]
    fn only_a_shared_library_for_this_machine_passes() {
        let here = MACHINES.iter().find(|it| it.1 == std::env::consts::ARCH);
        let here = here.unwrap().0;
        let other = if here == 183 { 62 } else { 183 };
        assert_eq!(check(&header(3, here)), Ok(()));
        assert_eq!(check(&header(1, here)), Err(NoLibrary::NotShared));
        assert!(matches!(
            check(&header(3, other)),
            Err(NoLibrary::Machine(_))
        ));
        assert_eq!(check(b"fn main() {}\n"), Err(NoLibrary::Source));
        assert_eq!(
            check(b"\x7fELF"),
            Err(NoLibrary::Machine("other words".to_owned()))
        );
        assert_eq!(check(b"PK\x03\x04"), Err(NoLibrary::Other));
        assert_eq!(check(b"MZ\x90\x00"), Err(NoLibrary::System("Windows")));
        assert_eq!(check(b""), Err(NoLibrary::Empty));
    }
}
