//! Who acts: identity providers and whatever else can revoke, one file each: code, or a file of calls, which [`http`]
//! makes.
//!
//! In: an [`Action`]. Out: an [`Outcome`]. A provider makes the calls and reads the
//! answers; it decides nothing.
//! Does not know: gates, the outbox, how often something was tried.

pub mod caep;
pub mod http;
pub mod keycloak;
pub mod mail;
pub mod webhook;

use super::case::CaseFile;
use crate::domain::action::{Action, Outcome, Step};
use crate::domain::incident::Target;
use crate::domain::mistake::render;
use crate::outbound::options::{Key, Options, OptionsError};
use crate::outbound::{Attempt, Caller};
use http::Vendor;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;

/// Every kind of provider.
#[rustfmt::skip]
pub const ALL: &[&Kind] = &[
    &Kind::of_file("auth0", include_str!("auth0.toml")),
    &caep::KIND,
    &Kind::of_file("cognito", include_str!("cognito.toml")),
    &Kind::of_file("crowdsec", include_str!("crowdsec.toml")),
    &Kind::of_file("firebase", include_str!("firebase.toml")),
    &Kind::of_file("fusionauth", include_str!("fusionauth.toml")),
    &Kind::of_file("google_workspace", include_str!("google_workspace.toml")),
    &http::KIND,
    &Kind::of_file("hydra", include_str!("hydra.toml")),
    &keycloak::KIND,
    &Kind::of_file("kratos", include_str!("kratos.toml")),
    &Kind::of_file("loginradius", include_str!("loginradius.toml")),
    &mail::KIND,
    &Kind::of_file("microsoft_graph", include_str!("microsoft_graph.toml")),
    &Kind::of_file("okta", include_str!("okta.toml")),
    &Kind::of_file("rfc7009", include_str!("rfc7009.toml")),
    &Kind::of_file("supabase", include_str!("supabase.toml")),
    &Kind::of_file("supertokens", include_str!("supertokens.toml")),
    &webhook::KIND,
    &Kind::of_file("zitadel", include_str!("zitadel.toml")),
];

/// One kind of provider.
#[derive(Debug)]
pub struct Kind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The keys it reads; a file brings its own.
    pub keys: &'static [Key],
    /// How one is made.
    pub make: Make,
}

/// How a provider is made.
#[derive(Clone, Copy, Debug)]
pub enum Make {
    /// By code.
    Code(fn(Setting<'_>) -> Result<Arc<dyn Provider>, OptionsError>),
    /// Of a file that comes with the program.
    File(&'static str),
    /// Of a file that the configuration names.
    Named,
}

impl Kind {
    const fn of_file(name: &'static str, text: &'static str) -> Self {
        Self {
            name,
            keys: &[],
            make: Make::File(text),
        }
    }

    /// The kind of that name.
    pub fn of_name(name: &str) -> Option<&'static Self> {
        ALL.iter().copied().find(|kind| kind.name == name)
    }

    /// The vendor of a file that comes with the program.
    ///
    /// # Errors
    /// With what is wrong with it, which a test rules out.
    pub fn vendor(&self) -> Result<Option<Arc<Vendor>>, String> {
        let Make::File(text) = self.make else {
            return Ok(None);
        };
        let read = Vendor::parse(text);
        let read = read.map_err(|mistakes| render(&mistakes, self.name, text))?;
        Ok(Some(Arc::new(read)))
    }
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
    /// The file that describes it, where there is one.
    pub vendor: Option<Arc<Vendor>>,
    /// What makes calls.
    pub caller: &'a Caller,
    /// What is known of the incidents it acts for.
    pub case: &'a Arc<dyn CaseFile>,
}

/// The provider of a kind.
///
/// # Errors
/// When there is no such kind, or nothing can be made of what its keys were given.
pub fn new(kind: &str, setting: Setting<'_>) -> Result<Arc<dyn Provider>, OptionsError> {
    let known = Kind::of_name(kind);
    let known = known.ok_or_else(|| OptionsError::Wrong("kind", kind.to_owned()))?;
    match (known.make, &setting.vendor) {
        (Make::Code(make), _) => make(setting),
        (_, Some(vendor)) => Ok(Arc::new(http::Http::new(&setting, vendor.clone())?)),
        (_, None) => Err(OptionsError::Missing("file")),
    }
}

/// The sessions that somebody has, being asked for.
pub type Listing<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>, Outcome>> + Send + 'a>>;

/// One configured provider.
pub trait Provider: Debug + Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &Arc<str>;

    /// True for exactly the issuer it is configured for. What a token says about where to ask is never followed.
    fn answers_for(&self, issuer: &str) -> bool;

    /// The calls that would carry the step out on the target, as method and path; `None` when it has no way to.
    fn calls(&self, step: Step, target: &Target) -> Option<Vec<String>>;

    /// True when carrying a step out twice is as good as once. A mail that asks is not.
    fn idempotent(&self, step: Step, _target: &Target) -> bool {
        step != Step::Ask
    }

    /// True when nobody knows the password that it forces: the user needs its mail as well.
    fn forces_blindly(&self) -> bool {
        false
    }

    /// The ids of the sessions that a target stands for and that live now; `None` where it cannot tell.
    fn sessions<'a>(&'a self, _target: &'a Target) -> Option<Listing<'a>> {
        None
    }

    /// What receivers of security events ask over HTTP, where it sends some.
    fn stream(&self) -> Option<caep::Stream> {
        None
    }

    /// Looks whether it could act, without a call: what it is, or what is missing.
    ///
    /// # Errors
    /// With what is missing.
    fn look(&self) -> Result<String, String> {
        Ok("is ready".to_owned())
    }

    /// Carries the action out.
    fn carry_out<'a>(&'a self, action: &'a Action) -> Attempt<'a>;
}
