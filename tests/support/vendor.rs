//! A strict stand-in for a vendor that cannot be had here: it expects calls one after the other, letter by letter.
//!
//! In: the calls of a fixture with their answers. Out: what was wrong with a call, and what was not called.
//! Does not know: anything of the crate. What it expects is after the vendor's page, which each file names.

use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One call, and what it is answered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// `METHOD path?query`.
    pub(crate) request: String,
    /// Headers that it must have beside those of every call; `*` for any value, `-` for none.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    /// The body: JSON or a form, whose `*` stands for what differs each time; none when it is empty.
    #[serde(default)]
    pub(crate) body: String,
    /// The status of the answer.
    pub(crate) answer: u16,
    /// The body of the answer.
    #[serde(default)]
    pub(crate) with: String,
    /// Headers of the answer.
    #[serde(default)]
    pub(crate) and: BTreeMap<String, String>,
}

/// What it does instead of answering.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Answers as the exchange says.
    Answer(Box<Exchange>),
    /// Says nothing until the caller goes away.
    Silence(Box<Exchange>),
    /// Resets the connection.
    Reset(Box<Exchange>),
}

impl Reply {
    fn exchange(&self) -> &Exchange {
        match self {
            Self::Answer(exchange) | Self::Silence(exchange) | Self::Reset(exchange) => exchange,
        }
    }
}

/// A running stand-in. It ends with the test's process.
pub(crate) struct Vendor {
    /// Where it listens.
    pub(crate) base: String,
    script: Arc<Mutex<VecDeque<Reply>>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Vendor {
    /// Listens, and expects nothing yet.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let script: Arc<Mutex<VecDeque<Reply>>> = Arc::default();
        let wrong: Arc<Mutex<Vec<String>>> = Arc::default();
        let (replies, complaints) = (script.clone(), wrong.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A caller that gave up leaves half a call.
                let _ = serve(stream, &replies, &complaints);
            }
        });
        Self {
            base,
            script,
            wrong,
        }
    }

    /// Expects these calls from now on.
    pub(crate) fn expect(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script.lock().unwrap().extend(replies);
    }

    /// What was wrong since the last time, calls that never came included.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let mut wrong = std::mem::take(&mut *self.wrong.lock().unwrap());
        let left = std::mem::take(&mut *self.script.lock().unwrap());
        let missing = left
            .iter()
            .map(|reply| format!("never came: {}", reply.exchange().request));
        wrong.extend(missing);
        wrong
    }
}

struct Request {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

fn serve(
    stream: TcpStream,
    script: &Mutex<VecDeque<Reply>>,
    wrong: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream);
    let request = read(&mut reader)?;
    let mut stream = reader.into_inner();
    let Some(reply) = script.lock().unwrap().pop_front() else {
        wrong
            .lock()
            .unwrap()
            .push(format!("not expected: {}", request.line));
        return stream
            .write_all(b"HTTP/1.1 418 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let found = compare(reply.exchange(), &request);
    wrong.lock().unwrap().extend(found);
    match reply {
        Reply::Answer(exchange) => {
            let mut head = format!("HTTP/1.1 {} x\r\nConnection: close\r\n", exchange.answer);
            for (name, value) in &exchange.and {
                head += &format!("{name}: {value}\r\n");
            }
            let length = exchange.with.len();
            write!(
                stream,
                "{head}Content-Length: {length}\r\n\r\n{}",
                exchange.with
            )
        }
        Reply::Silence(_) => {
            // Until the caller hangs up.
            let _ = stream.read(&mut [0]);
            Ok(())
        }
        Reply::Reset(_) => socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> std::io::Result<Request> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field)?;
        let Some((name, value)) = field.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Request {
        line,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

fn compare(expected: &Exchange, request: &Request) -> Vec<String> {
    let mut wrong = Vec::new();
    if request.line != expected.request {
        wrong.push(format!("{} and not {}", request.line, expected.request));
    }
    for (name, value) in &expected.headers {
        let shown = request.headers.get(name);
        let fits = match &**value {
            "*" => shown.is_some(),
            "-" => shown.is_none(),
            value => shown.is_some_and(|shown| shown == value),
        };
        if !fits {
            wrong.push(format!(
                "{}: {name} is {shown:?} and not {value}",
                request.line
            ));
        }
    }
    // Whatever else a call could say in headers, no vendor is told.
    let known = [
        "host",
        "accept",
        "user-agent",
        "content-length",
        "content-type",
    ];
    for name in request.headers.keys() {
        if !known.contains(&&**name) && !expected.headers.contains_key(name) {
            wrong.push(format!("{}: a header {name}", request.line));
        }
    }
    let is_json = expected.body.starts_with(['{', '[']);
    let fits = match is_json {
        true => {
            let expected: Value = serde_json::from_str(&expected.body).unwrap();
            let body = serde_json::from_str(&request.body);
            body.is_ok_and(|body| same(&expected, &body))
        }
        false => form(&expected.body, &request.body),
    };
    if !fits {
        wrong.push(format!(
            "{}: {} and not {}",
            request.line, request.body, expected.body
        ));
    }
    let kind = request.headers.get("content-type").map(String::as_str);
    let named = expected.headers.contains_key("content-type");
    let usual = match (is_json, expected.body.is_empty()) {
        (_, true) => None,
        (true, _) => Some("application/json"),
        (false, _) => Some("application/x-www-form-urlencoded"),
    };
    if !named && kind != usual {
        wrong.push(format!(
            "{}: a body of {kind:?} and not {usual:?}",
            request.line
        ));
    }
    wrong
}

/// Equal, but that `*` stands for any text.
fn same(expected: &Value, found: &Value) -> bool {
    match (expected, found) {
        (Value::String(any), Value::String(text)) if any == "*" => !text.is_empty(),
        (Value::Array(expected), Value::Array(found)) => {
            expected.len() == found.len() && expected.iter().zip(found).all(|(e, f)| same(e, f))
        }
        (Value::Object(expected), Value::Object(found)) => {
            let same = |(name, e): (&String, &Value)| found.get(name).is_some_and(|f| same(e, f));
            expected.len() == found.len() && expected.iter().all(same)
        }
        _ => expected == found,
    }
}

/// The same fields in any order, `*` for any value.
fn form(expected: &str, found: &str) -> bool {
    let sorted = |text: &str| {
        let mut fields: Vec<_> = text.split('&').map(str::to_owned).collect();
        fields.sort();
        fields
    };
    let (expected, found) = (sorted(expected), sorted(found));
    let fits = |(expected, found): (&String, &String)| match expected.strip_suffix("=*") {
        Some(name) => found.strip_prefix(name).is_some_and(|rest| rest.len() > 1),
        None => expected == found,
    };
    expected.len() == found.len() && expected.iter().zip(&found).all(fits)
}
