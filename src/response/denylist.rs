//! The answer to "is this token denied", from memory alone.
//!
//! In: [`Target`]s with the time until which each is denied, and decoded [`Token`]s. Out: [`DenyReason`]; every
//! [`Change`], for those who keep a copy.
//! Does not know: why something is denied, the text of any token (signatures and lax base64 can be re-encoded, so a
//! hash of the text would let the same token slip past), the database that keeps the entries over a restart.
//! Source: OWASP JSON Web Token Cheat Sheet, "No Built-In Token Revocation by the User"; RFC 7519, section 4.1.7.

use super::changes::{Change, Changes, Feeds};
use crate::domain::ids::TokenId;
use crate::domain::incident::Target;
use crate::domain::time::Time;
use crate::domain::token::Token;
use hashbrown::{DefaultHashBuilder, Equivalent, HashMap};
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Entries at most: about 400 MB with long issuers. Evicting one would set a stolen token free, so more are refused.
const ENTRIES_MAX: usize = 2_000_000;

/// A sweep holds one shard's lock at a time: 2 million entries in 32 shards are about a millisecond each.
const SHARDS: usize = 32;

/// For entries that deny a thing itself, whenever it was issued.
const ALWAYS_S: i64 = i64::MAX;

/// Why a token is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenyReason {
    /// Its `(iss, jti)`.
    Jti,
    /// Its `(iss, sid)`.
    Sid,
    /// Its decoded header and payload.
    Token,
    /// It was issued to its subject too early.
    Subject,
}

impl DenyReason {
    /// The reason's name in metrics and in the answer.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jti => "jti",
            Self::Sid => "sid",
            Self::Token => "token",
            Self::Subject => "subject",
        }
    }
}

/// The denylist holds as many entries as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the denylist is full ({ENTRIES_MAX} entries): the entry was refused")]
pub struct Full;

/// What is denied, until when. Shared between threads; reading takes no lock that a reader could wait on for long.
#[derive(Debug)]
pub struct Denylist {
    shards: Box<[RwLock<HashMap<Key, Entry>>]>,
    hasher: DefaultHashBuilder,
    entries_max: usize,
    len: AtomicUsize,
    refused: AtomicU64,
    feeds: Feeds,
}

/// Who denied something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This daemon.
    Own,
    /// Another one, which alone knows when to take it back.
    Peer,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    reason: DenyReason,
    iss: Box<str>,
    name: Box<str>,
}

/// A [`Key`] that borrows, so that a question allocates nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct KeyRef<'a> {
    reason: DenyReason,
    iss: &'a str,
    name: &'a str,
}

impl Equivalent<Key> for KeyRef<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.reason == key.reason && *self.iss == *key.iss && *self.name == *key.name
    }
}

/// Tokens issued before `not_before_s` are denied until `until`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    until: Time,
    not_before_s: i64,
    origin: Origin,
}

impl Default for Denylist {
    fn default() -> Self {
        Self::with_capacity(ENTRIES_MAX)
    }
}

impl Denylist {
    fn with_capacity(entries_max: usize) -> Self {
        let hasher = DefaultHashBuilder::default();
        let shard = || RwLock::new(HashMap::with_hasher(hasher.clone()));
        Self {
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher,
            entries_max,
            len: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
            feeds: Feeds::default(),
        }
    }

    /// Denies `target` until `until`. Of two denials of one thing the later end and the later not-before count.
    ///
    /// # Errors
    /// [`Full`] when there is no room; it is counted in [`Denylist::refused`].
    pub fn deny(&self, target: &Target, until: Time) -> Result<(), Full> {
        self.deny_for(Origin::Own, target, until)
    }

    /// As [`Self::deny`], on somebody's account. What both deny is one's own.
    ///
    /// # Errors
    /// As [`Self::deny`].
    pub fn deny_for(&self, origin: Origin, target: &Target, until: Time) -> Result<(), Full> {
        if self.put(origin, target, until)? {
            self.feeds.tell(|| Change::Denied {
                target: target.clone(),
                until,
                origin,
            });
        }
        Ok(())
    }

