//! Characters, names and references: what XML 1.0 lets stand where.

use std::borrow::Cow;

/// Whether XML 1.0 can carry `c` at all (production 2).
pub(super) fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// Whether `name` is a name with at most one colon that parts two names (Namespaces in XML 1.0, production 7).
pub(super) fn is_qualified_name(name: &str) -> bool {
    match name.split_once(':') {
        Some((prefix, local)) => is_ncname(prefix) && is_ncname(local),
        None => is_ncname(name),
    }
}

fn is_ncname(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// The character that reference `&name;` stands for: one of the five predefined entities or a character reference.
pub(super) fn resolve_reference(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        return match name {
            "amp" => Some('&'),
            "lt" => Some('<'),
            "gt" => Some('>'),
            "apos" => Some('\''),
            "quot" => Some('"'),
            _ => None,
        };
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    // Rust's parser would take a sign.
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .filter(|c| is_xml_char(*c))
}

/// An attribute's value as XML 1.0 3.3.3 normalises it; the error is the offset of a reference that means nothing.
pub(super) fn attribute_value(raw: &str) -> Result<String, usize> {
    let unfolded = fold_line_ends(raw);
    let mut value = String::with_capacity(unfolded.len());
    let mut rest = unfolded.as_ref();
    while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
        value.push_str(&rest[..at]);
        if rest.as_bytes()[at] != b'&' {
            value.push(' ');
            rest = &rest[at + 1..];
            continue;
        }
        let failed_at = raw.len().saturating_sub(rest.len() - at);
        let end = rest[at..].find(';').map(|end| at + end).ok_or(failed_at)?;
        value.push(resolve_reference(&rest[at + 1..end]).ok_or(failed_at)?);
        rest = &rest[end + 1..];
    }
    value.push_str(rest);
    Ok(value)
}

/// Text with every line end as LF (XML 1.0 2.11).
pub(super) fn fold_line_ends(raw: &str) -> Cow<'_, str> {
    if raw.contains('\r') {
        Cow::Owned(raw.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        Cow::Borrowed(raw)
    }
}

/// Appends `text` to `out` as character data.
pub(super) fn escape_text(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // A bare CR would come back as LF.
            '\r' => out.push_str("&#13;"),
            _ => out.push(c),
        }
    }
}

/// Appends `value` to `out` as an attribute's value between double quotes.
pub(super) fn escape_attribute(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // Bare, these would come back as spaces.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            _ => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_are_the_five_names_and_character_numbers() {
        assert_eq!(resolve_reference("amp"), Some('&'));
        assert_eq!(resolve_reference("#x1F600"), Some('😀'));
        assert_eq!(resolve_reference("#10"), Some('\n'));
        for bad in [
            "nbsp",
            "#",
            "#x",
            "#0",
            "#xD800",
            "#+65",
            "#x110000",
            "",
            "#99999999999",
        ] {
            assert_eq!(resolve_reference(bad), None, "{bad}");
        }
    }

    #[test]
    fn bare_white_space_in_attributes_becomes_spaces_and_references_stay() {
        assert_eq!(attribute_value("a\r\nb\tc&#10;d"), Ok("a b c\nd".to_owned()));
        assert_eq!(attribute_value("a &x; b"), Err(2));
        assert_eq!(attribute_value("a & b"), Err(2));
    }

    proptest! {
        #[test]
        fn an_escaped_attribute_reads_back(value in "\\PC*|[\t\r\n&<>\"']*") {
            let mut out = String::new();
            escape_attribute(&value, &mut out);
            prop_assert_eq!(attribute_value(&out), Ok(value));
        }
    }
}
