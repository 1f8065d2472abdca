//! How a call shows who makes it.
//!
//! In: a request, the values of the configuration. Out: the request with headers of its own, and the token in them that
//! may be refused.
//! Does not know: what is called. Secrets are read at each use and not kept; tokens are kept until they are refused.
//! Source: RFC 6749, sections 2.3.1 and 4.4; RFC 7523, section 2.1; RFC 7617 (Basic).

use super::sigv4::Signer;
use super::template::{Address, Pointer, Template, Tree, Unfit, Values, encoded, form};
use crate::domain::action::Outcome;
use crate::outbound::bearer::{Bearer, KeptBearer};
use crate::outbound::signing::SigningKey;
use crate::outbound::{Caller, Endpoint, now};
use data_encoding::BASE64;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Request, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How long an assertion to Google is good for: an hour is the most it takes.
const ASSERTION_S: i64 = 3600;

/// How a vendor knows its callers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Credential {
    /// The same headers with every call.
    Headers(Vec<(HeaderName, Template)>),
    /// A name and a password.
    Basic {
        user: Template,
        password: Template,
        /// Both are encoded as in a form first, as OAuth wants it.
        encoded: bool,
    },
    /// A token that another call gives.
    Token {
        address: Address,
        body: Body,
        at: Pointer,
        headers: Vec<(HeaderName, Template)>,
    },
    /// A token for an assertion that the key of a Google service account signs.
    ServiceAccount {
        address: Address,
        account: Template,
        scope: String,
        subject: Option<Template>,
        headers: Vec<(HeaderName, Template)>,
    },
    /// A signature of each request.
    SigV4 {
        access_key_id: Template,
        secret: Template,
        region: Template,
        service: String,
    },
}

/// What a call says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    None,
    Json(Tree),
    Form(Vec<(String, Template)>),
}

impl Body {
    /// The names of its places.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::None => Vec::new(),
            Self::Json(tree) => tree.names(),
            Self::Form(fields) => fields.iter().flat_map(|(_, value)| value.names()).collect(),
        }
    }

    /// Puts it into a request that names no other type.
    pub(super) fn write(&self, request: &mut Request, values: &Values) -> Result<(), Unfit> {
        let (kind, text) = match self {
            Self::None => return Ok(()),
            Self::Json(tree) => ("application/json", tree.json(values)?.to_string()),
            Self::Form(fields) => ("application/x-www-form-urlencoded", form(fields, values)?),
        };
        let headers = request.headers_mut();
        headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(kind));
        *request.body_mut() = Some(text.into());
        Ok(())
    }
}

/// The part of a service account's file that is needed.
#[derive(Deserialize)]
struct Account {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
}

/// Where the keys of a configuration say that something is.
pub(super) type Addresses = BTreeMap<&'static str, Endpoint>;

/// The address of a key.
pub(super) fn base<'a>(addresses: &'a Addresses, name: &str) -> Result<&'a Endpoint, Outcome> {
    addresses.get(name).ok_or_else(|| unfit(Unfit::Absent))
}

/// Who shows a credential, and what for.
pub(super) struct Shown<'a> {
    pub(super) caller: &'a Caller,
    pub(super) addresses: &'a Addresses,
    /// Values of the configuration, with secrets.
    pub(super) values: &'a Values,
    pub(super) kept: &'a KeptBearer,
}

