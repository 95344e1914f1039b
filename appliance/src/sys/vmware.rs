//! What says that this is VMware, and its backdoor port.

use std::arch::asm;

/// The registers of one call through the backdoor, in and out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) eax: u32,
    pub(crate) ebx: u32,
    pub(crate) ecx: u32,
    pub(crate) edx: u32,
    pub(crate) esi: u32,
    pub(crate) edi: u32,
}

/// The twelve bytes by which a hypervisor names itself in CPUID leaf 0x4000_0000; none on bare metal.
pub(crate) fn hypervisor_signature() -> Option<[u8; 12]> {
    const FEATURES: u32 = 1;
    const HYPERVISOR_PRESENT: u32 = 1 << 31;
    const HYPERVISOR: u32 = 0x4000_0000;
    if std::arch::x86_64::__cpuid(FEATURES).ecx & HYPERVISOR_PRESENT == 0 {
        return None;
    }
    let leaf = std::arch::x86_64::__cpuid(HYPERVISOR);
    let mut signature = [0; 12];
    signature[..4].copy_from_slice(&leaf.ebx.to_le_bytes());
    signature[4..8].copy_from_slice(&leaf.ecx.to_le_bytes());
    signature[8..].copy_from_slice(&leaf.edx.to_le_bytes());
    Some(signature)
}

/// One call through VMware's backdoor.
///
/// Call it under VMware alone, which catches the instruction before the processor checks the process's right to use
/// the port: everywhere else the process ends with SIGSEGV.
pub(crate) fn backdoor(registers: Registers) -> Registers {
    let (eax, ecx, edx, esi, edi);
    // LLVM keeps rbx for itself: its value travels in another register.
    let mut rbx = u64::from(registers.ebx);
    #[allow(unsafe_code, reason = "the backdoor is an instruction")]
    // SAFETY: VMware's low-bandwidth backdoor changes these six registers and touches no memory; rbx is put back.
    unsafe {
        asm!(
            "xchg {rbx}, rbx",
            "in eax, dx",
            "xchg {rbx}, rbx",
            rbx = inout(reg) rbx,
            inout("eax") registers.eax => eax,
            inout("ecx") registers.ecx => ecx,
            inout("edx") registers.edx => edx,
            inout("esi") registers.esi => esi,
            inout("edi") registers.edi => edi,
            options(nostack),
        );
    }
    let [a, b, c, d, ..] = rbx.to_le_bytes();
    Registers {
        eax,
        ebx: u32::from_le_bytes([a, b, c, d]),
        ecx,
        edx,
        esi,
        edi,
    }
}
