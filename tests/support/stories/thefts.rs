//! The stories in which something is stolen.
//!
//! In: nothing. Out: [`Story`]s. Each has a day, people and a suspect's network of its own, so that all of them in
//! one scan tell what each tells alone.
//! Does not know: rules.

use super::log::Shape;
use super::people::{
    CHROME_WINDOWS, Device, FIREFOX_LINUX, FIREFOX_WINDOWS, GO, PREVIEW, REQUESTS, SAFARI_IPHONE,
    SAFARI_MAC,
};
use super::script::Day;
use super::{File, Story};

/// Alice shops in Lisbon; minutes later her token is used in Tokyo.
pub(super) fn impossible_travel() -> Story {
    let mut day = Day::new("2026-03-02");
    let home = Device::new("192.0.2.10", CHROME_WINDOWS);
    let thief = Device::new("203.0.113.99", FIREFOX_LINUX);
    let alice = day.login("alice", "09:00:00");
    day.visit("09:00:05", home, &alice, 18, 40);
    day.get("09:16:31", thief, &alice, "/api/me");
    day.get("09:16:48", thief, &alice, "/api/orders");
    for (time, target) in [
        ("09:17:02", "/api/orders/4711"),
        ("09:17:09", "/api/orders/4712"),
        ("09:17:15", "/api/orders/4713/invoice"),
        ("09:17:40", "/api/messages"),
    ] {
        day.get(time, thief, &alice, target);
    }
    let mail = ("PUT", "/api/me/email", (200, 96));
    day.call("09:18:22", thief, &alice, mail.0, mail.1, mail.2);
    day.visit("09:21:10", home, &alice, 8, 30);
    Story::new("impossible_travel", day.requests, Shape::Json)
}

/// Bob's token is used in a server network by something that says the very same of itself as Bob's browser.
pub(super) fn same_browser_from_hosting() -> Story {
    let mut day = Day::new("2026-03-03");
    let home = Device::new("192.0.2.140", CHROME_WINDOWS);
    let thief = home.at("198.51.100.100");
    let bob = day.login("bob", "14:00:00");
    day.visit("14:00:04", home, &bob, 20, 30);
    for minute in 12..24 {
        day.get(
            &format!("14:{minute}:07"),
            thief,
            &bob,
            "/api/orders?limit=500",
        );
        day.get(&format!("14:{minute}:33"), home, &bob, "/api/messages");
    }
    day.get("14:25:02", thief, &bob, "/api/me");
    Story::new("same_browser_from_hosting", day.requests, Shape::Combined)
}

/// Somebody who got hold of a file full of tokens tries them one after another.
pub(super) fn one_thief_many_tokens() -> Story {
    let mut day = Day::new("2026-03-04");
    let people = [
        ("carol", "192.0.2.11", CHROME_WINDOWS),
        ("dan", "192.0.2.75", FIREFOX_WINDOWS),
        ("eve", "192.0.2.104", SAFARI_MAC),
        ("faythe", "192.0.2.141", CHROME_WINDOWS),
        ("grace", "192.0.2.233", SAFARI_IPHONE),
        ("heidi", "203.0.113.4", CHROME_WINDOWS),
    ];
    let thief = Device::new("2001:db8:301:40::17", GO);
    for (number, (user, address, agent)) in (0..).zip(people) {
        let login = day.login(user, &format!("10:0{number}:00"));
        let device = Device::new(address, agent);
        day.visit(&format!("10:0{number}:03"), device, &login, 14, 60);
        let minute = 25 + number;
        for (second, target) in [
            ("10", "/api/me"),
            ("11", "/api/orders"),
            ("12", "/api/me/payment-methods"),
        ] {
            day.get(&format!("10:{minute}:{second}"), thief, &login, target);
        }
        day.visit(&format!("10:3{}:20", number + 3), device, &login, 4, 40);
    }
    Story::new("one_thief_many_tokens", day.requests, Shape::Claims)
}

