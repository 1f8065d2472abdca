//! One event that presents one token, and the field names under which rules see it.
//!
//! In: event, token, context, facts. Out: [`TokenUse`], [`View`], [`Field`], [`Value`].
//! Does not know: rules, or how anything here was found.
//! Source: ECS names; Sigma's webserver names are aliases, <https://sigmahq.io/docs/basics/log-sources.html>.

use super::context::Context;
use super::event::{AccessEvent, CarrierKind, EventKind};
use super::facts::{Fact, FactKind, Facts};
use super::line::Source;
use super::token::{CredentialPlace, Provenance, Token, Verdict};
use std::borrow::Cow;
use std::sync::Arc;

/// One event that presents one token.
#[derive(Clone, Copy, Debug)]
pub struct TokenUse<'a> {
    /// The request.
    pub event: &'a AccessEvent<'a>,
    /// The token.
    pub token: &'a Token,
    /// Where in the request it stood.
    pub place: CredentialPlace,
    /// Where the request came from and what made it.
    pub context: &'a Arc<Context>,
    /// What checking the signature said.
    pub verdict: Verdict,
    /// Why the use may be believed.
    pub provenance: Provenance,
}

/// Everything a rule may look at. A line without a credential has no `usage`.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The request.
    pub event: &'a AccessEvent<'a>,
    /// The token it presents.
    pub usage: Option<&'a TokenUse<'a>>,
    /// The other side of the session: what it is bound to, or, at a use of its holder's, who else is in it.
    pub other: Option<&'a Context>,
    /// The measurements.
    pub facts: &'a Facts,
    /// The source's name.
    pub source: &'a Source,
    /// Position of the line.
    pub offset_bytes: u64,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// The field is not there.
    Absent,
    /// Text.
    Text(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// True (a flag that is not set is absent).
    Flag,
}

macro_rules! fields {
    ($($variant:ident $name:literal $([$($alias:literal),*])?;)*) => {
        /// One field a rule may name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "each is named as in ECS, or as its claim")]
        pub enum Field { $($variant,)* Fact(Fact) }

        impl Field {
            /// Every field that is not a fact, in the order of the documentation.
            pub const PLAIN: &'static [Self] = &[$(Self::$variant,)*];

            /// The field's name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* Self::Fact(fact) => fact.name() }
            }

            /// The other names it answers to.
            pub fn aliases(self) -> &'static [&'static str] {
                match self { $(Self::$variant => &[$($($alias),*)?],)* Self::Fact(_) => &[] }
            }

            /// The field of that name or alias.
            pub fn of_name(name: &str) -> Option<Self> {
                match name {
                    $($name $($(| $alias)*)? => Some(Self::$variant),)*
                    _ => Fact::ALL.iter().copied().find(|fact| fact.name() == name).map(Self::Fact),
                }
            }
        }
    };
}

fields! {
    Timestamp "@timestamp";
    SourceIp "source.ip" ["c-ip", "src_ip"];
    SourceChain "source.address_chain";
    SourceCountry "source.geo.country_iso_code";
    SourcePlace "source.geo.name";
    SourceAsn "source.as.number";
    SourceOrganisation "source.as.organization.name";
    SourceKind "source.as.kind";
    UserAgent "user_agent.original" ["cs-user-agent", "c-useragent"];
    UserAgentName "user_agent.name";
    UserAgentVersion "user_agent.version";
    UserAgentOs "user_agent.os.name";
    UserAgentKind "user_agent.kind";
    Ja4 "tls.client.ja4";
    Action "event.action";
    Method "http.request.method" ["cs-method"];
    RequestId "http.request.id";
    Referer "http.request.referrer" ["cs-referer", "c-uri-referer"];
    Cookie "http.request.cookie" ["cs-cookie", "c-cookie"];
    Status "http.response.status_code" ["sc-status"];
    Bytes "http.response.bytes" ["sc-bytes"];
    DurationMs "event.duration_ms";
    Path "url.path" ["cs-uri-stem", "c-uri-stem"];
    Extension "url.extension" ["c-uri-extension", "cs-uri-extension"];
    Query "url.query" ["cs-uri-query", "c-uri-query"];
    Uri "url.original" ["c-uri", "cs-uri"];
    Host "url.domain" ["cs-host", "c-uri-domain"];
    User "user.id" ["cs-username"];
    File "log.file.path";
    Offset "log.offset";
    Issuer "jwt.iss";
    Subject "jwt.sub";
    Audience "jwt.aud";
    ClientId "jwt.azp";
    Jti "jwt.jti";
    Sid "jwt.sid";
    Scope "jwt.scope";
    Alg "jwt.alg";
    Kid "jwt.kid";
    Typ "jwt.typ";
    IssuedAt "jwt.iat";
    NotBefore "jwt.nbf";
    Expires "jwt.exp";
    TokenId "jwt.id";
    Where "jwt.where";
    Form "jwt.form";
    Provenance "jwt.provenance";
    OtherCountry "other.source.geo.country_iso_code";
    OtherPlace "other.source.geo.name";
    OtherOrganisation "other.source.as.organization.name";
    OtherClientName "other.user_agent.name";
    OtherClientVersion "other.user_agent.version";
    OtherClientOs "other.user_agent.os.name";
}

impl Field {
    /// True for a counter, which wakes rules only at a threshold.
    pub fn is_counter(self) -> bool {
        matches!(self, Self::Fact(fact) if fact.kind() == FactKind::Counter)
    }
}

