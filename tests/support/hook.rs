//! A receiver of webhooks on this machine that answers as it is told.
//!
//! In: calls. Out: each call's id and body, in order.
//! Does not know: anything of the crate, nor what the calls mean.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One call that came.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Its `webhook-id`: the same when a call is repeated.
    pub(crate) id: String,
    /// What it said.
    pub(crate) body: Value,
    /// What was answered; `None` when nothing was.
    pub(crate) status: Option<u16>,
}

/// What to answer to the nth call with this id, counted from 0; `None` for no answer at all.
type Answer = dyn Fn(&str, usize) -> Option<u16> + Send + Sync;

/// A receiver; it ends with the test's process.
pub(crate) struct Hook {
    /// Where to call.
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Hook {
    /// Listens, and answers so.
    pub(crate) fn start(
        answer: impl Fn(&str, usize) -> Option<u16> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let answer: Arc<Answer> = Arc::new(answer);
        let kept = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                // A caller that was killed leaves half a call.
                std::thread::spawn(move || receive(stream, &kept, &*answer).unwrap_or_default());
            }
        });
        Self { url, calls }
    }

    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

fn receive(stream: TcpStream, kept: &Mutex<Vec<Call>>, answer: &Answer) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream);
    let (mut id, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            if line.trim().is_empty() {
                break;
            }
            continue;
        };
        match name.to_ascii_lowercase().as_str() {
            "webhook-id" => value.clone_into(&mut id),
            "content-length" => length = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let nth = {
        let mut kept = kept.lock().unwrap();
        let nth = kept.iter().filter(|call| call.id == id).count();
        kept.push(Call {
            id: id.clone(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
            status: None,
        });
        nth
    };
    let Some(status) = answer(&id, nth) else {
        return Ok(());
    };
    let mut stream = reader.into_inner();
    stream.write_all(
        format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut kept = kept.lock().unwrap();
    let mine = kept.iter_mut().filter(|call| call.id == id).nth(nth);
    mine.unwrap().status = Some(status);
    Ok(())
}
