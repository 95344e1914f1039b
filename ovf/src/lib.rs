//! OVF packages.
