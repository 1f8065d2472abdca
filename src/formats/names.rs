//! What a log's field names mean, the same for every format.
//!
//! In: a field's name as the log has it, and the configured [`FieldMap`]. Out: its [`Meaning`].
//! Does not know: values, or formats.
//! Source: see [`super::vocabulary`].

use super::FormatFault;
use super::text::Unit;
use super::vocabulary::{
    CLAIM_PREFIXES, CLAIMS, CONTAINERS, COOKIE_PREFIXES, FIELDS, HEADER_PREFIXES, HEADERS, OURS,
};
use crate::domain::token::Claim;
use foldhash::fast::FixedState;
use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing we know: looked at only where it holds something like a token.
    Other,
    /// Proof of possession, which is no credential by itself (RFC 9449, section 4).
    Proof,
    /// The client's certificate.
    Certificate,
    /// SHA-256 of it.
    CertificateHash,
    Time,
    /// A date, where the time stands apart from it.
    Date,
    /// The address nginx calls `$remote_addr`: the peer, unless the gateway already resolved it.
    Remote,
    /// The connection's own address, where the log tells it apart from the client's.
    Peer,
    /// The client as the gateway resolved it.
    Client,
    Chain,
    Method,
    /// The request line.
    Request,
    /// The request target: path and query.
    Target,
    Path,
    Query,
    Host,
    Referer,
    UserAgent,
    Language,
    Ja4,
    RequestId,
    User,
    Status,
    Bytes,
    Duration(Unit),
    Header,
    Cookie,
    /// What the configuration names as the token.
    Token,
    Claim(Claim),
    Hash,
    /// What happened, in the provider's own word.
    Kind,
    /// Why it failed; a word for success is no failure.
    Failure,
    /// What tokens were asked for with, in the provider's own word.
    Grant,
    /// The id of something that was issued, of which its beginning says what.
    IssuedId,
}

/// What a field is, and how good a source of it: of two fields in one slot the higher rank wins, of equals the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) slot: Slot,
    pub(super) rank: u8,
}

impl Meaning {
    pub(super) const OTHER: Self = Self {
        slot: Slot::Other,
        rank: 0,
    };

    pub(super) const fn of(slot: Slot) -> Self {
        Self { slot, rank: 2 }
    }
}

/// As many names as a line may have.
const REMEMBERED_MAX: usize = 512;

/// Names longer than this mean nothing to us.
const NAME_BYTES_MAX: usize = 96;

/// `[source.fields]`: what the log calls the fields that are not found by themselves.
#[derive(Clone, Debug, Default)]
pub struct FieldMap {
    by_log_name: Vec<(Box<str>, Slot)>,
}

impl FieldMap {
    /// A map of (our name, the log's name). Names inside JSON objects are joined with dots.
    ///
    /// # Errors
    /// [`FormatFault::UnknownField`] for a name that is not one of [`FieldMap::names`].
    pub fn new<A, B>(pairs: impl IntoIterator<Item = (A, B)>) -> Result<Self, FormatFault>
    where
        A: AsRef<str>,
        B: AsRef<str>,
    {
        let slot_of = |ours: &str| OURS.iter().find(|(name, _)| *name == ours);
        let by_log_name = pairs
            .into_iter()
            .map(|(ours, theirs)| match slot_of(ours.as_ref()) {
                Some((_, slot)) => Ok((theirs.as_ref().into(), *slot)),
                None => Err(FormatFault::UnknownField {
                    name: ours.as_ref().to_owned(),
                    known: Self::names().collect::<Vec<_>>().join(", "),
                }),
            });
        Ok(Self {
            by_log_name: by_log_name.collect::<Result<_, _>>()?,
        })
    }

    /// Every name that may stand on the left in `[source.fields]`.
    pub fn names() -> impl Iterator<Item = &'static str> {
        OURS.iter().map(|(name, _)| *name)
    }

    /// What the field called `name` in the log means.
    pub(super) fn meaning(&self, name: &str) -> Meaning {
        self.override_of(name).unwrap_or_else(|| natural(name))
    }

    /// What the configuration says that the field means.
    pub(super) fn override_of(&self, name: &str) -> Option<Meaning> {
        let mut pairs = self.by_log_name.iter();
        let (_, slot) = pairs.find(|(theirs, _)| **theirs == *name)?;
        let natural = natural(name);
        // Naming the Authorization header as the token does not make it less of a header.
        if *slot == Slot::Token && matches!(natural.slot, Slot::Header | Slot::Cookie) {
            return Some(natural);
        }
        Some(Meaning {
            slot: *slot,
            rank: u8::MAX,
        })
    }
}

/// Meanings by name, as [`FieldMap::meaning`] gave them.
pub(super) type Known = HashMap<Box<str>, Meaning, FixedState>;

/// What the names of a log mean, remembered from its first line, since the next will have the same, and mostly in the
/// same order. Only a cache.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    pub(super) map: FieldMap,
    line: OnceLock<Order>,
}

