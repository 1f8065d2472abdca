//! What gateways ask about, on its way to the thread of lines.
//!
//! In: tokens that `/v1/check` was asked about. Out: a [`Presentation`] for a verified token in a new context, and then
//! at most one a minute, in a bounded queue.
//! Does not know: what is made of it. It runs while a gateway waits: it reads memory, checks a signature once, and
//! never waits itself; what it cannot pass on is counted, and found in the log later.

use crate::config::Config;
use crate::domain::event::{AccessEvent, Text};
use crate::domain::ids::Digest;
use crate::domain::mask::mask;
use crate::domain::presentation::Presentation;
use crate::domain::time::Time;
use crate::domain::token::Verdict;
use crate::engine::prepare::Front;
use crate::formats::client_address::{TrustedProxies, resolve};
use crate::http::{Seen, Sensor};
use crate::ingest::wake::Bell;
use crate::issuers::KeyRequests;
use crate::metrics::Metrics;
use crate::sessions::bounded::Bounded;
use crate::tokens::verify::{Issuers, verify};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Presentations that wait for the thread of lines: some megabytes, and more than a second of new sessions on a large
/// site.
const WAITING_MAX: usize = 4096;

/// A session in a context is told again after this time, as one node of a fleet tells another.
const AGAIN_MS: i64 = 60_000;

/// Tokens and contexts remembered: those active in a minute on a large site, in some 20 MB.
const REMEMBERED_MAX: usize = 200_000;

/// Signatures checked in a second: an ES256 takes 60 µs, so whoever sends new tokens without end gets an eighth of a
/// core.
const VERIFIED_PER_S_MAX: u32 = 2000;

/// Longest text kept of a header field: user agents are cut there in logs, too.
const TEXT_BYTES_MAX: usize = 1024;

/// Passes on what gateways ask about.
pub(super) struct Asking {
    front: Front,
    world: RwLock<Arc<World>>,
    memory: Mutex<Memory>,
    queue: SyncSender<Presentation>,
    bell: Mutex<Option<Bell>>,
    metrics: Arc<Metrics>,
}

/// What follows the configuration and the key sets.
#[derive(Clone)]
struct World {
    issuers: Issuers,
    /// How often that changed: what an older one could not verify is tried again.
    version: u64,
    trusted: TrustedProxies,
    keys: Option<KeyRequests>,
}

struct Memory {
    verdicts: Bounded<Digest, (Verdict, u64)>,
    told: Bounded<(Digest, u64), Time>,
    /// Which addresses are this machine's own.
    here: Bounded<IpAddr, bool>,
    /// The second that is counted, and how many signatures were checked in it.
    checked: (i64, u32),
}

/// Why a token is not passed on; the words are the metric's.
enum Ignored {
    /// Whoever asks is no gateway that is trusted to name its clients.
    Untrusted,
    /// The gateway named no client.
    NoClient,
    /// It has no signature of a configured issuer, or is dead.
    Unverified,
    /// Too many new ones in this second.
    Busy,
    /// The thread of lines is behind.
    Full,
    /// It was passed on within the minute.
    Known,
}

impl Asking {
    /// Nothing is known yet but what the configuration holds. The other end is the thread of lines'.
    pub(super) fn new(
        front: Front,
        config: &Config,
        issuers: &Issuers,
        metrics: Arc<Metrics>,
    ) -> (Self, Receiver<Presentation>) {
        let (queue, asked) = sync_channel(WAITING_MAX);
        let world = World {
            issuers: issuers.clone(),
            version: 1,
            trusted: trusted(config),
            keys: None,
        };
        let memory = Memory {
            verdicts: Bounded::new(REMEMBERED_MAX),
            told: Bounded::new(REMEMBERED_MAX),
            here: Bounded::new(REMEMBERED_MAX),
            checked: (0, 0),
        };
        let asking = Self {
            front,
            world: RwLock::new(Arc::new(world)),
            memory: Mutex::new(memory),
            queue,
            bell: Mutex::new(None),
            metrics,
        };
        (asking, asked)
    }

    /// Verifies by these keys from now on.
    pub(super) fn learn(&self, issuers: &Issuers, keys: &KeyRequests) {
        self.change(|world| {
            world.issuers = issuers.clone();
            world.keys = Some(keys.clone());
        });
    }

