//! Every section of the standard's two generations, and VMware's own, as types.

use super::super::*;

const WHOLE: &str = r#"<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/2" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/2"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:sasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_StorageAllocationSettingData"
 xmlns:boot="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_BootConfigSetting"
 xmlns:xenc="http://www.w3.org/2001/04/xmlenc#" xmlns:vmw="http://www.vmware.com/schema/ovf" xml:lang="en-GB">
<References><File ovf:id="f" ovf:href="f.vmdk"/><File ovf:id="s" ovf:href="de.xml"/></References>
<DiskSection><Info/></DiskSection>
<DeploymentOptionSection><Info/>
  <Configuration ovf:id="small"><Label ovf:msgid="l.small">Small</Label><Description>For a few</Description></Configuration>
  <Configuration ovf:id="large" ovf:default="true"><Label>Large</Label><Description/></Configuration>
</DeploymentOptionSection>
<SharedDiskSection><Info/>
  <SharedDisk ovf:diskId="shared" ovf:fileRef="f" ovf:capacity="8" ovf:readOnly="true"/>
</SharedDiskSection>
<PlacementGroupSection ovf:id="near" ovf:policy="affinity"><Info>Near</Info><Description>Together</Description></PlacementGroupSection>
<EncryptionSection><Info/><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="urn:aes"/>
  <xenc:ReferenceList><xenc:DataReference URI="f.vmdk"/></xenc:ReferenceList></xenc:EncryptedKey></EncryptionSection>
<vmw:StorageGroupSection ovf:required="false" vmw:id="gold" vmw:name="Gold"><Info/><vmw:Description>Fast</vmw:Description></vmw:StorageGroupSection>
<VirtualSystemCollection ovf:id="all"><Info/><Name>All</Name>
  <ResourceAllocationSection><Info/><Item><rasd:InstanceID>1</rasd:InstanceID><rasd:Reservation>300</rasd:Reservation>
    <rasd:ResourceType>3</rasd:ResourceType></Item></ResourceAllocationSection>
  <StartupSection><Info/><Item ovf:id="a" ovf:order="2" ovf:startDelay="30" ovf:waitingForGuest="true" ovf:stopAction="guestShutdown"/>
    <Item ovf:id="b" ovf:order="0" ovf:startAction="none"/></StartupSection>
  <ScaleOutSection ovf:id="a"><Info/><Description>Web</Description>
    <InstanceCount ovf:default="2" ovf:minimum="1" ovf:maximum="4"/></ScaleOutSection>
  <VirtualSystem ovf:id="a"><Info/>
    <ProductSection ovf:class="c"><Info/><Product ovf:msgid="p">Web</Product>
      <Icon ovf:height="32" ovf:width="16" ovf:mimeType="image/png" ovf:fileRef="s"/></ProductSection>
    <InstallSection ovf:initialBootStopDelay="300"><Info/></InstallSection>
    <EnvironmentFilesSection><Info/><File ovf:fileRef="f" ovf:path="a/b"/></EnvironmentFilesSection>
    <PlacementSection ovf:group="near"><Info/></PlacementSection>
    <BootDeviceSection><Info/><boot:CIM_BootConfigSetting><boot:Caption>Disk first</boot:Caption><boot:InstanceID>1</boot:InstanceID>
      <boot:CIM_BootSourceSetting><boot:InstanceID>2</boot:InstanceID><boot:StructuredBootString>CIM:Hard-Disk:1</boot:StructuredBootString>
      </boot:CIM_BootSourceSetting></boot:CIM_BootConfigSetting></BootDeviceSection>
    <VirtualHardwareSection><Info/>
      <StorageItem><sasd:AddressOnParent>0</sasd:AddressOnParent><sasd:HostResource>ovf:/disk/shared</sasd:HostResource>
        <sasd:InstanceID>1</sasd:InstanceID><sasd:ResourceType>31</sasd:ResourceType>
        <sasd:VirtualResourceBlockSize>512</sasd:VirtualResourceBlockSize></StorageItem>
      <Item ovf:configuration="large" ovf:bound="min"><rasd:InstanceID>2</rasd:InstanceID><rasd:PoolID>p</rasd:PoolID>
        <rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>4</rasd:VirtualQuantity>
        <vmw:CoresPerSocket ovf:required="false">2</vmw:CoresPerSocket></Item>
    </VirtualHardwareSection>
    <vmw:IpAssignmentSection ovf:required="false" vmw:schemes="dhcp,ovfenv" vmw:protocols="IPv4"><Info/></vmw:IpAssignmentSection>
    <vmw:BootOrderSection vmw:instanceId="1" vmw:type="disk"><Info/></vmw:BootOrderSection>
    <vmw:StorageSection vmw:group="gold"><Info/></vmw:StorageSection>
  </VirtualSystem>
  <VirtualSystem ovf:id="b"><Info/></VirtualSystem>
