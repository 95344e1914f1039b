//! The menu on a console: what a person can do who has nothing but the screen or the serial line.
//!
//! A state machine without effects: bytes come in, text and [`Action`]s come out. Whoever has the console has the
//! machine, as with any computer: there is no password, for it is what helps when passwords, network or state are gone.
//! There is no shell, and no question whose answer is run or is a path.

mod form;
mod line;

use super::power::Power;
use crate::addressing::Addressing;
use form::{Answered, Form};
use line::{Line, Typed};

const MAIN: &str = "
  1  Show the network
  2  Set the network
  3  Network as the properties say
  4  Reset an administrator's password
  5  Support bundle
  6  Factory reset
  7  Restart
  8  Switch off
  0  Close the menu
> ";
/// What has to be typed before all is removed.
const RESET_WORD: &str = "RESET";
const YES: &str = "yes";

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Tell how the network is.
    ShowNetwork,
    /// Keep these settings and go by them.
    SetNetwork(Box<Addressing>),
    /// Go by the properties again.
    ForgetNetwork,
    /// Make a code by which an administrator gets a new password.
    ResetAdministrator,
    /// Tell where the support bundle is.
    ShowSupport,
    /// Remove the state and begin anew.
    FactoryReset,
    /// End the machine.
    End(Power),
}

/// What came of a byte.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// To be shown on this console.
    pub output: String,
    /// To be done now, and told of by [`Menu::tell`].
    pub action: Option<Action>,
}

/// The menu of one console.
#[derive(Debug, Default)]
pub struct Menu {
    page: Page,
    line: Line,
}

#[derive(Debug, Default)]
enum Page {
    #[default]
    Closed,
    Main,
    Form(Form),
    /// Waits for a word.
    Confirm(&'static str, Action),
}

impl Menu {
    /// Whether something is waited for.
    pub fn is_open(&self) -> bool {
        !matches!(self.page, Page::Closed)
    }

    /// Takes a byte that was typed.
    pub fn take(&mut self, byte: u8) -> Step {
        let typed = self.line.take(byte);
        if !self.is_open() {
            // Noise on a line is no wish; a line end does no harm.
            return match typed {
                Typed::Whole(_) => self.main(),
                _ => Step::default(),
            };
        }
        match typed {
            Typed::Echo(text) => show(text),
            Typed::Character(character) => show(character),
            Typed::Cancelled => match self.page {
                Page::Main => show(self.close("The menu is closed.")),
                _ => self.main(),
            },
            Typed::Whole(text) => {
                let step = self.enter(text.trim());
                Step {
                    output: format!("\n{}", step.output),
                    ..step
                }
            }
        }
    }

    /// Tells what came of an action.
    pub fn tell(&mut self, report: &str) -> String {
        let clean: String = report
            .chars()
            .map(|c| if c.is_control() && c != '\n' { '?' } else { c })
            .collect();
        format!("{clean}\n{}", self.main().output)
    }

    /// Closes it, with a reason.
    pub fn close(&mut self, reason: &str) -> String {
        *self = Self::default();
        format!("\n{reason} Press Enter for the menu.\n")
    }

    fn main(&mut self) -> Step {
        self.page = Page::Main;
        show(MAIN)
    }

    fn enter(&mut self, text: &str) -> Step {
        match std::mem::replace(&mut self.page, Page::Main) {
            Page::Closed | Page::Main => self.choose(text),
            Page::Form(mut form) => match form.answer(text) {
                Answered::Next => self.ask(form),
                Answered::Wrong(reason) => {
                    let step = self.ask(form);
                    show(format!("{reason}\n{}", step.output))
                }
                Answered::Done(addressing) => {
                    let action = Action::SetNetwork(addressing);
                    self.confirm("These settings hold at once.", YES, action)
                }
            },
            Page::Confirm(word, action) if word == text => Step {
                output: String::new(),
                action: Some(action),
            },
            Page::Confirm(..) => show(format!("Nothing was done.\n{MAIN}")),
        }
    }

