//! SHELL: sources that send instead of writing a file: syslog over UDP, TCP and TLS, Unix sockets, standard input.
//!
//! In: [`Listener`]s. Out: their [`spool`] files, which are followed and journalled like any log; counts of what was
//! received and what was not.
//! Does not know: what is in a message. Whoever may send may also lie: how far lines are believed is said by
//! [`Listen::vouches`].
//!
//! Everything is bounded: messages, connections, the time a half message may take, what waits to be written. A stream's
//! sender waits when there is no room; a datagram is dropped and counted.
//! Source: RFC 5426 (UDP), RFC 6587 (TCP), RFC 5425 (TLS); nginx, "Logging to syslog"; HAProxy, `log` and `ring`.

mod datagrams;
mod framing;
mod kernel_drops;
mod sender;
mod spool;
mod streams;
mod tls;

use ipnet::IpNet;
use sender::Sender;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;

/// Where messages come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A message a datagram.
    Udp(SocketAddr),
    /// Octet counting or lines.
    Tcp(SocketAddr),
    /// The same inside TLS.
    Tls(SocketAddr, Tls),
    /// A stream socket in the file system.
    Unix(PathBuf),
    /// A datagram socket in the file system.
    UnixDatagram(PathBuf),
    /// Standard input, be it a pipe, a FIFO or a file: the lines themselves.
    Stdin,
}

/// The files of a TLS listener, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The server's chain.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Who signs the certificates of senders; none are asked for without.
    pub client_ca: Option<PathBuf>,
}

impl Listen {
    /// True when a line can only have come from a sender that was let in: by the file system, by a certificate, or
    /// because it is on this machine. The source address of a datagram is only claimed.
    pub fn vouches(&self) -> bool {
        match self {
            Self::Udp(_) => false,
            Self::Tcp(address) => address.ip().is_loopback(),
            Self::Tls(address, tls) => tls.client_ca.is_some() || address.ip().is_loopback(),
            Self::Unix(_) | Self::UnixDatagram(_) | Self::Stdin => true,
        }
    }

    /// A name for its spool: letters, digits, dots and dashes.
    pub fn file_name(&self) -> String {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        };
        let name: String = self
            .to_string()
            .replace("://", "-")
            .chars()
            .map(plain)
            .collect();
        format!("{name}.log")
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Tls(address, _) => write!(f, "tls://{address}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::UnixDatagram(path) => write!(f, "unixgram://{}", path.display()),
            Self::Stdin => f.write_str("stdin"),
        }
    }
}

/// One listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where.
    pub listen: Listen,
    /// From whom, for UDP, TCP and TLS; from anybody when empty.
    pub senders: Vec<IpNet>,
    /// Where what it receives is kept.
    pub spool: PathBuf,
}

/// What happened to a message or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// A message was written to the spool.
    Received,
    /// Not wanted, or not possible, for this reason.
    Dropped(&'static str),
}

/// Hears what a listener counts: its name, what, how many.
pub type Counter = Arc<dyn Fn(&str, Count, u64) + Send + Sync>;

