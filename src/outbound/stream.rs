//! Messages to a peer that takes bytes and answers nothing: UDP and TCP on this machine, TLS anywhere.
//!
//! In: an address, bytes. Out: a connection for each message, closed when all was sent.
//! Does not know: what the bytes say.
//! Source: RFC 5425, section 4.2 (the server is verified); aws-lc-rs is the one provider of cryptography.

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A receiver that takes longer is down for our purposes; the outbox tries again.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// UDP: each message is a datagram.
    Datagram,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// Who gets them.
#[derive(Clone)]
pub struct Peer {
    /// How.
    pub stream: Stream,
    host: String,
    port: u16,
    tls: Option<TlsConnector>,
}

impl Peer {
    /// A peer at `tls://host:port`, or `tcp://` or `udp://` on this machine; `ca` holds the certificates that the
    /// peer's has to come from, the system's otherwise.
    ///
    /// # Errors
    /// Why the address or the certificates cannot be used, for people.
    pub fn new(address: &str, ca: Option<&Path>) -> Result<Self, String> {
        let example = "write it as tls://siem.example.com:6514";
        let (scheme, rest) = address.split_once("://").ok_or(example)?;
        let (host, port) = rest.rsplit_once(':').ok_or(example)?;
        let port = port.parse().map_err(|_| example)?;
        let host = host.trim_matches(['[', ']']);
        let stream = match scheme {
            "tls" => Stream::Tls,
            "tcp" => Stream::Tcp,
            "udp" => Stream::Datagram,
            _ => return Err(format!("`{scheme}` is none of tls, tcp, udp")),
        };
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if stream != Stream::Tls && !is_here {
            return Err(format!("plain {scheme} is for this machine only: use tls"));
        }
        let tls = (stream == Stream::Tls).then(|| connector(ca)).transpose()?;
        Ok(Self {
            stream,
            host: host.to_owned(),
            port,
            tls,
        })
    }

    /// Sends one message.
    ///
    /// # Errors
    /// Those of the network, and when it takes longer than ten seconds.
    pub async fn send(&self, message: &[u8]) -> io::Result<()> {
        match timeout(TIMEOUT, self.send_now(message)).await {
            Ok(sent) => sent,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in 10 s")),
        }
    }

    async fn send_now(&self, message: &[u8]) -> io::Result<()> {
        let to = (self.host.as_str(), self.port);
        if self.stream == Stream::Datagram {
            // Both families: the one that the peer does not have refuses the other's address.
            let here = match self.host.parse() {
                Ok(IpAddr::V6(_)) => "[::1]:0",
                _ => "127.0.0.1:0",
            };
            UdpSocket::bind(here).await?.send_to(message, to).await?;
            return Ok(());
        }
        let connection = TcpStream::connect(to).await?;
        match &self.tls {
            None => write_all(connection, message).await,
            Some(tls) => {
                let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
                write_all(tls.connect(name, connection).await?, message).await
            }
        }
    }
}

/// Where it is, and nothing of its keys.
impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Peer({:?} {}:{})", self.stream, self.host, self.port)
    }
}

async fn write_all(mut to: impl AsyncWrite + Unpin, message: &[u8]) -> io::Result<()> {
    to.write_all(message).await?;
    to.shutdown().await
}

fn connector(ca: Option<&Path>) -> Result<TlsConnector, String> {
    let provider = Arc::new(default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match ca {
        Some(path) => {
            let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            let mut roots = RootCertStore::empty();
            let found = CertificateDer::pem_file_iter(path).map_err(|error| wrong(&error))?;
            for certificate in found {
                let certificate = certificate.map_err(|error| wrong(&error))?;
                roots.add(certificate).map_err(|error| wrong(&error))?;
            }
            builder.with_root_certificates(roots)
        }
        None => {
            let verifier = rustls_platform_verifier::Verifier::new(provider);
            let verifier = verifier.map_err(|error| error.to_string())?;
            let verifier = Arc::new(verifier);
            builder
                .dangerous()
                .with_custom_certificate_verifier(verifier)
        }
    };
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_bytes_stay_on_this_machine() {
        let checked = |text| Peer::new(text, None).map(|peer| peer.stream);
        assert_eq!(checked("udp://127.0.0.1:514"), Ok(Stream::Datagram));
        assert_eq!(checked("tcp://[::1]:601"), Ok(Stream::Tcp));
        assert_eq!(checked("tls://siem.example.com:6514"), Ok(Stream::Tls));
        for wrong in [
            "udp://192.0.2.7:514",
            "tcp://siem:601",
            "siem:514",
            "ftp://a:1",
            "tls://a",
        ] {
            assert!(checked(wrong).is_err(), "{wrong}");
        }
    }
}
