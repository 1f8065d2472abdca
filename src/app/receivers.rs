//! Who acts, who is told and who gets a copy of the denylist, made from the configuration.
//!
//! In: [`Config`]. Out: [`Receivers`]: providers, sinks, mirrors and the policy between them.
//! Does not know: incidents.

use super::Error;
use crate::config::{Config, Mirror as Copied, Provider as Configured, Sink};
use crate::outbound::Caller;
use crate::outbound::options::OptionsError;
use crate::response::breaker::Budget;
use crate::response::case::CaseFile;
use crate::response::mirrors::{self, Mirror};
use crate::response::plan::policy::Policy;
use crate::response::providers::{self, Provider, Setting};
use crate::sinks::Receiver;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long an issuer's longest session lives, unless somebody knows better: thirty days, what identity providers
/// set for "remember me".
const SESSION_S_MAX: u32 = 30 * 86_400;

/// Who acts and who is told.
pub(crate) struct Receivers {
    /// Who acts.
    pub(crate) providers: Vec<Arc<dyn Provider>>,
    /// Who is told.
    pub(crate) sinks: Vec<Receiver>,
    /// Who gets a copy of the denylist.
    pub(crate) mirrors: Vec<Arc<dyn Mirror>>,
    /// What is allowed.
    pub(crate) policy: Policy,
}

impl Receivers {
    /// Everything that `[response]`, `[[provider]]`, `[[sink]]` and `[[mirror]]` say. `case` is what providers may ask
    /// about the incidents they act for.
    ///
    /// # Errors
    /// When an address is no address, or no connection can ever be made.
    pub(crate) fn new(config: &Config, case: &Arc<dyn CaseFile>) -> Result<Self, Error> {
        let caller = Caller::new().map_err(Error::shown)?;
        let providers = config.providers.iter();
        let providers = providers.map(|one| provider(one, &caller, case));
        let sinks = config.sinks.iter().map(|one| receiver(one, &caller));
        let mirrors = config.mirrors.iter().map(mirror);
        Ok(Self {
            providers: providers.collect::<Result<_, Error>>()?,
            sinks: sinks.collect::<Result<_, Error>>()?,
            mirrors: mirrors.collect::<Result<_, Error>>()?,
            policy: policy(config),
        })
    }
}

fn provider(
    configured: &Configured,
    caller: &Caller,
    case: &Arc<dyn CaseFile>,
) -> Result<Arc<dyn Provider>, Error> {
    let setting = Setting {
        name: configured.name.as_str().into(),
        issuer: configured.issuer.as_deref().map(Into::into),
        options: &configured.options,
        vendor: configured.vendor.clone(),
        caller,
        case,
    };
    let made = providers::new(configured.kind, setting);
    made.map_err(|error| unusable(&configured.name, &error))
}

fn receiver(configured: &Sink, caller: &Caller) -> Result<Receiver, Error> {
    let Sink {
        name,
        level_min,
        every_incident,
        kind,
        options,
    } = configured;
    let made = Receiver::new(name, *level_min, kind, options, caller);
    let receiver = made.map_err(|error| unusable(name, &error))?;
    Ok(Receiver {
        every_incident: *every_incident,
        ..receiver
    })
}

fn mirror(configured: &Copied) -> Result<Arc<dyn Mirror>, Error> {
    let made = mirrors::new(configured.kind, &configured.name, &configured.options);
    made.map_err(|error| unusable(&configured.name, &error))
}

fn unusable(name: &str, error: &OptionsError) -> Error {
    Error::new(format!("`{name}` cannot be used: {error}"))
}

fn policy(config: &Config) -> Policy {
    let response = &config.response;
    let modes = config.rules.overrides.iter();
    let rules: BTreeMap<Arc<str>, _> = modes
        .filter_map(|(rule, change)| Some((rule.as_str().into(), change.mode?)))
        .collect();
    Policy {
        deny: response.deny,
        revoke: response.revoke,
        password: response.password,
        ask: response.ask,
        block: response.block,
        risk: response.risk,
        mfa: response.mfa,
        rules,
        act_on_accepted: response.act_on_accepted,
        budget: Budget {
            subjects_per_minute_max: response.subjects_per_minute_max,
            subjects_per_day_max: response.subjects_per_day_max,
            active_subjects_share_per_hour_max: response.active_subjects_share_per_hour_max,
        },
        protected_subjects: response.protected_subjects.clone(),
        home: config.places.home.clone(),
        session_s_max: SESSION_S_MAX,
    }
}
