//! Standard Webhooks: a signed POST.
//!
//! In: an id, a body, a secret. Out: the headers `webhook-id`, `webhook-timestamp`, `webhook-signature`, and the call.
//! Does not know: what the body says, how often it is tried. The id stays the same at every attempt, so that the
//! receiver knows a message again.
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use super::{Event, Kind, Sink, ndjson};
use crate::domain::action::{Alert, Outcome};
use crate::domain::finding::rfc3339;
use crate::domain::incident::Incident;
use crate::domain::time::Time;
use crate::outbound::options::{Key, Options, OptionsError, Takes};
use crate::outbound::{self, Attempt, Caller, Endpoint, Secret};
use aws_lc_rs::hmac;
use data_encoding::BASE64;
use serde::Serialize;
use std::sync::Arc;

/// `kind = "webhook"`.
pub const KIND: Kind = Kind {
    name: "webhook",
    keys: KEYS,
    make: |options, caller| {
        let hook = Hook::new(options, caller)?;
        Ok(Arc::new(Webhook { hook }))
    },
};

/// What a hook reads from the configuration.
pub(crate) const KEYS: &[Key] = &[
    Key::needed("url", Takes::Url, "\"https://hooks.example.com/tokentrip\""),
    Key::secret(["secret", "secret_file", "secret_env"]),
];

/// The prefix of a symmetric secret whose rest is base64.
const SECRET_PREFIX: &str = "whsec_";

/// What every message looks like.
#[derive(Serialize)]
pub(crate) struct Message<'a, T> {
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    #[serde(with = "rfc3339")]
    pub(crate) timestamp: Time,
    pub(crate) data: &'a T,
}

/// A place that takes signed messages.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    endpoint: Endpoint,
    secret: Secret,
    caller: Caller,
}

impl Hook {
    /// A place and its secret (`whsec_` and base64, or any text) under [`KEYS`], and what makes the call.
    pub(crate) fn new(options: &Options, caller: &Caller) -> Result<Self, OptionsError> {
        Ok(Self {
            endpoint: options.endpoint("url")?,
            secret: options.needed_secret("secret")?,
            caller: caller.clone(),
        })
    }

    /// Posts a JSON body under an id.
    pub(crate) async fn post(&self, id: &str, body: &str) -> Outcome {
        let secret = match self.secret.read() {
            Ok(secret) => secret,
            Err(error) => return error.into(),
        };
        let timestamp_s = outbound::now().as_s();
        let request = self.caller.client().post(self.endpoint.url());
        let request = request
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp_s)
            .header("webhook-signature", sign(&secret, id, timestamp_s, body))
            .body(body.to_owned());
        match self.caller.send(request).await {
            Ok(answer) => answer.outcome(),
            Err(outcome) => outcome,
        }
    }
}

/// The value of `webhook-signature`: version and base64 of HMAC-SHA256 over id, timestamp and body.
pub fn sign(secret: &str, id: &str, timestamp_s: i64, body: &str) -> String {
    let decoded = secret.strip_prefix(SECRET_PREFIX);
    let decoded = decoded.and_then(|base64| BASE64.decode(base64.as_bytes()).ok());
    let key = decoded.unwrap_or_else(|| secret.as_bytes().to_vec());
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    let signed = format!("{id}.{timestamp_s}.{body}");
    format!(
        "v1,{}",
        BASE64.encode(hmac::sign(&key, signed.as_bytes()).as_ref())
    )
}

/// A webhook that is told about incidents.
#[derive(Debug)]
struct Webhook {
    hook: Hook,
}

impl Sink for Webhook {
    fn body(&self, event: Event, incident: &Incident) -> String {
        let message = Message {
            kind: event.name(),
            timestamp: incident.updated,
            data: incident,
        };
        ndjson::line(&message).unwrap_or_default()
    }

    fn deliver<'a>(&'a self, alert: &'a Alert) -> Attempt<'a> {
        Box::pin(async move { self.hook.post(&alert.id.to_string(), &alert.body).await })
    }
}
