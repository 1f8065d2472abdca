//! Datagrams that the kernel dropped because nobody had fetched the ones before them.
//!
//! In: a port. Out: how many, since the socket was made; `None` where the system does not say.
//! Does not know: whose they were.
//! Source: proc_pid_net(5), `/proc/net/udp`: the last column of a socket's row.

use std::fs;

/// The drops of all UDP sockets on that port.
pub(super) fn of_port(port: u16) -> Option<u64> {
    let tables: Vec<String> = ["/proc/self/net/udp", "/proc/self/net/udp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .collect();
    let rows = tables.iter().flat_map(|table| table.lines().skip(1));
    rows.filter_map(|row| drops(row, port))
        .reduce(|sum, drops| sum + drops)
}

fn drops(row: &str, port: u16) -> Option<u64> {
    let mut columns = row.split_ascii_whitespace();
    let (_, local) = columns.nth(1)?.rsplit_once(':')?;
    let is_ours = u16::from_str_radix(local, 16).is_ok_and(|found| found == port);
    columns.next_back()?.parse().ok().filter(|_| is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn what_nobody_fetches_is_counted_by_the_kernel() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        assert_eq!(of_port(address.port()), Some(0));
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..2000 {
            sender.send_to(&[b'x'; 8000], address).unwrap();
        }
        assert!(of_port(address.port()).unwrap() > 0);
    }
}
