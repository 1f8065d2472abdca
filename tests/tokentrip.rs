//! The program from outside, and its parts against the peers they talk to. One file a subject.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::print_stdout,
    reason = "figures and seeds are shown with --nocapture"
)]

mod abuse;
mod accuracy;
mod analyst;
mod architecture;
mod breach;
mod cli;
mod conformance;
mod crashes;
mod dashboard;
mod denial;
mod drill;
mod faults;
mod gateway;
mod gateways;
mod linear;
mod messages;
mod mirrors;
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
