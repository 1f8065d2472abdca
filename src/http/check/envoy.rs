//! `envoy.service.auth.v3.Authorization/Check`: the same question over gRPC.
//!
//! In: Envoy's `CheckRequest`. Out: OK with the ids of the token for the upstream, or 401 for a denied one.
//! Does not know: what is denied. Of Envoy's messages only what is read here has a field; protobuf skips the rest.
//! Source: Envoy v1.40, `envoy/service/auth/v3/external_auth.proto`, `attribute_context.proto`,
//! `envoy/config/core/v3/{address,base}.proto`; gRPC over HTTP/2.

use super::question::Question;
use super::{Asked, IDS_HEADER, REFUSAL, SCHEME};
use crate::http::connections::Peer;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

/// Where Envoy asks.
pub(super) const PATH: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Longest question: Envoy takes 60 KiB of headers unless told otherwise, and sends no body unless told to.
const QUESTION_BYTES_MAX: usize = 256 * 1024;

/// `UNAUTHORIZED` of `envoy.type.v3.StatusCode`.
const UNAUTHORIZED: i32 = 401;

#[derive(Clone, PartialEq, prost::Message)]
struct CheckRequest {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Attributes>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Attributes {
    #[prost(message, optional, tag = "1")]
    source: Option<End>,
    #[prost(message, optional, tag = "4")]
    request: Option<Requested>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct End {
    #[prost(message, optional, tag = "1")]
    address: Option<Address>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Address {
    #[prost(message, optional, tag = "1")]
    socket_address: Option<SocketAddress>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SocketAddress {
    #[prost(string, tag = "2")]
    address: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Requested {
    #[prost(message, optional, tag = "2")]
    http: Option<Http>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Http {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    method: String,
    #[prost(map = "string, string", tag = "3")]
    headers: HashMap<String, String>,
    #[prost(string, tag = "4")]
    path: String,
    #[prost(string, tag = "5")]
    host: String,
    /// Instead of `headers`, with `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    header_map: Option<Fields>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Fields {
    #[prost(message, repeated, tag = "1")]
    headers: Vec<Field>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Field {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
    #[prost(bytes = "vec", tag = "3")]
    raw_value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    status: Option<RpcStatus>,
    #[prost(message, optional, tag = "2")]
    denied_response: Option<Denied>,
    #[prost(message, optional, tag = "3")]
    ok_response: Option<Allowed>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Denied {
    #[prost(message, optional, tag = "1")]
    status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    headers: Vec<FieldOption>,
    #[prost(string, tag = "3")]
    body: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HttpStatus {
    #[prost(int32, tag = "1")]
    code: i32,
}

/// Its `append` is left at false: what the client wrote under that name is replaced.
#[derive(Clone, PartialEq, prost::Message)]
struct FieldOption {
    #[prost(message, optional, tag = "1")]
    header: Option<Field>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Allowed {
    #[prost(message, repeated, tag = "2")]
    headers: Vec<FieldOption>,
    #[prost(string, repeated, tag = "5")]
    headers_to_remove: Vec<String>,
}

/// One call.
struct Call {
    asked: Asked,
    peer: Option<IpAddr>,
}

impl UnaryService<CheckRequest> for Call {
    type Response = CheckResponse;
    type Future =
        Pin<Box<dyn Future<Output = Result<tonic::Response<CheckResponse>, Status>> + Send>>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let answer = answer(&self.asked, self.peer, request.into_inner());
        Box::pin(async move { Ok(tonic::Response::new(answer)) })
    }
}

pub(super) async fn check(State(asked): State<Asked>, request: Request) -> Response<Body> {
    let peer = request.extensions().get().map(|Peer(address)| *address);
    let mut grpc = Grpc::new(ProstCodec::<CheckResponse, CheckRequest>::default())
        .max_decoding_message_size(QUESTION_BYTES_MAX);
    let answer = grpc.unary(Call { asked, peer }, request).await;
    answer.map(Body::new)
}

fn answer(asked: &Asked, peer: Option<IpAddr>, request: CheckRequest) -> CheckResponse {
    let attributes = request.attributes.unwrap_or_default();
    let http = attributes.request.and_then(|request| request.http);
    let http = http.unwrap_or_default();
    let mut headers = headers_of(&http);
    let source = attributes.source.and_then(|end| end.address);
    let source = source.and_then(|address| address.socket_address);
    // Envoy itself says who its client is, where no proxy did.
    if let Some(source) = source
        && !headers.contains_key("x-forwarded-for")
    {
        put(&mut headers, "x-forwarded-for", source.address.as_bytes());
    }
    if !http.host.is_empty() && !headers.contains_key(header::HOST) {
        put(&mut headers, "host", http.host.as_bytes());
    }
    let judged = asked.judge(&Question {
        peer,
        method: &http.method,
        uri: &http.path,
        headers: &headers,
    });
    if judged.denied {
        return denied();
    }
    let ids = judged.ids.map(|ids| field(IDS_HEADER, &ids.to_string()));
    let allowed = Allowed {
        // Nobody but us may name a token there.
        headers_to_remove: match ids {
            Some(_) => Vec::new(),
            None => vec![IDS_HEADER.to_owned()],
        },
        headers: ids.into_iter().collect(),
    };
    CheckResponse {
        status: Some(RpcStatus {
            code: Code::Ok.into(),
        }),
        denied_response: None,
        ok_response: Some(allowed),
    }
}

fn denied() -> CheckResponse {
    let content = field("content-type", "application/json");
    CheckResponse {
        status: Some(RpcStatus {
            code: Code::Unauthenticated.into(),
        }),
        denied_response: Some(Denied {
            status: Some(HttpStatus { code: UNAUTHORIZED }),
            headers: vec![field("www-authenticate", SCHEME), content],
            body: REFUSAL.to_owned(),
        }),
        ok_response: None,
    }
}

fn field(name: &str, value: &str) -> FieldOption {
    let header = Field {
        key: name.to_owned(),
        value: value.to_owned(),
        raw_value: Vec::new(),
    };
    FieldOption {
        header: Some(header),
    }
}

/// The fields of the request. Pseudo-headers are no names of fields, and stay out.
fn headers_of(http: &Http) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &http.headers {
        put(&mut headers, name, value.as_bytes());
    }
    let raw = http.header_map.iter().flat_map(|map| &map.headers);
    for field in raw {
        let value = match field.raw_value.as_slice() {
            [] => field.value.as_bytes(),
            raw => raw,
        };
        put(&mut headers, &field.key, value);
    }
    if !http.id.is_empty() && !headers.contains_key("x-request-id") {
        put(&mut headers, "x-request-id", http.id.as_bytes());
    }
    headers
}

/// What can be no field of a request is left out.
fn put(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    let name = HeaderName::from_bytes(name.as_bytes());
    if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
        headers.append(name, value);
    }
}
