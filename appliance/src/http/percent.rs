//! Texts as parts of addresses and header fields (RFC 3986 section 2.1, RFC 8187).

/// A text of which all but letters, digits and `-._~` is written as `%XX`.
pub(crate) fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes()
        .map(|byte| match is_plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_a_part_of_an_address_is_no_part_of_it() {
        assert_eq!(encoded("a-Z_0.9~"), "a-Z_0.9~");
        assert_eq!(encoded("../ä b&c=d?#%"), "..%2F%C3%A4%20b%26c%3Dd%3F%23%25");
    }
}
