//! Who is told what: of an incident when it opens and when it gets worse, of a storm instead of each.
//!
//! In: incidents after they were planned, what is known of them. Out: alerts for the outbox, and the incident of a
//! storm for the store.
//! Does not know: sinks, the outbox; when a storm begins (see [`crate::response::storm`]).

use super::{Answer, Shared, wall};
use crate::domain::action::{Alert, Delivery};
use crate::domain::incident::{Incident, Refusal};
use crate::domain::time::Time;
use crate::engine::Engine;
use crate::response::storm::Whose;
use crate::sinks::{self, Event, Receiver, STORM};
use tracing::warn;

impl Answer {
    /// The messages about an incident: one when it opens, one for each level above. Of many at once receivers are
    /// told in one, which the incident says.
    pub(super) fn alerts(
        &mut self,
        incident: &mut Incident,
        engine: &Engine,
        shared: &Shared,
    ) -> Vec<Alert> {
        let Some(known) = self.known.get_mut(incident.id) else {
            return Vec::new();
        };
        let event = match known.told {
            None => Some(Event::Opened),
            Some(told) if incident.level > told => Some(Event::Updated),
            Some(_) => None,
        };
        let (sinks, policy) = (&self.receivers.sinks, &self.receivers.policy);
        if event.is_some() {
            known.told = Some(incident.level);
            let wants = |sink: &&Receiver| !sink.every_incident && incident.level >= sink.level_min;
            let spared: Vec<_> = sinks.iter().filter(wants).collect();
            let subject = incident.subject.as_deref();
            let protected = subject.is_some_and(|subject| policy.protects(subject));
            let now = wall();
            let whose = Whose::of(protected, since(incident, engine), now);
            known.of_many = !spared.is_empty()
                && !is_drill(incident, shared)
                && !self.storms.alone(incident, whose, known.waits, now);
            if known.of_many {
                let count = |sink: &Receiver| shared.metrics.alerts(&sink.name, "grouped", 1);
                spared.into_iter().for_each(count);
            }
        }
        if known.of_many {
            let reason =
                "told as one of many: there were too many incidents at once to tell of each";
            incident.refused.push(Refusal {
                gate: STORM.to_owned(),
                reason: reason.to_owned(),
            });
        }
        event.map_or_else(Vec::new, |event| sinks::alerts(sinks, event, incident))
    }

    /// Adds what is to be told of a storm, if anything is.
    pub(super) fn storm(&mut self, incidents: &mut Vec<Incident>, deliveries: &mut Vec<Delivery>) {
        let Some(news) = self.storms.news(wall()) else {
            return;
        };
        let storm = news.incident;
        warn!(id = %storm.id, "{}", storm.title);
        let sinks = self.receivers.sinks.iter();
        let sinks: Vec<_> = sinks.filter(|sink| !sink.every_incident).cloned().collect();
        let alerts = sinks::alerts_named(&sinks, news.event, &news.what, &storm);
        deliveries.extend(alerts.into_iter().map(Delivery::Alert));
        incidents.push(storm);
    }

    /// Tells how a storm goes on while nothing else happens.
    pub(super) fn tell_of_storm(&mut self, shared: &Shared) {
        let (mut incidents, mut deliveries) = (Vec::new(), Vec::new());
        self.storm(&mut incidents, &mut deliveries);
        if !incidents.is_empty() {
            self.unstored.add(Vec::new(), incidents, deliveries);
            self.store(shared);
        }
    }
}

/// When the engine first saw the subject.
fn since(incident: &Incident, engine: &Engine) -> Option<Time> {
    let account = incident.issuer.as_deref().zip(incident.subject.as_deref());
    account.and_then(|(iss, sub)| engine.subject_since(iss, sub))
}

/// A drill asks whether messages come through.
fn is_drill(incident: &Incident, shared: &Shared) -> bool {
    let drill = shared.store.drill(wall()).unwrap_or_default();
    drill.is_some() && drill.as_deref() == incident.subject.as_deref()
}
