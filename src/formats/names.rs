//! What a log's field names mean: one table for every format.
//!
//! In: a field's name as the log has it, and the configured [`FieldMap`]. Out: its [`Meaning`].
//! Does not know: values, or formats.
//! Source: variables of nginx (<https://nginx.org/en/docs/varindex.html>), ECS, Caddy `http.log.access`, Traefik access
//! log fields, Envoy and Istio JSON defaults; the headers in which gateways carry tokens, by their vendors' pages.

use super::FormatFault;
use super::text::Unit;
use crate::domain::token::Claim;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing we know: looked at only where it holds something like a token.
    Other,
    Time,
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

/// Names longer than this mean nothing to us.
const NAME_BYTES_MAX: usize = 96;

/// Fields, folded (see [`fold`]), with slot and rank.
const FIELDS: &[(&str, Slot, u8)] = &[
    // A float of seconds or a stamp with a fraction says more than one without.
    ("msec", Slot::Time, 3),
    ("ts", Slot::Time, 3),
    ("@timestamp", Slot::Time, 3),
    ("time_iso8601", Slot::Time, 2),
    ("timestamp", Slot::Time, 2),
    ("time", Slot::Time, 2),
    ("datetime", Slot::Time, 2),
    ("date_time", Slot::Time, 2),
    ("time_local", Slot::Time, 1),
    ("start_time", Slot::Time, 1), // Envoy: the beginning, and all it has
    ("startutc", Slot::Time, 1),
    ("startlocal", Slot::Time, 0),
    ("remote_addr", Slot::Remote, 2),
    ("remote_ip", Slot::Remote, 2),
    ("remote_host", Slot::Remote, 1),
    ("remote_address", Slot::Remote, 2),
    ("ip", Slot::Remote, 1),
    ("downstream_remote_address", Slot::Remote, 1),
    ("downstream_remote_address_without_port", Slot::Remote, 2),
    ("realip_remote_addr", Slot::Peer, 2),
    ("request_remote_ip", Slot::Peer, 2),
    ("request_remote_addr", Slot::Peer, 1), // Caddy before 2.5, with port
    ("clientaddr", Slot::Peer, 2),
    ("peer", Slot::Peer, 1),
    ("client_ip", Slot::Client, 2),
    ("request_client_ip", Slot::Client, 2),
    ("clientip", Slot::Client, 2),
    ("clienthost", Slot::Client, 2),
    ("client_addr", Slot::Client, 1),
    ("client_address", Slot::Client, 1),
    ("real_ip", Slot::Client, 2),
    ("realip", Slot::Client, 2),
    ("source_ip", Slot::Client, 1),
    ("source_address", Slot::Client, 0),
    ("src_ip", Slot::Client, 1),
    ("c_ip", Slot::Client, 1),
    ("httprequest_remoteip", Slot::Client, 1),
    ("source_address_chain", Slot::Chain, 2),
    ("method", Slot::Method, 2),
    ("verb", Slot::Method, 1),
    ("request_method", Slot::Method, 2),
    ("requestmethod", Slot::Method, 2),
    ("http_method", Slot::Method, 1),
    ("http_request_method", Slot::Method, 2),
    ("httprequest_requestmethod", Slot::Method, 2),
    ("cs_method", Slot::Method, 2),
    ("request", Slot::Request, 2),
    ("request_line", Slot::Request, 2),
    ("request_uri", Slot::Target, 2), // nginx, and `request.uri` of Caddy
    ("requesturi", Slot::Target, 2),
    ("requestpath", Slot::Target, 2), // Traefik, with the query
    ("url_original", Slot::Target, 2),
    ("url", Slot::Target, 1),
    ("target", Slot::Target, 1),
    ("httprequest_requesturl", Slot::Target, 1),
    ("uri", Slot::Path, 1),
    ("document_uri", Slot::Path, 0),
    ("path", Slot::Path, 2), // Envoy writes the query too; it is split wherever there is a `?`
    ("request_path", Slot::Path, 2),
    ("url_path", Slot::Path, 2),
    ("cs_uri_stem", Slot::Path, 2),
    ("args", Slot::Query, 2),
    ("query", Slot::Query, 2),
    ("query_string", Slot::Query, 2),
    ("url_query", Slot::Query, 2),
    ("request_query", Slot::Query, 2),
    ("cs_uri_query", Slot::Query, 2),
    ("server_name", Slot::Host, 0), // the block that answered, not what the client asked for
    ("vhost", Slot::Host, 1),
    ("virtual_host", Slot::Host, 1),
    ("requesthost", Slot::Host, 2),
    ("authority", Slot::Host, 2),
    ("url_domain", Slot::Host, 2),
    ("cs_host", Slot::Host, 2),
    ("http_request_referrer", Slot::Referer, 2),
    ("httprequest_referer", Slot::Referer, 2),
    ("cs_referer", Slot::Referer, 2),
    ("user_agent_original", Slot::UserAgent, 2),
    ("useragent", Slot::UserAgent, 2),
    ("agent", Slot::UserAgent, 1),
    ("httprequest_useragent", Slot::UserAgent, 2),
    ("cs_user_agent", Slot::UserAgent, 2),
    ("ja4", Slot::Ja4, 2),
    ("tls_client_ja4", Slot::Ja4, 2),
    ("ssl_ja4", Slot::Ja4, 2),
    ("http_ssl_ja4", Slot::Ja4, 2),
    ("request_id", Slot::RequestId, 2),
    ("req_id", Slot::RequestId, 2),
    ("requestid", Slot::RequestId, 2),
    ("http_request_id", Slot::RequestId, 2),
    ("trace_id", Slot::RequestId, 0),
    ("remote_user", Slot::User, 2),
    ("user", Slot::User, 1),
    ("username", Slot::User, 1),
    ("user_id", Slot::User, 2),
    ("user_name", Slot::User, 2),
    ("clientusername", Slot::User, 2),
    ("status", Slot::Status, 2),
    ("status_code", Slot::Status, 2),
    ("response_status", Slot::Status, 1),
    ("response_code", Slot::Status, 2),
    ("response", Slot::Status, 1),
    ("downstreamstatus", Slot::Status, 2),
    ("originstatus", Slot::Status, 0),
    ("http_response_status_code", Slot::Status, 2),
    ("http_status", Slot::Status, 1),
    ("httprequest_status", Slot::Status, 2),
    ("sc_status", Slot::Status, 2),
    ("body_bytes_sent", Slot::Bytes, 2),
    ("bytes_sent", Slot::Bytes, 1),
    ("bytes", Slot::Bytes, 1),
    ("size", Slot::Bytes, 2),
    ("response_size", Slot::Bytes, 1),
    ("downstreamcontentsize", Slot::Bytes, 2),
    ("http_response_body_bytes", Slot::Bytes, 2),
    ("http_response_bytes", Slot::Bytes, 1),
    ("httprequest_responsesize", Slot::Bytes, 2),
    ("sc_bytes", Slot::Bytes, 2),
    ("request_time", Slot::Duration(Unit::Seconds), 2),
    ("request_duration", Slot::Duration(Unit::ByShape), 1),
    ("duration", Slot::Duration(Unit::ByShape), 2),
    ("latency", Slot::Duration(Unit::ByShape), 1),
    ("httprequest_latency", Slot::Duration(Unit::Seconds), 2),
    ("duration_s", Slot::Duration(Unit::Seconds), 2),
    ("duration_ms", Slot::Duration(Unit::Milliseconds), 2),
    ("request_time_ms", Slot::Duration(Unit::Milliseconds), 2),
    ("event_duration_ms", Slot::Duration(Unit::Milliseconds), 2),
    ("event_duration", Slot::Duration(Unit::Nanoseconds), 2),
    ("jwt_hash", Slot::Hash, 2),
    ("jwt_sha256", Slot::Hash, 2),
    ("token_hash", Slot::Hash, 2),
    ("token_sha256", Slot::Hash, 2),
    ("authorization_hash", Slot::Hash, 2),
    ("authorization_sha256", Slot::Hash, 2),
];