</VirtualSystemCollection>
<Strings xml:lang="de-DE"><Msg ovf:msgid="l.small">Klein</Msg></Strings>
<Strings xml:lang="fr-FR" ovf:fileRef="s"/>
</Envelope>"#;

fn whole() -> Descriptor {
    Descriptor::parse(WHOLE.as_bytes()).unwrap()
}

#[test]
fn nothing_of_the_standard_is_outside_the_model() {
    let descriptor = whole();
    assert_eq!(descriptor.dialect, Dialect::V2);
    assert_eq!(descriptor.unmodelled, []);
    let dangling: Vec<_> = descriptor
        .check_references()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(dangling, [""; 0]);
    assert_eq!(descriptor.locale.as_deref(), Some("en-GB"));
}

#[test]
fn the_sections_of_the_envelope_are_read() {
    let descriptor = whole();
    let options = descriptor.deployment_options.as_ref().unwrap();
    assert_eq!(options.default().unwrap().id, "large");
    let shared = &descriptor.shared_disks[0];
    assert_eq!((shared.disk.id.as_str(), shared.read_only), ("shared", true));
    let group = &descriptor.placement_groups[0];
    assert_eq!(
        (group.id.as_str(), &group.policy),
        ("near", &PlacementPolicy::Affinity)
    );
    let encryption = descriptor.encryption.as_ref().unwrap();
    assert_eq!(encryption.algorithms, ["urn:aes"]);
    assert_eq!(encryption.references, ["f.vmdk"]);
    assert_eq!(descriptor.storage_groups[0].description.as_deref(), Some("Fast"));
}

#[test]
fn the_sections_of_a_collection_are_read() {
    let descriptor = whole();
    let Content::Collection(all) = &descriptor.content else {
        panic!()
    };
    assert_eq!(
        all.resource_allocation.as_ref().unwrap().items[0].reservation,
        Some(300)
    );
    let items = &all.startup.as_ref().unwrap().items;
    assert_eq!(
        (items[0].order, items[0].start_delay, items[0].waiting_for_guest),
        (2, 30, true)
    );
    assert_eq!(
        (&items[0].start_action, &items[0].stop_action),
        (&StartAction::PowerOn, &StopAction::GuestShutdown)
    );
    assert_eq!(items[1].start_action, StartAction::None);
    let scale = &all.scale_out[0];
    assert_eq!(
        (scale.default, scale.minimum, scale.maximum),
        (Some(2), Some(1), Some(4))
    );
}

#[test]
fn the_sections_of_a_system_are_read() {
    let descriptor = whole();
    let system = descriptor.systems()[0];
    let icon = &system.products[0].icons[0];
    assert_eq!(
        (icon.file_ref.as_str(), icon.width, icon.height),
        ("s", Some(16), Some(32))
    );
    let install = system.install.as_ref().unwrap();
    assert_eq!(
        (install.initial_boot, install.initial_boot_stop_delay),
        (true, 300)
    );
    assert_eq!(system.environment_files.as_ref().unwrap().files[0].path, "a/b");
    assert_eq!(system.placements[0].group, "near");
    assert_eq!(
        system.boot[0].sources[0].boot_string.as_deref(),
        Some("CIM:Hard-Disk:1")
    );
    assert_eq!(system.ip_assignment.as_ref().unwrap().schemes, ["dhcp", "ovfenv"]);
    assert_eq!(system.boot_order[0].kind, "disk");
    assert_eq!(system.storage_group.as_deref(), Some("gold"));
    let [storage, processor] = &system.hardware[0].items[..] else {
        panic!()
    };
    assert_eq!(storage.class, ItemClass::Storage);
    assert_eq!(
        storage.host_resource(),
        Some(HostResource::Disk("shared".to_owned()))
    );
    assert_eq!(
        storage.settings,
        [("VirtualResourceBlockSize".to_owned(), "512".to_owned())]
    );
    assert_eq!(processor.settings, [("PoolID".to_owned(), "p".to_owned())]);
    assert_eq!(
        (processor.bound.as_deref(), processor.cores_per_socket),
        (Some("min"), Some(2))
    );
}

