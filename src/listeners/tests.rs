//! Real sockets on loopback, and what reaches the spool.

use super::*;
use std::fs;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket, UnixDatagram, UnixStream};

/// What was counted, by name.
type Counts = Arc<Mutex<Vec<(Count, u64)>>>;

struct House {
    _folder: tempfile::TempDir,
    spool: PathBuf,
    counts: Counts,
    stop: watch::Sender<bool>,
    listeners: Listeners,
}

fn local() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

async fn house(listen: impl Fn(&Path) -> Listen, senders: &[&str]) -> Result<House, ListenFault> {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool/it.log");
    let counts = Counts::default();
    let (stop, stopped) = watch::channel(false);
    let listener = Listener {
        listen: listen(folder.path()),
        senders: senders
            .iter()
            .map(|network| network.parse().unwrap())
            .collect(),
        spool: spool.clone(),
    };
    let kept = Arc::clone(&counts);
    let counter: Counter = Arc::new(move |_, count, times| {
        kept.lock().unwrap().push((count, times));
    });
    let listeners = Listeners::start(
        &[listener],
        counter,
        |_, work| Ok(std::thread::spawn(work)),
        stopped,
    )
    .await?;
    Ok(House {
        _folder: folder,
        spool,
        counts,
        stop,
        listeners,
    })
}

impl House {
    fn count(&self, what: Count) -> u64 {
        let counts = self.counts.lock().unwrap();
        let of = counts.iter().filter(|(count, _)| *count == what);
        of.map(|(_, times)| times).sum()
    }

