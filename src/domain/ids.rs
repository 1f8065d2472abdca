//! Names for things that may be shown, and digests that may not.
//!
//! In: bytes that can hold a secret. Out: keyed ids ([`TokenId`], [`SessionId`], [`FindingId`], [`IncidentId`])
//! and the [`Digest`] that only probes tables.
//! Does not know: where the keys come from (the shell gives them).
//! Source: BLAKE3 keyed mode, <https://github.com/BLAKE3-team/BLAKE3-specs>.

use highway::{HighwayHash, HighwayHasher, Key};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::hash::{Hash, Hasher};

/// A keyed 128-bit digest of a credential as written. It probes tables and never leaves the process's own state.
/// Packed, as the ids are: there are many, and most stand beside smaller things.
#[repr(Rust, packed)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Digest(pub u128);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(hidden)")
    }
}

/// The keys of one installation: one for ids that are shown, one for digests that are not.
#[derive(Clone)]
pub struct IdKey {
    id: [u8; 32],
    probe: [u64; 4],
}

impl fmt::Debug for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdKey(hidden)")
    }
}

impl IdKey {
    /// Keys from 32 secret bytes that persist, and 32 that may be drawn anew for each process.
    pub fn new(id: [u8; 32], probe: [u8; 32]) -> Self {
        let mut words = [0u64; 4];
        for (word, bytes) in words.iter_mut().zip(probe.chunks_exact(8)) {
            let mut eight = [0u8; 8];
            eight.copy_from_slice(bytes);
            *word = u64::from_le_bytes(eight);
        }
        Self { id, probe: words }
    }

    /// The key of a scan that keeps no state: fixed and public, so that its output is stable between runs.
    /// Ids made with it hide a token (its signature is unguessable) but not a subject or an address.
    pub fn public(probe: [u8; 32]) -> Self {
        Self::new(*b"tokentrip stateless scan, v1    ", probe)
    }

    /// A keyed hash of `parts`, each framed by its length so that no two lists of parts run together.
    /// `purpose` separates kinds of id.
    pub fn hash(&self, purpose: &str, parts: &[&[u8]]) -> u128 {
        let framed = framed(purpose, parts);
        let hash = blake3::keyed_hash(&self.id, &framed);
        let mut first = [0u8; 16];
        first.copy_from_slice(&hash.as_bytes()[..16]);
        u128::from_be_bytes(first)
    }

    /// A keyed digest of `parts`, framed like those of [`Self::hash`], at a fraction of its cost: for what is only
    /// compared.
    pub fn digest(&self, purpose: &str, parts: &[&[u8]]) -> Digest {
        self.digest_of(&framed(purpose, parts))
    }

    /// The keyed digest of one text: HighwayHash, 128 bits. Over 439 bytes it takes 0.7 of the time of
    /// SipHash-1-3-128 (measured side by side, x86-64 with AVX2).
    #[inline]
    pub fn digest_of(&self, text: &[u8]) -> Digest {
        let [high, low] = HighwayHasher::new(Key(self.probe)).hash128(text);
        Digest(u128::from(high) << 64 | u128::from(low))
    }

    /// The same in 64 bits, for keys of which few are kept at once.
    #[inline]
    pub fn short_digest_of(&self, text: &[u8]) -> u64 {
        HighwayHasher::new(Key(self.probe)).hash64(text)
    }
}

/// Parts joined so that no two lists of them run together. In one piece, since hashes are slow on many small ones.
fn framed(purpose: &str, parts: &[&[u8]]) -> Vec<u8> {
    const LENGTH_BYTES: usize = size_of::<u64>();
    let parts_bytes: usize = parts.iter().map(|part| LENGTH_BYTES + part.len()).sum();
    let mut framed = Vec::with_capacity(purpose.len() + parts_bytes);
    framed.extend_from_slice(purpose.as_bytes());
    for part in parts {
        framed.extend_from_slice(&(part.len() as u64).to_le_bytes());
        framed.extend_from_slice(part);
    }
    framed
}

macro_rules! shown_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $purpose:literal) => {
        $(#[$doc])*
        #[repr(Rust, packed)]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name {
            high: u16,
            low: u64,
        }

        impl $name {
            /// The id of these parts under this installation's key.
            pub fn of(key: &IdKey, parts: &[&[u8]]) -> Self {
                Self::new(key.hash($purpose, parts) >> 48)
            }

            /// The id with these bits. What is kept is what is shown, so that an id read back equals the one written:
            /// 80 of them.
            pub const fn new(bits: u128) -> Self {
                Self { high: (bits >> 64) as u16, low: bits as u64 }
            }

            /// Its bits.
            pub const fn get(self) -> u128 {
                (self.high as u128) << 64 | self.low as u128
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.get().hash(state);
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{:020x}"), self.get())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                let hex = text.strip_prefix($prefix).filter(|hex| hex.len() == 20).ok_or(())?;
                u128::from_str_radix(hex, 16).map(Self::new).map_err(drop)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.get().serialize(serializer)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                    text.parse().map_err(|()| serde::de::Error::custom("not an id"))
                } else {
                    u128::deserialize(deserializer).map(Self::new)
                }
            }
        }
    };
}

shown_id!(
    /// One JWT, whatever its encoding or signature: a keyed hash of its decoded header and payload. Shown as `t-…`.
    TokenId, "t-", "token"
);
shown_id!(
    /// One session: a keyed hash of issuer and `sid`, else refresh family, else `jti`, else token. Shown as `s-…`.
    SessionId, "s-", "session"
);
shown_id!(
    /// One finding: a keyed hash of rule, token, event time, line and offset. Shown as `f-…`.
    FindingId, "f-", "finding"
);
shown_id!(
    /// One incident: a keyed hash of its first finding. Shown as `i-…`.
    IncidentId, "i-", "incident"
);
shown_id!(
    /// One planned action or alert: a hash of incident, step, target and provider. Shown as `a-…`.
    ActionId, "a-", "action"
);
shown_id!(
    /// One subject `(iss, sub)`, as a key of tables and as a pseudonym. Shown as `u-…`.
    SubjectId, "u-", "subject"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_as_it_was_shown() {
        let key = IdKey::public([7; 32]);
        let id = TokenId::of(&key, &[b"header", b"payload"]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("t-zz".parse::<TokenId>(), Err(()));
        assert_eq!("s-00000000000000000000".parse::<TokenId>(), Err(()));
    }

    #[test]
    fn parts_do_not_run_together() {
        let key = IdKey::public([7; 32]);
        assert_ne!(
            TokenId::of(&key, &[b"ab", b"c"]),
            TokenId::of(&key, &[b"a", b"bc"])
        );
        let (token, session) = (TokenId::of(&key, &[b"a"]), SessionId::of(&key, &[b"a"]));
        assert_ne!(token.get(), session.get());
    }

    #[test]
    fn keys_and_digests_never_show_themselves() {
        assert_eq!(format!("{:?}", IdKey::public([7; 32])), "IdKey(hidden)");
        assert_eq!(format!("{:?}", Digest(7)), "Digest(hidden)");
    }
}
