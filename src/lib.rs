#![doc = include_str!("README.md")]
#![deny(rustdoc::broken_intra_doc_links)]

pub mod domain;

pub mod context;
pub mod detectors;
pub mod engine;
pub mod formats;
pub mod incidents;
pub mod rules;
pub mod sessions;
pub mod tokens;
pub mod wrappers;

pub mod http;
pub mod ingest;
pub mod issuers;
pub mod listeners;
pub mod metrics;
pub mod outbound;
pub mod report;
pub mod response;
pub mod sinks;
pub mod store;

pub mod app;
pub mod cli;
pub mod config;
