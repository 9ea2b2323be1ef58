//! `http` that breaks at work, as its version says.

#![forbid(unsafe_code)]

tandem_component::export_component!(misbehaving_spoilt::Spoilt<driven_http::Http>);
