//! Headers of the PROXY protocol: a header is whole after one number of its bytes and no other, never after fewer than were said to be
//! needed, and what cannot become one is refused with a reason.

use tandem::transport::proxy::header::{Step, read};

pub(crate) fn run(data: &[u8]) {
    // Before so many bytes it is not whole.
    let mut needed = 0;
    for n in 0..=data.len() {
        let so_far = read(&data[..n]);
        match so_far {
            Ok(Step::Whole(_)) => {
                assert!(n >= needed, "it was whole after {n}, and {needed} were needed");
                return;
            }
            Ok(Step::Bytes(0) | Step::Line(0)) => panic!("nothing is needed, and it is not whole"),
            Ok(Step::Bytes(more)) => needed = needed.max(n + more),
            Ok(Step::Line(_)) => assert!(n >= 1 && !data[..n].contains(&b'\n'), "a line ends once"),
            Err(reason) => {
                assert!(!reason.is_empty());
                return;
            }
        }
    }
}
