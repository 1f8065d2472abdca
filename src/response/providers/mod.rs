//! Who acts: identity providers and whatever else can revoke, one file each.
//!
//! In: an [`Action`]. Out: an [`Outcome`](crate::domain::action::Outcome). A provider makes the calls and reads the
//! answers; it decides nothing.
//! Does not know: gates, the outbox, how often something was tried.

pub mod keycloak;
pub mod webhook;

use crate::domain::action::{Action, Step};
use crate::domain::incident::Target;
use crate::outbound::Attempt;
use std::fmt::Debug;
use std::sync::Arc;

/// Every kind of provider, by its name in the configuration.
pub const ALL: &[&str] = &["keycloak", "webhook"];

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