    /// True when that changed anything.
    fn put(&self, origin: Origin, target: &Target, until: Time) -> Result<bool, Full> {
        let name = target.name();
        let key = key_of(target, &name);
        let not_before_s = match target {
            Target::Subject { not_before_s, .. } => *not_before_s,
            _ => ALWAYS_S,
        };
        let mut shard = self.write(key);
        if let Some(entry) = shard.get_mut(&key) {
            let new = Entry {
                until: entry.until.max(until),
                not_before_s: entry.not_before_s.max(not_before_s),
                origin: if origin == Origin::Own {
                    origin
                } else {
                    entry.origin
                },
            };
            return Ok(std::mem::replace(entry, new) != new);
        }
        if self.len.fetch_add(1, Ordering::Relaxed) >= self.entries_max {
            self.len.fetch_sub(1, Ordering::Relaxed);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Full);
        }
        let key = Key {
            reason: key.reason,
            iss: key.iss.into(),
            name: key.name.into(),
        };
        shard.insert(
            key,
            Entry {
                until,
                not_before_s,
                origin,
            },
        );
        Ok(true)
    }

    /// Everything that is denied, with its end and on whose account, in no order.
    pub fn entries(&self) -> Vec<(Target, Time, Origin)> {
        let mut entries = Vec::with_capacity(self.len());
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            let known = shard.iter();
            entries.extend(known.filter_map(|(key, entry)| {
                Some((target_of(key, entry)?, entry.until, entry.origin))
            }));
        }
        entries
    }

    /// Every change from now on.
    pub fn changes(&self) -> Changes {
        self.feeds.open()
    }

    /// Whether a token is denied at `now`, and by what. A token without `iat` cannot show that it is newer than its
    /// subject's not-before, so that denies it too.
    pub fn denied(&self, token: &Token, now: Time) -> Option<DenyReason> {
        if self.is_empty() {
            return None;
        }
        let iss = token.issuer.as_deref().unwrap_or_default();
        let issued_s = token.issued_s.unwrap_or(i64::MIN);
        let hits = |reason, name: Option<&str>| {
            let key = KeyRef {
                reason,
                iss,
                name: name?,
            };
            let entry = *self.read(key).get(&key)?;
            (now < entry.until && issued_s < entry.not_before_s).then_some(reason)
        };
        hits(DenyReason::Jti, token.jti.as_deref())
            .or_else(|| hits(DenyReason::Sid, token.sid.as_deref()))
            .or_else(|| hits(DenyReason::Token, Some(&token.id.to_string())))
            .or_else(|| hits(DenyReason::Subject, token.sub.as_deref()))
    }

    /// Takes a denial back; true when there was one.
    pub fn undo(&self, target: &Target) -> bool {
        let name = target.name();
        let key = key_of(target, &name);
        let undone = self.write(key).remove(&key).is_some();
        self.len.fetch_sub(usize::from(undone), Ordering::Relaxed);
        if undone {
            self.feeds.tell(|| Change::Undone {
                target: target.clone(),
            });
        }
        undone
    }

    /// Forgets what has expired at `now`, and says how many entries that were.
    pub fn sweep(&self, now: Time) -> usize {
        let mut swept = 0;
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            let expired = shard.extract_if(|_, entry| entry.until <= now);
            for (key, entry) in expired {
                swept += 1;
                self.feeds
                    .tell_some(|| target_of(&key, &entry).map(|target| Change::Expired { target }));
            }
        }
        self.len.fetch_sub(swept, Ordering::Relaxed);
        swept
    }

    /// How many entries there are, expired ones that were not swept included.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// True when nothing is denied.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many denials found no room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn shard(&self, key: KeyRef<'_>) -> &RwLock<HashMap<Key, Entry>> {
        // The table itself uses the lowest and the highest bits.
        let hash = self.hasher.hash_one(key) >> 32;
        &self.shards[hash as usize % SHARDS]
    }

    /// An entry is written whole or not at all, so a poisoned lock guards a sound table.
    fn read(&self, key: KeyRef<'_>) -> RwLockReadGuard<'_, HashMap<Key, Entry>> {
        let shard = self.shard(key);
        shard.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, key: KeyRef<'_>) -> RwLockWriteGuard<'_, HashMap<Key, Entry>> {
        let shard = self.shard(key);
        shard.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn target_of(key: &Key, entry: &Entry) -> Option<Target> {
    let (iss, name) = (key.iss.as_ref().into(), key.name.as_ref().into());
    Some(match key.reason {
        DenyReason::Jti => Target::Jti {
            iss,
            jti: name,
            expires_s: None,
        },
        DenyReason::Sid => Target::Sid { iss, sid: name },
        DenyReason::Token => Target::Token {
            iss: (!iss.is_empty()).then_some(iss),
            token: name.parse::<TokenId>().ok()?,
            expires_s: None,
        },
        DenyReason::Subject => Target::Subject {
            iss,
            sub: name,
            not_before_s: entry.not_before_s,
        },
    })
}

fn key_of<'a>(target: &'a Target, name: &'a str) -> KeyRef<'a> {
    KeyRef {
        reason: match target {
            Target::Jti { .. } => DenyReason::Jti,
            Target::Sid { .. } => DenyReason::Sid,
            // An address denies no token: no token's id reads like one.
            Target::Token { .. } | Target::Address { .. } => DenyReason::Token,
            Target::Subject { .. } => DenyReason::Subject,
        },
        iss: target.issuer(),
        name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{Digest, SessionId, TokenId};
    use crate::domain::token::{Common, Form, HeaderMarks};
    use std::sync::Arc;

    const ISS: &str = "https://idp.example.com/";

    fn at(s: i64) -> Time {
        Time::from_ms(s * 1000).unwrap()
    }

    fn of_issuer(issuer: &str) -> Arc<Common> {
        Arc::new(Common {
            issuer: Some(issuer.into()),
            ..Common::default()
        })
    }

    fn token() -> Token {
        Token {
            id: TokenId::new(42),
            session: SessionId::new(1),
            subject: None,
            form: Form::Raw,
            common: of_issuer(ISS),
            sub: Some("alice".into()),
            jti: Some("j-1".into()),
            sid: Some("s-1".into()),
            issued_s: Some(1000),
            not_before_s: None,
            expires_s: Some(5000),
            header: HeaderMarks::default(),
            payload: Digest(0),
            jti_key: None,
            confirmation: None,
            strong: None,
        }
    }

    fn targets() -> [(Target, DenyReason); 4] {
        let jti = Target::Jti {
            iss: ISS.into(),
            jti: "j-1".into(),
            expires_s: Some(5000),
        };
        let sid = Target::Sid {
            iss: ISS.into(),
            sid: "s-1".into(),
        };
        let digest = Target::Token {
            iss: Some(ISS.into()),
            token: TokenId::new(42),
            expires_s: None,
        };
        let subject = Target::Subject {
            iss: ISS.into(),
            sub: "alice".into(),
            not_before_s: 1001,
        };
        [
            (jti, DenyReason::Jti),
            (sid, DenyReason::Sid),
            (digest, DenyReason::Token),
            (subject, DenyReason::Subject),
        ]
    }

    #[test]
    fn each_kind_of_target_denies_until_its_end_and_can_be_taken_back() {
        for (target, reason) in targets() {
            let denylist = Denylist::default();
            denylist.deny(&target, at(2000)).unwrap();
            assert_eq!(denylist.denied(&token(), at(1999)), Some(reason));
            assert_eq!(denylist.denied(&token(), at(2000)), None);
            assert!(denylist.undo(&target));
            assert_eq!(denylist.denied(&token(), at(1999)), None);
            assert!(!denylist.undo(&target));
            assert!(denylist.is_empty());
        }
    }

    #[test]
    fn the_same_names_of_another_issuer_or_another_kind_are_not_denied() {
        let denylist = Denylist::default();
        for (target, _) in targets() {
            denylist.deny(&target, at(2000)).unwrap();
        }
        let other = Token {
            common: of_issuer("https://other.example.com/"),
            ..token()
        };
        assert_eq!(denylist.denied(&other, at(1500)), None);
        let swapped = Token {
            id: TokenId::new(1),
            jti: Some("s-1".into()),
            sid: Some("j-1".into()),
            sub: Some("j-1".into()),
            ..token()
        };
        assert_eq!(denylist.denied(&swapped, at(1500)), None);
    }

    #[test]
    fn a_not_before_spares_what_is_issued_later_and_not_what_hides_when_it_was() {
        let denylist = Denylist::default();
        let [.., (subject, _)] = targets();
        denylist.deny(&subject, at(9000)).unwrap();
        let issued = |issued_s| Token {
            issued_s,
            ..token()
        };
        let denied = |issued_s| denylist.denied(&issued(issued_s), at(1500)).is_some();
        assert!(denied(Some(1000)));
        assert!(!denied(Some(1001)));
        assert!(denied(None));
    }

    #[test]
    fn of_two_denials_the_later_end_and_the_later_not_before_count() {
        let denylist = Denylist::default();
        let [(jti, _), .., (subject, _)] = targets();
        denylist.deny(&jti, at(3000)).unwrap();
        denylist.deny(&jti, at(2000)).unwrap();
        assert!(denylist.denied(&token(), at(2500)).is_some());
        denylist.undo(&jti);
        let earlier = Target::Subject {
            iss: ISS.into(),
            sub: "alice".into(),
            not_before_s: 10,
        };
        denylist.deny(&subject, at(2000)).unwrap();
        denylist.deny(&earlier, at(3000)).unwrap();
        assert!(denylist.denied(&token(), at(2500)).is_some());
        assert_eq!(denylist.len(), 1);
    }

    #[test]
    fn a_full_list_refuses_and_counts_rather_than_set_a_token_free() {
        let denylist = Denylist::with_capacity(1);
        let [(jti, _), (sid, _), ..] = targets();
        denylist.deny(&jti, at(2000)).unwrap();
        assert_eq!(denylist.deny(&sid, at(2000)), Err(Full));
        assert_eq!((denylist.len(), denylist.refused()), (1, 1));
        denylist.deny(&jti, at(3000)).unwrap();
        assert_eq!(denylist.sweep(at(2999)), 0);
        assert_eq!(denylist.sweep(at(3000)), 1);
        denylist.deny(&sid, at(4000)).unwrap();
        assert_eq!(denylist.denied(&token(), at(3500)), Some(DenyReason::Sid));
    }
}
