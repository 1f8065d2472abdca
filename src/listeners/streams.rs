//! Connections: messages one after the other, over TCP, TLS, a Unix socket or standard input.
//!
//! In: a bound socket. Out: messages to the [`super::sender::Sender`]. When there is no room the connection is not read
//! further, and its sender waits.
//! Does not know: how messages are told apart (see [`super::framing`]).
//! Source: RFC 6587; RFC 5425, section 4.4.

use super::framing::{Framer, Message};
use super::{Place, open_to_group};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// Connections of one listener: a large site's gateways, and the memory of their half messages.
const CONNECTIONS_MAX: usize = 256;

/// How long a TLS handshake may take.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// To say anything.
    first_message: Duration,
    /// To end a message that has begun.
    half_message: Duration,
    /// To say something again.
    silence: Duration,
}

impl Patience {
    /// Whoever only holds connections must not hold all of them; half a message holds memory; a gateway may sleep over
    /// a weekend, and a dead one does not say goodbye.
    const USUAL: Self = Self {
        first_message: Duration::from_secs(300),
        half_message: Duration::from_secs(30),
        silence: Duration::from_secs(72 * 3600),
    };
}

/// After a failed accept, which is mostly a want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;

pub(super) async fn tcp(
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    place: Place,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::spawn(async move {
        loop {
            let Some((stream, from)) = accepted(&place, || listener.accept()).await else {
                return;
            };
            if !place.allows(from.ip()) {
                place.sender.dropped("sender", 1);
                continue;
            }
            let Some(seat) = seat(&place, &room) else {
                continue;
            };
            let (place, tls) = (place.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => receive(stream, &place, Patience::USUAL, seat).await,
                    Some(tls) => match timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
                        Ok(Ok(stream)) => receive(stream, &place, Patience::USUAL, seat).await,
                        _ => place.sender.dropped("handshake", 1),
                    },
                }
            });
        }
    });
    Ok(bound)
}

pub(super) fn unix(path: &Path, place: Place) -> io::Result<()> {
    let listener = UnixListener::bind(path)?;
    open_to_group(path)?;
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::spawn(async move {
        loop {
            let Some((stream, _)) = accepted(&place, || listener.accept()).await else {
                return;
            };
            if let Some(seat) = seat(&place, &room) {
                let place = place.clone();
                tokio::spawn(async move { receive(stream, &place, Patience::USUAL, seat).await });
            }
        }
    });
    Ok(())
}

/// Reads standard input on a thread of its own: it may be a file or a terminal, which no runtime can wait for.
pub(super) fn stdin(place: Place) -> io::Result<()> {
    let runtime = tokio::runtime::Handle::current();
    let threads = place.threads;
    let read = move || {
        let mut framer = Framer::default();
        let mut buffer = vec![0; READ_BYTES];
        let mut stdin = io::stdin().lock();
        loop {
            let read = match io::Read::read(&mut stdin, &mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Ok(read) if read > 0 => read,
                // The end, or something that reads like it.
                _ => break,
            };
            let messages = messages(&mut framer, buffer.get(..read).unwrap_or_default());
            runtime.block_on(give(&place, messages));
        }
        runtime.block_on(give(&place, framer.finish()));
    };
    // It ends with its input, or with the process.
    threads("stdin", Box::new(read)).map(|_| ())
}

/// The next connection; `None` when the daemon ends.
async fn accepted<T, A>(place: &Place, accept: impl Fn() -> A) -> Option<T>
where
    A: Future<Output = io::Result<T>>,
{
    loop {
        let accepted = tokio::select! {
            () = place.stopped() => return None,
            accepted = accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn seat(place: &Place, room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let seat = Arc::clone(room).try_acquire_owned().ok();
    if seat.is_none() {
        place.sender.dropped("connections", 1);
    }
    seat
}

/// Receives until the connection or the daemon ends, or takes too long.
async fn receive(
    mut stream: impl AsyncRead + Unpin,
    place: &Place,
    patience: Patience,
    _seat: OwnedSemaphorePermit,
) {
    let mut framer = Framer::default();
    let mut buffer = vec![0; READ_BYTES];
    let mut has_spoken = false;
    loop {
        let patience = match (framer.is_inside(), has_spoken) {
            (true, _) => patience.half_message,
            (false, false) => patience.first_message,
            (false, true) => patience.silence,
        };
        let read = tokio::select! {
            () = place.stopped() => break,
            () = sleep(patience) => {
                place.sender.dropped("timeout", 1);
                break;
            }
            read = stream.read(&mut buffer) => read.unwrap_or(0),
        };
        if read == 0 {
            break;
        }
        let messages = messages(&mut framer, buffer.get(..read).unwrap_or_default());
        has_spoken |= !messages.is_empty();
        give(place, messages).await;
    }
    give(place, framer.finish()).await;
}

fn messages(framer: &mut Framer, bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    framer.take(bytes, |message| messages.push(message));
    messages
}

async fn give(place: &Place, messages: impl IntoIterator<Item = Message>) {
    for message in messages {
        if message.cut {
            place.sender.dropped("cut", 1);
        }
        if !message.bytes.is_empty() {
            place.sender.send(message.bytes).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sender::Sender;
    use super::super::{Count, Counter, Threads};
    use super::*;
    use std::sync::Mutex;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::watch;

    #[tokio::test]
    async fn a_connection_that_never_says_anything_loses_its_seat_and_one_that_spoke_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let counts: Arc<Mutex<Vec<Count>>> = Arc::default();
        let kept = Arc::clone(&counts);
        let counter: Counter = Arc::new(move |_, count, _| kept.lock().unwrap().push(count));
        let threads: Threads = |_, work| Ok(std::thread::spawn(work));
        let spool = folder.path().join("it.log");
        let (_stop, stopped) = watch::channel(false);
        let place = Place {
            sender: Sender::start("it", &spool, counter, threads).unwrap(),
            allowed: Arc::new([]),
            threads,
            stopped,
        };
        let seats = Arc::new(Semaphore::new(2));
        let sit = || Arc::clone(&seats).try_acquire_owned().unwrap();
        let impatient = Patience {
            first_message: Duration::from_millis(50),
            ..Patience::USUAL
        };
        let (mut speaking, heard) = tokio::io::duplex(64);
        let (_silent, unheard) = tokio::io::duplex(64);
        speaking.write_all(b"<1>hello\n").await.unwrap();
        tokio::select! {
            () = receive(unheard, &place, impatient, sit()) => {}
            () = receive(heard, &place, impatient, sit()) => panic!("it has spoken"),
        }
        assert!(counts.lock().unwrap().contains(&Count::Dropped("timeout")));
    }
}
