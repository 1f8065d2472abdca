//! Copies of the denylist for gateways that look themselves instead of asking: one file each.
//!
//! In: the [`Denylist`], its changes. Out: the same entries where a gateway reads them; gone with the denial, and whole
//! again after either side was away.
//! Does not know: why something is denied. A single token without `jti` and `sid` is denied by `/v1/check` alone: its
//! id is keyed, so nobody else can compute it.
//! Source: RFC 7519, section 4.1.7 (`jti`); OpenID Connect Back-Channel Logout 1.0, section 2.4 (`sid`).

pub mod haproxy;
pub mod nginx_map;
pub mod redis;

use super::changes::{Change, Changes};
use super::denylist::{Denylist, Origin};
use crate::domain::incident::Target;
use crate::domain::time::Time;
use crate::outbound::options::{Key, Options, OptionsError};
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::HEXLOWER;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Every kind of copy.
pub const ALL: &[&Kind] = &[&haproxy::KIND, &nginx_map::KIND, &redis::KIND];

/// How often everything is copied anew: a gateway that was restarted, or a store that was emptied, is whole again
/// within this time.
const WHOLE_EVERY: Duration = Duration::from_secs(30);

/// A peer on this machine that takes longer is down.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Between tries while a peer is down.
const PAUSE: Duration = Duration::from_secs(1);

/// What stands for "whenever it was issued" where seconds are compared.
const ALWAYS_S: u32 = u32::MAX;

/// A copy, or why nothing can be made of what its keys were given.
pub type Made = Result<Arc<dyn Mirror>, OptionsError>;

/// One kind of copy.
#[derive(Debug)]
pub struct Kind {
    /// Its name in the configuration.
    pub name: &'static str,
    /// The keys it reads.
    pub keys: &'static [Key],
    /// Makes one of what was configured, with its name.
    pub make: fn(Arc<str>, &Options) -> Made,
}

/// The copy of a kind.
///
/// # Errors
/// When there is no such kind, or nothing can be made of what its keys were given.
pub fn new(kind: &str, name: &str, options: &Options) -> Made {
    let known = ALL.iter().find(|known| known.name == kind);
    let known = known.ok_or_else(|| OptionsError::Wrong("kind", kind.to_owned()))?;
    (known.make)(name.into(), options)
}

/// Why a copy cannot be kept. Without secrets.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct MirrorFault(pub String);

impl MirrorFault {
    fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// Something under way.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One configured copy.
pub trait Mirror: Debug + Send + Sync {
    /// Its name in the configuration.
    fn name(&self) -> &Arc<str>;

    /// Makes the copy whole: every entry is there, and no other.
    fn copy<'a>(&'a self, denylist: &'a Denylist) -> Doing<'a, Result<(), MirrorFault>>;

    /// Follows changes, in their order.
    fn follow<'a>(&'a self, changes: &'a [Change]) -> Doing<'a, Result<(), MirrorFault>>;

    /// Hears what other daemons deny and take back, where the copy is shared; else never ends.
    fn hear<'a>(&'a self, hearing: &'a Hearing) -> Doing<'a, Result<(), MirrorFault>> {
        let _ = hearing;
        Box::pin(std::future::pending())
    }
}

/// Where what other daemons say goes.
pub struct Hearing {
    /// What they deny is denied here.
    pub denylist: Arc<Denylist>,
    /// Is told what they took back, so that it stays taken back over a restart.
    pub taken_back: Box<dyn Fn(&Target) + Send + Sync>,
}

/// Is told, by name, whether a copy is in step; the reason when it is not.
pub type Witness = Arc<dyn Fn(&str, Option<&MirrorFault>) + Send + Sync>;

/// Keeps a copy until `stop` is there.
pub async fn keep(
    mirror: Arc<dyn Mirror>,
    hearing: Hearing,
    witness: Witness,
    stop: impl Future<Output = ()>,
) {
    let mut changes = hearing.denylist.changes();
    let keeping = async {
        loop {
            let fault = in_step(&*mirror, &hearing, &mut changes, &witness).await;
            if let Err(fault) = fault {
                witness(mirror.name(), Some(&fault));
                sleep(PAUSE).await;
            }
        }
    };
    tokio::select! {
        () = keeping => {}
        () = stop => {}
    }
}

/// Copies everything, then follows changes until it is time to copy everything again.
async fn in_step(
    mirror: &dyn Mirror,
    hearing: &Hearing,
    changes: &mut Changes,
    witness: &Witness,
) -> Result<(), MirrorFault> {
    let late = |_| MirrorFault("no answer in 10 s".to_owned());
    changes.clear();
    // Others are heard before the whole is read, or what they say in between would be missed.
    let mut heard = mirror.hear(hearing);
    tokio::select! {
        biased;
        heard = &mut heard => return heard,
        whole = timeout(TIMEOUT, mirror.copy(&hearing.denylist)) => whole.map_err(late)??,
    }
    witness(mirror.name(), None);
    let mut due = std::pin::pin!(sleep(WHOLE_EVERY));
    loop {
        let next = tokio::select! {
            next = changes.next() => next,
            heard = &mut heard => return heard,
            () = &mut due => return Ok(()),
        };
        let Some(next) = next else { return Ok(()) };
        timeout(TIMEOUT, mirror.follow(&next))
            .await
            .map_err(late)??;
    }
}

/// How a gateway names an entry: SHA-256 over `kind|iss|name` in lower-case hexadecimal. Names come from tokens; in
/// this form they are harmless in any file, protocol or command, and of one length. `None` for a single token without
/// `jti`.
pub fn key(target: &Target) -> Option<String> {
    if matches!(target, Target::Token { .. } | Target::Address { .. }) {
        return None;
    }
    let text = format!("{}|{}|{}", target.kind(), target.issuer(), target.name());
    Some(HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref()))
}

/// Tokens issued before this second are denied.
fn not_before_s(target: &Target) -> u32 {
    match target {
        Target::Subject { not_before_s, .. } => {
            u32::try_from((*not_before_s).max(0)).unwrap_or(ALWAYS_S)
        }
        _ => ALWAYS_S,
    }
}

/// The entries as a gateway compares them.
fn rows(denylist: &Denylist) -> impl Iterator<Item = (String, u32)> {
    let entries = denylist.entries().into_iter();
    entries.filter_map(|(target, ..)| Some((key(&target)?, not_before_s(&target))))
}

/// A change as a gateway takes it: the entry's key, and its second or that it is gone.
fn row(change: &Change) -> Option<(String, Option<u32>)> {
    match change {
        Change::Denied { target, .. } => Some((key(target)?, Some(not_before_s(target)))),
        Change::Undone { target } | Change::Expired { target } => Some((key(target)?, None)),
    }
}

/// What other daemons deny is not theirs alone once this one denies it too.
fn is_own(entry: &(Target, Time, Origin)) -> bool {
    entry.2 == Origin::Own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_a_gateway_computes_of_the_same_claims() {
        let jti = Target::Jti {
            iss: "https://idp.example.com/".into(),
            jti: "a|b\r\n\"; evil".into(),
            expires_s: Some(1),
        };
        let text = "jti|https://idp.example.com/|a|b\r\n\"; evil";
        let expected = HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref());
        assert_eq!(key(&jti), Some(expected));
        let single = Target::Token {
            iss: None,
            token: crate::domain::ids::TokenId::new(1),
            expires_s: None,
        };
        assert_eq!(key(&single), None);
    }
}
