//! A service of one's own that revokes: a signed `token.stolen` event (Standard Webhooks).
//!
//! In: an [`Action`]. Out: a POST with the action as data; its id is the same at every attempt.
//! Does not know: what the service does with it.
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use super::{Kind, Make, Provider};
use crate::domain::action::{Action, Outcome, Step};
use crate::domain::incident::Target;
use crate::outbound::{self, Attempt};
use crate::sinks::ndjson;
use crate::sinks::webhook::{Hook, KEYS, Message};
use std::sync::Arc;

/// What the event is called.
const EVENT: &str = "token.stolen";

/// `kind = "webhook"`.
pub const KIND: Kind = Kind {
    name: "webhook",
    keys: KEYS,
    make: Make::Code(|setting| {
        Ok(Arc::new(Webhook {
            hook: Hook::new(setting.options, setting.caller)?,
            name: setting.name,
            issuer: setting.issuer,
        }))
    }),
};

/// A webhook that acts, for one issuer or for all.
#[derive(Debug)]
struct Webhook {
    name: Arc<str>,
    issuer: Option<Arc<str>>,
    hook: Hook,
}

impl Provider for Webhook {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn answers_for(&self, issuer: &str) -> bool {
        self.issuer.as_deref().is_none_or(|own| own == issuer)
    }

    fn calls(&self, step: Step, target: &Target) -> Option<Vec<String>> {
        // A service of one's own is told of sessions and subjects, as an identity provider is.
        let told = matches!(step, Step::Revoke | Step::Password);
        if !told || !matches!(target, Target::Sid { .. } | Target::Subject { .. }) {
            return None;
        }
        Some(vec![format!(
            "POST {EVENT} to {}: {} {target}",
            self.name,
            step.name()
        )])
    }

    fn carry_out<'a>(&'a self, action: &'a Action) -> Attempt<'a> {
        let message = Message {
            kind: EVENT,
            timestamp: outbound::now(),
            data: action,
        };
        let body = ndjson::line(&message);
        Box::pin(async move {
            match body {
                Ok(body) => self.hook.post(&action.id.to_string(), &body).await,
                Err(error) => Outcome::Failed {
                    why: error.to_string(),
                },
            }
        })
    }
}
