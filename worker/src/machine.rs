//! Which machine this is, so that reducers open the run files of neighbours directly.

use std::fs;

/// The kernel's boot id: the same for all processes that share this kernel, until it restarts.
///
/// Containers share it with their host although they may not share its files; then the path cannot be
/// opened (or is not the run that was asked for) and the bytes are fetched over the socket instead.
/// Where there is no boot id the answer is random, which makes the process its own only neighbour.
pub(crate) fn machine_id() -> String {
    match fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) if !id.trim().is_empty() => id.trim().to_owned(),
        _ => format!("{:032x}", random_secret()),
    }
}

/// 128 random bits.
///
/// # Panics
/// If the system has no source of randomness; a worker must not serve runs behind a secret that can be guessed.
pub(crate) fn random_secret() -> u128 {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has a source of randomness");
    u128::from_le_bytes(bytes)
}