    /// Believes these proxies from now on.
    pub(super) fn configure(&self, config: &Config) {
        self.change(|world| world.trusted = trusted(config));
    }

    /// Rings there when something was passed on.
    pub(super) fn ring(&self, bell: Option<Bell>) {
        *self.bell.lock().unwrap_or_else(PoisonError::into_inner) = bell;
    }

    fn change(&self, change: impl FnOnce(&mut World)) {
        let mut place = self.world.write().unwrap_or_else(PoisonError::into_inner);
        let mut world = World::clone(&place);
        change(&mut world);
        world.version += 1;
        *place = Arc::new(world);
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_on(&self, seen: &Seen<'_>) -> Result<(), Ignored> {
        let world = Arc::clone(&self.world.read().unwrap_or_else(PoisonError::into_inner));
        let issuer = seen.token.issuer.as_deref().unwrap_or_default();
        if !world.issuers.is_configured(issuer) {
            return Err(Ignored::Unverified);
        }
        let event = seen.event;
        let client = self.client(event, &world)?;
        let context = AccessEvent {
            client: Some(client),
            user_agent: event.user_agent.as_deref().map(Cow::Borrowed),
            language: event.language.as_deref().map(Cow::Borrowed),
            ..AccessEvent::default()
        };
        let context_key = self.front.context_key(&context, &mut Vec::new()).0;
        let edge = (seen.credential.digest, context_key);
        let told = self.memory().told.get(edge).copied();
        if told.is_some_and(|told| event.time.as_ms() - told.as_ms() < AGAIN_MS) {
            return Err(Ignored::Known);
        }
        let verdict = self.verdict(seen, &world)?;
        let presentation = Presentation {
            time: event.time,
            digest: seen.credential.digest,
            place: seen.credential.place,
            token: seen.token.clone(),
            verdict,
            client,
            context_key,
            user_agent: kept(&event.user_agent),
            language: kept(&event.language),
            host: kept(&event.host),
            method: kept(&event.method),
            path: kept(&event.path),
            request_id: kept(&event.request_id),
        };
        if verdict != Verdict::Verified || !presentation.is_alive() {
            return Err(Ignored::Unverified);
        }
        self.queue
            .try_send(presentation)
            .map_err(|_| Ignored::Full)?;
        self.memory().told.insert(edge, event.time);
        let bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
        bell.iter().for_each(Bell::ring);
        Ok(())
    }

    /// The client, as the last trusted proxy saw it. Whoever else asks could name anybody.
    fn client(&self, event: &AccessEvent<'_>, world: &World) -> Result<IpAddr, Ignored> {
        let is_trusted = |peer: &IpAddr| world.trusted.contains(*peer);
        let peer = event.peer.filter(is_trusted).ok_or(Ignored::Untrusted)?;
        let chain = event.chain.as_deref().ok_or(Ignored::NoClient)?;
        let client =
            resolve(Some(peer), Some(chain), &world.trusted).filter(|client| *client != peer);
        // Where the last hop is no address, the gateway itself is all that is left.
        let client = client.ok_or(Ignored::NoClient)?;
        if !self.is_here(client) {
            return Ok(client);
        }
        // A proxy on this machine, under an address that is not loopback: from now on it is known.
        self.change(|world| world.trusted = world.trusted.with(client.into()));
        Err(Ignored::NoClient)
    }

    /// True for an address of this machine's own: only such a one can be bound.
    fn is_here(&self, address: IpAddr) -> bool {
        if let Some(known) = self.memory().here.get_mut(address) {
            return *known;
        }
        let is_here = can_be_bound(address) && !can_be_bound(nobodys(address));
        self.memory().here.insert(address, is_here);
        is_here
    }

    /// What the signature says, checked once for each token and key history that may say more.
    fn verdict(&self, seen: &Seen<'_>, world: &World) -> Result<Verdict, Ignored> {
        let digest = seen.credential.digest;
        {
            let mut memory = self.memory();
            if let Some((verdict, version)) = memory.verdicts.get_mut(digest)
                && (*verdict == Verdict::Verified || *version == world.version)
            {
                return Ok(*verdict);
            }
            let second = seen.event.time.as_s();
            if memory.checked.0 != second {
                memory.checked = (second, 0);
            }
            if memory.checked.1 >= VERIFIED_PER_S_MAX {
                return Err(Ignored::Busy);
            }
            memory.checked.1 += 1;
        }
        let verdict = match &seen.credential.shape {
            crate::domain::token::Shape::Raw(raw) => verify(raw, seen.token, &world.issuers),
            _ => Verdict::NoSignature,
        };
        if matches!(verdict, Verdict::UnknownKey | Verdict::Unverifiable)
            && let (Some(keys), Some(issuer)) = (&world.keys, seen.token.issuer.as_deref())
        {
            keys.ask(issuer);
        }
        let mut memory = self.memory();
        memory.verdicts.insert(digest, (verdict, world.version));
        Ok(verdict)
    }
}

impl Sensor for Asking {
    fn presented(&self, seen: &Seen<'_>) {
        // A thief who tries a denied token again is told by the log, with the answer that he got.
        if seen.denied {
            return;
        }
        let outcome = match self.pass_on(seen) {
            Ok(()) => "observed",
            Err(Ignored::Known) => return,
            Err(Ignored::Untrusted) => "untrusted",
            Err(Ignored::NoClient) => "no_client",
            Err(Ignored::Unverified) => "unverified",
            Err(Ignored::Busy) => "busy",
            Err(Ignored::Full) => "full",
        };
        self.metrics.presented(outcome, 1);
    }
}

fn can_be_bound(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// An address of the same family that no machine has (RFC 1112, class E; RFC 6666): where even that can be bound
/// (`ip_nonlocal_bind`), binding says nothing.
fn nobodys(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => Ipv4Addr::new(240, 0, 0, 1).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1).into(),
    }
}

