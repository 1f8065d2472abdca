//! Whose uses are looked for when logs are read again for an incident.
//!
//! In: an [`Incident`] as it is shown, fresh from the engine or out of a file. Out: [`BreachQuery`]: which uses of
//! which networks and times are its suspect's.
//! Does not know: logs, positions, what comes of the uses (see [`super::rereading`]).
//!
//! It asks by the rules by which [`super::Incidents::note`] counts while things happen, so that both come to the same.

use super::sides::network_words;
use super::targets::forged;
use super::text::{shown, shown_arc};
use crate::domain::context::{Client, Context, Prefix};
use crate::domain::event::AccessEvent;
use crate::domain::ids::{IncidentId, SessionId};
use crate::domain::incident::{Incident, Side};
use crate::domain::time::Time;
use crate::domain::token::Token;
use crate::domain::usage::TokenUse;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Addresses that an incident lists at most: one that lists as many may have had more.
const IPS_MAX: usize = 20;
/// Sessions that an incident lists at most.
const SESSIONS_MAX: usize = super::case::SESSIONS_MAX;

/// What to look for.
#[derive(Clone, Debug)]
pub struct BreachQuery {
    incident: IncidentId,
    from: Time,
    until: Time,
    prefixes: Vec<Prefix>,
    scope: Scope,
    account: Option<Account>,
    suspect: Vec<String>,
    holder: Option<Side>,
    children: Vec<IncidentId>,
    cut: Option<&'static str>,
}

/// Whose account an incident is about, as it shows them.
#[derive(Clone, Debug, PartialEq)]
struct Account {
    issuer: Option<Arc<str>>,
    subject: Arc<str>,
}

/// Which tokens the incident is about.
#[derive(Clone, Debug)]
enum Scope {
    /// Those of these sessions.
    Sessions(BTreeSet<SessionId>),
    /// Forged ones in the account's name.
    Entered,
    /// Those that were forged or refused.
    Sender,
}

impl BreachQuery {
    /// What to look for on behalf of an incident.
    pub fn of(incident: &Incident) -> Self {
        let suspect = &incident.suspect;
        let account = incident.subject.clone().map(|subject| Account {
            issuer: incident.issuer.clone(),
            subject,
        });
        let scope = match (&account, incident.sessions.is_empty()) {
            (_, false) => Scope::Sessions(incident.sessions.iter().copied().collect()),
            (Some(_), true) => Scope::Entered,
            (None, true) => Scope::Sender,
        };
        let cut = if suspect.ips.len() >= IPS_MAX {
            Some("only the networks of the suspect's first 20 addresses were looked at")
        } else if incident.sessions.len() >= SESSIONS_MAX {
            Some("only the first 50 sessions were looked at")
        } else {
            None
        };
        Self {
            incident: incident.id,
            from: suspect.first_seen,
            until: incident.updated.max(suspect.last_seen),
            prefixes: {
                let all: BTreeSet<_> = suspect.ips.iter().copied().map(Prefix::of).collect();
                all.into_iter().collect()
            },
            scope,
            account,
            suspect: suspect.clients.clone(),
            holder: incident.victim.clone(),
            children: incident.children.clone(),
            cut,
        }
    }

    /// The incident.
    pub fn incident(&self) -> IncidentId {
        self.incident
    }

    /// The first moment that is asked for.
    pub fn from(&self) -> Time {
        self.from
    }

    /// The last.
    pub fn until(&self) -> Time {
        self.until
    }

    /// The networks that the suspect came from.
    pub fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// The incidents that this one is above: what their suspects did, its did.
    pub fn children(&self) -> &[IncidentId] {
        &self.children
    }

    /// Why not everything can be asked for.
    pub(super) fn cut(&self) -> Option<&'static str> {
        self.cut.filter(|_| self.children.is_empty())
    }

    /// True for a use by the suspect. It comes from one of the networks that are asked for.
    pub(super) fn takes(&self, usage: &TokenUse<'_>) -> bool {
        let forged = forged(usage);
        let about = match &self.scope {
            Scope::Sessions(sessions) => !forged && sessions.contains(&usage.token.session),
            Scope::Entered => forged && self.is_own(usage.token),
            Scope::Sender => forged || usage.event.refused(),
        };
        about && self.is_when(usage.event) && !self.is_holder(usage.context)
    }

    /// True when whatever was refused is the suspect's, which needs no token to be told.
    pub(super) fn is_of_sender(&self) -> bool {
        matches!(self.scope, Scope::Sender)
    }

    /// True for a use by the suspect that was refused, where [`Self::is_of_sender`].
    pub(super) fn takes_refused(&self, event: &AccessEvent<'_>, context: &Context) -> bool {
        self.is_when(event) && !self.is_holder(context)
    }

    fn is_when(&self, event: &AccessEvent<'_>) -> bool {
        (self.from..=self.until).contains(&event.time)
    }

    /// The name of a token's subject when it is another than the incident's, and the token came with one of the
    /// suspect's programs.
    pub(crate) fn other(
        &self,
        token: &Token,
        programs: &[Option<Arc<Client>>],
    ) -> Option<Arc<str>> {
        let mut programs = programs.iter();
        let by_suspect = programs.any(|program| self.is_suspects(program.as_deref()));
        let sub = token.sub.as_deref();
        sub.filter(|_| by_suspect && !self.is_own(token))
            .map(shown_arc)
    }

    /// True when the token names the account that the incident is about.
    fn is_own(&self, token: &Token) -> bool {
        self.account.as_ref().is_some_and(|account| {
            token
                .sub
                .as_deref()
                .is_some_and(|sub| shown(sub) == *account.subject)
                && token.issuer.as_deref().map(shown).as_deref() == account.issuer.as_deref()
        })
    }

    /// True for a program of the suspect's.
    fn is_suspects(&self, program: Option<&Client>) -> bool {
        names(&self.suspect, program)
    }

    /// The rightful holder can share a network with the suspect; then the program tells them apart.
    fn is_holder(&self, context: &Context) -> bool {
        let program = context.client.as_deref();
        self.holder.as_ref().is_some_and(|holder| {
            holder.networks.contains(&network_words(context))
                && names(&holder.clients, program)
                && !self.is_suspects(program)
        })
    }
}

/// True when the words of a side name a program, whatever its version.
fn names(words: &[String], program: Option<&Client>) -> bool {
    let Some(program) = program else {
        return words.is_empty();
    };
    let (name, system) = (shown(&program.name), shown(&program.os));
    words.iter().any(|words| {
        let (named, on) = words.rsplit_once(" on ").unwrap_or((words, ""));
        let version = named.strip_prefix(name.as_str());
        let version = version.map(|rest| rest.strip_prefix(' ').unwrap_or(rest));
        on == system && version.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

#[cfg(test)]
mod tests {
    use super::super::samples::{LISBON, TOKYO, context};
    use super::super::sides::client_words;
    use super::*;

    #[test]
    fn a_program_is_known_by_its_words_whatever_its_version() {
        for place in [LISBON, TOKYO] {
            let mut program = Client::clone(context(place).client.as_ref().unwrap());
            let words = [client_words(&program)];
            program.version = "999.1".into();
            assert!(names(&words, Some(&program)), "{words:?}");
            program.name = "Other".into();
            assert!(!names(&words, Some(&program)), "{words:?}");
        }
        assert!(names(&[], None));
        assert!(!names(&["curl 8".to_owned()], None));
    }
}
