//! Two people, their tokens and their requests, for the tests of this folder. Documentation
//! addresses only.

use super::{CauseHint, Report, RuleHints, SuspectStats};
use crate::domain::context::{
    Agent, Client, ClientKind, Context, Country, Network, NetworkKind, Place,
};
use crate::domain::event::AccessEvent;
use crate::domain::facts::Fact;
use crate::domain::finding::{Confidence, Dimension, FactValue, Finding, Level};
use crate::domain::ids::{Digest, FindingId, IdKey, SessionId, SubjectId, TokenId};
use crate::domain::time::Time;
use crate::domain::token::{
    Common, CredentialPlace, Form, HeaderMarks, Provenance, Token, Verdict,
};
use crate::domain::usage::TokenUse;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Address, town, country, number and name of the network, its kind, program, version, system, its
/// kind.
pub(super) type Where = (
    &'static str,
    (&'static str, &'static str),
    (u32, &'static str, NetworkKind),
    (&'static str, &'static str, &'static str, ClientKind),
);

/// At home, with a browser.
pub(super) const LISBON: Where = (
    "203.0.113.7",
    ("Lisbon", "PT"),
    (2860, "NOS COMUNICACOES", NetworkKind::Residential),
    ("Safari", "17.4", "Mac OS X", ClientKind::Browser),
);
/// A rented server, with a script.
pub(super) const TOKYO: Where = (
    "198.51.100.23",
    ("Tokyo", "JP"),
    (64_500, "EXAMPLE HOSTING", NetworkKind::Hosting),
    ("python-requests", "2.31", "", ClientKind::Tool),
);
/// Somebody else, elsewhere.
pub(super) const BERLIN: Where = (
    "192.0.2.55",
    ("Berlin", "DE"),
    (64_501, "EXAMPLE DSL", NetworkKind::Residential),
    ("Firefox", "126.0", "Linux", ClientKind::Browser),
);

pub(super) fn context((address, town, network, client): Where) -> Context {
    Context {
        place: Some(Arc::new(Place {
            latitude: 0.0,
            longitude: 0.0,
            radius_km: 20.0,
            country: Country::new(town.1).unwrap(),
            name: Some(town.0.into()),
        })),
        network: Some(Arc::new(Network {
            asn: network.0,
            organisation: network.1.into(),
            kind: network.2,
        })),
        agent: Arc::new(Agent {
            client: Some(Arc::new(Client {
                name: client.0.into(),
                version: client.1.into(),
                os: client.2.into(),
                model: "".into(),
                kind: client.3,
            })),
            ..Agent::default()
        }),
        ..Context::of(address.parse().unwrap())
    }
}

/// The `n`th token of a subject, in the subject's one session.
pub(super) fn token(sub: &str, n: u32) -> Token {
    let key = IdKey::public([1; 32]);
    let text = format!("{sub} {n}");
    Token {
        id: TokenId::of(&key, &[text.as_bytes()]),
        session: SessionId::of(&key, &[sub.as_bytes()]),
        subject: Some(SubjectId::of(&key, &[sub.as_bytes()])),
        form: Form::Claims,
        common: Arc::new(Common {
            issuer: Some("https://idp.example.com/realms/shop".into()),
            client_id: Some("web".into()),
            alg: Some("RS256".into()),
            ..Common::default()
        }),
        sub: Some(sub.into()),
        jti: Some(text.as_str().into()),
        sid: Some(format!("sid of {sub}").into()),
        issued_s: Some(0),
        not_before_s: None,
        expires_s: Some(3600),
        header: HeaderMarks::default(),
        payload: Digest(0),
        jti_key: None,
        confirmation: None,
        strong: None,
    }
}

/// One request.
pub(super) struct Use {
    event: AccessEvent<'static>,
}

impl Use {
    pub(super) fn at(time_s: i64, path: &'static str, status: u16) -> Self {
        Self {
            event: AccessEvent {
                time: at(time_s),
                method: Some("GET".into()),
                path: Some(path.into()),
                host: Some("api.example.com".into()),
                status,
                bytes: 100,
                ..AccessEvent::default()
            },
        }
    }

    /// The request with a verified token.
    pub(super) fn of<'a>(&'a self, token: &'a Token, context: &'a Arc<Context>) -> TokenUse<'a> {
        TokenUse {
            event: &self.event,
            token,
            place: CredentialPlace::Header,
            context,
            verdict: Verdict::Verified,
            provenance: Provenance::Verified,
        }
    }
}

pub(super) fn at(time_s: i64) -> Time {
    Time::from_ms(time_s * 1000).unwrap()
}

/// What a rule says about a use.
pub(super) fn finding(usage: &TokenUse<'_>, dimension: Dimension, points: u32) -> Finding {
    let key = IdKey::public([1; 32]);
    let (rule, time) = (dimension.name(), usage.event.time);
    let parts: [&[u8]; 3] = [
        rule.as_bytes(),
        &usage.token.id.get().to_be_bytes(),
        &time.as_ms().to_be_bytes(),
    ];
    Finding {
        id: FindingId::of(&key, &parts),
        rule: rule.into(),
        title: format!("{rule} differs").into(),
        says: format!("{rule} differs"),
        level: Level::High,
        confidence: Confidence::High,
        score: points,
        dimension,
        time,
        session: Some(usage.token.session),
        subject: usage.token.sub.as_deref().map(Into::into),
        issuer: usage.token.issuer.as_deref().map(Into::into),
        token: Some(usage.token.id),
        provenance: usage.provenance,
        verdict: usage.verdict,
        source: (&**usage.context).into(),
        client: usage.context.client.as_deref().map(Into::into),
        facts: BTreeMap::from([(Fact::DriftNetwork.name().to_owned(), FactValue::Flag(true))]),
        attack: Vec::new(),
        evidence: Vec::new(),
        shadow: false,
        request_id: None,
    }
}

/// The report of a finding about somebody whose session is bound to `victim`.
pub(super) fn report<'a>(
    finding: &'a Finding,
    usage: &'a TokenUse<'a>,
    victim: Option<&'a Context>,
) -> Report<'a> {
    Report {
        told: &[],
        finding,
        usage,
        suspect: usage.context,
        victim,
        suspect_since: usage.event.time,
        doubtful: false,
        accepted_forgery: false,
        stats: SuspectStats::default(),
        last_legitimate_use: victim.map(|_| usage.event.time.plus_ms(-240_000)),
        sessions_of_subject: 1,
        hints: RuleHints {
            cause: None::<CauseHint<'a>>,
        },
    }
}
