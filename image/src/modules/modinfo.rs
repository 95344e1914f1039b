//! The `.modinfo` section of a kernel module.

use object::{Object as _, ObjectSection as _};

use super::Name;
use crate::error::{Error, Kind, Place, Result};

/// The largest module file read. Debian's largest (amdgpu) is a third of it.
const FILE_LIMIT: usize = 64 << 20;

/// What a kernel module says of itself: the `key=value` strings of its `.modinfo` section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Modinfo {
    /// The module's own name.
    pub name: Name,
    /// Modules whose symbols it uses, nearest first as written.
    pub depends: Vec<Name>,
    /// Modules that it works better with.
    pub soft: SoftDependencies,
    /// Modalias patterns of the devices it drives and the names it answers to.
    pub aliases: Vec<String>,
    /// Licence identifiers, such as `GPL v2`.
    pub licenses: Vec<String>,
    /// The kernel that it was built for: release and configuration flags.
    pub vermagic: String,
}

/// The `softdep=` lines: names of modules, or aliases of modules, to load where there are any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SoftDependencies {
    /// To load before the module.
    pub pre: Vec<String>,
    /// To load after the module.
    pub post: Vec<String>,
}

impl Modinfo {
    /// Reads an uncompressed `.ko` file. `name` is used where the module does not state its own (as before Linux 4.13).
    ///
    /// # Errors
    /// [`Kind::Malformed`] if `file` is no ELF object or its section is no list of `key=value` strings,
    /// [`Kind::Ceiling`] above 64 MiB. The place is the module.
    pub fn parse(name: &Name, file: &[u8]) -> Result<Self> {
        Self::read(name, file).map_err(|error| error.at(Place::Module(name.to_string())))
    }

    fn read(name: &Name, file: &[u8]) -> Result<Self> {
        if file.len() > FILE_LIMIT {
            return Err(Error::new(
                Kind::Ceiling,
                Place::Whole,
                "the file is larger than 64 MiB",
            ));
        }
        let bad_elf = |e: object::Error| Error::malformed(Place::Whole, "is no ELF object file").because(e);
        let elf = object::File::parse(file).map_err(bad_elf)?;
        let section = elf
            .section_by_name(".modinfo")
            .ok_or_else(|| Error::malformed(Place::Whole, "has no .modinfo section"))?;
        Self::from_section(name, section.data().map_err(bad_elf)?)
    }

    fn from_section(name: &Name, section: &[u8]) -> Result<Self> {
        let mut info = Self {
            name: name.clone(),
            depends: Vec::new(),
            soft: SoftDependencies::default(),
            aliases: Vec::new(),
            licenses: Vec::new(),
            vermagic: String::new(),
        };
        for field in section.split(|&byte| byte == 0).filter(|field| !field.is_empty()) {
            let text = std::str::from_utf8(field)
                .map_err(|e| Error::malformed(Place::Whole, ".modinfo is not UTF-8").because(e))?;
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| Error::malformed(Place::Whole, ".modinfo has a string without `=`"))?;
            info.take(key, value)?;
        }
        Ok(info)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "name" => self.name = value.parse()?,
            "depends" => {
                let names = value.split(',').filter(|name| !name.is_empty());
                self.depends = names.map(str::parse).collect::<Result<_>>()?;
            }
            "softdep" => self.soft.take(value),
            "alias" => self.aliases.push(value.to_owned()),
            "license" => self.licenses.push(value.to_owned()),
            "vermagic" => value.trim_end().clone_into(&mut self.vermagic),
            _ => {}
        }
        Ok(())
    }
}

impl SoftDependencies {
    /// Adds a line such as `pre: crc32c aes post: vfat`.
    fn take(&mut self, value: &str) {
        let mut list = None;
        for word in value.split_ascii_whitespace() {
            match word {
                "pre:" => list = Some(&mut self.pre),
                "post:" => list = Some(&mut self.post),
                name => {
                    if let Some(list) = &mut list {
                        list.push(name.to_owned());
                    }
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A 64-bit relocatable ELF file with nothing but a `.modinfo` section.
    pub(crate) fn module(fields: &[&str]) -> Vec<u8> {
        let mut modinfo = fields.join("\0").into_bytes();
        modinfo.push(0);
        let names = b"\0.modinfo\0.shstrtab\0";
        let sections = 64 + modinfo.len() + names.len();
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for half in [1u16, 62] {
            file.extend(half.to_le_bytes());
        }
        file.extend(1u32.to_le_bytes());
        for word in [0u64, 0, sections as u64] {
            file.extend(word.to_le_bytes());
        }
        file.extend(0u32.to_le_bytes());
        for half in [64u16, 0, 0, 64, 3, 2] {
            file.extend(half.to_le_bytes());
        }
        file.extend(&modinfo);
        file.extend(names);
        file.extend([0; 64]);
        for (name, kind, at, length) in [
            (1u32, 1u32, 64, modinfo.len()),
            (10, 3, 64 + modinfo.len(), names.len()),
        ] {
            file.extend(name.to_le_bytes());
            file.extend(kind.to_le_bytes());
            for word in [0, 0, at as u64, length as u64, 0, 1, 0] {
                file.extend(u64::to_le_bytes(word));
            }
            // The loop writes 4 + 4 + 7 * 8 bytes; link and info are the fifth word.
        }
        file
    }

    #[test]
    fn fields_of_a_module_are_read() {
        let file = module(&[
            "license=GPL",
            "softdep=pre: crc32c post: vfat",
            "alias=fs-ext3",
            "alias=ext3",
            "depends=mbcache,jbd2,crc-t10dif",
            "name=ext4",
            "vermagic=6.1.0-56-amd64 SMP preempt mod_unload modversions ",
        ]);
        let info = Modinfo::parse(&"given".parse().unwrap(), &file).unwrap();
        assert_eq!(info.name.as_str(), "ext4");
        assert_eq!(
            info.depends.iter().map(Name::as_str).collect::<Vec<_>>(),
            ["mbcache", "jbd2", "crc_t10dif"]
        );
        assert_eq!(
            info.soft,
            SoftDependencies {
                pre: vec!["crc32c".into()],
                post: vec!["vfat".into()]
            }
        );
        assert_eq!(info.aliases, ["fs-ext3", "ext3"]);
        assert_eq!(info.licenses, ["GPL"]);
        assert_eq!(info.vermagic, "6.1.0-56-amd64 SMP preempt mod_unload modversions");
    }

    #[test]
    fn what_is_no_module_is_refused_by_name() {
        let name: Name = "broken".parse().unwrap();
        for file in [
            &b""[..],
            b"\x7fELF",
            &module(&["no equals sign"]),
            &module(&["name=../x"]),
        ] {
            let error = Modinfo::parse(&name, file).unwrap_err();
            assert_eq!(error.place(), &Place::Module("broken".into()), "{error}");
        }
    }

    #[test]
    fn a_truncated_module_never_panics() {
        let file = module(&["name=x", "depends="]);
        for length in 0..file.len() {
            let _ = Modinfo::parse(&"x".parse().unwrap(), &file[..length]);
        }
    }
}
