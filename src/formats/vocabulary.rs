//! The names: what gateways call the parts of a request and of a token.
//!
//! In: nothing. Out: tables for [`super::names`], folded to lower case with `_` between words.
//! Does not know: how a name is looked up.
//! Source: variables of nginx (<https://nginx.org/en/docs/varindex.html>), ECS, Caddy `http.log.access`, Traefik access
//! log fields, Envoy and Istio JSON defaults; the headers in which gateways carry tokens, by their vendors' pages.

use super::names::Slot;
use super::text::Unit;
use crate::domain::token::Claim;

/// Fields, folded (see [`super::names`]), with slot and rank.
pub(super) const FIELDS: &[(&str, Slot, u8)] = &[
    // A float of seconds or a stamp with a fraction says more than one without.
    ("msec", Slot::Time, 3),
    ("ts", Slot::Time, 3),
    ("@timestamp", Slot::Time, 3),
    ("time_iso8601", Slot::Time, 2),
    ("timestamp", Slot::Time, 2),
    ("time", Slot::Time, 2),
    ("date", Slot::Date, 2),
    ("timegenerated", Slot::Time, 2),
    ("datetime", Slot::Time, 2),
    ("@t", Slot::Time, 3),         // Serilog
    ("reqtimesec", Slot::Time, 2), // Akamai DataStream
    ("event_time", Slot::Time, 1),
    ("date_time", Slot::Time, 2),
    ("time_local", Slot::Time, 1),
    ("start_time", Slot::Time, 1), // Envoy: the beginning, and all it has
    ("startutc", Slot::Time, 1),
    ("startlocal", Slot::Time, 0),
    ("remote_addr", Slot::Remote, 2),
    ("remote_ip", Slot::Remote, 2),
    ("remote_host", Slot::Remote, 1),
    ("remote_address", Slot::Remote, 2),
    ("remoteip", Slot::Remote, 2),
    ("remote_ip_address", Slot::Remote, 2), // ASP.NET
    ("remote", Slot::Remote, 0),
    ("req_remote_address", Slot::Remote, 2),
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
    ("cliip", Slot::Client, 2), // Akamai
    ("source_ip", Slot::Client, 1),
    ("source_address", Slot::Client, 0),
    ("src_ip", Slot::Client, 1),
    ("c_ip", Slot::Client, 1),
    ("cip", Slot::Client, 1), // Azure App Service
    ("httprequest_remoteip", Slot::Client, 1),
    ("client", Slot::Client, 0),
    ("caller_ip_address", Slot::Client, 2), // Azure API Management
    ("network_client_ip", Slot::Client, 2), // Datadog
    ("source_ip_port", Slot::Remote, 2),    // AWS VPC Lattice
    ("network_peer_address", Slot::Peer, 2), // OpenTelemetry
    ("net_sock_peer_addr", Slot::Peer, 1),
    ("source_address_chain", Slot::Chain, 2),
    ("fwd", Slot::Chain, 1),           // Heroku's router
    ("forwarded_for", Slot::Chain, 1), // Pomerium
    ("xforwardedfor", Slot::Chain, 2),
    ("method", Slot::Method, 2),
    ("verb", Slot::Method, 1),
    ("req_method", Slot::Method, 2),
    ("request_method", Slot::Method, 2),
    ("requestmethod", Slot::Method, 2),
    ("http_method", Slot::Method, 1),
    ("httpmethod", Slot::Method, 2),
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
    ("request_url", Slot::Target, 1),
    ("req_url", Slot::Target, 2), // pino-http, and others of Node.js
    ("target", Slot::Target, 1),
    ("url_full", Slot::Target, 1),
    ("httprequest_requesturl", Slot::Target, 1),
    ("uri", Slot::Path, 1),
    ("x_envoy_original_path", Slot::Target, 2),
    ("x_envoy_origin_path", Slot::Target, 2), // Envoy Gateway's name for it
    (":path", Slot::Target, 2),
    (":method", Slot::Method, 2),
    (":authority", Slot::Host, 2),
    ("resourcepath", Slot::Path, 1), // API Gateway: a template
    ("document_uri", Slot::Path, 0),
    ("path", Slot::Path, 2), // Envoy writes the query too; it is split wherever there is a `?`
    ("request_path", Slot::Path, 2),
    ("reqpath", Slot::Path, 2),
    ("url_path", Slot::Path, 2),
    ("cs_uri_stem", Slot::Path, 2),
    ("args", Slot::Query, 2),
    ("query", Slot::Query, 2),
    ("query_string", Slot::Query, 2),
    ("querystr", Slot::Query, 2),
    ("url_query", Slot::Query, 2),
    ("request_query", Slot::Query, 2),
    ("cs_uri_query", Slot::Query, 2),
    ("server_name", Slot::Host, 0), // the block that answered, not what the client asked for
    ("vhost", Slot::Host, 1),
    ("virtual_host", Slot::Host, 1),
    ("requesthost", Slot::Host, 2),
    ("reqhost", Slot::Host, 2),
    ("authority", Slot::Host, 2),
    ("url_domain", Slot::Host, 2),
    ("cs_host", Slot::Host, 1), // CloudFront: its own name
    ("x_host_header", Slot::Host, 2),
    ("domainname", Slot::Host, 2),
    ("httphost", Slot::Host, 2),
    ("http_request_referrer", Slot::Referer, 2),
    ("httprequest_referer", Slot::Referer, 2),
    ("cs_referer", Slot::Referer, 2),
    ("user_agent_original", Slot::UserAgent, 2),
    ("useragent", Slot::UserAgent, 2),
    ("agent", Slot::UserAgent, 1),
    ("ua", Slot::UserAgent, 1),
    ("httprequest_useragent", Slot::UserAgent, 2),
    ("cs_user_agent", Slot::UserAgent, 2),
    ("ja4", Slot::Ja4, 2),
    ("tls_client_ja4", Slot::Ja4, 2),
    ("ssl_ja4", Slot::Ja4, 2),
    ("http_ssl_ja4", Slot::Ja4, 2),
    ("request_id", Slot::RequestId, 2),
    ("req_id", Slot::RequestId, 2),
    ("x_edge_request_id", Slot::RequestId, 2),
    ("requestid", Slot::RequestId, 2),
    ("http_request_id", Slot::RequestId, 2),
    ("trace_id", Slot::RequestId, 0),
    ("cs_username", Slot::User, 2),
    ("remote_user", Slot::User, 2),
    ("user", Slot::User, 1),
    ("username", Slot::User, 1),
    ("user_id", Slot::User, 2),
    ("user_name", Slot::User, 2),
    ("clientusername", Slot::User, 2),
    ("status", Slot::Status, 2),
    ("status_code", Slot::Status, 2),
    ("code", Slot::Status, 0), // Fluentd
    ("response_status", Slot::Status, 1),
    ("response_code", Slot::Status, 2),
    ("res_status_code", Slot::Status, 2),
    ("response_status_code", Slot::Status, 2),
    ("http_status_code", Slot::Status, 1),
    ("response", Slot::Status, 1),
    ("downstreamstatus", Slot::Status, 2),
    ("originstatus", Slot::Status, 0),
    ("http_response_status_code", Slot::Status, 2),
    ("http_status", Slot::Status, 1),
    ("httpstatuscode", Slot::Status, 2), // Cloudflare Gateway
    ("httprequest_status", Slot::Status, 2),
    ("sc_status", Slot::Status, 2),
    ("body_bytes_sent", Slot::Bytes, 2),
    ("bytes_sent", Slot::Bytes, 1),
    ("bytes", Slot::Bytes, 1),
    ("size", Slot::Bytes, 2),
    ("response_size", Slot::Bytes, 1),
    ("response_body_size", Slot::Bytes, 2), // Fastly
    ("response_bytes", Slot::Bytes, 1),
    ("bytes_out", Slot::Bytes, 1),
    ("downstreamcontentsize", Slot::Bytes, 2),
    ("http_response_body_bytes", Slot::Bytes, 2),
    ("http_response_bytes", Slot::Bytes, 1),
    ("httprequest_responsesize", Slot::Bytes, 2),
    ("sc_bytes", Slot::Bytes, 2),
    ("time_taken", Slot::Duration(Unit::ByShape), 2), // IIS: ms; CloudFront: 0.123 s
    ("request_time", Slot::Duration(Unit::Seconds), 2),
    ("request_duration", Slot::Duration(Unit::ByShape), 1),
    ("duration", Slot::Duration(Unit::ByShape), 2),
    ("latency", Slot::Duration(Unit::ByShape), 1),
    ("latency_human", Slot::Duration(Unit::ByShape), 2), // Echo, whose `latency` is in nanoseconds
    ("httprequest_latency", Slot::Duration(Unit::Seconds), 2),
    ("response_time", Slot::Duration(Unit::ByShape), 1),
    ("duration_s", Slot::Duration(Unit::Seconds), 2),
    ("duration_ms", Slot::Duration(Unit::Milliseconds), 2),
    ("request_time_ms", Slot::Duration(Unit::Milliseconds), 2),
    ("event_duration_ms", Slot::Duration(Unit::Milliseconds), 2),
    ("event_duration", Slot::Duration(Unit::Nanoseconds), 2),
    ("ssl_client_escaped_cert", Slot::Certificate, 2), // nginx
    ("ssl_client_cert", Slot::Certificate, 1),
    ("ssl_client_raw_cert", Slot::Certificate, 1),
    ("downstream_peer_cert", Slot::Certificate, 2), // Envoy
    ("downstream_peer_fingerprint_256", Slot::CertificateHash, 2),
    ("tls_client_certificate", Slot::Certificate, 2), // ECS
    ("tls_client_hash_sha256", Slot::CertificateHash, 2),
    ("ssl_c_sha256", Slot::CertificateHash, 2), // HAProxy, of `ssl_c_der`
    ("jwt_hash", Slot::Hash, 2),
    ("jwt_sha256", Slot::Hash, 2),
    ("token_hash", Slot::Hash, 2),
    ("token_sha256", Slot::Hash, 2),
    ("authorization_hash", Slot::Hash, 2),
    ("authorization_sha256", Slot::Hash, 2),
];