/// What formats put before the name of a request header; the empty one last.
const HEADER_PREFIXES: &[&str] = &[
    "http_request_headers_",
    "http_request_header_",
    "request_headers_",
    "request_header_",
    "req_headers_",
    "req_header_",
    "http_",
    "request_",
    "headers_",
    "header_",
    "req_",
    "cs_",
    "",
];

/// Request headers, folded.
const HEADERS: &[(&str, Slot, u8)] = &[
    ("authorization", Slot::Header, 2),
    ("proxy_authorization", Slot::Header, 2),
    ("x_access_token", Slot::Header, 2),
    ("x_forwarded_access_token", Slot::Header, 2),
    ("x_auth_token", Slot::Header, 2),
    ("x_amzn_oidc_data", Slot::Header, 2),
    ("x_amzn_oidc_accesstoken", Slot::Header, 2),
    ("cf_access_jwt_assertion", Slot::Header, 2),
    ("x_goog_iap_jwt_assertion", Slot::Header, 2),
    ("x_ms_token_aad_access_token", Slot::Header, 2),
    ("x_ms_token_aad_id_token", Slot::Header, 2),
    ("sec_websocket_protocol", Slot::Header, 2),
    ("cookie", Slot::Cookie, 2),
    ("cookies", Slot::Cookie, 2),
    ("host", Slot::Host, 2),
    ("referer", Slot::Referer, 2),
    ("referrer", Slot::Referer, 2),
    ("user_agent", Slot::UserAgent, 2),
    ("accept_language", Slot::Language, 2),
    ("x_forwarded_for", Slot::Chain, 2),
    // A single address that the last proxy set: a chain of one hop.
    ("cf_connecting_ip", Slot::Chain, 1),
    ("true_client_ip", Slot::Chain, 1),
    ("x_real_ip", Slot::Chain, 0),
    ("x_request_id", Slot::RequestId, 1),
    ("x_ja4", Slot::Ja4, 2),
    ("ja4", Slot::Ja4, 2),
];

