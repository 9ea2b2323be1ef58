//! harness
/// h
pub struct Harness<C>(std::marker::PhantomData<C>);
