//! Copies of the denylist in a real Redis: ends, second thoughts, several daemons, a peer that was away. HAProxy's table
//! and nginx' map are in `denial.rs`, with their gateways.

use crate::support::daemon::{Daemon, free_port, get, tokentrip, until};
use crate::support::house::{append, house};
use crate::support::logs::{BROWSER, LISBON, TOKYO};
use crate::support::logs::{ISSUER, line};
use crate::support::mint::mint;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;
use tempfile::TempDir;

/// A Redis of the test's own, ended when it is dropped.
struct Redis {
    port: u16,
    folder: TempDir,
    child: Child,
}

impl Redis {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let child = Self::run(folder.path(), port);
        Self {
            port,
            folder,
            child,
        }
    }

    fn run(folder: &Path, port: u16) -> Child {
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
            ])
            .args(["--requirepass", "hunter2", "--dir"])
            .arg(folder)
            .stdout(Stdio::null())
            .spawn()
            .expect(
                "redis-server is installed by tests/all (Debian: apt-get install redis-server)",
            );
        until("redis", || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        child
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.child = Self::run(self.folder.path(), self.port);
    }

    fn cli(&self, arguments: &[&str]) -> String {
        let mut cli = Command::new("redis-cli");
        cli.args([
            "-p",
            &self.port.to_string(),
            "--no-auth-warning",
            "-a",
            "hunter2",
            "--raw",
        ]);
        let output = cli.args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn keys(&self) -> Vec<String> {
        let keys = self.cli(&["KEYS", "tokentrip:deny:*"]);
        let mut keys: Vec<_> = keys
            .lines()
            .map(str::to_owned)
            .filter(|key| !key.is_empty())
            .collect();
        keys.sort();
        keys
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs().try_into().unwrap()
}

/// A daemon that shares this Redis.
fn daemon(redis: &Redis) -> (TempDir, Daemon) {
    let (folder, config) = house();
    fs::write(folder.path().join("redis.password"), "hunter2\n").unwrap();
    let config = format!(
        "{config}[response]\nmode = \"enforce\"\n[[mirror]]\nkind = \"redis\"\nurl = \"redis://127.0.0.1:{}\"\n\
         password_file = \"redis.password\"\n",
        redis.port
    );
    let daemon = Daemon::start(folder.path(), &config);
    (folder, daemon)
}

fn check(daemon: &Daemon, token: &str) -> u16 {
    let bearer = format!("Bearer {token}");
    get(daemon.port, "/v1/check", &[("Authorization", &bearer)])
        .unwrap()
        .0
}

fn undo(folder: &Path, id: &str) {
    let mut undo = tokentrip();
    undo.args(["incidents", "undo", id, "--config"])
        .arg(folder.join("tokentrip.toml"));
    assert!(undo.output().unwrap().status.success());
}

#[test]
fn daemons_with_one_redis_deny_what_each_of_them_denies_and_take_it_back_together() {
    let mut redis = Redis::start();
    let (here, first) = daemon(&redis);
    let (_there, second) = daemon(&redis);
    let now_s = now_s();
    let claims = json!({"iss": ISSUER, "sub": "alice", "sid": "s-1", "jti": "j-1", "iat": now_s - 600, "exp": now_s + 3600});
    let token = mint(&claims, "rsa-2048");
    let log = here.path().join("access.log");
    append(
        &log,
        line(now_s - 300, LISBON, BROWSER, "/api", &token).as_bytes(),
    );
    append(
        &log,
        line(now_s - 60, TOKYO, "curl/8.5.0", "/api", &token).as_bytes(),
    );
    until("401 at the one that saw it", || {
        (check(&first, &token) == 401).then_some(())
    });
    until("401 at the other", || {
        (check(&second, &token) == 401).then_some(())
    });
    assert_eq!(second.incidents().len(), 0);

    let keys = redis.keys();
    assert_eq!(keys.len(), 2, "{keys:?}");
    assert!(
        keys[0].starts_with("tokentrip:deny:jti:") && keys[1].starts_with("tokentrip:deny:sid:")
    );
    let ttl_s = |key: &str| redis.cli(&["TTL", key]).parse::<i64>().unwrap();
    assert!(
        (3600..=3900).contains(&ttl_s(&keys[0])),
        "{}",
        ttl_s(&keys[0])
    );
    assert!(
        ttl_s(&keys[1]) > 29 * 86_400,
        "a session lives longer than its tokens"
    );
    let value = redis.cli(&["GET", &keys[0]]);
    assert!(
        value.contains("\"jti\":\"j-1\"") && !value.contains("eyJ"),
        "{value}"
    );

    // It forgets everything, and is whole again.
    redis.stop();
    until("a copy that is behind", || {
        (first.metric("tokentrip_mirror_behind", &[]) == 1.0).then_some(())
    });
    assert_eq!((check(&first, &token), check(&second, &token)), (401, 401));
    redis.start_again();
    until("the entries again", || (redis.keys() == keys).then_some(()));
    assert_eq!(check(&second, &token), 401);

    let id = first.incidents()[0]["id"].as_str().unwrap().to_owned();
    undo(here.path(), &id);
    until("nothing denied", || {
        let passes = check(&first, &token) == 200 && check(&second, &token) == 200;
        (passes && redis.keys().is_empty()).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_denials_the_later_end_counts_in_whatever_order_they_come() {
    use tokentrip::domain::incident::Target;
    use tokentrip::domain::time::Time;
    use tokentrip::outbound::options::{Options, Value};
    use tokentrip::outbound::{Secret, now};
    use tokentrip::response::changes::Change;
    use tokentrip::response::denylist::Origin;
    use tokentrip::response::mirrors;

    let redis = Redis::start();
    let secret = redis.folder.path().join("password");
    fs::write(&secret, "hunter2").unwrap();
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let options = Options(
        [
            ("url", Value::Text(url)),
            ("password", Value::Secret(Secret::File(secret))),
        ]
        .into_iter()
        .collect(),
    );
    let mirror = mirrors::new("redis", "redis", &options).unwrap();
    // Names that end a command, a script, a line or a text anywhere else.
    let hostile = "'; DEL * \r\n\"\\ ]] .. redis.call('FLUSHALL') %s\u{0}";
    let subject = |not_before_s| Target::Subject {
        iss: ISSUER.into(),
        sub: hostile.into(),
        not_before_s,
    };
    let denied = |second, until: Time| Change::Denied {
        target: subject(second),
        until,
        origin: Origin::Own,
    };
    let (soon, later) = (now().plus_ms(60_000), now().plus_ms(120_000));
    for changes in [
        [denied(500, later), denied(900, soon)],
        [denied(900, soon), denied(500, later)],
    ] {
        redis.cli(&["FLUSHALL"]);
        mirror.follow(&changes).await.unwrap();
        let keys = redis.keys();
        assert_eq!(
            keys,
            [format!(
                "tokentrip:deny:subject:{}",
                mirrors::key(&subject(0)).unwrap()
            )]
        );
        let value = redis.cli(&["GET", &keys[0]]);
        assert!(
            value.starts_with(&format!("{} 900 {{", later.as_ms())),
            "{value}"
        );
        let left_ms: i64 = redis.cli(&["PTTL", &keys[0]]).parse().unwrap();
        assert!((60_001..=120_000).contains(&left_ms), "{left_ms}");
    }
    let target = subject(0);
    mirror.follow(&[Change::Undone { target }]).await.unwrap();
    assert_eq!(redis.keys(), [""; 0]);
}
