//! What a person sees and a script is told. Help, errors and small jobs are recorded in the `.trycmd`
//! files beside this one; what needs several processes or signals is code.
//!
//! `TRYCMD=overwrite cargo test --test cli` records anew; read the difference before you keep it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bench;
mod mapfold;
mod processes;
mod streams;

#[test]
fn the_command_line_answers_as_recorded() {
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .case("tests/cli/*.trycmd");
}
