//! The parts of a vendor's file that are the same everywhere: credentials, bodies, headers, answers.
//!
//! In: what TOML gave. Out: the parts, ready to be used, or mistakes in the [`Reader`].
//! Does not know: which step or target they are for.

use super::credential::{ACCESS_TOKEN, Body, Credential};
use super::document::{AnswerDoc, CredentialDoc};
use super::reader::Reader;
use super::template::{Address, Pointer, Template, Tree};
use super::vendor::Rule;
use reqwest::header::HeaderName;
use std::collections::BTreeMap;

impl Reader<'_> {
    pub(super) fn credential(&mut self, name: &str, document: CredentialDoc) -> Option<Credential> {
        let place = format!("[credential.{name}]");
        let bearer = || {
            [(
                "Authorization".to_owned(),
                format!("Bearer {{{ACCESS_TOKEN}}}"),
            )]
        };
        Some(match document {
            CredentialDoc::Headers { headers } => Credential::Headers(self.headers(headers)?),
            CredentialDoc::Basic {
                user,
                password,
                encoded,
            } => Credential::Basic {
                user: self.read(&place, Template::parse(&user))?,
                password: self.read(&place, Template::parse(&password))?,
                encoded,
            },
            CredentialDoc::Token {
                url,
                form,
                json,
                at,
                headers,
            } => Credential::Token {
                address: self.read(&url, Address::parse(&url))?,
                body: self.body(form, json)?,
                at: self.read(&at, Pointer::parse(&at))?,
                headers: self.headers(headers.unwrap_or_else(|| bearer().into()))?,
            },
            CredentialDoc::ServiceAccount {
                url,
                account,
                scope,
                subject,
            } => Credential::ServiceAccount {
                address: self.read(&url, Address::parse(&url))?,
                account: self.read(&account, Template::parse(&account))?,
                scope,
                subject: match subject {
                    Some(subject) => Some(self.read(&subject, Template::parse(&subject))?),
                    None => None,
                },
                headers: self.headers(bearer().into())?,
            },
            CredentialDoc::Sigv4 {
                access_key_id,
                secret,
                region,
                service,
            } => Credential::SigV4 {
                access_key_id: self.read(&place, Template::parse(&access_key_id))?,
                secret: self.read(&place, Template::parse(&secret))?,
                region: self.read(&place, Template::parse(&region))?,
                service,
            },
        })
    }

    pub(super) fn body(
        &mut self,
        form: BTreeMap<String, String>,
        json: Option<toml::Value>,
    ) -> Option<Body> {
        Some(match (json, form.is_empty()) {
            (None, true) => Body::None,
            (Some(json), true) => Body::Json(self.read("json", Tree::parse(&json))?),
            (None, false) => {
                let mut fields = Vec::new();
                for (name, value) in form {
                    fields.push((name, self.read(&value, Template::parse(&value))?));
                }
                Body::Form(fields)
            }
            (Some(_), false) => {
                self.wrong("json", "a call has `json` or `form`, not both");
                return None;
            }
        })
    }

    pub(super) fn headers(
        &mut self,
        headers: BTreeMap<String, String>,
    ) -> Option<Vec<(HeaderName, Template)>> {
        let mut read = Vec::new();
        for (name, value) in headers {
            let known =
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| "this is no name of a header");
            read.push((
                self.read(&name, known)?,
                self.read(&value, Template::parse(&value))?,
            ));
        }
        Some(read)
    }

    pub(super) fn rule(&mut self, document: AnswerDoc) -> Option<Rule> {
        let at = match document.at {
            Some(at) => Some(self.read(&at, Pointer::parse(&at))?),
            None => None,
        };
        Some(Rule {
            status: document.status,
            at,
            holds: document.holds,
            means: document.means,
            why: document.why,
        })
    }
}