/// Objects in which others keep a request: what their members mean is what they would mean outside, unless something
/// else says it, too. The dot keeps `http.url` of an object apart from nginx's `$http_url`, which a client sends.
pub(super) const CONTAINERS: &[&str] = &[
    "attributes.", // OpenTelemetry
    "properties.", // Azure
    "http.request.",
    "http.",
    "http_request.", // Ory
    "http_response.",
    "request.",
    "req.",
    "proxy.", // Vercel
    "fields.",
    "payload.",
    "jsonPayload.",
    "access.",
    "State.", // ASP.NET
];

/// What formats put before the name of a request header; the empty one last.
pub(super) const HEADER_PREFIXES: &[&str] = &[
    "http_request_headers_",
    "requestheaders_", // Cloudflare
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
pub(super) const HEADERS: &[(&str, Slot, u8)] = &[
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
    ("forwarded", Slot::Chain, 1), // RFC 7239
    ("dpop", Slot::Proof, 2),
    ("client_cert", Slot::Certificate, 2), // RFC 9440
    ("x_forwarded_client_cert", Slot::Certificate, 2), // Envoy
    ("x_forwarded_tls_client_cert", Slot::Certificate, 2), // Traefik
    ("x_amzn_mtls_clientcert", Slot::Certificate, 2),
    ("x_amzn_mtls_clientcert_leaf", Slot::Certificate, 2),
    ("x_ssl_client_cert", Slot::Certificate, 1),
    ("x_arr_clientcert", Slot::Certificate, 1), // Azure App Service
    // A single address that the last proxy set: a chain of one hop.
    ("cf_connecting_ip", Slot::Chain, 1),
    ("true_client_ip", Slot::Chain, 1),
    ("x_real_ip", Slot::Chain, 0),
    ("x_request_id", Slot::RequestId, 1),
    ("x_ja4", Slot::Ja4, 2),
    ("ja4", Slot::Ja4, 2),
];

/// What formats put before the name of one cookie.
pub(super) const COOKIE_PREFIXES: &[&str] =
    &["cookie_", "request_cookie_", "request_cookies_", "cookies_"];

/// What gateways put before the name of a claim or header parameter of the token; the empty one last.
pub(super) const CLAIM_PREFIXES: &[&str] = &[
    "jwt_claims_",
    "jwt_claim_",
    "jwt_payload_",
    "jwt_header_",
    "jwt_",
    "token_claims_",
    "token_claim_",
    "oidc_claim_",
    "authorizer_claims_",
    "authorizer_jwt_claims_",
    "authorizer_",
    "claims_",
    "claim_",
    "",
];

/// Claims and header parameters, and whether they are known without a prefix.
pub(super) const CLAIMS: &[(&str, Claim, bool)] = &[
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
    ("cnf_jkt", Claim::CnfJkt, true),
    ("cnf_x5t#s256", Claim::CnfX5t, true),
    ("cnf_x5t_s256", Claim::CnfX5t, true),
    ("amr", Claim::Amr, true),
];

/// Our names, as `[source.fields]` uses them.
pub(super) const OURS: &[(&str, Slot)] = &[
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
    ("cnf_jkt", Slot::Claim(Claim::CnfJkt)),
    ("cnf_x5t", Slot::Claim(Claim::CnfX5t)),
    ("dpop", Slot::Proof),
    ("certificate", Slot::Certificate),
    ("certificate_sha256", Slot::CertificateHash),
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
