//! What applications see, and webhooks, and other services, one behaviour a file.

mod anything;
mod asking;
mod connections;
mod events;
mod left;
mod refused;
mod submitting;
mod support;
mod webhooks;
