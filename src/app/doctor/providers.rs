//! Could each provider act, without a call being made?
//!
//! In: `[[provider]]` and `[response]`. Out: a line for each: what it could do, or what is missing.
//! Does not know: whether the vendor would take the credentials: only a call would tell.

use super::Report;
use crate::app::receivers::Receivers;
use crate::config::{Config, Mode};
use crate::response::case::{CaseFile, NoCase};
use std::sync::Arc;

pub(super) fn look(config: &Config, report: &mut Report) {
    let case: Arc<dyn CaseFile> = Arc::new(NoCase);
    let receivers = match Receivers::new(config, &case) {
        Ok(receivers) => receivers,
        Err(error) => {
            return report.fail("provider", error.to_string(), "see its table in the README");
        }
    };
    for provider in &receivers.providers {
        let name = provider.name();
        match provider.look() {
            Ok(said) => report.ok("provider", format!("{name}: {said} (nothing was called)")),
            Err(fault) => report.fail(
                "provider",
                format!("{name}: {fault}"),
                "its secrets come from files that the daemon may read, or from variables",
            ),
        }
    }
    let response = &config.response;
    let modes = [
        response.revoke,
        response.password,
        response.ask,
        response.block,
    ];
    if !receivers.providers.is_empty() && modes.iter().all(|mode| *mode == Mode::Observe) {
        report.warn(
            "provider",
            "no provider is ever called: every step is at `observe`",
            "when you trust what you see, set `mode = \"approve\"` in [response]",
        );
    }
}
