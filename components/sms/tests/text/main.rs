//! What is a message, and what is none. A random test says its seed where it fails; `SEED` and `ROUNDS` choose others.

mod any_octets;
mod random;
