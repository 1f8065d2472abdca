//! The first language that a client asks for.
//!
//! In: the Accept-Language header. Out: its first range's primary subtag in lower case.
//! Does not know: weights; browsers write the most wanted language first.
//! Source: RFC 9110, section 12.5.4; RFC 5646, section 2.1 (a primary subtag has 2 to 8 letters).

/// The primary subtag of the first language; `None` for `*`, an empty header, and what is no
/// language.
pub fn first(accept_language: &str) -> Option<String> {
    let range = accept_language.split([',', ';']).next()?.trim();
    let primary = range.split(['-', '_']).next()?;
    let is_subtag =
        (2..=8).contains(&primary.len()) && primary.bytes().all(|b| b.is_ascii_alphabetic());
    is_subtag.then(|| primary.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn the_first_language_counts_without_region_weight_or_case() {
        assert_eq!(first("pt-PT,pt;q=0.9,en;q=0.8").as_deref(), Some("pt"));
        assert_eq!(first(" EN_us ; q=1").as_deref(), Some("en"));
        for nothing in ["", "-", "*", ";q=1", "x", "toolonglang", "12", "日本"] {
            assert_eq!(first(nothing), None, "{nothing}");
        }
    }
}