    fn choose(&mut self, text: &str) -> Step {
        let now = |action| Step {
            output: String::new(),
            action: Some(action),
        };
        match text {
            "" => self.main(),
            "0" => show(self.close("The menu is closed.")),
            "1" => now(Action::ShowNetwork),
            "2" => self.ask(Form::default()),
            "3" => self.confirm("Settings made here are removed.", YES, Action::ForgetNetwork),
            "4" => self.confirm(
                "A code is shown with which an administrator of the provider gets a new password.",
                YES,
                Action::ResetAdministrator,
            ),
            "5" => now(Action::ShowSupport),
            "6" => self.confirm(
                "ALL that this appliance keeps is removed: identity, users, enrolment, logs. It then starts as new.",
                RESET_WORD,
                Action::FactoryReset,
            ),
            "7" => self.confirm("The appliance restarts.", YES, Action::End(Power::Restart)),
            "8" => self.confirm("The appliance is switched off.", YES, Action::End(Power::Off)),
            _ => show(format!("There is no such entry.\n{MAIN}")),
        }
    }

    fn ask(&mut self, form: Form) -> Step {
        let question = form.question();
        self.page = Page::Form(form);
        show(format!("{question}\n> "))
    }

    fn confirm(&mut self, what: &str, word: &'static str, action: Action) -> Step {
        self.page = Page::Confirm(word, action);
        show(format!("{what}\nType {word} to go on.\n> "))
    }
}

fn show(text: impl ToString) -> Step {
    Step {
        output: text.to_string(),
        action: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typed(menu: &mut Menu, text: &str) -> (String, Vec<Action>) {
        let (mut shown, mut actions) = (String::new(), Vec::new());
        for byte in text.bytes() {
            let step = menu.take(byte);
            shown += &step.output;
            actions.extend(step.action);
        }
        (shown, actions)
    }

    #[test]
    fn only_enter_opens_it() {
        let mut menu = Menu::default();
        assert_eq!(typed(&mut menu, "678\u{1b}[A"), (String::new(), vec![]));
        assert!(!menu.is_open());
        assert!(typed(&mut menu, "\r").0.contains("Factory reset"));
        assert!(menu.is_open());
        typed(&mut menu, "0\r");
        assert!(!menu.is_open());
    }

    #[test]
    fn a_network_is_set_after_all_questions_and_a_yes() {
        let mut menu = Menu::default();
        let form = "\r2\r192.0.2.5/24\r192.0.2.1\r\r\r\r7\r\r";
        let (shown, actions) = typed(&mut menu, form);
        assert!(actions.is_empty() && shown.contains("Type yes"), "{shown}");
        let (_, actions) = typed(&mut menu, "yes\r");
        let [Action::SetNetwork(addressing)] = &actions[..] else {
            panic!("{actions:?}");
        };
        assert_eq!(addressing.vlan.map(crate::addressing::Vlan::get), Some(7));
        assert!(menu.tell("done").contains("Set the network"));
    }

    #[test]
    fn nothing_is_removed_without_the_word() {
        for word in ["yes", "reset", "RESET!", "", "RE\u{3}SET"] {
            let mut menu = Menu::default();
            assert_eq!(typed(&mut menu, &format!("\r6\r{word}\r")).1, vec![], "{word}");
        }
        let mut menu = Menu::default();
        assert_eq!(typed(&mut menu, "\r6\rRESET\r").1, [Action::FactoryReset]);
    }

    #[test]
    fn a_menu_that_was_left_forgets_what_was_begun() {
        let mut menu = Menu::default();
        typed(&mut menu, "\r6\rRESE");
        assert!(menu.close("Nobody typed anything.").contains("Press Enter"));
        assert_eq!(typed(&mut menu, "T\rT\r").1, vec![]);
    }

    #[test]
    fn reports_move_no_cursor() {
        let mut menu = Menu::default();
        typed(&mut menu, "\r1\r");
        assert!(menu.tell("a\u{1b}[2Jb\nc").starts_with("a?[2Jb\nc\n"));
    }

    proptest! {
        #[test]
        fn no_noise_ends_the_machine_or_removes_anything(
            bytes in proptest::collection::vec(any::<u8>(), 0..400)
        ) {
            let mut menu = Menu::default();
            for byte in bytes {
                let step = menu.take(byte);
                let harmless = !matches!(step.action, Some(Action::FactoryReset | Action::End(_)));
                prop_assert!(harmless);
                let printable = |c: char| !c.is_control() || matches!(c, '\n' | '\x07' | '\x08');
                prop_assert!(step.output.chars().all(printable));
                if step.action.is_some() {
                    menu.tell("done");
                }
            }
        }
    }
}
