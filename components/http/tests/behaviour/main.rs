//! What clients and servers of the component see, one behaviour a file.

mod anything;
mod bodies;
mod carried;
mod fixed_answers;
mod framing_refused;
mod keep_alive;
mod limits_and_timeouts;
mod proxied;
mod records;
mod retries;
mod sticky;
mod support;
mod tunnels;