impl Credential {
    /// The names of its places; `access_token` it fills itself.
    pub(super) fn names(&self) -> Vec<&str> {
        fn of(headers: &[(HeaderName, Template)]) -> impl Iterator<Item = &str> {
            let names = headers.iter().flat_map(|(_, value)| value.names());
            names.filter(|name| *name != ACCESS_TOKEN)
        }
        match self {
            Self::Headers(headers) => of(headers).collect(),
            Self::Basic { user, password, .. } => user.names().chain(password.names()).collect(),
            Self::Token {
                address,
                body,
                headers,
                ..
            } => address
                .names()
                .chain(body.names())
                .chain(of(headers))
                .collect(),
            Self::ServiceAccount {
                address,
                account,
                subject,
                headers,
                ..
            } => {
                let subject = subject.iter().flat_map(Template::names);
                address
                    .names()
                    .chain(account.names())
                    .chain(subject)
                    .chain(of(headers))
                    .collect()
            }
            Self::SigV4 {
                access_key_id,
                secret,
                region,
                ..
            } => access_key_id
                .names()
                .chain(secret.names())
                .chain(region.names())
                .collect(),
        }
    }

    /// The addresses it calls.
    pub(super) fn address(&self) -> Option<&Address> {
        match self {
            Self::Token { address, .. } | Self::ServiceAccount { address, .. } => Some(address),
            Self::Headers(_) | Self::Basic { .. } | Self::SigV4 { .. } => None,
        }
    }

    /// Shows it in a request. Gives the token that was shown, where it can be fetched anew, as a refused one is.
    pub(super) async fn show(
        &self,
        request: &mut Request,
        shown: &Shown<'_>,
        refused: Option<&Bearer>,
    ) -> Result<Option<Bearer>, Outcome> {
        let values = shown.values;
        let text = |template: &Template| template.plain(values).map_err(unfit);
        match self {
            // A key that may be left out leaves its header out.
            Self::Headers(headers) => {
                let there = headers
                    .iter()
                    .filter(|(_, value)| value.plain(values).is_ok());
                set(request, there, values).map(|()| None)
            }
            Self::Basic {
                user,
                password,
                encoded: encode,
            } => {
                let part = |template| {
                    let text = text(template);
                    text.map(|text| if *encode { encoded(&text) } else { text })
                };
                let pair = format!("{}:{}", part(user)?, part(password)?);
                let value = format!("Basic {}", BASE64.encode(pair.as_bytes()));
                put(request, &AUTHORIZATION, &value).map(|()| None)
            }
            Self::Token {
                address,
                body,
                at,
                headers,
            } => {
                let fetch = async {
                    let mut request = post(shown, address)?;
                    body.write(&mut request, values).map_err(unfit)?;
                    fetched(shown.caller, request, at).await
                };
                let token = shown.kept.get(refused, fetch).await?;
                self.set_with(request, headers, values, token)
            }
            Self::ServiceAccount {
                address,
                account,
                scope,
                subject,
                headers,
            } => {
                let fetch = async {
                    let subject = subject.as_ref().map(text).transpose()?;
                    let assertion = assertion(&text(account)?, address, scope, subject, shown)?;
                    let mut request = post(shown, address)?;
                    assertion_form(&mut request, &assertion);
                    fetched(shown.caller, request, &Pointer::at(ACCESS_TOKEN)).await
                };
                let token = shown.kept.get(refused, fetch).await?;
                self.set_with(request, headers, values, token)
            }
            Self::SigV4 { .. } => self.signed(request, values).map(|()| None),
        }
    }

    fn signed(&self, request: &mut Request, values: &Values) -> Result<(), Outcome> {
        let Self::SigV4 {
            access_key_id,
            secret,
            region,
            service,
        } = self
        else {
            return Ok(());
        };
        let text = |template: &Template| template.plain(values).map_err(unfit);
        let (access_key_id, secret) = (text(access_key_id)?, text(secret)?);
        let region = text(region)?;
        let signer = Signer {
            access_key_id: &access_key_id,
            secret: &secret,
            region: &region,
            service,
        };
        let signed = signer.sign(request, now());
        signed.ok_or_else(|| unfit(Unfit::Leaves))
    }

    fn set_with(
        &self,
        request: &mut Request,
        headers: &[(HeaderName, Template)],
        values: &Values,
        token: Bearer,
    ) -> Result<Option<Bearer>, Outcome> {
        let mut values = values.clone();
        values.set(ACCESS_TOKEN, token.text());
        set(request, headers, &values)?;
        Ok(Some(token))
    }
}

