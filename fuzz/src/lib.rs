//! The bodies of the fuzz targets.

pub mod images;
pub mod packages;
pub mod transfers;
