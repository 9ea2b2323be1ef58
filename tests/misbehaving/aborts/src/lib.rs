//! Is built with `panic = "abort"` by the tests: its first panic would be the end of the gateway.

use misbehaving_silent::Silent;
use tandem_component::export_component;

export_component!(Silent);
