use CRATE_IDENT::CRATE_TYPE;
use mapfold_job::Trial;

#[test]
fn words_are_counted() {
    // Runs it in many ways; the rows must always be the same.
    let tried = Trial::<CRATE_TYPE>::of("the whale\nthe sea\n").check().unwrap();
    assert_eq!(tried.rows(), ["sea\t1", "the\t2", "whale\t1"]);
}

#[test]
fn short_words_can_be_left_out() {
    let trial = Trial::<CRATE_TYPE>::of("the whale\nthe sea\n").param("letters_min", 4);
    assert_eq!(trial.run().unwrap().rows(), ["whale\t1"]);
}

#[test]
fn what_is_no_number_is_refused() {
    let refused = Trial::<CRATE_TYPE>::of("").param("letters_min", "few").run();
    let said = refused.unwrap_err().to_string();
    assert!(said.contains("`few` is not a whole number"), "{said}");
}
