//! What is to be done about an incident, and what came of it.
//!
//! In: what `response` planned. Out: [`Action`], [`Delivery`], [`Outcome`].
//! Does not know: gates, providers, sinks, the database.

use super::finding::rfc3339;
use super::ids::{ActionId, IdKey, IncidentId};
use super::incident::Target;
use super::time::Time;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The provider name of a denial at the gateway, which needs no call to anyone.
pub const GATEWAY: &str = "gateway";

/// How far the answer goes, least first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Tell, and do nothing.
    #[default]
    Observe,
    /// Also say what would be done.
    DryRun,
    /// Do it when a named person approves.
    Approve,
    /// Do it.
    Enforce,
}

impl Mode {
    /// Every mode with its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("observe", Self::Observe),
        ("dry-run", Self::DryRun),
        ("approve", Self::Approve),
        ("enforce", Self::Enforce),
    ];

    /// The mode's name.
    pub fn name(self) -> &'static str {
        let known = Self::ALL.iter().find(|(_, mode)| *mode == self);
        known.map_or("", |(name, _)| name)
    }
}

/// Which of the four steps an action carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// 1: have the password changed.
    Password,
    /// 2: revoke.
    Revoke,
    /// 1, without force: ask the user by mail to change the password.
    Ask,
    /// 2, at the edge: block the suspect's address.
    Block,
    /// 4: tell the provider that the account is at risk, so that its own policies ask for more.
    Risk,
    /// 4: have a second factor set up.
    Mfa,
    /// Look whether what was revoked is gone.
    Verify,
    /// Take back what a provider did.
    Undo,
}

impl Step {
    /// The step's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Revoke => "revoke",
            Self::Ask => "ask",
            Self::Block => "block",
            Self::Risk => "risk",
            Self::Mfa => "mfa",
            Self::Verify => "verify",
            Self::Undo => "undo",
        }
    }
}

/// Whether an action may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// At once.
    Go,
    /// When a person approves it.
    Wait,
    /// Never: it is written down as if it had been done.
    DryRun,
}

/// One planned call, or one denial at the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// The same whenever the same thing is planned for the same incident.
    pub id: ActionId,
    /// For which incident.
    pub incident: IncidentId,
    /// Which step.
    pub step: Step,
    /// On what.
    pub target: Target,
    /// By which provider, or [`GATEWAY`].
    pub provider: Arc<str>,
    /// The calls it makes, for people: method and path.
    pub calls: Vec<String>,
    /// False when doing it twice differs from doing it once, as a mail does.
    pub idempotent: bool,
    /// Whether it may go ahead.
    pub standing: Standing,
    /// For a denial: until when.
    #[serde(with = "rfc3339_option")]
    pub denied_until: Option<Time>,
    /// True when its provider has a call that takes it back.
    #[serde(default)]
    pub undoable: bool,
    /// For a look after a revocation: the sessions that were there before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
}

impl Action {
    /// What follows this action at the same provider: a look whether it worked, or its undoing.
    #[must_use]
    pub fn followed_by(&self, step: Step) -> Self {
        Self {
            id: Self::id_of(self.incident, step, &self.target, &self.provider),
            step,
            calls: Vec::new(),
            idempotent: true,
            standing: Standing::Go,
            denied_until: None,
            undoable: false,
            before: Vec::new(),
            ..self.clone()
        }
    }

    /// The id of an action: incident, step, target without its times, provider.
    pub fn id_of(incident: IncidentId, step: Step, target: &Target, provider: &str) -> ActionId {
        id_of(&[
            incident.to_string().as_bytes(),
            step.name().as_bytes(),
            target.kind().as_bytes(),
            target.issuer().as_bytes(),
            target.name().as_bytes(),
            provider.as_bytes(),
        ])
    }
}

/// The incident's id, one of the parts, is a keyed hash already, so the key may be the public one.
fn id_of(parts: &[&[u8]]) -> ActionId {
    ActionId::of(&IdKey::public([0; 32]), parts)
}

/// One message for one sink: it waits in the outbox beside the actions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The same whenever the same thing is told about the same incident to the same sink.
    pub id: ActionId,
    /// About which incident.
    pub incident: IncidentId,
    /// The sink's name in the configuration.
    pub sink: Arc<str>,
    /// The message as it is sent, without tokens.
    pub body: String,
}

