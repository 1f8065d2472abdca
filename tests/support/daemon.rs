//! The program as a user or a service manager runs it, and what it says.
//!
//! In: arguments, a folder for its configuration and state. Out: a running `watch`, its answers over HTTP and its log.
//! Does not know: anything of the crate but its name.

use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A debug build on a busy machine starts in a few seconds, and a disk that many tests write to may keep it waiting;
/// nothing here takes longer unless it never comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// The program, not yet run, in an environment without settings of its own. `TOKENTRIP_PROGRAM` names another build of
/// it.
pub(crate) fn tokentrip() -> Command {
    let named = std::env::var("TOKENTRIP_PROGRAM");
    by(named.as_deref().unwrap_or(env!("CARGO_BIN_EXE_tokentrip")))
}

fn by(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TOKENTRIP_") {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG");
    command
}

/// Asks until there is an answer; fails the test when there is none in time.
pub(crate) fn until<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    until_for(PATIENCE, what, ask)
}

/// The same with a patience of the caller's own.
pub(crate) fn until_for<T>(
    patience: Duration,
    what: &str,
    mut ask: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "never came: {what}");
        std::thread::sleep(POLL);
    }
}

/// A port of this machine that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// One request with these header fields; status and body, or `None` when nobody answers.
pub(crate) fn get(port: u16, path: &str, fields: &[(&str, &str)]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for (name, value) in fields {
        request += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{request}\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// A running `watch`, killed when it is dropped.
pub(crate) struct Daemon {
    /// Where it listens.
    pub(crate) port: u16,
    log: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts one with this configuration, below which `[server]` is added, and waits until it is ready.
    pub(crate) fn start(folder: &Path, config: &str) -> Self {
        let daemon = Self::launch(folder, config);
        daemon.wait_until_ready();
        daemon
    }

    /// Waits until it is ready.
    pub(crate) fn wait_until_ready(&self) {
        let daemon = self;
        until("a daemon that is ready", || {
            let answer = daemon.get("/readyz").filter(|(status, _)| *status == 200);
            assert!(answer.is_some() || daemon.lives(), "{}", daemon.log());
            answer
        });
    }

    /// Starts one and waits for nothing.
    pub(crate) fn launch(folder: &Path, config: &str) -> Self {
        Self::launch_by(&[], folder, config)
    }

    /// Starts one by a program that changes something and then becomes the daemon: its name and arguments.
    pub(crate) fn launch_by(by: &[&str], folder: &Path, config: &str) -> Self {
        let port = free_port();
        let config = format!("{config}\n[server]\nlisten = \"127.0.0.1:{port}\"\n");
        Self::launch_with(by, folder, &config, port)
    }

    /// Starts one with a configuration that is complete and listens there, and waits until it is ready.
    pub(crate) fn start_with(folder: &Path, config: &str, port: u16) -> Self {
        let daemon = Self::launch_with(&[], folder, config, port);
        daemon.wait_until_ready();
        daemon
    }

    fn launch_with(by: &[&str], folder: &Path, config: &str, port: u16) -> Self {
        fs::write(folder.join("tokentrip.toml"), config).unwrap();
        let log = folder.join("daemon.stderr");
        let stderr = File::options().create(true).append(true).open(&log);
        let mut command = tokentrip();
        if let [program, arguments @ ..] = by {
            command = self::by(program);
            command.args(arguments).arg(tokentrip().get_program());
        }
        let child = command
            .args(["watch", "--config"])
            .arg(folder.join("tokentrip.toml"))
            .env(
                "RUST_LOG",
                std::env::var("TOKENTRIP_TEST_LOG").unwrap_or("trace".to_owned()),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr.unwrap())
            .spawn()
            .unwrap();
        Self { port, log, child }
    }

    fn lives(&self) -> bool {
        Path::new("/proc").join(self.pid()).join("exe").exists()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// What it wrote to stderr, and those before it in the same folder.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Status and body of one of its pages.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        get(self.port, path, &[])
    }

    /// The incidents it shows.
    pub(crate) fn incidents(&self) -> Vec<Value> {
        let (status, body) = self.get("/v1/incidents").unwrap();
        assert_eq!(status, 200, "{body}");
        let page: Value = serde_json::from_str(&body).unwrap();
        page["incidents"].as_array().unwrap().clone()
    }

    /// The sum of a metric over the rows that hold all of these words.
    pub(crate) fn metric(&self, name: &str, words: &[&str]) -> f64 {
        let (_, body) = self.get("/metrics").unwrap();
        let rows = body.lines().filter(|row| {
            row.starts_with(name)
                && row[name.len()..].starts_with(['{', ' '])
                && words.iter().all(|word| row.contains(word))
        });
        let value = |row: &str| row.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap();
        rows.map(value).sum()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A signal by its name, as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.args(["-s", name, &self.pid()]);
        assert!(kill.status().unwrap().success());
    }

    /// Waits for its end.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until("the end of the daemon", || self.child.try_wait().unwrap())
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }
}

/// So much of its log is shown with a test that failed, in lines.
const SHOWN_LINES: usize = 60;

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(SHOWN_LINES);
            println!("the daemon wrote last:\n{}", lines[last..].join("\n"));
        }
        // It has ended already unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
