//! A descriptor on a server, with its files beside it.

use std::io::{self, Read};

use ovf::package::{Folder, FolderFile, MemberName};
use ureq::http::StatusCode;

use super::client::{Ask, Client, unexpected};
use super::download::{Download, Seen};
use super::{Address, failed};
use crate::error::Result;

/// Opens a file by asking for its size; its bytes are fetched once somebody reads them.
#[derive(Debug)]
pub struct RemoteFolder {
    client: Client,
    descriptor: Address,
    name: MemberName,
}

impl RemoteFolder {
    /// The folder of a descriptor.
    ///
    /// # Errors
    /// The URL does not end in a name that a descriptor can have.
    pub fn of(client: &Client, descriptor: &Address) -> Result<Self> {
        let name = MemberName::parse(&descriptor.file_name())?;
        Ok(Self {
            client: client.clone(),
            descriptor: descriptor.clone(),
            name,
        })
    }

    /// The descriptor's name.
    #[must_use]
    pub fn descriptor_name(&self) -> &MemberName {
        &self.name
    }

    fn ask(&self, address: &Address) -> io::Result<Option<FolderFile>> {
        let (at, response) = self.client.ask(address, Ask::Head)?;
        match response.status() {
            StatusCode::OK => {}
            // Any file may be missing but the descriptor.
            StatusCode::NOT_FOUND | StatusCode::GONE if *address != self.descriptor => return Ok(None),
            status => return Err(unexpected(&at, status)),
        }
        let seen = Seen::of(response.headers());
        let size = seen
            .size
            .ok_or_else(|| failed(&at, "the server does not tell the file's size"))?;
        let body = Later {
            client: self.client.clone(),
            address: address.clone(),
            seen,
            download: None,
        };
        Ok(Some(FolderFile {
            size,
            body: Box::new(body),
        }))
    }
}

impl Folder for RemoteFolder {
    fn open(&mut self, name: &MemberName) -> Result<Option<FolderFile>, ovf::Error> {
        let address = if *name == self.name {
            self.descriptor.clone()
        } else {
            self.descriptor.beside(name)
        };
        self.ask(&address)
            .map_err(|error| ovf::Error::new(ovf::Kind::Io, "asking for the file").caused_by(error))
    }
}

/// A file that is fetched when it is first read.
struct Later {
    client: Client,
    address: Address,
    seen: Seen,
    download: Option<Download>,
}

impl Read for Later {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let download = match &mut self.download {
            Some(download) => download,
            None => self
                .download
                .insert(Download::of(&self.client, &self.address, &self.seen)?),
        };
        download.read(buffer)
    }
}
