//! Receivers of webhooks that do what no honest one does, on this machine.
//!
//! In: how. Out: a URL, and how often it was called.
//! Does not know: what it is sent.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a hostile receiver does with a call.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// Takes it and says nothing, ever.
    Silent,
    /// Answers a byte at a time, and never comes to an end.
    Drips,
    /// 200, and a body without an end.
    Floods,
    /// 200, and fields without an end.
    FloodsFields,
    /// Speaks something else than HTTP.
    Babbles,
    /// Closes at once.
    Resets,
    /// Says to go elsewhere, with this status.
    Redirects(u16, String),
    /// 429, and to come back in some thousand years.
    Postpones,
}

/// A hostile receiver; it ends with the test's process.
pub(crate) struct Lure {
    /// Where to call.
    pub(crate) url: String,
    calls: Arc<AtomicUsize>,
}

impl Lure {
    /// Listens.
    pub(crate) fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let calls: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
                let manner = manner.clone();
                // Whatever goes wrong is what was wanted.
                std::thread::spawn(move || misbehave(stream, &manner).unwrap_or_default());
            }
        });
        Self { url, calls }
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

fn misbehave(mut stream: TcpStream, manner: &Manner) -> std::io::Result<()> {
    if matches!(manner, Manner::Resets) {
        return Ok(());
    }
    let read = stream.read(&mut [0; 4096])?;
    assert!(read > 0);
    match manner {
        Manner::Silent => loop {
            if stream.read(&mut [0; 4096])? == 0 {
                return Ok(());
            }
        },
        Manner::Drips => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-Drip: ")?;
            loop {
                std::thread::sleep(Duration::from_millis(100));
                stream.write_all(b"x")?;
            }
        }
        Manner::Floods => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                stream.write_all(format!("10000\r\n{}\r\n", "x".repeat(0x10000)).as_bytes())?;
            }
        }
        Manner::FloodsFields => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            loop {
                stream.write_all(format!("X-Field: {}\r\n", "x".repeat(8000)).as_bytes())?;
            }
        }
        Manner::Babbles => stream.write_all(b"\0\xff220 mail.example.com ESMTP\r\n\r\n"),
        Manner::Redirects(status, to) => stream.write_all(
            format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        ),
        Manner::Postpones => stream.write_all(
            b"HTTP/1.1 429 Later\r\nRetry-After: 99999999999\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
        Manner::Resets => Ok(()),
    }
}
