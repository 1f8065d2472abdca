//! What a scan could not see, and what would let it: green must not mean blind.
//!
//! In: the engine's counts about its sources. Out: warnings, and the error of a log without credentials.
//! Does not know: how they are shown.

use super::Error;
use super::SetUp;
use super::streams::Stream;
use crate::domain::token::Provenance;
use crate::engine::Engine;
use crate::sinks::ndjson::Summary;

/// What the reader of the summary should know.
pub(super) fn warnings(engine: &Engine, set_up: &SetUp, summary: &Summary) -> Vec<String> {
    let mut warnings = Vec::new();
    for (source, peer, share) in engine.hidden_clients() {
        warnings.push(format!(
            "{}: {peer} is behind {:.0} % of the events and stands for many subjects; if it is a \
             proxy, name it in `trusted_proxies` and log its X-Forwarded-For",
            source.source.0,
            share * 100.0
        ));
    }
    if engine.totals().uses[Provenance::Presumed as usize] > 0 && set_up.config.issuers.is_empty() {
        warnings.push(
            "no issuer is configured: uses answered 2xx are presumed genuine; `[[issuer]]` with \
             `jwks` verifies them"
                .to_owned(),
        );
    }
    for source in summary.sources.iter().filter(|source| source.orphans > 0) {
        warnings.push(format!(
            "{}: {} split lines never got their last piece; what was there was read",
            source.file, source.orphans
        ));
    }
    for source in summary.sources.iter().filter(|source| source.held_back > 0) {
        warnings.push(format!(
            "{}: {} lines have a stamp from the future and were given the time of the line before",
            source.file, source.held_back
        ));
    }
    if summary.sources.iter().any(|source| source.confidence < 0.9) {
        warnings
            .push("a format was recognised with little confidence; name it with `--format`".into());
    }
    warnings
}

/// The error of a scan that saw no token at all.
pub(in crate::app) fn blind(engine: &Engine, streams: &[Stream]) -> Option<Error> {
    if engine.totals().all_uses() > 0 {
        return None;
    }
    let formats: Vec<String> = streams
        .iter()
        .take(5)
        .map(|stream| format!("{} ({})", stream.source.0, stream.reading.parser.name()))
        .collect();
    let message = format!(
        "no credentials in {}: most default formats log no token, so there is nothing to judge",
        formats.join(", ")
    );
    let help = match streams.iter().find_map(|stream| stream.gateway) {
        Some(gateway) => format!("for {}", gateway.advice()),
        None => "have the gateway log the token's claims, or a hash: deploy/gateways/".to_owned(),
    };
    Some(Error::new(message).help(help))
}
