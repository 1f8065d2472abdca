//! What `tokentrip scrub` leaves of a token: ids that can be followed, and nothing that opens an account.
//!
//! In: the ids of a token, or a text in which they may stand. Out: [`Scrubbed`], written as
//! `~t-….s-….u-….h1` with the ids of token, session and (where the token names one) subject, and (where it has any)
//! the marks of its header, without which a forgery would look like a theft.
//! Does not know: keys. An id is the same wherever the same key made it.
//!
//! The form survives every place that a token has in a log: its characters are unreserved in URLs (RFC 3986,
//! section 2.3), allowed in cookies (RFC 6265, section 4.1.1), and need no escape in JSON or in quotes.

use super::ids::{SessionId, SubjectId, TokenId};
use super::token::{HeaderMarks, Token};
use std::fmt;
use std::ops::Range;

/// How the form begins. A tilde is rare in logs, so it is looked for at memory speed.
pub const OPENING: &str = "~t-";

/// Bytes of one id: its letter, `-` and 20 digits.
const ID_BYTES: usize = 22;

/// A token that was replaced by its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scrubbed {
    /// The token.
    pub token: TokenId,
    /// The session it belongs to.
    pub session: SessionId,
    /// Its subject, where it named one.
    pub subject: Option<SubjectId>,
    /// What was wrong or remarkable about its header.
    pub header: HeaderMarks,
}

impl fmt::Display for Scrubbed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~{}.{}", self.token, self.session)?;
        if let Some(subject) = self.subject {
            write!(f, ".{subject}")?;
        }
        match bits(self.header) {
            0 => Ok(()),
            bits => write!(f, ".h{bits}"),
        }
    }
}

fn bits(marks: HeaderMarks) -> u8 {
    u8::from(marks.alg_none) | u8::from(marks.injection) << 1 | u8::from(marks.malformed) << 2
}

fn marks(bits: u8) -> HeaderMarks {
    HeaderMarks {
        alg_none: bits & 1 != 0,
        injection: bits & 2 != 0,
        malformed: bits & 4 != 0,
    }
}

impl Scrubbed {
    /// What is left of a token.
    pub fn of(token: &Token) -> Self {
        Self {
            token: token.id,
            session: token.session,
            subject: token.subject,
            header: token.header,
        }
    }

    /// The first one in `text`, and where it stands.
    pub fn find(text: &str) -> Option<(Range<usize>, Self)> {
        memchr::memmem::find_iter(text.as_bytes(), OPENING).find_map(|at| {
            let (length, found) = Self::at_start(text.get(at..)?)?;
            Some((at..at + length, found))
        })
    }

    fn at_start(text: &str) -> Option<(usize, Self)> {
        let mut at = 1;
        let token = text.get(at..at + ID_BYTES)?.parse().ok()?;
        at += ID_BYTES;
        let session = id_after_dot(text, at)?;
        at += 1 + ID_BYTES;
        let subject = id_after_dot(text, at);
        if subject.is_some() {
            at += 1 + ID_BYTES;
        }
        let header = match text.as_bytes().get(at..) {
            Some([b'.', b'h', digit @ b'1'..=b'7', ..]) => {
                at += 3;
                marks(digit - b'0')
            }
            _ => HeaderMarks::default(),
        };
        let found = Self {
            token,
            session,
            subject,
            header,
        };
        Some((at, found))
    }
}

fn id_after_dot<T: std::str::FromStr>(text: &str, at: usize) -> Option<T> {
    text.get(at..at + 1 + ID_BYTES)?
        .strip_prefix('.')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: Scrubbed = Scrubbed {
        token: TokenId::new(7),
        session: SessionId::new(8),
        subject: Some(SubjectId::new(9)),
        header: HeaderMarks {
            alg_none: true,
            injection: false,
            malformed: true,
        },
    };

    #[test]
    fn what_was_written_is_found_wherever_it_stands() {
        let alone = Scrubbed {
            subject: None,
            ..WHOLE
        };
        let usual = Scrubbed {
            header: HeaderMarks::default(),
            ..WHOLE
        };
        for one in [WHOLE, alone, usual] {
            for (before, after) in [
                ("", ""),
                ("Bearer ", ""),
                ("/~t-/a?t=", "&b=1"),
                ("é", ".u-é"),
            ] {
                let text = format!("{before}{one}{after}");
                let (range, found) = Scrubbed::find(&text).unwrap();
                assert_eq!((found, &text[range]), (one, &*one.to_string()));
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_found_in_other_text(text in "[~t.su0-9a-f-]{0,80}|\\PC{0,40}") {
            if let Some((range, found)) = Scrubbed::find(&text) {
                prop_assert_eq!(&text[range], found.to_string());
            }
        }
    }
}
