//! Reading, checking and rendering of large descriptors: how the time grows with the size, and beside COT and xmllint.
//!
//! Run by `make bench-descriptor`; prints Markdown. The largest descriptor of the corpus grows in two ways: by its
//! annotation, which is nearly all of it, and by what stands in a structure. Sizes and programs take turns (A B A B).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed measurement is a panic"
)]

use std::path::{Path, PathBuf};

use e2e::measure::{self, Cost};
use e2e::{artefacts, corpus, counterpart};
use ovf::conformance::{Profile, Severity, examine_document};
use ovf::descriptor::Descriptor;
use ovf::xml::Document;

const ROUNDS: usize = 7;
const FACTORS: [usize; 4] = [1, 2, 4, 8];
const LARGEST: &str = "govmomi/external/large descriptor ovf/UnOS2-large-descriptor.ovf";
/// Disks, each with its file, its network, an adapter and a property, of the smallest structure: at eight times as many
/// the document is near the ceiling of nodes.
const UNITS: usize = 500;
/// Machines of the smallest collection, for the same reason.
const SYSTEMS: usize = 140;
/// What COT's command does before any of its verbs.
const COT: &str = "import sys, logging; logging.disable(logging.CRITICAL); \
    from COT.vm_description.ovf import OVF; OVF(sys.argv[1], None)";

fn main() {
    let Some(corpus) = corpus::folder() else {
        return;
    };
    let largest = std::fs::read_to_string(corpus.join(LARGEST)).unwrap();
    for (title, grow, in_cot) in [
        ("by text: the annotation repeated", longer as Grow, true),
        (
            "by structure: disks, files, networks, adapters and properties",
            larger,
            true,
        ),
        (
            "by machines, in a collection, which COT doesn't read",
            collection,
            false,
        ),
    ] {
        let documents = FACTORS.map(|factor| grow(&largest, factor));
        println!("Growing {title}\n");
        in_process(&documents);
        as_processes(&documents, in_cot);
    }
    println!("Medians of {ROUNDS}, in turn; {}.", measure::machine());
}

type Grow = fn(&str, usize) -> String;

/// The descriptor with its annotation several times.
fn longer(descriptor: &str, times: usize) -> String {
    let (head, rest) = descriptor.split_once("<Annotation>").unwrap();
    let (text, tail) = rest.split_once("</Annotation>").unwrap();
    format!("{head}<Annotation>{}</Annotation>{tail}", text.repeat(times))
}

/// The descriptor without its annotation and with many more of everything else.
fn larger(descriptor: &str, times: usize) -> String {
    let before = |text: String, tag: &str, unit: fn(usize) -> String| {
        let (head, tail) = text.split_once(tag).unwrap();
        let more: String = (0..times * UNITS).map(unit).collect();
        format!("{head}{more}{tag}{tail}")
    };
    let text = longer(descriptor, 0);
    let text = before(text, "</References>", |unit| {
        format!("  <File ovf:href=\"more-{unit}.vmdk\" ovf:id=\"more-{unit}\" ovf:size=\"828928\"/>\n")
    });
    let text = before(text, "</DiskSection>", |unit| {
        format!(
            "  <Disk ovf:capacity=\"2\" ovf:capacityAllocationUnits=\"byte * 2^20\" ovf:diskId=\"more-{unit}\" \
             ovf:fileRef=\"more-{unit}\" ovf:format=\"http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized\"/>\n"
        )
    });
    let text = before(text, "</NetworkSection>", |unit| {
        format!(
            "  <Network ovf:name=\"more {unit}\">\n    <Description>One more.</Description>\n  </Network>\n"
        )
    });
    let text = before(text, "</VirtualHardwareSection>", items);
    before(text, "</ProductSection>", |unit| {
        format!(
            "  <Property ovf:key=\"more-{unit}\" ovf:type=\"string\" ovf:userConfigurable=\"true\" ovf:value=\"{unit}\">\n\
             \x20   <Label>Property {unit}</Label>\n    <Description>One more.</Description>\n  </Property>\n"
        )
    })
}

/// The descriptor without its annotation and with its machine many times.
fn collection(descriptor: &str, times: usize) -> String {
    let text = longer(descriptor, 0);
    let (head, rest) = text.split_once("<VirtualSystem ovf:id=\"UnOS2\">").unwrap();
    let (system, tail) = rest.split_once("</VirtualSystem>").unwrap();
    let systems: String = (0..times * SYSTEMS)
        .map(|index| format!("<VirtualSystem ovf:id=\"UnOS2-{index}\">{system}</VirtualSystem>\n"))
        .collect();
    format!(
        "{head}<VirtualSystemCollection ovf:id=\"all\"><Info>All</Info>{systems}</VirtualSystemCollection>{tail}"
    )
}

fn items(unit: usize) -> String {
    let id = 100 + 2 * unit;
    format!(
        "  <Item>
        <rasd:AutomaticAllocation>true</rasd:AutomaticAllocation>
        <rasd:Connection>more {unit}</rasd:Connection>
        <rasd:ElementName>adapter {unit}</rasd:ElementName>
        <rasd:InstanceID>{id}</rasd:InstanceID>
        <rasd:ResourceSubType>PCNet32</rasd:ResourceSubType>
        <rasd:ResourceType>10</rasd:ResourceType>
      </Item>
      <Item>
        <rasd:AddressOnParent>{}</rasd:AddressOnParent>
        <rasd:ElementName>disk {unit}</rasd:ElementName>
        <rasd:HostResource>ovf:/disk/more-{unit}</rasd:HostResource>
        <rasd:InstanceID>{}</rasd:InstanceID>
        <rasd:Parent>3</rasd:Parent>
        <rasd:ResourceType>17</rasd:ResourceType>
      </Item>\n",
        unit + 1,
        id + 1
    )
}

