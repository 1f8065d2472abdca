//! Who acts: identity providers and whatever else can revoke, one file each.
//!
//! In: an [`Action`]. Out: an [`Outcome`](crate::domain::action::Outcome). A provider makes the calls and reads the
//! answers; it decides nothing.
//! Does not know: gates, the outbox, how often something was tried.

pub mod keycloak;
pub mod webhook;

use crate::domain::action::{Action, Step};
use crate::domain::incident::Target;
use crate::outbound::options::{Key, Options, OptionsError};
use crate::outbound::{Attempt, Caller};
use std::fmt::Debug;
use std::sync::Arc;

/// Every kind of provider.
pub const ALL: &[&Kind] = &[&keycloak::KIND, &webhook::KIND];

/// One kind of provider.
#[derive(Debug)]
pub struct Kind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The keys it reads.
    pub keys: &'static [Key],
    /// Makes one of what was configured.
    pub make: fn(Setting<'_>) -> Result<Arc<dyn Provider>, OptionsError>,
}

/// What is configured for one provider.
#[derive(Clone, Debug)]
pub struct Setting<'a> {
    /// Its name in metrics and in the audit.
    pub name: Arc<str>,
    /// The issuer whose tokens it answers for.
    pub issuer: Option<Arc<str>>,
    /// What its keys were given.
    pub options: &'a Options,
    /// What makes calls.
    pub caller: &'a Caller,
}

/// The provider of a kind.
///
/// # Errors
/// When there is no such kind, or nothing can be made of what its keys were given.
pub fn new(kind: &str, setting: Setting<'_>) -> Result<Arc<dyn Provider>, OptionsError> {
    let known = ALL.iter().find(|known| known.name == kind);
    let known = known.ok_or_else(|| OptionsError::Wrong("kind", kind.to_owned()))?;
    (known.make)(setting)
}

/// One configured provider.
pub trait Provider: Debug + Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &Arc<str>;

    /// True for exactly the issuer it is configured for. What a token says about where to ask is never followed.
    fn answers_for(&self, issuer: &str) -> bool;

    /// The calls that would carry the step out on the target, as method and path; `None` when it has no way to.
    fn calls(&self, step: Step, target: &Target) -> Option<Vec<String>>;

    /// True when carrying an action out twice is as good as once.
    fn idempotent(&self) -> bool {
        true
    }

    /// Carries the action out.
    fn carry_out<'a>(&'a self, action: &'a Action) -> Attempt<'a>;
}
