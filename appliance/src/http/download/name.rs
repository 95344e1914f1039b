//! The name under which a client keeps a file (RFC 6266).

use crate::http::percent::encoded;

/// The longest name in bytes; file systems take 255.
const LONGEST: usize = 200;
/// The name of a file of which no name is left.
const NAMELESS: &str = "file";

/// The value of `Content-Disposition`: the name without what leads elsewhere, hides the file or ends the field.
pub(super) fn disposition(name: &str) -> String {
    let safe = safe(name);
    let plain: String = safe
        .chars()
        .map(|letter| if is_plain(letter) { letter } else { '_' })
        .collect();
    match plain == safe {
        true => format!("attachment; filename=\"{plain}\""),
        false => format!(
            "attachment; filename=\"{plain}\"; filename*=UTF-8''{}",
            encoded(&safe)
        ),
    }
}

fn safe(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let letters = name
        .chars()
        .filter(|letter| !letter.is_control() && !is_formatting(*letter));
    let mut length = 0;
    let short: String = letters
        .take_while(|letter| {
            length += letter.len_utf8();
            length <= LONGEST
        })
        .collect();
    match short.trim().trim_start_matches('.').trim_end_matches(['.', ' ']) {
        "" => NAMELESS.to_owned(),
        name => name.to_owned(),
    }
}

/// Turns the direction of writing around, or isn't seen: `disk<U+202E>kdmv.exe`.
fn is_formatting(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_plain(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || " -._+()~".contains(letter)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_lead_nowhere_and_end_no_field() {
        for (name, expected) in [
            ("disk-1.vmdk", "filename=\"disk-1.vmdk\""),
            ("../../etc/passwd", "filename=\"passwd\""),
            ("C:\\boot.ini", "filename=\"boot.ini\""),
            (".bashrc", "filename=\"bashrc\""),
            ("..", "filename=\"file\""),
            ("a/", "filename=\"file\""),
            ("a\r\nX: y", "filename=\"aX_ y\"; filename*=UTF-8''aX%3A%20y"),
            ("a\"; b", "filename=\"a__ b\"; filename*=UTF-8''a%22%3B%20b"),
            (
                "Gerät.ova",
                "filename=\"Ger_t.ova\"; filename*=UTF-8''Ger%C3%A4t.ova",
            ),
            ("disk\u{202e}kdmv.exe", "filename=\"diskkdmv.exe\""),
        ] {
            assert_eq!(disposition(name), format!("attachment; {expected}"), "{name:?}");
        }
    }

    proptest! {
        #[test]
        fn every_name_makes_a_field_and_a_short_one(name in "\\PC{0,300}|[a-z/\\\\.\"\u{0}-\u{1f}]{0,40}") {
            let field = disposition(&name);
            prop_assert!(field.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(field.matches('"').count(), 2);
            prop_assert!(field.len() <= 4 * LONGEST + 64);
            let safe = safe(&name);
            prop_assert!(!safe.is_empty() && !safe.starts_with('.') && !safe.contains(['/', '\\']));
        }
    }
}
