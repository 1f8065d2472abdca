//! Who acts and who is told, made from the configuration.
//!
//! In: [`Config`]. Out: [`Receivers`]: providers, sinks and the policy between them.
//! Does not know: incidents.

use super::Error;
use crate::config::{Config, Provider as Configured, ProviderKind, Secret, SinkKind};
use crate::outbound::{self, Caller, Endpoint};
use crate::response::breaker::Budget;
use crate::response::plan::Policy;
use crate::response::providers::Provider;
use crate::response::providers::keycloak::{Keycloak, Setup};
use crate::response::providers::webhook::Webhook as WebhookProvider;
use crate::sinks::Sink;
use crate::sinks::file::File;
use crate::sinks::webhook::{Hook, Webhook};
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
    pub(crate) sinks: Vec<Arc<dyn Sink>>,
    /// What is allowed.
    pub(crate) policy: Policy,
}

impl Receivers {
    /// Everything that `[response]`, `[[provider]]` and `[[sink]]` say.
    ///
    /// # Errors
    /// When an address is no address, or no connection can ever be made.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let caller = Caller::new().map_err(Error::shown)?;
        let providers = config
            .providers
            .iter()
            .map(|provider| made(provider, &caller));
        let sinks = config.sinks.iter().map(|sink| {
            let name: Arc<str> = sink.name.as_str().into();
            Ok(match &sink.kind {
                SinkKind::Webhook { url, secret: key } => {
                    let hook = Hook::new(endpoint(url)?, secret(key), caller.clone());
                    Arc::new(Webhook::new(name, sink.level_min, hook)) as Arc<dyn Sink>
                }
                SinkKind::File { path } => Arc::new(File::new(name, sink.level_min, path.clone())),
            })
        });
        Ok(Self {
            providers: providers.collect::<Result<_, Error>>()?,
            sinks: sinks.collect::<Result<_, Error>>()?,
            policy: policy(config),
        })
    }
}

fn made(provider: &Configured, caller: &Caller) -> Result<Arc<dyn Provider>, Error> {
    let name: Arc<str> = provider.name.as_str().into();
    let issuer: Option<Arc<str>> = provider.issuer.as_deref().map(Into::into);
    Ok(match &provider.kind {
        ProviderKind::Keycloak {
            base_url,
            realm,
            client_id,
            client_secret,
        } => {
            let setup = Setup {
                name,
                base: endpoint(base_url)?,
                realm: realm.clone(),
                issuer,
                client_id: client_id.clone(),
                client_secret: secret(client_secret),
            };
            Arc::new(Keycloak::new(setup, caller.clone()))
        }
        ProviderKind::Webhook { url, secret: key } => {
            let hook = Hook::new(endpoint(url)?, secret(key), caller.clone());
            Arc::new(WebhookProvider::new(name, issuer, hook))
        }
    })
}

fn endpoint(url: &str) -> Result<Endpoint, Error> {
    Endpoint::new(url).map_err(Error::shown)
}

fn secret(configured: &Secret) -> outbound::Secret {
    let configured = configured.clone();
    outbound::Secret::new(move || configured.read().map_err(|error| error.to_string()))
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