/// The place in a header for a token that was fetched.
pub(super) const ACCESS_TOKEN: &str = "access_token";

fn post(shown: &Shown<'_>, address: &Address) -> Result<Request, Outcome> {
    let url = address.url(base(shown.addresses, &address.base)?, shown.values);
    Ok(Request::new(reqwest::Method::POST, url.map_err(unfit)?))
}

/// Calls for a token.
async fn fetched(caller: &Caller, request: Request, at: &Pointer) -> Result<Bearer, Outcome> {
    let request = RequestBuilder::from_parts(caller.client().clone(), request);
    let answer = caller.send(request).await.map_err(Outcome::unsent)?;
    match answer.outcome() {
        Outcome::Done => {}
        Outcome::Failed { why } => {
            let why = format!("no access token: {why}; check the credentials");
            return Err(Outcome::Failed { why });
        }
        outcome => return Err(outcome.unsent()),
    }
    let answer: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let token = answer.and_then(|answer| at.find(&answer).into_iter().next());
    let none = || Outcome::Failed {
        why: "no access token: the answer holds none".to_owned(),
    };
    token.map(Bearer::new).ok_or_else(none)
}

/// What the key of a service account signs to get a token.
/// Source: <https://developers.google.com/identity/protocols/oauth2/service-account#authorizingrequests>.
fn assertion(
    account: &str,
    address: &Address,
    scope: &str,
    subject: Option<String>,
    shown: &Shown<'_>,
) -> Result<String, Outcome> {
    let wrong = |why: String| Outcome::Failed {
        why: format!("the service account's file: {why}"),
    };
    let account: Account = serde_json::from_str(account)
        .map_err(|_| wrong("it is no JSON with `client_email` and `private_key`".to_owned()))?;
    let key = SigningKey::of_pem(&account.private_key).map_err(|error| wrong(error.to_string()))?;
    let audience = address.url(base(shown.addresses, &address.base)?, shown.values);
    let audience = audience.map_err(unfit)?;
    let issued_s = now().as_s();
    let mut claims = json!({
        "iss": account.client_email, "scope": scope, "aud": audience.as_str(),
        "iat": issued_s, "exp": issued_s + ASSERTION_S,
    });
    if let Some(subject) = subject {
        claims["sub"] = subject.into();
    }
    let signed = key.sign("JWT", account.private_key_id.as_deref(), &claims);
    signed.ok_or_else(|| wrong("nothing can be signed now".to_owned()))
}

fn assertion_form(request: &mut Request, assertion: &str) {
    let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
    request.headers_mut().insert(CONTENT_TYPE, kind);
    let grant = encoded("urn:ietf:params:oauth:grant-type:jwt-bearer");
    *request.body_mut() = Some(format!("grant_type={grant}&assertion={assertion}").into());
}

fn set<'h>(
    request: &mut Request,
    headers: impl IntoIterator<Item = &'h (HeaderName, Template)>,
    values: &Values,
) -> Result<(), Outcome> {
    for (name, value) in headers {
        put(request, name, &value.plain(values).map_err(unfit)?)?;
    }
    Ok(())
}

fn put(request: &mut Request, name: &HeaderName, value: &str) -> Result<(), Outcome> {
    let mut value = HeaderValue::from_str(value).map_err(|_| unfit(Unfit::Leaves))?;
    value.set_sensitive(true);
    request.headers_mut().insert(name, value);
    Ok(())
}

/// What comes of a call that cannot be written.
pub(super) fn unfit(why: Unfit) -> Outcome {
    let why = match why {
        Unfit::Absent => "a value that the call needs is not there",
        Unfit::Leaves => "a value cannot stand where the call has its place",
    };
    Outcome::Impossible {
        why: why.to_owned(),
    }
}
