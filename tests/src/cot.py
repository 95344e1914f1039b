# What COT reads in a package, as JSON; of several configurations, the one that is deployed unless another is asked for.
import json
import logging
import sys

from COT.vm_description.ovf import OVF
from COT.vm_description.ovf.utilities import programmatic_bytes_to_int

logging.disable(logging.CRITICAL)


def read(path):
    ovf = OVF(path, None)
    profile = ovf.default_config_profile
    disks = [] if ovf.disk_section is None else ovf.disk_section.findall(ovf.DISK)

    def amount(kind):
        item = ovf.hardware.find_item(kind, profile=profile)
        quantity, units = (item.get_value(name, [profile]) for name in (ovf.VIRTUAL_QUANTITY, ovf.ALLOCATION_UNITS))
        return programmatic_bytes_to_int(quantity, units) if kind == "memory" else int(quantity)

    return {
        "cpus": amount("cpu"),
        "memory": amount("memory"),
        "disks": len(disks),
        "capacities": [ovf.get_capacity_from_disk(disk) for disk in disks],
        "networks": ovf.networks,
        "nics": ovf.hardware.get_item_count("ethernet", profile),
    }


try:
    print(json.dumps(read(sys.argv[1])))
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
