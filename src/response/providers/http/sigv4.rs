//! AWS Signature Version 4, as far as a POST with a short body needs it.
//!
//! In: a request, the two halves of an access key, region and service. Out: the request with `x-amz-date` and
//! `authorization`.
//! Does not know: what is asked. The query is not signed: none is sent.
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use crate::domain::time::Time;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac::{HMAC_SHA256, Key, Tag, sign};
use data_encoding::HEXLOWER;
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HOST, HeaderValue};

/// Who signs, and for what.
pub(super) struct Signer<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) secret: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

impl Signer<'_> {
    /// Signs a request at a moment; `None` when something in it cannot stand in a header.
    pub(super) fn sign(&self, request: &mut Request, now: Time) -> Option<()> {
        let stamp = stamp(now);
        let date = stamp.get(..8)?;
        let url = request.url();
        let host = match url.port() {
            Some(port) => format!("{}:{port}", url.host_str()?),
            None => url.host_str()?.to_owned(),
        };
        let path = url.path().to_owned();
        request.headers_mut().insert(HOST, host.parse().ok()?);
        request
            .headers_mut()
            .insert("x-amz-date", stamp.parse().ok()?);
        let mut headers: Vec<(&str, &str)> = Vec::new();
        for (name, value) in request.headers() {
            headers.push((name.as_str(), value.to_str().ok()?.trim()));
        }
        headers.sort_unstable();
        let names = headers.iter().map(|(name, _)| *name);
        let names = names.collect::<Vec<_>>().join(";");
        let lines = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"));
        let lines: String = lines.collect();
        let body = request
            .body()
            .and_then(|body| body.as_bytes())
            .unwrap_or_default();
        let method = request.method();
        let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{}", hash(body));
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let signed = format!(
            "AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}",
            hash(canonical.as_bytes())
        );
        let signature = HEXLOWER.encode(keyed(self.key(date).as_ref(), &signed).as_ref());
        let credential = format!("{}/{scope}", self.access_key_id);
        let value = format!(
            "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
        );
        let mut value = HeaderValue::from_str(&value).ok()?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
        Some(())
    }

    fn key(&self, date: &str) -> Tag {
        let first = keyed(format!("AWS4{}", self.secret).as_bytes(), date);
        let parts = [self.region, self.service, "aws4_request"];
        parts
            .iter()
            .fold(first, |key, part| keyed(key.as_ref(), part))
    }
}

fn keyed(key: &[u8], text: &str) -> Tag {
    sign(&Key::new(HMAC_SHA256, key), text.as_bytes())
}

fn hash(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest(&SHA256, bytes).as_ref())
}

/// `20260504T101112Z`.
fn stamp(now: Time) -> String {
    let text = now.to_string();
    let digits = text.chars().take(19).filter(|c| !matches!(c, '-' | ':'));
    digits.collect::<String>() + "Z"
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::{Body, Method};

    /// The key derivation of AWS's own example.
    #[test]
    fn the_key_is_derived_as_in_the_documentation() {
        let signer = Signer {
            access_key_id: "AKIDEXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service: "iam",
        };
        let key = HEXLOWER.encode(signer.key("20150830").as_ref());
        assert_eq!(
            key,
            "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
        );
    }

    /// `post-vanilla` of AWS's signature test suite.
    #[test]
    fn a_request_is_signed_as_in_the_test_suite() {
        let url = "https://example.amazonaws.com/".parse().unwrap();
        let mut request = Request::new(Method::POST, url);
        *request.body_mut() = Some(Body::from(""));
        let signer = Signer {
            access_key_id: "AKIDEXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service: "service",
        };
        let at = Time::from_ms(1_440_938_160_000).unwrap();
        signer.sign(&mut request, at).unwrap();
        assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
        assert_eq!(
            request.headers()["authorization"],
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, \
             Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
    }
}
