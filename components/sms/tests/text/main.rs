//! Text through the messages that say it, and what is no such message. A random test says its seed where it fails; `SEED` and
//! `ROUNDS` choose others.

mod any_octets;
mod long_texts;
mod random;
mod sizes;