/// The names of one line.
#[derive(Debug, Default)]
struct Order {
    fields: Vec<Named>,
    places: HashMap<Box<str>, usize, FixedState>,
}

/// A name, and what it means.
#[derive(Debug)]
pub(super) struct Named {
    /// The name and what stands between it and the value.
    pub(super) text: Box<str>,
    pub(super) meaning: Meaning,
}

impl Remembered {
    pub(super) fn new(map: &FieldMap) -> Self {
        Self {
            map: map.clone(),
            line: OnceLock::new(),
        }
    }

    /// What is remembered, for the names of one line from left to right.
    pub(super) fn recall(&self) -> Recall<'_> {
        Recall {
            order: self.line.get(),
            next: 0,
        }
    }

    /// Remembers the names of a line that could be read, unless an earlier one did: each name, how it stands in the
    /// line with what is behind it, and its meaning.
    pub(super) fn learn<'n>(&self, names: impl Iterator<Item = (&'n str, &'n str, Meaning)>) {
        if self.line.get().is_none() {
            self.line.get_or_init(|| Order::of(names));
        }
    }
}

impl Order {
    #[cold]
    fn of<'n>(names: impl Iterator<Item = (&'n str, &'n str, Meaning)>) -> Self {
        let mut order = Self::default();
        for (place, (name, text, meaning)) in names.take(REMEMBERED_MAX).enumerate() {
            let text = text.into();
            order.fields.push(Named { text, meaning });
            order.places.insert(name.into(), place);
        }
        order
    }
}

/// How far the names of one line were gone through.
#[derive(Default)]
pub(super) struct Recall<'r> {
    order: Option<&'r Order>,
    next: usize,
}

impl<'r> Recall<'r> {
    /// The name with which `rest` begins, when it is the one that stood here in the line that is remembered.
    #[inline]
    pub(super) fn next(&mut self, rest: &[u8]) -> Option<&'r Named> {
        let named = self.order?.fields.get(self.next)?;
        if !rest.starts_with(named.text.as_bytes()) {
            return None;
        }
        self.next += 1;
        Some(named)
    }

    /// What a name means that stood elsewhere; the names behind it are expected next.
    pub(super) fn meaning(&mut self, name: &str) -> Option<Meaning> {
        let order = self.order?;
        let place = *order.places.get(name)?;
        self.next = place + 1;
        order.fields.get(place).map(|named| named.meaning)
    }
}

fn natural(name: &str) -> Meaning {
    if name.len() > NAME_BYTES_MAX {
        return Meaning::OTHER;
    }
    if name == "Duration" {
        // Traefik counts nanoseconds; everybody else's `duration` is lower case.
        return Meaning::of(Slot::Duration(Unit::Nanoseconds));
    }
    let mut buffer = [0; NAME_BYTES_MAX];
    let known = fold(name, &mut buffer).and_then(look_up);
    known
        .or_else(|| in_words(name).and_then(|words| look_up(fold(&words, &mut buffer)?)))
        .or_else(|| inside(name))
        .or_else(|| typed(name))
        .unwrap_or(Meaning::OTHER)
}

/// `clientIP_s`: Azure's tables name the type of what they keep, text or a number, behind the name. What a token is
/// about is not looked for there either.
#[cold]
fn typed(name: &str) -> Option<Meaning> {
    let name = name
        .strip_suffix("_s")
        .or_else(|| name.strip_suffix("_d"))?;
    let Meaning { slot, .. } = natural(name);
    let is_told = !matches!(slot, Slot::Other | Slot::Claim(_) | Slot::Hash);
    is_told.then_some(Meaning { slot, rank: 0 })
}

/// What a member of somebody's object of a request means. What a token is about is not looked for there: applications
/// write all sorts of `sub` and `exp`.
#[cold]
fn inside(name: &str) -> Option<Meaning> {
    let rest = CONTAINERS
        .iter()
        .find_map(|object| name.strip_prefix(object))?;
    let Meaning { slot, .. } = natural(rest);
    let is_told = !matches!(slot, Slot::Other | Slot::Claim(_) | Slot::Hash);
    is_told.then_some(Meaning { slot, rank: 0 })
}

/// `remote_Addr` of `remoteAddr`: a capital begins a word. `None` for a name that has none inside.
#[cold]
fn in_words(name: &str) -> Option<String> {
    let mut words = String::with_capacity(name.len() + 4);
    let mut before = '_';
    for letter in name.chars().take(NAME_BYTES_MAX) {
        if letter.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit()) {
            words.push('_');
        }
        words.push(letter);
        before = letter;
    }
    (words.len() > name.len()).then_some(words)
}

