//! Why a use may be believed.
//!
//! In: the verdict on the signature, the answer, the kind of path. Out: [`Standing`], [`Provenance`], and whether the
//! use is believed: whether it may bind a session and teach a baseline.
//! Does not know: sessions. The table of `Provenance` is the whole of it.

use crate::detectors::{PathClass, Standing};
use crate::domain::context::{ClientKind, Context, NetworkKind};
use crate::domain::event::{AccessEvent, EventKind, Intent};
use crate::domain::ids::Digest;
use crate::domain::possession::Fits;
use crate::domain::token::{Credential, CredentialPlace, Provenance, Shape, Token, Verdict};
use crate::domain::usage::TokenUse;
use crate::sessions::token::TokenEntry;

/// Which credential of an event is looked at, and where it stood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Presented {
    pub(super) digest: Digest,
    pub(super) place: CredentialPlace,
    /// What the request shows of the key that the token is bound to; `None` for a token that is bound to nothing.
    pub(super) fits: Option<Fits>,
}

impl From<&Credential<'_>> for Presented {
    fn from(credential: &Credential<'_>) -> Self {
        Self {
            digest: credential.digest,
            place: credential.place,
            fits: None,
        }
    }
}

/// What the gateway's answer says.
pub(super) fn standing(
    event: &AccessEvent<'_>,
    path: PathClass,
    protects: bool,
    open: bool,
) -> Standing {
    if event.kind == EventKind::Asked {
        // Only a verified token that is alive is asked about; its line will tell what became of it.
        return Standing {
            accepted: true,
            refused: false,
        };
    }
    let asks = event.intent() != Intent::Options;
    Standing {
        accepted: event.succeeded() && asks && !open && (path.protected || !protects),
        refused: event.refused(),
    }
}

