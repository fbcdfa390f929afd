//! What a person sees: help, errors and small jobs, as recorded in the `.trycmd` files beside this one.
//!
//! `TRYCMD=overwrite cargo test --test cli` records anew; read the difference before you keep it.

#[test]
fn the_command_line_answers_as_recorded() {
    trycmd::TestCases::new()
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .case("tests/cli/*.trycmd");
}
