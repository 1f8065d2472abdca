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
const ANSWER_MAX: Duration = Duration::from_secs(5);
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

/// What each request took, shortest first. One thread drives all connections and never sleeps: what is measured is the
/// server, not how late a sleeping client wakes.
fn asked(address: SocketAddr, rate_per_s: usize) -> io::Result<Vec<Duration>> {
    let connections = (0..CONNECTIONS).map(|_| Connection::open(address));
    let mut idle = connections.collect::<io::Result<Vec<_>>>()?;
    let mut busy: Vec<Connection> = Vec::with_capacity(CONNECTIONS);
    let requests: Vec<_> = (0..DENIED_SESSIONS).map(Asked::both).collect();
    let requests = requests.as_flattened();
    let every = Duration::from_secs(1) / rate_per_s as u32;
    let begin = Instant::now() + Duration::from_millis(100);
    let mut took = Vec::with_capacity(RUN_S * rate_per_s);
    let mut next = 0;
    while took.len() < RUN_S * rate_per_s {
        let due = begin + every * next as u32;
        if next < RUN_S * rate_per_s && due <= Instant::now() {
            // As nginx does: the connection used last, of those that wait for nothing.
            if let Some(mut connection) = idle.pop() {
                connection.ask(&requests[next % requests.len()], due)?;
                busy.push(connection);
                next += 1;
            }
        }
        let mut at = 0;
        while at < busy.len() {
            match busy[at].answered()? {
                Some(time) => {
                    took.push(time);
                    idle.push(busy.swap_remove(at));
                }
                None => at += 1,
            }
        }
        thread::yield_now();
    }
    took.sort();
    Ok(took)
}

/// A request, and the status it has to be answered with.
struct Asked {
    bytes: String,
    status: &'static [u8],
}

impl Asked {
    /// Of a denied session, and of one that is not.
    fn both(n: usize) -> [Self; 2] {
        [(n, b"401"), (DENIED_SESSIONS + n, b"200")].map(|(session, status)| Self {
            bytes: request(session),
            status,
        })
    }
}

/// One kept-alive connection, with what it waits for.
struct Connection {
    stream: TcpStream,
    due: Instant,
    status: &'static [u8],
}

impl Connection {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            due: Instant::now(),
            status: b"",
        })
    }

    fn ask(&mut self, asked: &Asked, due: Instant) -> io::Result<()> {
        (self.due, self.status) = (due, asked.status);
        self.stream.write_all(asked.bytes.as_bytes())
    }

    /// How long the answer took since its request was due; nothing while it is not there.
    fn answered(&mut self) -> io::Result<Option<Duration>> {
        let mut answer = [0; 4_096];
        match self.stream.read(&mut answer) {
            Ok(length) => {
                let took = self.due.elapsed();
                assert_eq!(answer.get(9..12), Some(self.status), "{length} bytes");
                Ok(Some(took))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                assert!(self.due.elapsed() < ANSWER_MAX, "no answer");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn request(session: usize) -> String {
    let token = traffic::token(session);
    format!(
        "GET /v1/check HTTP/1.1\r\nHost: api.example.com\r\nX-Original-URI: /api/v1/orders\r\n\
         X-Forwarded-For: 198.51.100.7\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
}
