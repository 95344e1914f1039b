//! The questions about the network, one after the other.

use crate::addressing::Addressing;
use crate::property::Reader;

const DHCP: &str = "dhcp";

/// The keys of `network.json` and the words that ask for them.
const QUESTIONS: [(&str, &str); 8] = [
    (
        "ip",
        "IPv4 address and prefix such as 192.0.2.5/24, or dhcp; empty: none",
    ),
    ("gateway", "IPv4 gateway; empty: none"),
    (
        "ip6",
        "IPv6 address and prefix such as 2001:db8::5/64; empty: none",
    ),
    ("gateway6", "IPv6 gateway; empty: the one that routers announce"),
    (
        "dns",
        "Name servers, separated by commas; empty: those that DHCP names",
    ),
    (
        "routes",
        "Static routes such as 198.51.100.0/24 via 192.0.2.2, separated by commas; empty: none",
    ),
    ("vlan", "VLAN, 1 to 4094; empty: none"),
    ("mtu", "MTU; empty: what the adapter has"),
];

/// What was answered so far.
#[derive(Debug, Default)]
pub(super) struct Form {
    answers: Vec<(&'static str, String)>,
    dhcp: bool,
    next: usize,
}

/// What an answer led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// The next question.
    Next,
    /// It cannot be; the question stays.
    Wrong(String),
    /// That was the last one.
    Done(Box<Addressing>),
}

impl Form {
    /// The words of the question at hand.
    pub(super) fn question(&self) -> &'static str {
        QUESTIONS.get(self.next).map_or("", |(_, words)| words)
    }

    /// Takes the answer to it.
    pub(super) fn answer(&mut self, text: &str) -> Answered {
        let Some(&(key, _)) = QUESTIONS.get(self.next) else {
            return self.finish();
        };
        let text = text.trim();
        if key == "ip" && text.eq_ignore_ascii_case(DHCP) {
            self.dhcp = true;
        } else {
            self.answers.push((key, text.to_owned()));
            let (_, problems) = self.read();
            if !problems.is_empty() {
                self.answers.pop();
                return Answered::Wrong(problems.join("; "));
            }
        }
        self.next += 1;
        while let Some((key, _)) = QUESTIONS.get(self.next)
            && self.is_idle(key)
        {
            self.next += 1;
        }
        match self.next < QUESTIONS.len() {
            true => Answered::Next,
            false => self.finish(),
        }
    }

    /// A gateway without an address to go with it is not asked for.
    fn is_idle(&self, key: &str) -> bool {
        let has = |address: &str| {
            let own = self.answers.iter().find(|(key, _)| *key == address);
            own.is_some_and(|(_, text)| !text.is_empty())
        };
        match key {
            "gateway" => !has("ip"),
            "gateway6" => !has("ip6"),
            _ => false,
        }
    }

    fn read(&self) -> (Addressing, Vec<String>) {
        let property = |key: &str| {
            let found = self.answers.iter().find(|(own, _)| *own == key);
            found.map(|(_, text)| text.as_str().into())
        };
        let mut reader = Reader::new(&property);
        let addressing = Addressing {
            dhcp: self.dhcp,
            ..Addressing::read(&mut reader)
        };
        (addressing, reader.finish())
    }

    fn finish(&mut self) -> Answered {
        let (addressing, _) = self.read();
        if !addressing.dhcp && addressing.fixed().next().is_none() {
            *self = Self::default();
            return Answered::Wrong("there has to be dhcp, an IPv4 address or an IPv6 address".to_owned());
        }
        Answered::Done(Box::new(addressing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addressing::kept;

    fn filled(answers: &[&str]) -> Answered {
        let mut form = Form::default();
        let mut last = Answered::Next;
        for answer in answers {
            last = form.answer(answer);
        }
        last
    }

    #[test]
    fn answers_make_the_same_settings_as_the_file() {
        let parsed = |text: &str| Answered::Done(Box::new(kept::parse(text.as_bytes()).unwrap()));
        assert_eq!(
            filled(&[
                "192.0.2.5/24",
                "192.0.2.1",
                "2001:db8::5/64",
                "",
                "192.0.2.2",
                "",
                "7",
                "1400"
            ]),
            parsed(
                r#"{"ip": "192.0.2.5/24", "gateway": "192.0.2.1", "ip6": "2001:db8::5/64",
                    "dns": ["192.0.2.2"], "vlan": 7, "mtu": 1400}"#
            )
        );
        assert_eq!(filled(&["DHCP", "", "", "", "", ""]), parsed(r#"{"dhcp": true}"#));
    }

    #[test]
    fn a_wrong_answer_is_told_and_asked_for_again() {
        let mut form = Form::default();
        assert!(matches!(form.answer("192.0.2.5"), Answered::Wrong(reason) if reason.starts_with("ip: ")));
        assert_eq!(form.answer("192.0.2.5/24"), Answered::Next);
        assert!(matches!(form.answer("192.0.2.5"), Answered::Wrong(_)));
        assert!(form.question().starts_with("IPv4 gateway"));
    }

    #[test]
    fn a_machine_without_any_address_is_not_what_anybody_wants() {
        assert!(matches!(filled(&["", "", "", "", "", ""]), Answered::Wrong(_)));
    }
}
