//! The program from outside, and its parts against the peers they talk to. One file a subject.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::print_stdout,
    reason = "figures and seeds are shown with --nocapture"
)]

mod accuracy;
mod analyst;
mod architecture;
mod cli;
mod conformance;
mod dashboard;
mod faults;
mod gateway;
mod gateways;
mod messages;
mod pages;
mod peers;
mod providers;
mod readme;
mod reload;
mod response;
mod scrub;
mod setting_up;
mod sinks;
mod soak;
mod sources;
mod stories;
mod support;
mod watch;
