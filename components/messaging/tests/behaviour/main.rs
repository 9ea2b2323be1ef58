//! What fronts see, and networks, one behaviour a file.

mod allowances;
mod anything;
mod goodbye;
mod keys;
mod left_behind;
mod long;
mod networks;
mod nobody;
mod phones;
mod receipts;
mod replacing;
mod sending;
mod store_failing;
mod support;
mod throttled;
mod times;
mod two;
mod uncertain;
mod waiting;
mod watching;
mod world;
