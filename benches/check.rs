//! How long a gateway waits for `/v1/check`, with 1,000,000 denied entries, at two rates.
//!
//! `cargo bench --bench check` prints one row a rate. The rate is kept whatever the server does: a request's time counts
//! from the moment at which it was due, so that a slow answer is not hidden by the requests it held up
//! (Gil Tene, "How NOT to Measure Latency").

mod traffic;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use tokentrip::domain::ids::IdKey;
use tokentrip::domain::incident::Target;
use tokentrip::domain::time::Time;
use tokentrip::http::{Check, Options, Parts, Readiness, Server};
use tokentrip::metrics::Metrics;
use tokentrip::response::denylist::Denylist;
use tokentrip::store::Store;
use tokio::sync::watch;

const DENIED: usize = 1_000_000;
/// As many as a busy nginx worker keeps open to an `auth_request` upstream.
const CONNECTIONS: usize = 32;
const RATES_PER_S: [usize; 2] = [5_000, 10_000];
const RUN_S: usize = 10;
/// Sessions below this are denied; half of the requests ask about them.
const DENIED_SESSIONS: usize = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::TempDir::new()?;
    let store = Store::open(&folder.path().join("state.db"))?;
    let check = Check::new(IdKey::public([7; 32]), Arc::new(denylist()?));
    let parts = Parts {
        metrics: Arc::new(Metrics::new()?),
        readiness: Arc::new(Readiness::waiting_for(&[])),
        check: Arc::new(check),
        store: Arc::new(store),
        streams: Vec::new(),
        in_force: Arc::default(),
        samples: Arc::default(),
    };
    let options = Options {
        listen: Some(([127, 0, 0, 1], 0).into()),
        ..Options::default()
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let server = runtime.block_on(Server::bind(options, parts))?;
    let address = server.addresses()[0];
    let (_stop, stopped) = watch::channel(false);
    runtime.spawn(server.run(stopped));

    let mut out = io::stdout().lock();
    writeln!(out, "/v1/check, {DENIED} denied entries, milliseconds\n")?;
    writeln!(
        out,
        "{:>10} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "requests/s", "answered", "p50", "p99", "p99.9", "max"
    )?;
    for rate in RATES_PER_S {
        let took = asked(address, rate)?;
        let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        writeln!(
            out,
            "{rate:>10} {:>9} {:>8.3} {:>8.3} {:>8.3} {:>8.3}",
            took.len(),
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0)
        )?;
    }
    Ok(())
}

fn denylist() -> Result<Denylist, Box<dyn std::error::Error>> {
    let denylist = Denylist::default();
    let until = Time::from_ms(4_102_444_800_000).ok_or("a time")?;
    for n in 0..DENIED {
        let sid = match n < DENIED_SESSIONS {
            true => format!("{n:016x}"),
            false => format!("other-{n:016x}"),
        };
        let iss = "https://id.example.com".into();
        denylist.deny(
            &Target::Sid {
                iss,
                sid: sid.into(),
            },
            until,
        )?;
    }
    Ok(denylist)
}

/// What each request took, shortest first.
fn asked(address: SocketAddr, rate_per_s: usize) -> io::Result<Vec<Duration>> {
    let begin = Instant::now() + Duration::from_millis(100);
    let every = Duration::from_secs(1) * CONNECTIONS as u32 / rate_per_s as u32;
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|n| {
            let first = begin + every * n as u32 / CONNECTIONS as u32;
            let requests = RUN_S * rate_per_s / CONNECTIONS;
            thread::spawn(move || connection(address, n, first, every, requests))
        })
        .collect();
    let mut took = Vec::new();
    for connection in connections {
        took.extend(connection.join().expect("a client does not panic")?);
    }
    took.sort();
    Ok(took)
}

/// One kept-alive connection: it asks about one denied and one other session in turn.
fn connection(
    address: SocketAddr,
    n: usize,
    first: Instant,
    every: Duration,
    requests: usize,
) -> io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let asked = [n, DENIED_SESSIONS + n].map(request);
    let mut answer = [0; 4_096];
    let mut took = Vec::with_capacity(requests);
    for i in 0..requests {
        let due = first + every * i as u32;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(asked[i % 2].as_bytes())?;
        let length = stream.read(&mut answer)?;
        took.push(due.elapsed());
        let status: &[u8] = if i % 2 == 0 { b"401" } else { b"200" };
        assert_eq!(&answer[9..12], status, "{length} bytes");
    }
    Ok(took)
}

fn request(session: usize) -> String {
    let token = traffic::token(session);
    format!(
        "GET /v1/check HTTP/1.1\r\nHost: api.example.com\r\nX-Original-URI: /api/v1/orders\r\n\
         X-Forwarded-For: 198.51.100.7\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
}
