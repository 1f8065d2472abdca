//! Datagrams: a message each, over UDP or a Unix socket.
//!
//! In: a bound socket. Out: messages to the [`super::sender::Sender`]; what finds no room is dropped and counted, here
//! and, where the system says so, in the kernel.
//! Does not know: who really sent a datagram.
//! Source: RFC 5426; unix(7).

use super::framing::{MESSAGE_BYTES_MAX, trimmed};
use super::{Ending, Place, kernel_drops, open_to_group};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::{UdpSocket, UnixDatagram};

/// The largest datagram there can be over UDP (RFC 768).
const DATAGRAM_BYTES_MAX: usize = 64 << 10;

/// Room asked of the kernel for datagrams that wait: half a second of 20,000 lines a second. `net.core.rmem_max` may
/// allow less.
const KERNEL_BYTES: usize = 8 << 20;

/// Between looks at what the kernel has dropped.
const DROPS_EVERY: Duration = Duration::from_secs(2);

/// Datagrams that are still fetched when their listener ends: more than a socket has room for, and less than keeps one
/// that is written into without end.
const LEFT_MAX: usize = 65_536;

pub(super) fn udp(address: SocketAddr, place: Place, ending: Ending) -> io::Result<SocketAddr> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    // Less room means that more is dropped, which is counted.
    let _ = socket.set_recv_buffer_size(KERNEL_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    let bound = socket.local_addr()?;
    let counted = place.clone();
    tokio::spawn(async move {
        let mut before = kernel_drops::of_port(bound.port()).unwrap_or_default();
        loop {
            tokio::select! {
                () = counted.stopped() => return,
                () = tokio::time::sleep(DROPS_EVERY) => {}
            }
            let Some(now) = kernel_drops::of_port(bound.port()) else {
                return;
            };
            counted.sender.dropped("kernel", now.saturating_sub(before));
            before = now;
        }
    });
    tokio::spawn(async move {
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let received = tokio::select! {
                () = place.stopped() => break,
                received = socket.recv_from(&mut buffer) => received,
            };
            match received {
                Ok((length, from)) => take(&place, &buffer, length, from),
                // An ICMP answer to what this socket never sent; the next datagram is another matter.
                Err(_) => tokio::task::yield_now().await,
            }
        }
        // What was sent before the end lies in the socket, where nobody else will fetch it.
        let Ok(left) = socket.into_std() else { return };
        for _ in 0..LEFT_MAX {
            let Ok((length, from)) = left.recv_from(&mut buffer) else {
                break;
            };
            take(&place, &buffer, length, from);
        }
        drop(ending);
    });
    Ok(bound)
}

pub(super) fn unix(path: &Path, place: Place, ending: Ending) -> io::Result<()> {
    let socket = UnixDatagram::bind(path)?;
    open_to_group(path)?;
    tokio::spawn(async move {
        // One byte more than a message may have, so that a longer one is seen to be.
        let mut buffer = vec![0; MESSAGE_BYTES_MAX + 1];
        loop {
            let received = tokio::select! {
                () = place.stopped() => break,
                received = socket.recv(&mut buffer) => received,
            };
            keep(&place, &buffer, received.unwrap_or_default()).await;
        }
        let Ok(left) = socket.into_std() else { return };
        for _ in 0..LEFT_MAX {
            let Ok(length) = left.recv(&mut buffer) else {
                break;
            };
            keep(&place, &buffer, length).await;
        }
        drop(ending);
    });
    Ok(())
}

/// A datagram over UDP, whose sender does not wait.
fn take(place: &Place, buffer: &[u8], length: usize, from: SocketAddr) {
    if !place.allows(from.ip()) {
        return place.sender.dropped("sender", 1);
    }
    let message = trimmed(buffer.get(..length).unwrap_or_default());
    if !message.is_empty() {
        place.sender.offer(message.to_vec());
    }
}

/// A datagram of this machine. A sender waits while the socket is full, so here nothing need be dropped.
async fn keep(place: &Place, buffer: &[u8], length: usize) {
    if length > MESSAGE_BYTES_MAX {
        place.sender.dropped("cut", 1);
    }
    let bytes = buffer.get(..length.min(MESSAGE_BYTES_MAX));
    let message = trimmed(bytes.unwrap_or_default()).to_vec();
    if !message.is_empty() {
        place.sender.send(message).await;
    }
}