/// A token that nobody signed: one gateway refuses it, the old one beside it lets it in.
pub(super) fn forged_alg_none() -> Story {
    let mut day = Day::new("2026-03-05");
    let home = Device::new("192.0.2.230", FIREFOX_WINDOWS);
    let forger = Device::new("2001:db8:304:9::66", REQUESTS);
    let ivan = day.login("ivan", "11:00:00");
    day.visit("11:00:06", home, &ivan, 20, 60);
    let tries = [
        ("11:09:02", "/api/me"),
        ("11:09:03", "/api/me"),
        ("11:09:05", "/api/orders"),
    ];
    for (time, target) in tries {
        let at_s = day.second(time);
        let forged = Some(ivan.token_with_alg_none(at_s));
        day.present(at_s, forger, forged, "GET", target, (401, 172));
    }
    let good = day.requests;
    let mut day = Day::new("2026-03-05");
    day.visit("11:04:12", home, &ivan, 3, 20);
    for (time, target, bytes) in [
        ("11:09:20", "/v1/account", 811),
        ("11:09:24", "/v1/account/addresses", 1_204),
        ("11:09:31", "/v1/orders?all=1", 88_120),
    ] {
        let at_s = day.second(time);
        let forged = Some(ivan.token_with_alg_none(at_s));
        day.present(at_s, forger, forged, "GET", target, (200, bytes));
    }
    for request in &mut day.requests {
        request.host = "legacy.example.com";
    }
    Story {
        name: "forged_alg_none",
        files: vec![
            File::new("api.log", good, Shape::Json),
            File::new("legacy.log", day.requests, Shape::Json),
        ],
    }
}

/// A download link carries the token; who gets the link gets the account.
pub(super) fn leaked_in_url() -> Story {
    let mut day = Day::new("2026-03-06");
    let home = Device::new("192.0.2.100", CHROME_WINDOWS);
    let preview = Device::new("198.51.100.140", PREVIEW);
    let finder = Device::new("2001:db8:206:12::8", FIREFOX_LINUX);
    let judy = day.login("judy", "15:00:00");
    day.visit("15:00:09", home, &judy, 15, 45);
    let at_s = day.second("15:12:40");
    let token = judy.token(at_s);
    let link = format!("/api/reports/2026-02.pdf?access_token={}", token.text);
    day.present(at_s, home, None, "GET", &link, (200, 182_400));
    // The chat that she pastes the link into opens it for a preview.
    let seen_s = day.second("15:14:02");
    day.present(seen_s, preview, None, "GET", &link, (200, 182_400));
    for (time, target) in [
        ("15:31:17", "/api/me"),
        ("15:31:40", "/api/reports"),
        ("15:32:05", "/api/reports/2026-01.pdf"),
        ("15:32:30", "/api/reports/2025-12.pdf"),
    ] {
        day.get(time, finder, &judy, target);
    }
    day.visit("15:40:10", home, &judy, 6, 40);
    Story::new("leaked_in_url", day.requests, Shape::Combined)
}

/// Mallory signs out on a shared computer; somebody goes on with the token.
pub(super) fn after_logout() -> Story {
    let mut day = Day::new("2026-03-09");
    let desk = Device::new("192.0.2.72", CHROME_WINDOWS);
    let thief = Device::new("2001:db8:202:3::41", CHROME_WINDOWS);
    let mallory = day.login("mallory", "17:00:00");
    day.visit("17:00:03", desk, &mallory, 16, 45);
    let out = ("POST", "/logout", (204, 0));
    day.call("17:16:40", desk, &mallory, out.0, out.1, out.2);
    for (time, target) in [
        ("17:38:10", "/api/me"),
        ("17:38:22", "/api/orders"),
        ("17:39:01", "/api/me/addresses"),
    ] {
        day.get(time, thief, &mallory, target);
    }
    Story::new("after_logout", day.requests, Shape::Json)
}
