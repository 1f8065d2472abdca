//! Redis: entries that end by themselves, and through which several daemons agree.
//!
//! In: entries. Out: `tokentrip:deny:<kind>:<key>` with the value `<end in ms> <second> <what, in JSON>`, which ends
//! with its denial; a message for each change; what others denied and took back.
//! Does not know: who else reads. Whoever may write there can deny any token: give it a user and a password of its own.
//! Source: Redis 7, `EVALSHA`, `PEXPIREAT`, `SCAN`, `PUBLISH`.

use super::{Doing, Hearing, Kind, Mirror, MirrorFault, is_own, key, not_before_s};
use crate::domain::incident::Target;
use crate::domain::time::Time;
use crate::outbound::Secret;
use crate::outbound::options::{Key, Options, OptionsError, Takes};
use crate::response::changes::Change;
use crate::response::denylist::{Denylist, Origin};
use data_encoding::HEXLOWER;
use futures_util::StreamExt;
use redis::aio::MultiplexedConnection;
use redis::{Client, ConnectionInfo, IntoConnectionInfo, Pipeline, Script};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// What every key begins with.
const PREFIX: &str = "tokentrip:deny:";

/// Where changes are told.
const CHANNEL: &str = "tokentrip:denylist";

/// Names the life of the data: one that was emptied has another.
const LIFE: &str = "tokentrip:life";

/// Keys looked through, and commands sent, at once.
const AT_ONCE: usize = 500;

/// Longest value that is read: a name is cut at a kilobyte when a token is decoded, an issuer likewise.
const VALUE_BYTES_MAX: usize = 8 << 10;

/// Of two denials of one thing the later end and the later second count, whoever wrote them, in whatever order: a plain
/// `SET` would let an older one shorten a newer, and `SET NX` would keep the older.
static DENY: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local ends, second = tonumber(ARGV[1]), tonumber(ARGV[2])
        local old = redis.call('GET', KEYS[1])
        if old then
            local was_ends, was_second = string.match(old, '^(%d+) (%d+) ')
            ends = math.max(ends, tonumber(was_ends or '0'))
            second = math.max(second, tonumber(was_second or '0'))
        end
        local new = string.format('%.0f %.0f %s', ends, second, ARGV[3])
        if new == old then return 0 end
        redis.call('SET', KEYS[1], new)
        redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', ends))
        redis.call('PUBLISH', ARGV[4], '+' .. new)
        return 1",
    )
});

/// Takes a denial back, and says so only where there was one.
static UNDO: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('DEL', KEYS[1]) == 1 then redis.call('PUBLISH', ARGV[2], '-' .. ARGV[1]) end
        return 0",
    )
});

/// `kind = "redis"`.
pub const KIND: Kind = Kind {
    name: "redis",
    keys: &[
        Key::needed("url", Takes::Text, "\"redis://127.0.0.1:6379\""),
        Key::optional("user", Takes::Text),
        Key::optional(
            "password",
            Takes::Secret(["password", "password_file", "password_env"]),
        ),
    ],
    make: |name, options| Ok(Arc::new(Redis::new(name, options)?)),
};

struct Redis {
    name: Arc<str>,
    server: ConnectionInfo,
    user: Option<String>,
    password: Option<Secret>,
    connection: Mutex<Option<MultiplexedConnection>>,
    /// The life that was copied last.
    life: Mutex<Option<String>>,
}

/// Where it is, and nothing of its password.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redis({})", self.name)
    }
}

impl Redis {
    fn new(name: Arc<str>, options: &Options) -> Result<Self, OptionsError> {
        let url = options.needed("url")?;
        let wrong = |why: String| OptionsError::Wrong("url", why);
        check(url).map_err(wrong)?;
        let server = url.into_connection_info();
        Ok(Self {
            name,
            server: server.map_err(|error| wrong(error.to_string()))?,
            user: options.text("user").map(str::to_owned),
            password: options.secret("password"),
            connection: Mutex::default(),
            life: Mutex::default(),
        })
    }

    fn client(&self) -> Result<Client, MirrorFault> {
        let mut settings = self.server.redis_settings().clone();
        if let Some(user) = &self.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &self.password {
            settings = settings.set_password(password.read().map_err(MirrorFault::of)?);
        }
        let server = self.server.clone().set_redis_settings(settings);
        Client::open(server).map_err(MirrorFault::of)
    }

