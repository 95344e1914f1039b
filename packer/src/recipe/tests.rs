use std::path::Path;

use super::Recipe;

const GOOD: &str = r#"
[product]
name = "Test"
vendor = "Tester"
version = "1"

[system]
id = "test"
cpus = 2
memory = "64 MiB"
hardware = ["vmx-13"]
guest-os = { id = 96 }

[[network]]
name = "LAN"

[[nic]]
network = "LAN"

[[disk]]
id = "data"
raw = "disk.raw"

[[property]]
key = "port"
type = "uint16"
default = "443"
"#;

fn refusal(good: &str, bad: &str) -> String {
    assert!(GOOD.contains(good), "{good}");
    let text = GOOD.replacen(good, bad, 1);
    Recipe::parse(&text, Path::new("r.toml"), Path::new("."))
        .expect_err(bad)
        .to_string()
}

#[test]
fn a_good_recipe_is_read() {
    let recipe = Recipe::parse(GOOD, Path::new("r.toml"), Path::new("/base")).unwrap();
    assert_eq!(*recipe.system.cpus.get_ref(), 2);
    assert_eq!(recipe.resolve(Path::new("disk.raw")), Path::new("/base/disk.raw"));
}

#[test]
fn an_unknown_key_is_refused_with_line_and_column() {
    let said = refusal("cpus = 2", "cpu = 2");
    assert!(said.starts_with("r.toml:9:1: ") && said.contains("cpu"), "{said}");
}

#[test]
fn each_wrong_value_is_refused_where_it_stands() {
    let table = [
        ("cpus = 2", "cpus = 0", "9:8"),
        ("\"64 MiB\"", "\"64 MB\"", "10:10"),
        ("\"64 MiB\"", "\"100 KiB\"", "10:10"),
        ("[\"vmx-13\"]", "[]", "11:12"),
        ("[\"vmx-13\"]", "[\"vmx 13\"]", "11:12"),
        ("id = \"test\"", "id = \"../x\"", "8:6"),
        ("network = \"LAN\"", "network = \"WAN\"", "18:11"),
        ("raw = \"disk.raw\"", "", "21:6"),
        ("\"uint16\"", "\"uint17\"", "26:8"),
        ("\"443\"", "\"70000\"", "27:11"),
        ("key = \"port\"", "key = \"a.b\"", "25:7"),
        ("default = \"443\"", "password = true\ndefault = \"443\"", "28:11"),
        ("default = \"443\"", "qualifiers = 'MaxLen(x)'", "27:14"),
        (
            "default = \"443\"",
            "qualifiers = 'MaxValue(100)'\ndefault = \"443\"",
            "28:11",
        ),
    ];
    for (good, bad, place) in table {
        let said = refusal(good, bad);
        assert!(said.starts_with(&format!("r.toml:{place}: ")), "{bad}: {said}");
    }
}

#[test]
fn a_password_default_is_refused_without_repeating_it() {
    let said = refusal("default = \"443\"", "password = true\ndefault = \"hunter2\"");
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn a_disk_has_one_source() {
    let said = refusal(
        "raw = \"disk.raw\"",
        "raw = \"disk.raw\"\nstate = { size = \"1 GiB\", label = \"x\" }",
    );
    assert!(said.contains("one of"), "{said}");
}

#[test]
fn names_are_used_once() {
    for (good, twice) in [
        ("[[nic]]", "[[network]]\nname = \"LAN\"\n[[nic]]"),
        (
            "[[property]]",
            "[[disk]]\nid = \"data\"\nraw = \"x\"\n[[property]]",
        ),
        (
            "default = \"443\"",
            "[[property]]\nkey = \"port\"\ntype = \"string\"",
        ),
    ] {
        assert!(refusal(good, twice).contains("a second"), "{twice}");
    }
}

#[test]
fn a_missing_file_is_refused_where_it_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.toml");
    std::fs::write(&path, GOOD).unwrap();
    let said = Recipe::open(&path).unwrap_err().to_string();
    assert!(
        said.contains("r.toml:22:7: ") && said.contains("disk.raw"),
        "{said}"
    );
}