    async fn until(&self, what: Count, times: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.count(what) < times {
            assert!(
                Instant::now() < deadline,
                "{what:?}: {:?}",
                self.counts.lock()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it and gives the lines of the spool.
    async fn end(self) -> Vec<String> {
        self.stop.send(true).unwrap();
        let listeners = self.listeners;
        tokio::task::spawn_blocking(|| listeners.finish())
            .await
            .unwrap();
        let text = fs::read_to_string(&self.spool).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_datagram_is_a_line_and_strangers_are_counted() {
    let house = house(|_| Listen::Udp(local()), &["127.0.0.1/32"])
        .await
        .unwrap();
    let to = house.listeners.addresses()[0];
    let socket = UdpSocket::bind(local()).await.unwrap();
    let stranger = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    stranger.send_to(b"<1>from a stranger", to).await.unwrap();
    for message in ["<1>one\n", "", "<1>two\nlines", "<1>three\0"] {
        socket.send_to(message.as_bytes(), to).await.unwrap();
    }
    house.until(Count::Received, 3).await;
    house.until(Count::Dropped("sender"), 1).await;
    assert_eq!(house.end().await, ["<1>one", "<1>two#012lines", "<1>three"]);
}

#[tokio::test]
async fn what_lies_in_a_socket_at_the_end_is_fetched() {
    let udp = house(|_| Listen::Udp(local()), &[]).await.unwrap();
    let unix = |folder: &Path| Listen::UnixDatagram(folder.join("d.sock"));
    let unix = house(unix, &[]).await.unwrap();
    let by_udp = std::net::UdpSocket::bind(local()).unwrap();
    let by_path = std::os::unix::net::UnixDatagram::unbound().unwrap();
    // Nothing here waits: nobody has fetched one of them when the end comes.
    let sent: Vec<_> = (0..5).map(|n| format!("<1>{n}")).collect();
    for message in &sent {
        let to = udp.listeners.addresses()[0];
        by_udp.send_to(message.as_bytes(), to).unwrap();
        let path = &unix.listeners.sockets[0];
        by_path.send_to(message.as_bytes(), path).unwrap();
    }
    assert_eq!(udp.end().await, sent);
    assert_eq!(unix.end().await, sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_may_count_octets_or_end_lines_and_its_last_message_needs_no_end() {
    let house = house(|_| Listen::Tcp(local()), &[]).await.unwrap();
    let to = house.listeners.addresses()[0];
    let mut counted = TcpStream::connect(to).await.unwrap();
    counted.write_all(b"6 <1>one8 <1>t\nwo").await.unwrap();
    counted.shutdown().await.unwrap();
    house.until(Count::Received, 2).await;
    let mut by_line = TcpStream::connect(to).await.unwrap();
    by_line.write_all(b"<1>three\n<1>fo").await.unwrap();
    house.until(Count::Received, 3).await;
    by_line.write_all(b"ur").await.unwrap();
    by_line.shutdown().await.unwrap();
    house.until(Count::Received, 4).await;
    let lines = house.end().await;
    assert_eq!(lines, ["<1>one", "<1>t#012wo", "<1>three", "<1>four"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_connections_at_once_lose_nothing() {
    let house = house(|_| Listen::Tcp(local()), &[]).await.unwrap();
    let to = house.listeners.addresses()[0];
    let send = |nth: usize| async move {
        let mut stream = TcpStream::connect(to).await.unwrap();
        for line in 0..200 {
            let text = format!("<1>{nth}-{line} {}\n", "x".repeat(300));
            stream.write_all(text.as_bytes()).await.unwrap();
        }
        stream.shutdown().await.unwrap();
    };
    let senders: Vec<_> = (0..100).map(|nth| tokio::spawn(send(nth))).collect();
    for sender in senders {
        sender.await.unwrap();
    }
    house.until(Count::Received, 20_000).await;
    let mut lines = house.end().await;
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_allowed_are_closed_and_counted() {
    let house = house(|_| Listen::Tcp(local()), &[]).await.unwrap();
    let to = house.listeners.addresses()[0];
    let mut kept = Vec::new();
    for _ in 0..300 {
        kept.push(TcpStream::connect(to).await.unwrap());
    }
    house.until(Count::Dropped("connections"), 300 - 256).await;
    kept[0].write_all(b"<1>still heard\n").await.unwrap();
    house.until(Count::Received, 1).await;
    assert_eq!(house.end().await, ["<1>still heard"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn unix_sockets_take_messages_and_replace_only_what_nobody_listens_on() {
    let stream = |folder: &Path| Listen::Unix(folder.join("s.sock"));
    let datagram = |folder: &Path| Listen::UnixDatagram(folder.join("d.sock"));
    let a = house(stream, &[]).await.unwrap();
    let path = a.listeners.sockets[0].clone();
    let mut client = UnixStream::connect(&path).await.unwrap();
    client.write_all(b"<1>stream\n").await.unwrap();
    a.until(Count::Received, 1).await;
    let taken = house(|_| Listen::Unix(path.clone()), &[]).await;
    assert!(taken.err().unwrap().to_string().contains("in use"));
    assert_eq!(a.end().await, ["<1>stream"]);
    assert!(!path.exists());

    let b = house(
        |folder| {
            // Left by a process that was killed.
            drop(std::os::unix::net::UnixDatagram::bind(folder.join("d.sock")).unwrap());
            datagram(folder)
        },
        &[],
    );
    let b = b.await.unwrap();
    let mode = fs::metadata(&b.listeners.sockets[0]).unwrap().permissions();
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o660
    );
    let client = UnixDatagram::unbound().unwrap();
    client
        .send_to(b"<1>datagram", &b.listeners.sockets[0])
        .await
        .unwrap();
    let long = vec![b'x'; framing::MESSAGE_BYTES_MAX + 9];
    client
        .send_to(&long, &b.listeners.sockets[0])
        .await
        .unwrap();
    b.until(Count::Received, 2).await;
    assert_eq!(b.count(Count::Dropped("cut")), 1);
    let lines = b.end().await;
    assert_eq!(lines[0], "<1>datagram");
    assert_eq!(lines[1].len(), framing::MESSAGE_BYTES_MAX);
}

#[test]
fn who_may_lie_is_known_by_how_it_comes() {
    let tls = |client_ca: Option<&str>| Tls {
        certificate: "c".into(),
        key: "k".into(),
        client_ca: client_ca.map(Into::into),
    };
    let (near, far) = (
        "127.0.0.1:1".parse().unwrap(),
        "192.0.2.1:1".parse().unwrap(),
    );
    for (listen, vouches) in [
        (Listen::Udp(near), false),
        (Listen::Tcp(near), true),
        (Listen::Tcp(far), false),
        (Listen::Tls(far, tls(None)), false),
        (Listen::Tls(far, tls(Some("ca"))), true),
        (Listen::Unix("/run/x".into()), true),
        (Listen::Stdin, true),
    ] {
        assert_eq!(listen.vouches(), vouches, "{listen}");
        let name = listen.file_name();
        assert!(
            name.chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)),
            "{name}"
        );
    }
}
