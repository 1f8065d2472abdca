//! HAProxy: a stick table, through the runtime socket.
//!
//! In: entries. Out: keys of the table, with `gpc0` the second before which tokens are denied; in front of HAProxy
//! `deploy/gateways/haproxy/deny.cfg` looks them up.
//! Does not know: that HAProxy was restarted; its table is empty then, and copied anew.
//! Source: HAProxy Management Guide 2.6, section 9.3: `set table`, `clear table`, `show table`.

use super::{Doing, Kind, Mirror, MirrorFault, row, rows};
use crate::outbound::options::{Key, Options, OptionsError, Takes};
use crate::response::changes::Change;
use crate::response::denylist::Denylist;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Commands in one line: it must fit into HAProxy's buffer (`tune.bufsize`, 16 KiB unless changed).
const COMMANDS_AT_ONCE: usize = 64;

/// Longest answer that is read: two million keys of 64 digits with what stands around each.
const ANSWER_BYTES_MAX: u64 = 512 << 20;

/// What the table is called in `deny.cfg`.
const TABLE: &str = "tokentrip";

/// `kind = "haproxy"`.
pub const KIND: Kind = Kind {
    name: "haproxy",
    keys: &[
        Key::needed("socket", Takes::Path, "\"/run/haproxy/admin.sock\""),
        Key::optional("table", Takes::Text),
    ],
    make: |name, options| Ok(Arc::new(HaProxy::new(name, options)?)),
};

#[derive(Debug)]
struct HaProxy {
    name: Arc<str>,
    socket: PathBuf,
    table: String,
}

impl HaProxy {
    fn new(name: Arc<str>, options: &Options) -> Result<Self, OptionsError> {
        let table = options.text("table").unwrap_or(TABLE);
        // As HAProxy allows in names of sections; anything else could end the command.
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if table.is_empty() || !table.chars().all(is_name) {
            let why = format!("`{table}` is no name of a table: letters, digits, `-_.:`");
            return Err(OptionsError::Wrong("table", why));
        }
        Ok(Self {
            name,
            socket: options.path("socket")?.to_owned(),
            table: table.to_owned(),
        })
    }

    /// One line of commands on a connection of its own, as the socket wants it, and what comes back.
    async fn ask(&self, commands: &str) -> Result<String, MirrorFault> {
        let fault = |error| fault(&self.socket, error);
        let mut socket = UnixStream::connect(&self.socket).await.map_err(fault)?;
        let line = format!("{commands}\n");
        socket.write_all(line.as_bytes()).await.map_err(fault)?;
        let mut answer = String::new();
        let mut answers = socket.take(ANSWER_BYTES_MAX);
        answers.read_to_string(&mut answer).await.map_err(fault)?;
        Ok(answer)
    }

    async fn tell(&self, commands: &[String]) -> Result<(), MirrorFault> {
        for some in commands.chunks(COMMANDS_AT_ONCE) {
            let answer = self.ask(&some.join(";")).await?;
            // Success is silent. A key that is gone already says so, and is what was wanted.
            let mut said = answer.lines().map(str::trim);
            if let Some(said) = said.find(|said| !said.is_empty() && !said.contains("not present"))
            {
                return Err(MirrorFault(format!("HAProxy says: {}", shown(said))));
            }
        }
        Ok(())
    }

    fn set(&self, key: &str, second: u32) -> String {
        format!("set table {} key {key} data.gpc0 {second}", self.table)
    }

    fn clear(&self, key: &str) -> String {
        format!("clear table {} key {key}", self.table)
    }

    async fn copy_all(&self, denylist: &Denylist) -> Result<(), MirrorFault> {
        let wanted: BTreeMap<String, u32> = rows(denylist).collect();
        let answer = self.ask(&format!("show table {}", self.table)).await?;
        if !answer.starts_with("# table:") {
            let said = shown(answer.lines().next().unwrap_or_default());
            let help =
                "include deploy/gateways/haproxy/deny.cfg, and let the socket be of level admin";
            return Err(MirrorFault(format!("HAProxy says: {said}; {help}")));
        }
        let there: BTreeMap<&str, u32> = answer.lines().filter_map(entry).collect();
        let gone = there.keys().filter(|key| !wanted.contains_key(**key));
        let new = wanted
            .iter()
            .filter(|(key, second)| there.get(key.as_str()) != Some(*second));
        // What is to be denied comes first.
        let commands = new.map(|(key, second)| self.set(key, *second));
        let commands: Vec<_> = commands.chain(gone.map(|key| self.clear(key))).collect();
        self.tell(&commands).await
    }
}

impl Mirror for HaProxy {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn copy<'a>(&'a self, denylist: &'a Denylist) -> Doing<'a, Result<(), MirrorFault>> {
        Box::pin(self.copy_all(denylist))
    }

    fn follow<'a>(&'a self, changes: &'a [Change]) -> Doing<'a, Result<(), MirrorFault>> {
        let commands = changes
            .iter()
            .filter_map(row)
            .map(|(key, second)| match second {
                Some(second) => self.set(&key, second),
                None => self.clear(&key),
            });
        let commands: Vec<_> = commands.collect();
        Box::pin(async move { self.tell(&commands).await })
    }
}

/// Key and second of a line of `show table`: `0x…: key=… use=0 exp=… gpc0=…`.
fn entry(line: &str) -> Option<(&str, u32)> {
    let mut key = None;
    let mut second = None;
    for word in line.split_whitespace() {
        match word.split_once('=') {
            Some(("key", text)) => key = Some(text),
            Some(("gpc0", text)) => second = text.parse().ok(),
            _ => {}
        }
    }
    let is_key = |key: &&str| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((key.filter(is_key)?, second?))
}

fn fault(socket: &Path, error: std::io::Error) -> MirrorFault {
    MirrorFault(format!("{}: {error}", socket.display()))
}

/// The beginning of what a peer said, without control characters.
fn shown(said: &str) -> String {
    let said = said.chars().filter(|c| !c.is_control());
    said.take(200).collect()
}