/// Starts a thread of that name: the app does, and knows how.
pub type Threads = fn(&str, Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>;

/// Why a listener cannot start. Every message says what to do.
#[derive(Debug, Error)]
pub enum ListenFault {
    /// The address or path cannot be had.
    #[error("cannot listen on {listen}: {error}\n  = is it in use, or may only root have it?")]
    Bind {
        /// Where.
        listen: String,
        /// What the system said.
        error: io::Error,
    },
    /// The spool cannot be written.
    #[error("cannot write {}: {error}\n  = make it writable for this user, or set [state] folder", path.display())]
    Spool {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A certificate or key is missing or wrong.
    #[error("cannot use {}: {reason}\n  = PEM files: a certificate chain, its private key, the CA of senders", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Running listeners.
#[derive(Debug)]
pub struct Listeners {
    senders: Vec<Sender>,
    addresses: Vec<SocketAddr>,
    sockets: Vec<PathBuf>,
    /// Hears when nobody fetches datagrams any more.
    ended: mpsc::Receiver<Infallible>,
}

/// Held by who still fetches datagrams.
type Ending = mpsc::Sender<Infallible>;

/// How long what lies in the sockets may take to be fetched at the end.
const FETCHED_MAX: Duration = Duration::from_secs(2);

impl Listeners {
    /// Binds all and begins to receive, until `stopped` says so.
    ///
    /// # Errors
    /// When one cannot start.
    pub async fn start(
        listeners: &[Listener],
        counter: Counter,
        threads: Threads,
        stopped: watch::Receiver<bool>,
    ) -> Result<Self, ListenFault> {
        let (ending, ended) = mpsc::channel();
        let mut all = Self {
            senders: Vec::new(),
            addresses: Vec::new(),
            sockets: Vec::new(),
            ended,
        };
        for listener in listeners {
            let name = listener.listen.to_string();
            let sender = Sender::start(&name, &listener.spool, Arc::clone(&counter), threads)?;
            all.senders.push(sender.clone());
            let place = Place {
                sender,
                allowed: listener.senders.clone().into(),
                threads,
                stopped: stopped.clone(),
            };
            let bound = place.bind(&listener.listen, ending.clone()).await;
            let bind = |error| ListenFault::Bind {
                listen: name.clone(),
                error,
            };
            match bound.map_err(|fault| fault.or_bind(bind))? {
                Bound::Address(address) => all.addresses.push(address),
                Bound::Path(path) => all.sockets.push(path),
                Bound::Stdin => {}
            }
        }
        Ok(all)
    }

    /// Where UDP, TCP and TLS listen.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Fetches what lies in the sockets of datagrams, writes what still waits, and removes the sockets. Call it when
    /// `stopped` was said.
    pub fn finish(self) {
        let Err(_) = self.ended.recv_timeout(FETCHED_MAX);
        self.senders.into_iter().for_each(Sender::finish);
        for path in self.sockets {
            // It is gone already, or nobody can use it without us.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What the tasks of one listener share.
#[derive(Clone)]
struct Place {
    sender: Sender,
    allowed: Arc<[IpNet]>,
    threads: Threads,
    stopped: watch::Receiver<bool>,
}

enum Bound {
    Address(SocketAddr),
    Path(PathBuf),
    Stdin,
}

/// A fault that may still lack the listener's name.
enum Fault {
    Whole(ListenFault),
    Bind(io::Error),
}

impl Fault {
    fn or_bind(self, bind: impl FnOnce(io::Error) -> ListenFault) -> ListenFault {
        match self {
            Self::Whole(fault) => fault,
            Self::Bind(error) => bind(error),
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Bind(error)
    }
}

impl Place {
    async fn bind(self, listen: &Listen, ending: Ending) -> Result<Bound, Fault> {
        Ok(match listen {
            Listen::Udp(address) => Bound::Address(datagrams::udp(*address, self, ending)?),
            Listen::Tcp(address) => Bound::Address(streams::tcp(*address, None, self).await?),
            Listen::Tls(address, files) => {
                let tls = tls::acceptor(files).map_err(Fault::Whole)?;
                Bound::Address(streams::tcp(*address, Some(tls), self).await?)
            }
            Listen::Unix(path) => {
                free(path)?;
                streams::unix(path, self)?;
                Bound::Path(path.clone())
            }
            Listen::UnixDatagram(path) => {
                free(path)?;
                datagrams::unix(path, self, ending)?;
                Bound::Path(path.clone())
            }
            Listen::Stdin => {
                streams::stdin(self)?;
                Bound::Stdin
            }
        })
    }

    fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.allowed.is_empty()
            || self
                .allowed
                .iter()
                .any(|network| network.contains(&address))
    }

    /// Returns when the daemon ends.
    async fn stopped(&self) {
        let mut stopped = self.stopped.clone();
        let _ = stopped.wait_for(|stop| *stop).await;
    }
}

/// Who may send is the file system's decision, and so never the accident of a umask: our user and our group.
fn open_to_group(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o660))
}

/// Removes a socket that a daemon before this one left; one that somebody listens on, and anything else, stays.
fn free(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::FileTypeExt;
    use std::os::unix::net::{UnixDatagram, UnixStream};
    let is_socket =
        std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    let lives = UnixStream::connect(path).is_ok()
        || UnixDatagram::unbound().is_ok_and(|socket| socket.connect(path).is_ok());
    match lives {
        true => Err(io::ErrorKind::AddrInUse.into()),
        false => std::fs::remove_file(path),
    }
}

#[cfg(test)]
mod tests;
