//! The stories in which nothing is stolen: what must not wake anybody.
//!
//! In: nothing. Out: [`Story`]s.
//! Does not know: rules.

use super::log::{Shape, dice};
use super::people::{
    CHROME_ANDROID, CHROME_WINDOWS, CHROME_WINDOWS_NEXT, Device, FIREFOX_LINUX, FIREFOX_WINDOWS,
    SAFARI_IPHONE, SAFARI_MAC,
};
use super::script::Day;
use super::{File, Story};

/// People who change their network or their program, as people do.
pub(super) fn quiet_moves() -> Story {
    let mut day = Day::new("2026-03-10");
    vpn(&mut day);
    phone(&mut day);
    update(&mut day);
    dual_stack(&mut day);
    company(&mut day);
    train(&mut day);
    relay(&mut day);
    Story::new("quiet_moves", day.requests, Shape::Json)
}

/// A VPN switched on in Porto and off again.
fn vpn(day: &mut Day) {
    let home = Device::new("192.0.2.70", CHROME_WINDOWS);
    let login = day.login("niaj", "08:30:00");
    day.visit("08:30:02", home, &login, 8, 30);
    day.visit("08:40:00", home.at("198.51.100.70"), &login, 10, 40);
    day.visit("08:52:00", home, &login, 6, 30);
}

/// A phone between the Wi-Fi at home and the mobile network, four times in twenty minutes.
fn phone(day: &mut Day) {
    let wifi = Device::new("192.0.2.20", SAFARI_IPHONE);
    let mobile = wifi.at("192.0.2.44");
    let login = day.login("olivia", "08:00:00");
    for (time, device) in [
        ("08:00:05", wifi),
        ("08:05:00", mobile),
        ("08:08:00", wifi),
        ("08:11:00", mobile),
        ("08:15:00", wifi),
        ("08:19:00", mobile),
    ] {
        day.visit(time, device, &login, 5, 15);
    }
}

/// A browser restarts into its next version.
fn update(day: &mut Day) {
    let before = Device::new("192.0.2.150", CHROME_WINDOWS);
    let login = day.login("peggy", "09:00:00");
    day.visit("09:00:10", before, &login, 12, 40);
    day.visit("09:15:30", before.with(CHROME_WINDOWS_NEXT), &login, 12, 40);
}

/// A browser that takes IPv6 for one request and IPv4 for the next.
fn dual_stack(day: &mut Day) {
    let v4 = Device::new("192.0.2.139", FIREFOX_LINUX);
    let v6 = v4.at("2001:db8:104:7:a1b2::c3");
    let login = day.login("rupert", "10:00:00");
    for minute in 0..20 {
        let device = if dice(minute).is_multiple_of(2) {
            v4
        } else {
            v6
        };
        day.visit(&format!("10:{minute:02}:20"), device, &login, 2, 6);
    }
}

/// A laptop that goes out through the company's proxies in London, then from home in Paris.
fn company(day: &mut Day) {
    let office = Device::new("192.0.2.200", FIREFOX_WINDOWS);
    let login = day.login("sybil", "11:00:00");
    day.visit("11:00:02", office, &login, 6, 30);
    day.visit("11:06:00", office.at("192.0.2.213"), &login, 6, 30);
    day.visit("11:12:00", office.at("192.0.2.229"), &login, 8, 30);
    day.visit("11:20:00", office, &login, 6, 30);
}

/// A train from Lisbon to Porto, on the phone.
fn train(day: &mut Day) {
    let lisbon = Device::new("192.0.2.50", CHROME_ANDROID);
    let login = day.login("trent", "13:00:00");
    day.visit("13:00:04", lisbon, &login, 10, 60);
    day.visit("15:50:00", lisbon.at("192.0.2.81"), &login, 10, 60);
}

/// A browser that takes a privacy relay for some pages.
fn relay(day: &mut Day) {
    let home = Device::new("192.0.2.12", SAFARI_MAC);
    let login = day.login("ursula", "12:00:00");
    day.visit("12:00:09", home, &login, 6, 20);
    day.visit("12:04:00", home.at("198.51.100.170"), &login, 6, 20);
    day.visit("12:08:00", home.at("198.51.100.181"), &login, 6, 20);
    day.visit("12:12:00", home, &login, 6, 20);
}