impl Alert {
    /// The id of an alert: incident, what is told (`incident.opened high open`), sink.
    pub fn id_of(incident: IncidentId, what: &str, sink: &str) -> ActionId {
        id_of(&[
            incident.to_string().as_bytes(),
            b"alert",
            what.as_bytes(),
            sink.as_bytes(),
        ])
    }
}

/// One row of the outbox: to be delivered until it is done or given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Delivery {
    /// To a provider.
    Action(Action),
    /// To a sink.
    Alert(Alert),
}

impl Delivery {
    /// The row's id.
    pub fn id(&self) -> ActionId {
        match self {
            Self::Action(action) => action.id,
            Self::Alert(alert) => alert.id,
        }
    }

    /// For which incident.
    pub fn incident(&self) -> IncidentId {
        match self {
            Self::Action(action) => action.incident,
            Self::Alert(alert) => alert.incident,
        }
    }

    /// Who gets it: the name of a provider or a sink.
    pub fn receiver(&self) -> &Arc<str> {
        match self {
            Self::Action(action) => &action.provider,
            Self::Alert(alert) => &alert.sink,
        }
    }
}

/// What came of one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It was done before: a session that is gone, an action that is required already.
    AlreadyDone,
    /// It may work later.
    Retry {
        /// What the receiver asked to wait, in seconds.
        after_s: Option<u64>,
        /// Why, without URL and without secret.
        why: String,
    },
    /// It was not even sent, so it may be tried again even if doing it twice were wrong.
    Unsent {
        /// What the receiver asked to wait, in seconds.
        after_s: Option<u64>,
        /// Why, without URL and without secret.
        why: String,
    },
    /// It will not work, however often it is tried.
    Failed {
        /// Why, without URL and without secret.
        why: String,
    },
    /// This receiver has no way to do it.
    Impossible {
        /// Why.
        why: String,
    },
}

impl Outcome {
    /// The outcome's name in incidents and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::AlreadyDone => "already_done",
            Self::Retry { .. } | Self::Unsent { .. } => "pending",
            Self::Failed { .. } => "failed",
            Self::Impossible { .. } => "impossible",
        }
    }

    /// The same of a call that comes before the one that matters: what may work later was not even sent.
    #[must_use]
    pub fn unsent(self) -> Self {
        match self {
            Self::Retry { after_s, why } => Self::Unsent { after_s, why },
            other => other,
        }
    }

    /// Why it did not work; `None` when it did.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Done | Self::AlreadyDone => None,
            Self::Retry { why, .. }
            | Self::Unsent { why, .. }
            | Self::Failed { why }
            | Self::Impossible { why } => Some(why),
        }
    }
}

/// Optional times as RFC 3339 in UTC with milliseconds.
mod rfc3339_option {
    use super::{Time, rfc3339};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Written(#[serde(with = "rfc3339")] Time);

    pub(super) fn serialize<S: Serializer>(time: &Option<Time>, to: S) -> Result<S::Ok, S::Error> {
        time.map(Written).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Time>, D::Error> {
        Ok(Option::<Written>::deserialize(from)?.map(|Written(time)| time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_reads_back_and_its_id_does_not_change_with_the_targets_times() {
        let incident = IncidentId::new(7);
        let target = |expires_s| Target::Jti {
            iss: "https://idp.example.com/".into(),
            jti: "j".into(),
            expires_s,
        };
        let id = Action::id_of(incident, Step::Revoke, &target(None), GATEWAY);
        assert_eq!(
            id,
            Action::id_of(incident, Step::Revoke, &target(Some(9)), GATEWAY)
        );
        assert_ne!(
            id,
            Action::id_of(incident, Step::Password, &target(None), GATEWAY)
        );
        let delivery = Delivery::Action(Action {
            id,
            incident,
            step: Step::Revoke,
            target: target(Some(9)),
            provider: GATEWAY.into(),
            calls: Vec::new(),
            idempotent: true,
            standing: Standing::Go,
            denied_until: Time::from_ms(1_777_889_472_345),
            undoable: false,
            before: Vec::new(),
        });
        let json = serde_json::to_string(&delivery).unwrap();
        assert!(json.contains("2026-05-04T10:11:12.345Z"));
        assert_eq!(serde_json::from_str::<Delivery>(&json).unwrap(), delivery);
    }
}
