//! What applications see, and webhooks, and other services, one behaviour a file.

mod submitting;
mod support;
