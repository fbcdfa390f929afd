//! Tells the crate which compiler, target and optimisation it is built with: a plugin shows them, and its target is checked.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let given = |name: &str| env::var(name).unwrap_or_default();
    let version = Command::new(given("RUSTC")).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    println!(
        "cargo::rustc-env=MAPFOLD_RUSTC={}",
        version.unwrap_or_default()
    );
    println!("cargo::rustc-env=MAPFOLD_TARGET={}", given("TARGET"));
    println!("cargo::rustc-env=MAPFOLD_OPT_LEVEL={}", given("OPT_LEVEL"));
}
