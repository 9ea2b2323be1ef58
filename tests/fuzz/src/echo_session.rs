//! The echo session: what it was sent comes back, all of it and once, whichever version it was sent to.

use tandem_component::prelude::*;
use tandem_echo::Echo;

use crate::driven::{Driven, Shown, Swap};
use crate::input::Input;

pub(crate) fn run(data: &[u8]) {
    let plain = converse(data, Swap::Stays);
    for swap in [Swap::Carried, Swap::Renewed] {
        assert_eq!(converse(data, swap), plain, "{swap:?}");
    }
}

fn converse(data: &[u8], swap: Swap) -> Shown {
    let mut input = Input::new(data);
    let datagrams = input.below(2) == 1;
    let late = (input.below(2) == 1 && swap != Swap::Renewed).then_some(1);
    let transport = if datagrams { Transport::Udp } else { Transport::Tcp };
    let session = Harness::<Echo>::start_as(&(), Role::Server, transport).expect("it refuses nobody");
    let mut talk = Driven::new(session, (), swap, late);
    let mut said: Vec<u8> = Vec::new();
    while !input.is_empty() && !talk.is_over() {
        match input.below(8) {
            0..4 if datagrams => {
                let bytes = input.bytes();
                talk.session().datagram(bytes);
                said.extend(bytes);
            }
            0..4 => {
                let bytes = input.bytes();
                talk.session().bytes(Stream::OWN, bytes);
                said.extend(bytes);
            }
            4 => talk.session().end(Stream::OWN),
            5 if input.below(16) == 0 => talk.session().drain(std::time::Duration::from_secs(1)),
            5 => drop(talk.look()),
            _ => talk.swap(),
        }
        assert_eq!(talk.session().fault(), None);
    }
    let shown = talk.end();
    assert_eq!(shown.sent[&Stream::OWN].0, said);
    shown
}