/// True when the line tells which token the gateway read, and it is another than this one, which stands where anybody
/// can write one: the answer says nothing of it. A header or a cookie may be read by a service behind the gateway, so
/// there the answer counts. A hash without claims does not tell whose it is.
pub(super) fn passed_over(credentials: &[Credential<'_>], one: Presented) -> bool {
    if credentials.len() < 2
        || matches!(one.place, CredentialPlace::Header | CredentialPlace::Cookie)
    {
        return false;
    }
    let mut told = credentials.iter().filter(|other| match &other.shape {
        Shape::Claims(_) => true,
        Shape::Hash(_, claims) => !claims.is_empty(),
        Shape::Raw(_) | Shape::Scrubbed(_) => false,
    });
    told.next().is_some_and(|told| told.digest != one.digest)
}

/// True when the issuer cannot have made this token, whatever the gateway answered.
pub(super) fn forgery(token: &Token, verdict: Verdict) -> bool {
    verdict.forged() || token.header.alg_none
}

/// Why the use may be believed. A line that anybody could have written authorises nothing: the token in it may be
/// genuine, its use there need not be. Nor do ids alone, which a client that has read them can put into its query.
pub(super) fn provenance(
    event: &AccessEvent<'_>,
    token: &Token,
    verdict: Verdict,
    standing: Standing,
    path: PathClass,
) -> Provenance {
    let accepted = match (standing.accepted, path.protected) {
        (false, _) => Provenance::Claimed,
        (true, true) => Provenance::Accepted,
        (true, false) => Provenance::Presumed,
    };
    let by_anybody = event.unvouched || token.shows_ids_alone();
    of_line(accepted, verdict, token.header.alg_none, by_anybody)
}

/// The same of a use whose answer says nothing, of a token that is nothing remarkable.
pub(super) fn unanswered(event: &AccessEvent<'_>, entry: &TokenEntry) -> Provenance {
    let by_anybody = event.unvouched || entry.ids_alone;
    of_line(Provenance::Claimed, entry.verdict, false, by_anybody)
}

fn of_line(accepted: Provenance, verdict: Verdict, alg_none: bool, by_anybody: bool) -> Provenance {
    let believed = match verdict {
        Verdict::Verified => Provenance::Verified,
        // With keys at hand that contradict it, an answer on a path nobody called protected proves nothing.
        _ if verdict.forged() => accepted.max(Provenance::Claimed),
        Verdict::Unverifiable => accepted.max(Provenance::Unverifiable),
        Verdict::NoSignature | Verdict::NotConfigured => accepted,
        _ if alg_none => accepted,
        _ => Provenance::Claimed,
    };
    match by_anybody {
        true => believed.min(Provenance::Presumed),
        false => believed,
    }
}

/// True when the use may bind its session and teach its subject's baseline.
pub(super) fn believed(
    event: &AccessEvent<'_>,
    token: &Token,
    verdict: Verdict,
    standing: Standing,
) -> bool {
    if forgery(token, verdict) {
        return false;
    }
    // A path open to everybody also answers 2xx to a token that died long ago.
    let vouched = verdict == Verdict::Verified && is_alive(event, token);
    standing.accepted || (vouched && event.succeeded())
}

fn is_alive(event: &AccessEvent<'_>, token: &Token) -> bool {
    let start_s = event.start().as_s();
    token.expires_s.is_none_or(|exp| start_s <= exp)
}

/// True when whoever presents the token holds it, whatever was answered: what is not there, or forbidden, is asked for
/// by a holder, too. Only 401 says that the token is none any more.
pub(super) fn is_holders(usage: &TokenUse<'_>) -> bool {
    let event = usage.event;
    usage.verdict == Verdict::Verified
        && usage.place.presents()
        && is_alive(event, usage.token)
        && event.status >= 200
        && event.status != 401
        && event.intent() != Intent::Options
}

/// True when a chat or a mail filter looks at a link that holds the token, as it does with every link that people send:
/// a leak, and no use by anybody. Who only calls itself such a program gets the one path that the link names: a sender
/// need not have opened the link that a chat's server asks for, but no person's line is where such a server stands.
///
/// Filters come before the reader, from servers, and mostly under a browser's name, so that nobody shows them another
/// page. Once its session has `begun`, such a use is somebody's.
pub(super) fn opens_link(
    event: &AccessEvent<'_>,
    path_key: Option<u64>,
    entry: &TokenEntry,
    use_of: (CredentialPlace, &Context),
    begun: bool,
) -> bool {
    let (place, context) = use_of;
    let in_url = matches!(place, CredentialPlace::Query | CredentialPlace::Path);
    let served = matches!(
        context.network_kind(),
        NetworkKind::Hosting | NetworkKind::Corporate
    );
    let leak = entry.leaked().map(|leak| leak.path);
    let lines = matches!(
        context.network_kind(),
        NetworkKind::Residential | NetworkKind::Mobile | NetworkKind::Vpn
    );
    let looks = match context.client_kind() {
        ClientKind::Bot => leak == Some(path_key) || leak.is_none() && in_url && !lines,
        ClientKind::Browser => {
            in_url && served && !begun && leak.is_none_or(|path| path == path_key)
        }
        _ => false,
    };
    looks && !event.writes()
}

/// True when the answer shows that the path asks nobody for a token. A preflight never carries one (Fetch, section
/// 3.3.5), and who is named in the log showed something else.
pub(super) fn opens_its_path(event: &AccessEvent<'_>) -> bool {
    event.succeeded() && event.intent() != Intent::Options && event.user.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::IdKey;
    use crate::domain::scrubbed::Scrubbed;
    use crate::domain::token::{Claim, RawToken};
    use crate::tokens::decode::decode;
    use crate::tokens::locate::locate;
    use crate::tokens::mint::mint;
    use serde_json::json;

    fn only_token(query: String) -> Token {
        let key = IdKey::public([7; 32]);
        let mut event = AccessEvent {
            path: Some("/api".into()),
            query: Some(query.into()),
            ..AccessEvent::default()
        };
        let credentials = locate(&mut event, &key);
        assert_eq!(credentials.len(), 1);
        decode(&credentials[0], &key).unwrap()
    }

    #[test]
    fn an_answer_says_nothing_of_a_link_beside_the_token_that_the_gateway_read() {
        let credential = |shape, place, digest| Credential {
            shape,
            place,
            name: "x".into(),
            digest: Digest(digest),
        };
        let raw = || Shape::Raw(RawToken::new("eyJ.eyJ.".into()));
        let claims = || vec![(Claim::Sub, "alice".into())];
        let is_passed_over = |shape, place, digest| {
            let told = credential(shape, CredentialPlace::Field, 2);
            let credentials = [credential(raw(), place, 1), told];
            let digest = Digest(digest);
            passed_over(
                &credentials,
                Presented {
                    digest,
                    place,
                    fits: None,
                },
            )
        };
        let query = CredentialPlace::Query;
        for told in [Shape::Claims(claims()), Shape::Hash("5f".into(), claims())] {
            assert!(is_passed_over(told.clone(), query, 1));
            assert!(!is_passed_over(told.clone(), CredentialPlace::Field, 2));
            assert!(!is_passed_over(told, CredentialPlace::Cookie, 1));
        }
        for tells_nothing in [Shape::Hash("5f".into(), Vec::new()), raw()] {
            assert!(!is_passed_over(tells_nothing, query, 1));
        }
    }

    #[test]
    fn ids_in_a_query_never_authorise_even_on_a_protected_path() {
        let claims = json!({"iss": "https://idp.example.com/", "sub": "alice", "sid": "s"});
        let whole = only_token(format!("t={}", mint(&claims, "rsa-2048")));
        let ids = only_token(format!("t={}", Scrubbed::of(&whole)));
        assert_eq!(ids.session, whole.session);
        let event = AccessEvent::default();
        let standing = Standing {
            accepted: true,
            refused: false,
        };
        let path = PathClass {
            protected: true,
            ..PathClass::default()
        };
        let of = |token| provenance(&event, token, Verdict::NotConfigured, standing, path);
        assert_eq!(of(&whole), Provenance::Accepted);
        assert_eq!(of(&ids), Provenance::Presumed);
    }
}