/// Gateways on this machine, those that `[server]` names, and the proxies before the gateways whose logs are read.
fn trusted(config: &Config) -> TrustedProxies {
    let here = ["127.0.0.0/8", "::1/128"];
    let here = here.into_iter().filter_map(|network| network.parse().ok());
    let sources = config.sources.iter();
    let before = sources.flat_map(|source| source.trusted_proxies.iter().copied());
    let named = config.server.trusted_proxies.iter().copied();
    TrustedProxies::new(here.chain(before).chain(named))
}

/// A text as it may be kept: tokens in it hidden, and no longer than a log would have it.
fn kept(text: &Text<'_>) -> Option<Box<str>> {
    let text = mask(text.as_deref()?);
    let end = text.floor_char_boundary(TEXT_BYTES_MAX);
    Some(text.get(..end).unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::{Carrier, CarrierKind};
    use crate::domain::ids::IdKey;
    use crate::engine::paths::Paths;
    use crate::tokens::decode::decode;
    use crate::tokens::keys::KeySet;
    use crate::tokens::locate::locate;
    use crate::tokens::mint::mint;
    use serde_json::json;

    const ISSUER: &str = "https://idp.example.com/";
    const GATEWAY: &str = "127.0.0.1";
    const SET: &[u8] = include_bytes!("../../../tests/fixtures/keys/public.jwks.json");

    struct Bench {
        asking: Asking,
        asked: Receiver<Presentation>,
        key: IdKey,
        now: Time,
    }

    fn bench() -> Bench {
        crate::tokens::verify::install_crypto();
        let key = IdKey::public([7; 32]);
        let front = Front {
            key: key.clone(),
            paths: Paths::new(Vec::new(), Vec::new()),
        };
        let config = "[server]\ntrusted_proxies = [\"10.0.0.0/8\"]";
        let config = Config::of_text(config, None, &Default::default()).unwrap();
        let mut issuers = Issuers::default();
        issuers.configure(ISSUER, &["RS256"]).unwrap();
        issuers.learn(ISSUER, KeySet::parse(SET).unwrap(), Time::LATEST);
        let metrics = Arc::new(Metrics::new().unwrap());
        let (asking, asked) = Asking::new(front, &config, &issuers, metrics);
        Bench {
            asking,
            asked,
            key,
            now: Time::from_ms(1_777_888_800_000).unwrap(),
        }
    }

    fn token(jti: &str) -> String {
        mint(
            &json!({"iss": ISSUER, "sub": "alice", "jti": jti, "exp": 1_777_892_400}),
            "rsa-2048",
        )
    }

    impl Bench {
        /// What one question of a gateway gives: the client, if it was passed on.
        fn ask(&self, peer: &str, chain: Option<&str>, token: &str) -> Option<String> {
            let mut event = AccessEvent {
                time: self.now,
                peer: peer.parse().ok(),
                chain: chain.map(Cow::Borrowed),
                path: Some(format!("/files/{token}").into()),
                ..AccessEvent::default()
            };
            event.carriers.push(Carrier {
                kind: CarrierKind::Header,
                name: "authorization".into(),
                text: format!("Bearer {token}").into(),
            });
            let credentials = locate(&mut event, &self.key);
            let credential = &credentials[0];
            self.asking.presented(&Seen {
                event: &event,
                credential,
                token: &decode(credential, &self.key).unwrap(),
                denied: false,
            });
            let asked = self.asked.try_recv().ok()?;
            assert!(!format!("{asked:?}").contains("eyJ"), "{asked:?}");
            Some(asked.client.to_string())
        }

        fn counted(&self, outcome: &str) -> bool {
            let text = self.asking.metrics.text();
            text.contains(&format!(
                "tokentrip_presented_total{{outcome=\"{outcome}\"}}"
            ))
        }
    }

    #[test]
    fn a_client_is_whom_the_last_trusted_proxy_names_and_nobody_else_can_name_one() {
        let bench = bench();
        for (at, (peer, chain, client)) in [
            (GATEWAY, Some("192.0.2.7"), Some("192.0.2.7")),
            // What the client wrote itself stands before what the gateway saw.
            (GATEWAY, Some("203.0.113.9, 192.0.2.7"), Some("192.0.2.7")),
            (
                GATEWAY,
                Some("203.0.113.9, 192.0.2.7, 10.0.0.2"),
                Some("192.0.2.7"),
            ),
            ("10.0.0.5", Some("2001:db8::7"), Some("2001:db8::7")),
            ("198.51.100.9", Some("192.0.2.7"), None),
            (GATEWAY, None, None),
            (GATEWAY, Some("unknown"), None),
        ]
        .into_iter()
        .enumerate()
        {
            let token = token(&at.to_string());
            assert_eq!(
                bench.ask(peer, chain, &token).as_deref(),
                client,
                "{chain:?}"
            );
        }
        assert!(bench.counted("untrusted") && bench.counted("no_client"));
    }

    #[test]
    fn a_token_is_passed_on_once_a_minute_from_each_context_and_only_when_it_is_genuine() {
        let mut bench = bench();
        let genuine = token("a");
        assert!(bench.ask(GATEWAY, Some("192.0.2.7"), &genuine).is_some());
        assert!(bench.ask(GATEWAY, Some("192.0.2.7"), &genuine).is_none());
        assert!(bench.ask(GATEWAY, Some("198.51.100.9"), &genuine).is_some());
        bench.now = bench.now.plus_ms(AGAIN_MS);
        assert!(bench.ask(GATEWAY, Some("192.0.2.7"), &genuine).is_some());
        let mut forged = genuine.clone();
        forged.replace_range(forged.len() - 20.., "AAAAAAAAAAAAAAAAAAAA");
        let dead = mint(
            &json!({"iss": ISSUER, "sub": "alice", "exp": 1}),
            "rsa-2048",
        );
        let foreign = mint(
            &json!({"iss": "https://other.example.com/", "sub": "a"}),
            "rsa-2048",
        );
        for nothing in [forged, dead, foreign] {
            assert!(bench.ask(GATEWAY, Some("192.0.2.7"), &nothing).is_none());
        }
        assert!(bench.counted("unverified"));
    }

    #[test]
    fn a_flood_of_new_tokens_is_checked_up_to_a_bound_and_counted_beyond_it() {
        let bench = bench();
        let genuine = token("a");
        let (said, _) = genuine.rsplit_once('.').unwrap();
        for n in 0..VERIFIED_PER_S_MAX {
            let forged = format!("{said}.{n:044}");
            assert!(bench.ask(GATEWAY, Some("192.0.2.7"), &forged).is_none());
        }
        assert!(bench.ask(GATEWAY, Some("192.0.2.7"), &genuine).is_none());
        assert!(bench.counted("busy"));
    }
}
