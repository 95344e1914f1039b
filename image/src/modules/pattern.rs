//! Alias patterns, matched as `fnmatch(3)` without flags does: that is how modprobe compares them.

/// Whether `text` (a device's modalias) fits `pattern`: `*`, `?`, `[...]` with ranges and `!`, and `\` before a
/// character that stands for itself. Case counts.
///
/// Time is at most the product of both lengths, whatever the pattern.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where to go on after the last `*`: on a mismatch that star takes one more byte. Earlier stars never need to.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at + 1, seen));
            at += 1;
        } else if let Some(next) = one(pattern, at, text[seen]) {
            at = next;
            seen += 1;
        } else if let Some((after, taken)) = star {
            star = Some((after, taken + 1));
            (at, seen) = (after, taken + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// The pattern position after the element at `at`, if that element accepts `byte`.
fn one(pattern: &[u8], at: usize, byte: u8) -> Option<usize> {
    match pattern.get(at)? {
        b'?' => Some(at + 1),
        b'[' => match set(pattern, at + 1, byte) {
            Some((accepted, next)) => accepted.then_some(next),
            // Without its `]` the bracket is an ordinary character.
            None => (byte == b'[').then_some(at + 1),
        },
        b'\\' if at + 1 < pattern.len() => (pattern[at + 1] == byte).then_some(at + 2),
        &literal => (literal == byte).then_some(at + 1),
    }
}

/// Whether the set that begins at `at` (after its `[`) holds `byte`, and the position after its `]`.
fn set(pattern: &[u8], mut at: usize, byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(at)?, b'!' | b'^');
    at += usize::from(negated);
    let first = at;
    let mut found = false;
    loop {
        let low = *pattern.get(at)?;
        if low == b']' && at > first {
            return Some((found != negated, at + 1));
        }
        let ranged = pattern.get(at + 1) == Some(&b'-') && !matches!(pattern.get(at + 2), None | Some(b']'));
        let high = if ranged { pattern[at + 2] } else { low };
        found |= (low..=high).contains(&byte);
        at += if ranged { 3 } else { 1 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_aliases_match_their_devices() {
        let virtio_net = "pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00";
        assert!(matches("pci:v00001AF4d*sv*sd*bc*sc*i*", virtio_net));
        assert!(!matches("pci:v00008086d*sv*sd*bc*sc*i*", virtio_net));
        assert!(matches("acpi*:PNP0C0C:*", "acpi:PNP0C0C:"));
        assert!(matches(
            "input:b*v*p*e*-e*1,*k*r*",
            "input:b0019v0000p0001e0000-e0,1,k74,ramlsfw"
        ));
        assert!(matches(
            "cpu:type:x86,ven*fam*mod*:feature:*00C4*",
            "cpu:type:x86,ven0000fam0006mod0055:feature:,00C4,"
        ));
    }

    #[test]
    fn sets_ranges_and_negation() {
        assert!(matches("usb:v05ACp*d0[1-3]*", "usb:v05ACp1234d02ff"));
        assert!(!matches("usb:v05ACp*d0[1-3]*", "usb:v05ACp1234d04ff"));
        assert!(matches("a[!b]c", "axc") && !matches("a[!b]c", "abc"));
        assert!(matches("a[]x]c", "a]c") && matches("a[b", "a[b"));
        assert!(matches("[a-]", "-"));
        assert!(!matches("PCI:*", "pci:v"));
    }

    #[test]
    fn many_stars_stay_quick() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(20_000)));
    }

    proptest! {
        #[test]
        fn a_plain_text_matches_itself_and_a_star(text in "[a-z0-9:,]{0,40}", rest in "[a-z]{0,9}") {
            prop_assert!(matches(&text, &text));
            let starred = format!("{text}*");
            let longer = format!("{text}{rest}");
            prop_assert!(matches(&starred, &longer));
        }

        #[test]
        fn no_pattern_panics(pattern in ".{0,30}", text in ".{0,30}") {
            let _ = matches(&pattern, &text);
        }
    }
}
