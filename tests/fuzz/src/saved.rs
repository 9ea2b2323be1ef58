//! Saved sessions: whatever the store has, it is refused in words or read, and what was read is written as the same.

use tandem::session::saving::Saved;

pub(crate) fn run(data: &[u8]) {
    let Ok(saved) = Saved::read(data) else { return };
    let written = saved.write().expect("what was read can be written");
    let again = Saved::read(&written).and_then(|saved| saved.write());
    assert_eq!(again, Ok(written));
}
