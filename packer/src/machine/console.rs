use std::path::PathBuf;

/// Where the guest's serial console goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Console {
    /// To standard output, and what is typed goes to the guest.
    Terminal,
    /// To a file alone.
    File(PathBuf),
}