#[test]
fn messages_are_found_in_the_first_locale_that_has_them() {
    let descriptor = whole();
    let label = &descriptor.deployment_options.as_ref().unwrap().configurations[0].label;
    let french = Strings::parse(
        b"<Strings xmlns='http://schemas.dmtf.org/ovf/envelope/1' xmlns:o='http://schemas.dmtf.org/ovf/envelope/1' \
          xml:lang='fr-FR'><Msg o:msgid='l.small'>Petit</Msg></Strings>",
    )
    .unwrap();
    let external = std::slice::from_ref(&french);
    let shown = |locales: &[&str]| descriptor.localized(label, locales, external);
    assert_eq!(shown(&["de"]), "Klein");
    assert_eq!(shown(&["de-AT", "fr"]), "Petit");
    assert_eq!(shown(&["en", "de"]), "Small");
    assert_eq!(shown(&["pt"]), "Small");
    assert_eq!(descriptor.localized(&Text::from("x"), &["de"], &[]), "x");
}

#[test]
fn a_section_that_is_not_written_is_refused_and_not_lost() {
    let error = whole().render().unwrap_err();
    assert_eq!(error.kind(), Kind::DescriptorStructure);
}

#[test]
fn devices_are_those_of_the_chosen_option_and_bounds_are_none() {
    let item = |id: &str, configuration: Option<&str>, bound: Option<&str>, quantity| Item {
        configuration: configuration.map(str::to_owned),
        bound: bound.map(str::to_owned),
        virtual_quantity: Some(quantity),
        ..Item::processors(id, 1)
    };
    let hardware = Hardware {
        items: vec![
            item("1", None, None, 1),
            item("1", Some("large huge"), None, 4),
            item("2", Some("huge"), None, 9),
            item("3", None, Some("min"), 2),
            item("3", None, None, 3),
        ],
        ..Hardware::default()
    };
    let under = |option| {
        let items = hardware.items_under(option);
        items
            .iter()
            .map(|item| item.virtual_quantity.unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(under(None), [1, 3]);
    assert_eq!(under(Some("large")), [4, 3]);
    assert_eq!(under(Some("huge")), [4, 9, 3]);
    assert_eq!(whole().default_option(), Some("large"));
}

#[test]
fn a_saved_state_is_written_as_it_was_read_and_its_file_has_to_be_there() {
    let mut descriptor = Descriptor::new(VirtualSystem {
        id: "vm".into(),
        saved_state: Some(SavedState {
            info: "Memory".into(),
            file_ref: "memory".into(),
            length: 7,
            platform: "libvirt-qemu".into(),
            definition: "<domain type='qemu'/>".into(),
            ..SavedState::default()
        }),
        ..VirtualSystem::default()
    });
    assert_eq!(descriptor.check_references()[0].kind(), Kind::DescriptorReference);
    descriptor.files.push(File {
        id: "memory".into(),
        href: "vm-memory.vmdk".into(),
        ..File::default()
    });
    assert!(descriptor.check_references().is_empty());
    let text = descriptor.render().unwrap();
    let read = Descriptor::parse(&text).unwrap();
    assert_eq!(read.render().unwrap(), text);
    let state = read.systems()[0].saved_state.as_ref().unwrap();
    assert_eq!(
        (state.length, state.definition.as_str()),
        (7, "<domain type='qemu'/>")
    );
    let without = String::from_utf8(text)
        .unwrap()
        .replace("length=\"7\"", "length=\"x\"");
    assert_eq!(
        Descriptor::parse(without.as_bytes()).unwrap_err().kind(),
        Kind::DescriptorValue
    );
}
