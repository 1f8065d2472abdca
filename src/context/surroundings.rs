//! An event → its context, with what was looked up lately at hand.
//!
//! In: an [`AccessEvent`] and [`Tables`]. Out: [`Context`].
//! Does not know: sessions; the engine asks only when something about a use is new.

use super::clients::{self, Clients};
use super::language;
use super::recent::Recent;
use super::shared::Shared;
use super::tables::Tables;
use crate::domain::context::{Agent, Client, ClientKind, Context, Network, NetworkKind, Place};
use crate::domain::event::AccessEvent;
use std::net::IpAddr;
use std::sync::Arc;

/// Addresses, user agents and short texts held, each: enough for the active clients of a large
/// site. At 512 bytes a user agent this bounds the memory at 20 MB when an attacker fills it.
const COUNT_MAX: usize = 16_384;

/// Longer fingerprints are not JA4, which has 36 bytes.
const JA4_BYTES_MAX: usize = 64;

/// Systems that iCloud Private Relay exists on.
const APPLE_SYSTEMS: [&str; 2] = ["iOS", "Mac OS X"];

/// What is known of an address.
type Whereabouts = (Option<Arc<Place>>, Option<Arc<Network>>);

/// Turns events into contexts. Equal parts of contexts share their memory.
pub struct Surroundings {
    tables: Tables,
    clients: Clients,
    addresses: Recent<IpAddr, Whereabouts>,
    user_agents: Recent<String, Option<Arc<Client>>>,
    /// Fingerprints and languages.
    texts: Recent<String, Arc<str>>,
    places: Shared<Place>,
    networks: Shared<Network>,
    agents: Shared<Agent>,
}

impl Surroundings {
    /// Looks addresses up in these tables.
    pub fn new(tables: Tables) -> Self {
        Self {
            tables,
            clients: Clients,
            addresses: Recent::new(COUNT_MAX),
            user_agents: Recent::new(COUNT_MAX),
            texts: Recent::new(COUNT_MAX),
            places: Shared::default(),
            networks: Shared::default(),
            agents: Shared::default(),
        }
    }

    /// Looks addresses up in other tables from now on.
    pub fn replace_tables(&mut self, tables: Tables) {
        self.tables = tables;
        self.addresses = Recent::new(COUNT_MAX);
    }

    /// What is known of an address alone.
    pub fn of_address(&self, address: IpAddr) -> Context {
        let address = address.to_canonical();
        let (place, network) = self.tables.at(address);
        Context {
            place: place.map(Arc::new),
            network: network.map(Arc::new),
            ..Context::of(address)
        }
    }

    /// The context of an event; `None` when the event has no client's address.
    pub fn describe(&mut self, event: &AccessEvent<'_>) -> Option<Context> {
        let address = event.client?.to_canonical();
        let (place, network) = self.addresses.get(&address, || {
            let (place, network) = self.tables.at(address);
            (
                place.map(|place| self.places.of(place)),
                network.map(|network| self.networks.of(network)),
            )
        });
        let client = event.user_agent.as_deref().and_then(|text| {
            let text = clients::cut(text);
            let identify = || self.clients.identify(text).map(Arc::new);
            self.user_agents.get(text, identify)
        });
        let ja4 = event.ja4.as_deref().filter(|ja4| is_ja4(ja4));
        let language = event.language.as_deref().and_then(language::first);
        let agent = Agent {
            client,
            ja4: ja4.map(|text| self.texts.get(text, || text.into())),
            language: language.map(|text| self.texts.get(text.as_str(), || text.as_str().into())),
        };
        Some(Context {
            address: address.into(),
            place,
            network: network.map(|network| self.as_used_by(&agent, network)),
            agent: self.agents.of(agent),
        })
    }

    /// Makes a context share what others have, after a snapshot was read.
    pub fn share(&mut self, context: &mut Context) {
        let place = context.place.as_deref().cloned();
        let network = context.network.as_deref().cloned();
        let mut agent = Agent::clone(&context.agent);
        for text in [&mut agent.ja4, &mut agent.language].into_iter().flatten() {
            *text = self.texts.get(&**text, || Arc::clone(text));
        }
        context.place = place.map(|place| self.places.of(place));
        context.network = network.map(|network| self.networks.of(network));
        context.agent = self.agents.of(agent);
    }

    /// The networks of Private Relay also carry other exits of the same companies, so their number
    /// alone says nothing: only an Apple client comes out of the relay. Other people there use the
    /// company's VPN (Cloudflare WARP), and programs that no person drives run on its servers
    /// (Workers).
    fn as_used_by(&mut self, agent: &Agent, network: Arc<Network>) -> Arc<Network> {
        if network.kind != NetworkKind::Relay {
            return network;
        }
        let kind = match &agent.client {
            Some(client) if APPLE_SYSTEMS.contains(&client.os.as_ref()) => NetworkKind::Relay,
            Some(client) if matches!(client.kind, ClientKind::Browser | ClientKind::App) => {
                NetworkKind::Vpn
            }
            _ => NetworkKind::Hosting,
        };
        let network = Network::clone(&network);
        self.networks.of(Network { kind, ..network })
    }
}

fn is_ja4(text: &str) -> bool {
    !matches!(text, "" | "-") && text.len() <= JA4_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAFARI: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) \
        AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
    const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
        (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";

    fn described(address: &str, user_agent: &'static str) -> Context {
        let event = AccessEvent {
            client: address.parse().ok(),
            user_agent: Some(user_agent.into()),
            language: Some("pt-PT,pt;q=0.9".into()),
            ja4: Some("t13d1516h2_8daaf6152771_02713d6af862".into()),
            ..AccessEvent::default()
        };
        let mut surroundings = Surroundings::new(Tables::embedded());
        let first = surroundings.describe(&event).unwrap();
        assert_eq!(surroundings.describe(&event), Some(first.clone()));
        first
    }

    #[test]
    fn an_event_becomes_place_network_client_language_and_fingerprint() {
        let context = described("192.0.2.7", CHROME);
        assert_eq!(
            context.place.as_ref().unwrap().name.as_deref(),
            Some("Lisbon")
        );
        assert_eq!(context.network.as_ref().unwrap().asn, 64496);
        let client = context.client.as_ref().unwrap();
        assert_eq!(
            (&*client.name, client.major(), &*client.os),
            ("Chrome", Some(126), "Windows")
        );
        assert_eq!(client.kind, ClientKind::Browser);
        assert_eq!(context.language.as_deref(), Some("pt"));
        assert!(context.ja4.is_some());
        assert_eq!(
            Surroundings::new(Tables::embedded()).describe(&AccessEvent::default()),
            None
        );
    }

    #[test]
    fn only_an_apple_client_comes_out_of_private_relay() {
        let kind = |user_agent| described("198.51.100.161", user_agent).network_kind();
        assert_eq!(kind(SAFARI), NetworkKind::Relay);
        assert_eq!(kind(CHROME), NetworkKind::Vpn);
        assert_eq!(kind("curl/8.5.0"), NetworkKind::Hosting);
        assert_eq!(kind("-"), NetworkKind::Hosting);
    }
}
