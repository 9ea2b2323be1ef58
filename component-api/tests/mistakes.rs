//! What the compiler says to whoever makes a mistake: the thing, the reason and the way out, where the mistake is.
//!
//! Each file in `mistakes` is one, and what is said stands beside it. `TRYBUILD=overwrite cargo test -p tandem-component --test
//! mistakes` writes that anew: read it as somebody who does not know the macro.

#[test]
fn each_mistake_is_named_with_the_way_out() {
    trybuild::TestCases::new().compile_fail("tests/mistakes/*.rs");
}
