//! The two sides of a case: where each came from and with what.
//!
//! In: [`Context`]s of uses. Out: whether a context belongs to a side, and the side in words.
//! Does not know: findings, scores.

use super::text::{shown, shown_arc};
use crate::domain::context::{Client, Context, NetworkKind, Prefix};
use crate::domain::incident::Side as Shown;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;

/// Contexts and addresses kept of one side: a person has a handful, and more than twenty nobody
/// reads.
const KEPT_MAX: usize = 20;

/// One side.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Side {
    contexts: Vec<Context>,
    ips: Vec<IpAddr>,
}

/// Name and system of a program; `None` is an unknown one.
pub(super) type Program = Option<(Arc<str>, Arc<str>)>;

/// The program of a context, whatever its version.
pub(super) fn program(context: &Context) -> Program {
    let client = context.client.as_ref()?;
    Some((shown_arc(&client.name), shown_arc(&client.os)))
}

impl Side {
    /// Remembers a context. True when it has not been seen on this side.
    pub(super) fn see(&mut self, context: &Context) -> bool {
        if !self.ips.contains(&context.address.ip()) && self.ips.len() < KEPT_MAX {
            self.ips.push(context.address.ip());
        }
        let known = self.contexts.iter().any(|seen| {
            seen.prefix() == context.prefix()
                && seen.client == context.client
                && asn(seen) == asn(context)
        });
        let new = !known && self.contexts.len() < KEPT_MAX;
        if new {
            self.contexts.push(context.clone());
        }
        new
    }

    /// True when this side came from the prefix, or from the network with the same program.
    pub(super) fn shares(&self, context: &Context) -> bool {
        self.contexts.iter().any(|seen| {
            let network = asn(seen).is_some() && asn(seen) == asn(context);
            seen.prefix() == context.prefix() || network && same_program(seen, context)
        })
    }

    /// True when this side used the same program, from wherever.
    pub(super) fn uses_program(&self, context: &Context) -> bool {
        let known = context.client.is_some();
        known && self.contexts.iter().any(|seen| same_program(seen, context))
    }

    /// True when this very prefix and program are this side's.
    pub(super) fn is(&self, context: &Context) -> bool {
        self.contexts
            .iter()
            .any(|seen| seen.prefix() == context.prefix() && program(seen) == program(context))
    }

    /// True when this side was never anywhere but in this network, with this program.
    pub(super) fn is_all_of(&self, context: &Context) -> bool {
        let network = asn(context).is_some();
        let mut contexts = self.contexts.iter();
        network && contexts.all(|seen| asn(seen) == asn(context) && same_program(seen, context))
    }

    /// The first context.
    pub(super) fn first(&self) -> Option<&Context> {
        self.contexts.first()
    }

    /// The prefixes it came from.
    pub(super) fn prefixes(&self) -> Vec<Prefix> {
        let mut prefixes: Vec<_> = self.contexts.iter().map(Context::prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        prefixes
    }

    /// The addresses, at most twenty.
    pub(super) fn ips(&self) -> &[IpAddr] {
        &self.ips
    }

    /// Takes in another side.
    pub(super) fn merge(&mut self, other: &Self) {
        for context in &other.contexts {
            self.see(context);
        }
        for ip in &other.ips {
            if !self.ips.contains(ip) && self.ips.len() < KEPT_MAX {
                self.ips.push(*ip);
            }
        }
    }

    /// The side in words.
    pub(super) fn shown(&self) -> Shown {
        let mut side = Shown::default();
        for context in &self.contexts {
            push_new(&mut side.networks, network_words(context));
            if let Some(client) = &context.client {
                push_new(&mut side.clients, client_words(client));
            }
        }
        side
    }
}

fn push_new(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}

fn asn(context: &Context) -> Option<u32> {
    context.network.as_ref().map(|network| network.asn)
}

fn same_program(a: &Context, b: &Context) -> bool {
    match (&a.client, &b.client) {
        (Some(a), Some(b)) => a.same_program(b),
        _ => false,
    }
}

/// `AS2860 NOS COMUNICACOES (Lisbon, PT)`; the prefix where the network is unknown.
pub fn network_words(context: &Context) -> String {
    let network = match &context.network {
        Some(network) => format!("AS{} {}", network.asn, shown(&network.organisation)),
        None => context.prefix().to_string(),
    };
    match town_words(context) {
        Some(town) => format!("{network} ({town})"),
        None => network,
    }
}

/// `Chrome 126 on Windows`.
pub fn client_words(client: &Client) -> String {
    let mut words = shown(&client.name);
    if let Some(major) = client.major() {
        words.push_str(&format!(" {major}"));
    }
    if !client.os.is_empty() {
        words.push_str(&format!(" on {}", shown(&client.os)));
    }
    words
}

/// `Lisbon, PT`, or the country alone.
pub(super) fn town_words(context: &Context) -> Option<String> {
    let place = context.place.as_ref()?;
    Some(match &place.name {
        Some(name) => format!("{}, {}", shown(name), place.country),
        None => place.country.to_string(),
    })
}

/// Where somebody sits, for a sentence: `Tokyo, JP (hosting)`, else the network, else the address.
pub(super) fn place_words(context: &Context) -> String {
    let place = town_words(context).or_else(|| {
        let network = context.network.as_ref()?;
        Some(format!(
            "AS{} {}",
            network.asn,
            shown(&network.organisation)
        ))
    });
    let place = place.unwrap_or_else(|| context.address.ip().to_string());
    match context.network_kind() {
        NetworkKind::Unknown | NetworkKind::Residential => place,
        kind => format!("{place} ({})", kind.name()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{LISBON, TOKYO, context};
    use super::*;
    use crate::domain::context::Address;

    fn ip(text: &str) -> Address {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn a_side_is_known_by_prefix_or_by_network_and_program() {
        let mut side = Side::default();
        assert!(side.see(&context(TOKYO)));
        assert!(!side.see(&context(TOKYO)));
        let neighbour = Context {
            address: ip("198.51.100.200"),
            agent: Arc::default(),
            ..context(TOKYO)
        };
        assert!(side.shares(&neighbour), "same prefix");
        let moved = Context {
            address: ip("192.0.2.1"),
            ..context(TOKYO)
        };
        assert!(side.shares(&moved), "same network and program");
        let other_program = Context {
            agent: context(LISBON).agent,
            ..moved
        };
        assert!(!side.shares(&other_program));
        assert!(!side.shares(&context(LISBON)));
    }

    #[test]
    fn a_side_reads_like_the_contract() {
        let mut side = Side::default();
        side.see(&context(LISBON));
        let shown = side.shown();
        assert_eq!(shown.networks, ["AS2860 NOS COMUNICACOES (Lisbon, PT)"]);
        assert_eq!(shown.clients, ["Safari 17 on Mac OS X"]);
        assert_eq!(place_words(&context(TOKYO)), "Tokyo, JP (hosting)");
    }

    #[test]
    fn a_thousand_addresses_stay_twenty() {
        let mut side = Side::default();
        for n in 0..1000_u32 {
            side.see(&Context {
                address: IpAddr::V4((n << 8).into()).into(),
                ..context(TOKYO)
            });
        }
        assert_eq!((side.ips().len(), side.prefixes().len()), (20, 20));
    }
}
