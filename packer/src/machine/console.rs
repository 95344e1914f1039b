use std::path::PathBuf;

/// Where the guest's serial console goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Console {
    /// To standard output. Nothing that is typed goes to the guest: Ctrl-C is its power button.
    Terminal,
    /// To a file alone.
    File(PathBuf),
}