/// The steps of the `ovf` crate, without a process around them.
fn in_process(documents: &[String; 4]) {
    let mut rounds: [Vec<[Cost; 4]>; 4] = Default::default();
    for _ in 0..ROUNDS {
        for (document, rounds) in documents.iter().zip(&mut rounds) {
            rounds.push(steps(document.as_bytes()));
        }
    }
    println!(
        "| in process, nanoseconds of CPU (of wall) a byte | MB | to a tree | to the model | validated | rendered | all |"
    );
    println!("|---|---|---|---|---|---|---|");
    for ((factor, document), rounds) in FACTORS.iter().zip(documents).zip(rounds) {
        let a_byte = |cost: Cost| {
            let nanoseconds = |seconds: f64| seconds * 1e9 / document.len() as f64;
            format!("{:.2} ({:.2})", nanoseconds(cost.cpu), nanoseconds(cost.wall))
        };
        let each = [0, 1, 2, 3].map(|step| {
            a_byte(measure::median(
                &rounds.iter().map(|round| round[step]).collect::<Vec<_>>(),
            ))
        });
        let sums: Vec<Cost> = rounds.iter().map(|round| sum(round)).collect();
        println!(
            "| {factor}x | {:.2} | {} | {} |",
            document.len() as f64 / 1e6,
            each.join(" | "),
            a_byte(measure::median(&sums))
        );
    }
    println!();
}

fn steps(bytes: &[u8]) -> [Cost; 4] {
    let mut document = None;
    let tree = measure::work(|| document = Some(Document::parse(bytes).unwrap()));
    let document = document.unwrap();
    let model = measure::work(|| drop(Descriptor::of_document(&document).unwrap()));
    let rules = measure::work(|| {
        let findings = examine_document(&document, &Profile::ALL);
        let errors = findings
            .iter()
            .filter(|it| it.rule.severity == Severity::Error && it.rule.profile.is_none());
        assert_eq!(errors.count(), 0);
    });
    let rendered = measure::work(|| assert_eq!(document.render().len(), bytes.len()));
    [tree, model, rules, rendered]
}

fn sum(costs: &[Cost]) -> Cost {
    Cost {
        wall: costs.iter().map(|cost| cost.wall).sum(),
        cpu: costs.iter().map(|cost| cost.cpu).sum(),
    }
}

/// Whole programs, from their start to their end.
fn as_processes(documents: &[String; 4], in_cot: bool) {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<PathBuf> = FACTORS
        .iter()
        .map(|factor| folder.path().join(format!("large-{factor}.ovf")))
        .collect();
    for (file, document) in files.iter().zip(documents) {
        std::fs::write(file, document).unwrap();
    }
    let programs = programs(in_cot);
    let mut costs: Vec<Vec<Vec<Cost>>> = vec![vec![Vec::new(); programs.len()]; files.len()];
    for _ in 0..ROUNDS {
        for (file, costs) in files.iter().zip(&mut costs) {
            for (program, costs) in programs.iter().zip(costs) {
                costs.push(program.run(file));
            }
        }
    }
    let names: Vec<&str> = programs.iter().map(|program| program.name).collect();
    println!("| whole process, CPU seconds (wall) | {} |", names.join(" | "));
    println!("|---|{}", "---|".repeat(names.len()));
    for (factor, costs) in FACTORS.iter().zip(costs) {
        let medians = costs.iter().map(|costs| measure::median(costs));
        let cells: Vec<String> = medians
            .map(|cost| format!("{:.3} ({:.3})", cost.cpu, cost.wall))
            .collect();
        println!("| {factor}x | {} |", cells.join(" | "));
    }
    println!();
}

struct Program {
    name: &'static str,
    script: &'static str,
    argument: PathBuf,
    times: u32,
}

impl Program {
    fn run(&self, file: &Path) -> Cost {
        let arguments = [file.to_str().unwrap(), self.argument.to_str().unwrap(), COT];
        measure::command(self.script, &arguments, self.times)
    }
}

fn programs(cot: bool) -> Vec<Program> {
    let program = |name, script, argument, times| Program {
        name,
        script,
        argument,
        times,
    };
    let ova = PathBuf::from(artefacts::ova().get_program());
    let mut programs = vec![program(
        "ova inspect --json",
        "\"$2\" inspect \"$1\" --json",
        ova,
        10,
    )];
    if let Some(cot) = counterpart::find_python("cot").filter(|_| cot) {
        programs.push(program(
            "COT, loads it",
            "\"$2\" -c \"$3\" \"$1\"",
            cot.get_program().into(),
            1,
        ));
    }
    if let Some(xmllint) = counterpart::find("xmllint") {
        // Above 10 MB of text in one element it asks for --huge.
        let script = "\"$2\" --huge --noout \"$1\"";
        programs.push(program(
            "xmllint --huge --noout",
            script,
            xmllint.get_program().into(),
            10,
        ));
    }
    programs
}