fn look_up(folded: &[u8]) -> Option<Meaning> {
    FIELDS_BY_NAME
        .get(folded)
        .or_else(|| after_prefix(folded, HEADER_PREFIXES, |rest| HEADERS_BY_NAME.get(rest)))
        .copied()
        .or_else(|| {
            after_prefix(folded, CLAIM_PREFIXES, |rest| {
                claim(rest, rest.len() == folded.len())
            })
        })
        .or_else(|| after_prefix(folded, COOKIE_PREFIXES, |_| Some(Meaning::of(Slot::Cookie))))
}

/// Lower case, with `_` for `-`, `.` and a space, so that `request.headers.User-Agent` and `request_user_agent` are
/// nearly the same. `None` for a name that is too long.
fn fold<'b>(name: &str, buffer: &'b mut [u8; NAME_BYTES_MAX]) -> Option<&'b [u8]> {
    let name = name.strip_suffix(')').unwrap_or(name); // `cs(Cookie)`
    let folded = buffer.get_mut(..name.len())?;
    for (to, from) in folded.iter_mut().zip(name.bytes()) {
        *to = match from {
            b'-' | b'.' | b' ' | b'(' => b'_',
            other => other.to_ascii_lowercase(),
        };
    }
    Some(folded)
}

fn after_prefix<T>(
    name: &[u8],
    prefixes: &[&str],
    mut look_up: impl FnMut(&[u8]) -> Option<T>,
) -> Option<T> {
    prefixes
        .iter()
        .find_map(|prefix| look_up(name.strip_prefix(prefix.as_bytes())?))
}

fn claim(name: &[u8], bare: bool) -> Option<Meaning> {
    CLAIMS
        .iter()
        .find(|(known, _, known_bare)| known.as_bytes() == name && (*known_bare || !bare))
        .map(|(_, claim, _)| Meaning::of(Slot::Claim(*claim)))
}

type ByName = HashMap<&'static [u8], Meaning, FixedState>;

static FIELDS_BY_NAME: LazyLock<ByName> = LazyLock::new(|| by_name(FIELDS));
static HEADERS_BY_NAME: LazyLock<ByName> = LazyLock::new(|| by_name(HEADERS));

fn by_name(table: &'static [(&'static str, Slot, u8)]) -> ByName {
    let entry = |(name, slot, rank): &'static (&'static str, Slot, u8)| {
        (
            name.as_bytes(),
            Meaning {
                slot: *slot,
                rank: *rank,
            },
        )
    };
    table.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_is_known_in_every_spelling() {
        for name in [
            "http_authorization",
            "authorization",
            "Authorization",
            "request_Authorization",
            "request.headers.Authorization",
            "http.request.headers.authorization",
            "req.headers.authorization",
        ] {
            assert_eq!(natural(name).slot, Slot::Header, "{name}");
        }
        assert_eq!(natural("request_User-Agent").slot, Slot::UserAgent);
        assert_eq!(natural("remoteAddr").slot, Slot::Remote);
        assert_eq!(natural("httpRequest.userAgent").slot, Slot::UserAgent);
        assert_eq!(natural("clientIP_s").slot, Slot::Client);
        assert_eq!(natural("httpStatus_d").slot, Slot::Status);
        assert_eq!(natural("originAuthorized").slot, Slot::Other);
        assert_eq!(natural("sent_http_authorization").slot, Slot::Other);
    }

    #[test]
    fn claims_are_known_with_prefixes_and_the_registered_ones_without() {
        for name in [
            "jwt_claim_sub",
            "jwt_sub",
            "jwt.sub",
            "sub",
            "claims.sub",
            "OIDC_CLAIM_sub",
        ] {
            assert_eq!(natural(name).slot, Slot::Claim(Claim::Sub), "{name}");
        }
        assert_eq!(natural("jwt_scope").slot, Slot::Claim(Claim::Scope));
        assert_eq!(natural("scope").slot, Slot::Other);
        assert_eq!(natural("jwt_header_kid").slot, Slot::Claim(Claim::Kid));
        assert_eq!(natural("cookie_session").slot, Slot::Cookie);
        assert_eq!(natural("jwt_hash").slot, Slot::Hash);
    }

    #[test]
    fn no_name_stands_twice_in_a_table() {
        assert_eq!(FIELDS_BY_NAME.len(), FIELDS.len());
        assert_eq!(HEADERS_BY_NAME.len(), HEADERS.len());
    }

    #[test]
    fn a_field_map_wins_over_the_table_and_names_what_it_does_not_know() {
        let map = FieldMap::new([
            ("sub", "who"),
            ("client", "edge.ip"),
            ("token", "http_cookie"),
        ]);
        let map = map.unwrap();
        assert_eq!(map.meaning("who").slot, Slot::Claim(Claim::Sub));
        assert_eq!(map.meaning("edge.ip").slot, Slot::Client);
        assert_eq!(map.meaning("http_cookie").slot, Slot::Cookie);
        assert_eq!(map.meaning("status").slot, Slot::Status);
        let fault = FieldMap::new([("subject", "who")]).unwrap_err().to_string();
        assert!(
            fault.contains("`subject`") && fault.contains("user_agent"),
            "{fault}"
        );
    }
}
