//! `[[allow]]` and `[[travel]]` of the configuration, as the rules understand them.
//!
//! In: the configuration and the rules it is about. Out: [`Exception`]s.
//! Does not know: what is found.

use super::Error;
use crate::config::{Allow, Config, Network, Times, Travel};
use crate::rules::{self, Exception, Net, RuleSet};

/// The exceptions of a configuration, in its order.
///
/// # Errors
/// When one names rules, and none of them is there: it would look as if it helped.
pub(super) fn of(config: &Config, rules: &RuleSet) -> Result<Vec<Exception>, Error> {
    let mut exceptions = Vec::new();
    for allow in &config.allows {
        let exception = of_allow(allow);
        for pattern in &allow.rules {
            if !rules.rules().iter().any(|rule| pattern.matches(&rule.name)) {
                return Err(Error::new(format!(
                    "[[allow]] \"{}\": no rule is called `{pattern}`",
                    allow.name
                ))
                .help("`tokentrip rules list` shows the names of all rules"));
            }
        }
        exceptions.push(exception);
    }
    exceptions.extend(config.travels.iter().map(of_travel));
    Ok(exceptions)
}

fn of_allow(allow: &Allow) -> Exception {
    let network = |network: &Network| match *network {
        Network::Prefix(prefix) => Net::Prefix(prefix),
        Network::Asn(number) => Net::Asn(number),
    };
    Exception {
        name: allow.name.as_str().into(),
        rules: allow.rules.clone(),
        dimensions: Vec::new(),
        subjects: allow.subjects.clone(),
        clients: allow.clients.clone(),
        networks: allow.networks.iter().map(network).collect(),
        places: allow.places.clone(),
        times: of_times(&allow.times),
    }
}

fn of_travel(travel: &Travel) -> Exception {
    let (subject, to) = (travel.subject.clone(), travel.to.clone());
    Exception::journey(subject, to, of_times(&travel.times))
}

fn of_times(times: &Times) -> rules::Times {
    rules::Times {
        from: times.from,
        until: times.until,
        days: times.days.clone(),
        minutes: times.minutes,
        zone: Some(times.zone.clone()),
    }
}
