//! What kind of program a client is: browser, app, tool or bot.
//!
//! In: the family and system that uap-core found, and the header. Out: [`ClientKind`].
//! Does not know: versions.
//! Source: the libraries' own documentation of their default user agents; uap-core's list of
//! families.
//!
//! Tools are what a person or a script drives by hand; they come first, because a headless browser
//! also looks like one. Okhttp and CFNetwork are apps: Android's and Apple's apps send them when
//! nobody names the app.

use crate::domain::context::ClientKind;

/// Marks of command line tools, libraries of scripts, headless browsers and scanners, in lower
/// case.
const TOOLS: [&str; 64] = [
    "aiohttp",
    "apache-httpclient",
    "apachebench",
    "axios",
    "bruno",
    "bun/",
    "burp",
    "colly",
    "curl",
    "deno/",
    "dirbuster",
    "electron-fetch",
    "feroxbuster",
    "ffuf",
    "fasthttp",
    "faraday",
    "gobuster",
    "go-http-client",
    "got (",
    "guzzlehttp",
    "headlesschrome",
    "headless",
    "hey/",
    "httpie",
    "httpx",
    "http_request",
    "insomnia",
    "jakarta",
    "java/",
    "java-http-client",
    "jmeter",
    "k6/",
    "libwww-perl",
    "lua-resty",
    "lwp::",
    "masscan",
    "mechanize",
    "nikto",
    "nmap",
    "node-fetch",
    "nuclei",
    "perl",
    "phantomjs",
    "php-curl",
    "playwright",
    "postman",
    "powershell",
    "puppeteer",
    "pycurl",
    "python",
    "reqwest",
    "rest-client",
    "restsharp",
    "ruby",
    "scrapy",
    "selenium",
    "sqlmap",
    "typhoeus",
    "undici",
    "urllib",
    "vegeta",
    "wfuzz",
    "wget",
    "wrk/",
];

/// What Node.js calls itself when nobody names the program; as a mark it would be in many names.
const NODE: &str = "node";

/// Marks of crawlers, monitors and link previews, in lower case.
const BOTS: [&str; 27] = [
    "bot/",
    "bot ",
    "bot;",
    "bot)",
    "crawler",
    "spider",
    "slurp",
    "facebookexternalhit",
    "facebookcatalog",
    "whatsapp/",
    "telegrambot",
    "discordbot",
    "slackbot",
    "linkedinbot",
    "embedly",
    "skypeuripreview",
    "pingdom",
    "uptime",
    "statuscake",
    "site24x7",
    "datadog",
    "newrelic",
    "google-read-aloud",
    "mediapartners",
    "feedfetcher",
    "prerender",
    "lighthouse",
];

/// Marks of applications with a stack of their own, in lower case.
const APPS: [&str; 11] = [
    "okhttp",
    "cfnetwork",
    "dart/",
    "dart:io",
    "alamofire",
    "darwin/",
    "dalvik/",
    "cordova",
    "react native",
    "expo/",
    "volley",
];

/// Browser families that do not say so in their name, or say it beside other words.
const BROWSERS: [&str; 28] = [
    "chrome",
    "chromium",
    "safari",
    "firefox",
    "edge",
    "opera",
    "ie",
    "brave",
    "vivaldi",
    "samsung internet",
    "yandex",
    "uc browser",
    "duckduckgo",
    "silk",
    "seamonkey",
    "pale moon",
    "iceweasel",
    "konqueror",
    "epiphany",
    "maxthon",
    "whale",
    "qq browser",
    "miui browser",
    "huawei browser",
    "coc_coc",
    "sogou",
    "android",
    "webkit",
];

/// The kind of a client with this family and system and with this whole header.
pub(super) fn kind(family: &str, system: &str, header: &str) -> ClientKind {
    let (family, header) = (family.to_ascii_lowercase(), header.to_ascii_lowercase());
    let marked = |marks: &[&str]| marks.iter().any(|mark| header.contains(mark));
    if marked(&TOOLS) || header == NODE {
        ClientKind::Tool
    } else if marked(&BOTS) || family.ends_with("bot") {
        ClientKind::Bot
    } else if marked(&APPS) {
        ClientKind::App
    } else if is_browser(&family, &header) {
        ClientKind::Browser
    } else if matches!(
        system,
        "iOS" | "Android" | "Mac OS X" | "tvOS" | "WatchOS" | "Windows"
    ) {
        // A program on somebody's device that is no browser we know: an app that names itself.
        ClientKind::App
    } else {
        ClientKind::Unknown
    }
}

/// Every browser calls itself Mozilla since 1995, but for the oldest Operas.
fn is_browser(family: &str, header: &str) -> bool {
    let calls_itself = header.starts_with("mozilla/") || header.starts_with("opera/");
    calls_itself && BROWSERS.iter().any(|name| family.contains(name))
}
