//! The VDC manager that an argument names.

use vdc::libvirt::Libvirt;
use vdc::manager::Manager;

/// Connects to a target.
pub(crate) fn connect(target: &str) -> anyhow::Result<Box<dyn Manager>> {
    if !Libvirt::is_meant_by(target) {
        let reason = "no target that is known: qemu:///system, qemu+unix:///system?socket=PATH, qemu+ssh://host/system";
        return Err(packer::Error::Usage(format!("{target}: {reason}")).into());
    }
    // Whether KVM works elsewhere can't be found out from here.
    let local = target.starts_with("qemu:///") || target.starts_with("qemu+unix:///");
    let accelerated = local && packer::machine::kvm_works();
    Ok(Box::new(
        Libvirt::connect(target)
            .map_err(packer::Error::from)?
            .accelerated(accelerated),
    ))
}
