//! An event → its context, with what was looked up lately at hand.
//!
//! In: an [`AccessEvent`] and [`Tables`]. Out: [`Context`].
//! Does not know: sessions; the engine asks only when something about a use is new.

use super::clients::{self, Clients};
use super::language;
use super::recent::Recent;
use super::tables::Tables;
use crate::domain::context::{Client, ClientKind, Context, Network, NetworkKind, Place};
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

/// Turns events into contexts. Equal parts of contexts share their memory.
pub struct Surroundings {
    tables: Tables,
    clients: Clients,
    addresses: Recent<IpAddr, (Option<Place>, Option<Network>)>,
    user_agents: Recent<String, Option<Arc<Client>>>,
    /// Fingerprints and languages.
    texts: Recent<String, Arc<str>>,
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
            address,
            place,
            network,
            client: None,
            ja4: None,
            language: None,
        }
    }

    /// The context of an event; `None` when the event has no client's address.
    pub fn describe(&mut self, event: &AccessEvent<'_>) -> Option<Context> {
        let address = event.client?.to_canonical();
        let (place, network) = self.addresses.get(&address, || self.tables.at(address));
        let client = event.user_agent.as_deref().and_then(|text| {
            let text = clients::cut(text);
            let identify = || self.clients.identify(text).map(Arc::new);
            self.user_agents.get(text, identify)
        });
        let ja4 = event.ja4.as_deref().filter(|ja4| is_ja4(ja4));
        let language = event.language.as_deref().and_then(language::first);
        Some(Context {
            address,
            place,
            network: network.map(|network| as_used_by(client.as_deref(), network)),
            client,
            ja4: ja4.map(|text| self.texts.get(text, || text.into())),
            language: language.map(|text| self.texts.get(text.as_str(), || text.as_str().into())),
        })
    }
}

fn is_ja4(text: &str) -> bool {
    !matches!(text, "" | "-") && text.len() <= JA4_BYTES_MAX
}

/// The networks of Private Relay also carry other exits of the same companies, so their number
/// alone says nothing: only an Apple client comes out of the relay. Other people there use the
/// company's VPN (Cloudflare WARP), and programs that no person drives run on its servers
/// (Workers).
fn as_used_by(client: Option<&Client>, network: Network) -> Network {
    if network.kind != NetworkKind::Relay {
        return network;
    }
    let kind = match client {
        Some(client) if APPLE_SYSTEMS.contains(&client.os.as_ref()) => NetworkKind::Relay,
        Some(client) if matches!(client.kind, ClientKind::Browser | ClientKind::App) => {
            NetworkKind::Vpn
        }
        _ => NetworkKind::Hosting,
    };
    Network { kind, ..network }
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
        assert_eq!(context.place.unwrap().name.as_deref(), Some("Lisbon"));
        assert_eq!(context.network.unwrap().asn, 64496);
        let client = context.client.unwrap();
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