impl<'a> View<'a> {
    /// The value of a field.
    pub fn value(&self, field: Field) -> Value<'a> {
        match field {
            Field::Fact(fact) => match (self.facts.get(fact), fact.kind()) {
                (None, _) => Value::Absent,
                (Some(_), FactKind::Flag) => Value::Flag,
                (Some(value), _) => Value::Number(value),
            },
            _ => self
                .event_value(field)
                .or_else(|| self.usage_value(field))
                .or_else(|| self.other_value(field))
                .unwrap_or(Value::Absent),
        }
    }

    fn event_value(&self, field: Field) -> Option<Value<'a>> {
        let event = self.event;
        let text = |text: &'a Option<Cow<'a, str>>| text.as_deref().map(borrowed);
        match field {
            Field::Timestamp => Some(owned(event.time)),
            Field::SourceIp => event.client.map(owned),
            Field::SourceChain => text(&event.chain),
            Field::UserAgent => text(&event.user_agent),
            Field::Ja4 => text(&event.ja4),
            Field::Action if event.kind != EventKind::Request => Some(borrowed(event.kind.name())),
            Field::Method => text(&event.method),
            Field::RequestId => text(&event.request_id),
            Field::Referer => text(&event.referer),
            Field::Cookie => {
                let mut carriers = event.carriers.iter();
                let cookie = carriers.find(|carrier| carrier.kind == CarrierKind::Cookie);
                cookie.map(|carrier| borrowed(&carrier.text))
            }
            Field::Status => (event.status != 0).then(|| Value::Number(f64::from(event.status))),
            Field::Bytes => Some(Value::Number(event.bytes as f64)),
            Field::DurationMs => event.duration_ms.map(|ms| Value::Number(f64::from(ms))),
            Field::Path => text(&event.path),
            Field::Extension => extension(event.path.as_deref()?).map(borrowed),
            Field::Query => text(&event.query).filter(|_| event.query.as_deref() != Some("")),
            Field::Uri => event.target().map(Value::Text),
            Field::Host => text(&event.host),
            Field::User => text(&event.user),
            Field::File => Some(borrowed(&self.source.0)),
            Field::Offset => Some(Value::Number(self.offset_bytes as f64)),
            _ => None,
        }
    }

    fn other_value(&self, field: Field) -> Option<Value<'a>> {
        let other = self.other?;
        let (place, network, client) = (&other.place, &other.network, &other.client);
        match field {
            Field::OtherCountry => place.as_ref().map(|p| borrowed(p.country.as_str())),
            Field::OtherPlace => place.as_ref()?.name.as_deref().map(borrowed),
            Field::OtherOrganisation => network.as_ref().map(|n| borrowed(&n.organisation)),
            Field::OtherClientName => client.as_ref().map(|c| borrowed(&c.name)),
            Field::OtherClientVersion => client.as_ref().map(|c| borrowed(&c.version)),
            Field::OtherClientOs => {
                let system = client.as_ref().map(|client| &client.os);
                system.filter(|os| !os.is_empty()).map(|os| borrowed(os))
            }
            _ => None,
        }
    }

    fn usage_value(&self, field: Field) -> Option<Value<'a>> {
        let usage = self.usage?;
        let text = |text: &'a Option<Box<str>>| text.as_deref().map(borrowed);
        let second = |second: Option<i64>| second.map(|s| Value::Number(s as f64));
        let (token, context) = (usage.token, usage.context);
        match field {
            Field::SourceCountry => context.place.as_ref().map(|p| borrowed(p.country.as_str())),
            Field::SourcePlace => context.place.as_ref()?.name.as_deref().map(borrowed),
            Field::SourceAsn => context
                .network
                .as_ref()
                .map(|n| Value::Number(f64::from(n.asn))),
            Field::SourceOrganisation => {
                context.network.as_ref().map(|n| borrowed(&n.organisation))
            }
            Field::SourceKind => Some(borrowed(context.network_kind().name())),
            Field::UserAgentName => context.client.as_ref().map(|c| borrowed(&c.name)),
            Field::UserAgentVersion => context.client.as_ref().map(|c| borrowed(&c.version)),
            Field::UserAgentOs => {
                let system = context.client.as_ref().map(|client| &client.os);
                system.filter(|os| !os.is_empty()).map(|os| borrowed(os))
            }
            Field::UserAgentKind => Some(borrowed(context.client_kind().name())),
            Field::Issuer => text(&token.issuer),
            Field::Subject => text(&token.sub),
            Field::Audience => text(&token.audience),
            Field::ClientId => text(&token.client_id),
            Field::Jti => text(&token.jti),
            Field::Sid => text(&token.sid),
            Field::Scope => text(&token.scope),
            Field::Alg => text(&token.alg),
            Field::Kid => text(&token.kid),
            Field::Typ => text(&token.typ),
            Field::IssuedAt => second(token.issued_s),
            Field::NotBefore => second(token.not_before_s),
            Field::Expires => second(token.expires_s),
            Field::TokenId => Some(owned(token.id)),
            Field::Where => Some(borrowed(usage.place.name())),
            Field::Form => Some(borrowed(token.form.name())),
            Field::Provenance => Some(borrowed(usage.provenance.name())),
            _ => None,
        }
    }
}

/// Longer than the extension of any file; shorter than the signature of a token in the path, which is none.
const EXTENSION_LENGTH_MAX: usize = 16;

/// What stands after the last dot of the path's last segment.
fn extension(path: &str) -> Option<&str> {
    let (_, name) = path.rsplit_once('/')?;
    let (_, extension) = name.rsplit_once('.')?;
    (extension.len() <= EXTENSION_LENGTH_MAX).then_some(extension)
}

fn borrowed(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

fn owned<'a>(shown: impl ToString) -> Value<'a> {
    Value::Text(Cow::Owned(shown.to_string()))
}
