//! Ends the process that loads it: its constructor does, before anything of it is called.

use misbehaving_silent::Silent;
use tandem_component::export_component;

export_component!(Silent);

#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: extern "C" fn() = {
    extern "C" fn crash() {
        std::process::abort();
    }
    crash
};