    async fn connect(&self) -> Result<MultiplexedConnection, MirrorFault> {
        let client = self.client()?;
        let connection = client.get_multiplexed_async_connection().await;
        let connection = connection.map_err(MirrorFault::of)?;
        *self.place() = Some(connection.clone());
        Ok(connection)
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn connected(&self) -> Result<MultiplexedConnection, MirrorFault> {
        let known = self.place().clone();
        match known {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    /// Ours go in; what others wrote is denied here, and what they took back is not any more.
    async fn copy_all(&self, denylist: &Denylist) -> Result<(), MirrorFault> {
        let mut connection = self.connect().await?;
        let (own, theirs): (Vec<_>, Vec<_>) = denylist.entries().into_iter().partition(is_own);
        for some in own.chunks(AT_ONCE) {
            let mut calls = scripts();
            for (target, until, _) in some {
                deny(&mut calls, target, *until)?;
            }
            calls
                .exec_async(&mut connection)
                .await
                .map_err(MirrorFault::of)?;
        }
        let there = read_all(&mut connection).await?;
        let names: HashSet<String> = there.iter().filter_map(|(target, _)| key(target)).collect();
        for (target, until) in &there {
            // What finds no room is counted by the list itself.
            let _ = denylist.deny_for(Origin::Peer, target, *until);
        }
        let life = life(&mut connection).await?;
        let before = self
            .life
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(life.clone());
        // What is missing because Redis lost everything was taken back by nobody: those who denied it write it again.
        if before.as_ref() != Some(&life) {
            return Ok(());
        }
        let is_gone = |target: &Target| key(target).is_some_and(|key| !names.contains(&key));
        for (target, ..) in theirs.iter().filter(|(target, ..)| is_gone(target)) {
            denylist.undo(target);
        }
        Ok(())
    }

    async fn tell(&self, changes: &[Change]) -> Result<(), MirrorFault> {
        let mut connection = self.connected().await?;
        for some in changes.chunks(AT_ONCE) {
            let mut calls = scripts();
            for change in some {
                match change {
                    Change::Denied {
                        target,
                        until,
                        origin: Origin::Own,
                    } => deny(&mut calls, target, *until)?,
                    Change::Undone { target } => undo(&mut calls, target)?,
                    // Others wrote it, or Redis ends it by itself.
                    Change::Denied { .. } | Change::Expired { .. } => {}
                }
            }
            calls
                .exec_async(&mut connection)
                .await
                .map_err(MirrorFault::of)?;
        }
        Ok(())
    }

    async fn listen(&self, hearing: &Hearing) -> Result<(), MirrorFault> {
        let mut ears = self
            .client()?
            .get_async_pubsub()
            .await
            .map_err(MirrorFault::of)?;
        ears.subscribe(CHANNEL).await.map_err(MirrorFault::of)?;
        let mut messages = ears.on_message();
        while let Some(message) = messages.next().await {
            let text: String = message.get_payload().unwrap_or_default();
            if let Some((target, until)) = text.strip_prefix('+').and_then(read) {
                let _ = hearing.denylist.deny_for(Origin::Peer, &target, until);
            } else if let Some(target) = text.strip_prefix('-').and_then(target_of)
                && hearing.denylist.undo(&target)
            {
                (hearing.taken_back)(&target);
            }
        }
        Err(MirrorFault("the connection ended".to_owned()))
    }
}

impl Mirror for Redis {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn copy<'a>(&'a self, denylist: &'a Denylist) -> Doing<'a, Result<(), MirrorFault>> {
        Box::pin(self.copy_all(denylist))
    }

    fn follow<'a>(&'a self, changes: &'a [Change]) -> Doing<'a, Result<(), MirrorFault>> {
        Box::pin(self.tell(changes))
    }

    fn hear<'a>(&'a self, hearing: &'a Hearing) -> Doing<'a, Result<(), MirrorFault>> {
        Box::pin(self.listen(hearing))
    }
}

/// TLS, or this machine; no credentials, which would stand in the configuration.
fn check(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|_| "no URL".to_owned())?;
    let host = parsed
        .host_str()
        .unwrap_or_default()
        .trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("put user and password into `user` and `password_file`".to_owned());
    }
    match parsed.scheme() {
        "rediss" => Ok(()),
        "redis" if here => Ok(()),
        "redis" => Err("plain Redis is for this machine only: use rediss://".to_owned()),
        scheme => Err(format!("`{scheme}` is neither redis nor rediss")),
    }
}

fn place_of(target: &Target) -> Option<String> {
    Some(format!("{PREFIX}{}:{}", target.kind(), key(target)?))
}

/// Calls that travel together, behind what they run.
fn scripts() -> Pipeline {
    let mut calls = redis::pipe();
    calls.load_script(&DENY).ignore();
    calls.load_script(&UNDO).ignore();
    calls
}

fn deny(calls: &mut Pipeline, target: &Target, until: Time) -> Result<(), MirrorFault> {
    let Some(place) = place_of(target) else {
        return Ok(());
    };
    let mut call = DENY.prepare_invoke();
    call.key(place).arg(until.as_ms()).arg(not_before_s(target));
    call.arg(written(target)?).arg(CHANNEL);
    calls.invoke_script(&call).ignore();
    Ok(())
}

fn undo(calls: &mut Pipeline, target: &Target) -> Result<(), MirrorFault> {
    let Some(place) = place_of(target) else {
        return Ok(());
    };
    let mut call = UNDO.prepare_invoke();
    call.key(place).arg(written(target)?).arg(CHANNEL);
    calls.invoke_script(&call).ignore();
    Ok(())
}

/// Without its times, so that the same thing is always written alike.
fn written(target: &Target) -> Result<String, MirrorFault> {
    let mut target = target.clone();
    match &mut target {
        Target::Jti { expires_s, .. } | Target::Token { expires_s, .. } => *expires_s = None,
        Target::Subject { not_before_s, .. } => *not_before_s = 0,
        Target::Sid { .. } | Target::Address { .. } => {}
    }
    serde_json::to_string(&target).map_err(MirrorFault::of)
}

/// Names the life of the data, and begins one where there is none.
async fn life(connection: &mut MultiplexedConnection) -> Result<String, MirrorFault> {
    let mut lot = [0; 16];
    getrandom::fill(&mut lot).map_err(MirrorFault::of)?;
    let new = HEXLOWER.encode(&lot);
    let mut set = redis::cmd("SET");
    set.arg(LIFE).arg(new).arg("NX");
    set.exec_async(connection).await.map_err(MirrorFault::of)?;
    let mut get = redis::cmd("GET");
    get.arg(LIFE)
        .query_async(connection)
        .await
        .map_err(MirrorFault::of)
}

/// Every entry, whoever wrote it. What is none is left alone.
async fn read_all(
    connection: &mut MultiplexedConnection,
) -> Result<Vec<(Target, Time)>, MirrorFault> {
    let (mut found, mut cursor) = (Vec::new(), 0_u64);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{PREFIX}*"));
        scan.arg("COUNT").arg(AT_ONCE);
        let (next, keys): (u64, Vec<String>) = scan
            .query_async(connection)
            .await
            .map_err(MirrorFault::of)?;
        if !keys.is_empty() {
            let mut get = redis::cmd("MGET");
            get.arg(&keys);
            let values: Vec<Option<String>> =
                get.query_async(connection).await.map_err(MirrorFault::of)?;
            found.extend(values.iter().flatten().filter_map(|value| read(value)));
        }
        cursor = next;
        if cursor == 0 {
            return Ok(found);
        }
    }
}

