//! Never lets the process that loads it go on: its constructor waits for ever.

use misbehaving_silent::Silent;
use tandem_component::export_component;

export_component!(Silent);

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn hang() {
        loop {
            std::thread::park();
        }
    }
    hang
};
