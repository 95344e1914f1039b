//! HostResource: what a device is backed by (DSP0243 8.3).

/// What a device is backed by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostResource {
    /// A disk of the DiskSection, by id.
    Disk(String),
    /// A file of the References, by id.
    File(String),
    /// Anything else, as written.
    Other(String),
}

impl HostResource {
    /// Reads `ovf:/disk/ID`, and `ovf://disk/ID` and `/disk/ID` as seen in the field.
    pub fn parse(text: &str) -> Self {
        let trimmed = text.trim();
        let path = trimmed
            .strip_prefix("ovf:")
            .unwrap_or(trimmed)
            .trim_start_matches('/');
        match path.split_once('/') {
            Some(("disk", id)) if !id.is_empty() => HostResource::Disk(id.to_owned()),
            Some(("file", id)) if !id.is_empty() => HostResource::File(id.to_owned()),
            _ => HostResource::Other(trimmed.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_resources_are_read_in_every_spelling_of_the_field() {
        for text in [
            "ovf:/disk/a",
            "ovf://disk/a",
            "/disk/a",
            "disk/a",
            " ovf:/disk/a\n",
        ] {
            assert_eq!(
                HostResource::parse(text),
                HostResource::Disk("a".to_owned()),
                "{text}"
            );
        }
        assert_eq!(
            HostResource::parse("ovf:/file/b"),
            HostResource::File("b".to_owned())
        );
        assert_eq!(
            HostResource::parse("ovf:/disk/"),
            HostResource::Other("ovf:/disk/".to_owned())
        );
    }
}