/// What a value says.
fn read(value: &str) -> Option<(Target, Time)> {
    let (ends, rest) = value.split_once(' ')?;
    let (second, json) = rest.split_once(' ')?;
    let mut target = target_of(json)?;
    if let Target::Subject { not_before_s, .. } = &mut target {
        *not_before_s = second.parse::<u32>().ok()?.into();
    }
    Some((target, Time::from_ms(ends.parse().ok()?)?))
}

fn target_of(json: &str) -> Option<Target> {
    (json.len() <= VALUE_BYTES_MAX)
        .then(|| serde_json::from_str(json).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_redis_stays_on_this_machine_and_credentials_out_of_the_address() {
        for good in [
            "redis://127.0.0.1:6379",
            "redis://[::1]:6379/2",
            "rediss://redis.example.com",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in [
            "redis://10.0.0.7:6379",
            "redis://:hunter2@localhost",
            "http://localhost",
            "x",
        ] {
            assert!(
                check(bad).is_err_and(|why| !why.contains("hunter2")),
                "{bad}"
            );
        }
    }

    #[test]
    fn what_is_no_entry_is_left_alone() {
        let subject = Target::Subject {
            iss: "https://idp.example.com/".into(),
            sub: "a\"\r\n b".into(),
            not_before_s: 1_777_888_800,
        };
        let value = format!("1777892400000 1777888800 {}", written(&subject).unwrap());
        assert_eq!(
            read(&value),
            Some((subject, Time::from_ms(1_777_892_400_000).unwrap()))
        );
        let long = format!(
            "1 1 {{\"kind\":\"sid\",\"iss\":\"{}\",\"sid\":\"s\"}}",
            "x".repeat(9000)
        );
        for none in [
            "",
            "x",
            "1 2",
            "1 2 {}",
            "x y {\"kind\":\"sid\",\"iss\":\"i\",\"sid\":\"s\"}",
            &long,
        ] {
            assert_eq!(read(none), None);
        }
    }
}