/// What formats put before the name of one cookie.
const COOKIE_PREFIXES: &[&str] = &["cookie_", "request_cookie_", "request_cookies_", "cookies_"];

/// What gateways put before the name of a claim or header parameter of the token; the empty one last.
const CLAIM_PREFIXES: &[&str] = &[
    "jwt_claims_",
    "jwt_claim_",
    "jwt_payload_",
    "jwt_header_",
    "jwt_",
    "token_claims_",
    "token_claim_",
    "oidc_claim_",
    "claims_",
    "claim_",
    "",
];

/// Claims and header parameters, and whether they are known without a prefix.
const CLAIMS: &[(&str, Claim, bool)] = &[
    ("iss", Claim::Iss, true),
    ("sub", Claim::Sub, true),
    ("aud", Claim::Aud, true),
    ("azp", Claim::Azp, true),
    ("client_id", Claim::Azp, false),
    ("jti", Claim::Jti, true),
    ("sid", Claim::Sid, true),
    ("scope", Claim::Scope, false),
    ("scp", Claim::Scope, false),
    ("alg", Claim::Alg, false),
    ("kid", Claim::Kid, false),
    ("typ", Claim::Typ, false),
    ("iat", Claim::Iat, true),
    ("nbf", Claim::Nbf, true),
    ("exp", Claim::Exp, true),
    ("auth_time", Claim::AuthTime, false),
    ("origin_jti", Claim::OriginJti, false),
];

/// Our names, as `[source.fields]` uses them.
const OURS: &[(&str, Slot)] = &[
    ("token", Slot::Token),
    ("hash", Slot::Hash),
    ("iss", Slot::Claim(Claim::Iss)),
    ("sub", Slot::Claim(Claim::Sub)),
    ("aud", Slot::Claim(Claim::Aud)),
    ("azp", Slot::Claim(Claim::Azp)),
    ("jti", Slot::Claim(Claim::Jti)),
    ("sid", Slot::Claim(Claim::Sid)),
    ("scope", Slot::Claim(Claim::Scope)),
    ("alg", Slot::Claim(Claim::Alg)),
    ("kid", Slot::Claim(Claim::Kid)),
    ("typ", Slot::Claim(Claim::Typ)),
    ("iat", Slot::Claim(Claim::Iat)),
    ("nbf", Slot::Claim(Claim::Nbf)),
    ("exp", Slot::Claim(Claim::Exp)),
    ("auth_time", Slot::Claim(Claim::AuthTime)),
    ("time", Slot::Time),
    ("client", Slot::Client),
    ("peer", Slot::Peer),
    ("chain", Slot::Chain),
    ("method", Slot::Method),
    ("request", Slot::Request),
    ("target", Slot::Target),
    ("path", Slot::Path),
    ("query", Slot::Query),
    ("host", Slot::Host),
    ("referer", Slot::Referer),
    ("user_agent", Slot::UserAgent),
    ("language", Slot::Language),
    ("ja4", Slot::Ja4),
    ("request_id", Slot::RequestId),
    ("user", Slot::User),
    ("status", Slot::Status),
    ("bytes", Slot::Bytes),
    ("duration_s", Slot::Duration(Unit::Seconds)),
    ("duration_ms", Slot::Duration(Unit::Milliseconds)),
];

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
        let natural = natural(name);
        match self
            .by_log_name
            .iter()
            .find(|(theirs, _)| **theirs == *name)
        {
            // Naming the Authorization header as the token does not make it less of a header.
            Some((_, Slot::Token)) if matches!(natural.slot, Slot::Header | Slot::Cookie) => {
                natural
            }
            Some((_, slot)) => Meaning {
                slot: *slot,
                rank: u8::MAX,
            },
            None => natural,
        }
    }
}

fn natural(name: &str) -> Meaning {
    if name == "Duration" {
        // Traefik counts nanoseconds; everybody else's `duration` is lower case.
        return Meaning::of(Slot::Duration(Unit::Nanoseconds));
    }
    let mut buffer = [0; NAME_BYTES_MAX];
    let Some(folded) = fold(name, &mut buffer) else {
        return Meaning::OTHER;
    };
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
        .unwrap_or(Meaning::OTHER)
}

/// Lower case, with `_` for `-`, `.` and a space, so that `request.headers.User-Agent` and `request_user_agent` are
/// nearly the same. `None` for a name that is too long.
fn fold<'b>(name: &str, buffer: &'b mut [u8; NAME_BYTES_MAX]) -> Option<&'b [u8]> {
    let folded = buffer.get_mut(..name.len())?;
    for (to, from) in folded.iter_mut().zip(name.bytes()) {
        *to = match from {
            b'-' | b'.' | b' ' => b'_',
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

type ByName = HashMap<&'static [u8], Meaning, foldhash::fast::FixedState>;

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