/// Who works in the shop's customers' offices and homes on an ordinary day, and where.
const PEOPLE: [(&str, &str, &str); 25] = [
    ("victor", "192.0.2.13", CHROME_WINDOWS),
    ("walter", "192.0.2.14", FIREFOX_LINUX),
    ("yvonne", "192.0.2.15", SAFARI_MAC),
    ("zoe", "192.0.2.16", CHROME_WINDOWS),
    ("adam", "192.0.2.73", CHROME_WINDOWS),
    ("beatriz", "192.0.2.74", FIREFOX_WINDOWS),
    ("carlos", "192.0.2.101", CHROME_WINDOWS),
    ("diana", "192.0.2.102", SAFARI_MAC),
    ("emil", "192.0.2.142", FIREFOX_LINUX),
    ("frida", "192.0.2.143", CHROME_WINDOWS),
    ("greta", "192.0.2.144", CHROME_WINDOWS),
    ("hugo", "192.0.2.232", SAFARI_MAC),
    ("ines", "192.0.2.234", CHROME_WINDOWS),
    ("jonas", "192.0.2.235", FIREFOX_WINDOWS),
    ("kenji", "203.0.113.100", CHROME_WINDOWS),
    ("lena", "192.0.2.145", SAFARI_MAC),
    ("miguel", "203.0.113.71", CHROME_WINDOWS),
    ("nora", "203.0.113.5", SAFARI_MAC),
    ("oscar", "203.0.113.6", CHROME_WINDOWS),
    ("priya", "203.0.113.201", CHROME_WINDOWS),
    ("quentin", "192.0.2.236", FIREFOX_LINUX),
    ("rosa", "192.0.2.103", CHROME_WINDOWS),
    ("sophie", "192.0.2.237", SAFARI_MAC),
    ("tomas", "192.0.2.76", FIREFOX_WINDOWS),
    ("ulla", "192.0.2.146", CHROME_WINDOWS),
];

/// An ordinary day: people sign in, work, sign out; some have a phone as well.
pub(super) fn quiet_day() -> Story {
    let mut day = Day::new("2026-03-11");
    for (number, (user, address, agent)) in (0u64..).zip(PEOPLE) {
        let device = Device::new(address, agent);
        let throw = dice(number);
        let (hour, minute) = (7 + throw % 3, (throw >> 8) % 50);
        let login = day.login(user, &format!("{hour:02}:{minute:02}:00"));
        day.visit(&format!("{hour:02}:{minute:02}:04"), device, &login, 8, 90);
        let after = 11 + (throw >> 16) % 4;
        day.visit(&format!("{after}:{minute:02}:30"), device, &login, 6, 120);
        if number % 5 == 0 {
            evening(&mut day, user, number);
        }
        if number % 4 == 1 {
            let out = ("POST", "/logout", (204, 0));
            day.call("17:45:00", device, &login, out.0, out.1, out.2);
        }
    }
    mishaps(&mut day);
    let noon_s = day.second("12:00:00");
    let (morning, rest) = day.requests.into_iter().partition(|r| r.at_s < noon_s);
    Story {
        name: "quiet_day",
        files: vec![
            File::new("access.log", rest, Shape::Json),
            File::new("access.log.1.gz", morning, Shape::Json),
        ],
    }
}

/// The same person signs in on a phone, which is another session.
fn evening(day: &mut Day, user: &'static str, number: u64) {
    let phones = [SAFARI_IPHONE, CHROME_ANDROID];
    let device = Device::new("192.0.2.45", phones[number as usize % phones.len()]);
    let login = day.login(user, "19:30:00");
    let minute = 31 + number;
    day.visit(&format!("19:{minute}:10"), device, &login, 4, 30);
}

/// What goes wrong every day and means nothing: a tab with an old token, a changed password, a wrong link.
fn mishaps(day: &mut Day) {
    let walter = Device::new("192.0.2.14", FIREFOX_LINUX);
    let old = day
        .login("walter", "05:00:00")
        .token(day.second("05:00:00"));
    let asleep_s = day.second("09:59:58");
    day.present(asleep_s, walter, Some(old), "GET", "/api/me", (401, 172));
    let rosa = Device::new("192.0.2.103", CHROME_WINDOWS);
    let login = day.login("rosa", "16:00:00");
    let change = ("PUT", "/api/me/password", (204, 0));
    day.visit("16:00:12", rosa, &login, 4, 20);
    day.call("16:03:00", rosa, &login, change.0, change.1, change.2);
    let emil = Device::new("192.0.2.142", FIREFOX_LINUX);
    let login = day.login("emil", "15:00:00");
    day.call("15:00:20", emil, &login, "GET", "/api/order", (404, 162));
    day.call("15:00:41", emil, &login, "GET", "/api/orders", (500, 177));
    day.get("15:00:50", emil, &login, "/api/orders");
}
