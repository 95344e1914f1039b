use proptest::prelude::*;

use super::*;

fn refused(text: &str) -> Kind {
    Document::parse(text.as_bytes()).expect_err(text).kind()
}

#[test]
fn names_are_resolved_and_values_unescaped() {
    let text =
        r#"<a xmlns="urn:1" xmlns:p="urn:2" p:x="1&#10;&lt;" y="2"><p:b>c &amp;<![CDATA[<d>]]></p:b></a>"#;
    let document = Document::parse(text.as_bytes()).unwrap();
    let root = document.root();
    assert!(root.name().is("urn:1", "a"));
    assert_eq!(root.attribute("urn:2", "x"), Some("1\n<"));
    assert_eq!(root.attribute("", "y"), Some("2"));
    let child = root.children().next().unwrap();
    assert!(child.name().is("urn:2", "b"));
    assert_eq!(child.text(), "c &<d>");
    assert_eq!(child.node().source(), "<p:b>c &amp;<![CDATA[<d>]]></p:b>");
    assert_eq!(child.parent().map(Element::local_name), Some("a"));
}

#[test]
fn rendering_gives_the_very_bytes_back_with_mark_comments_and_line_ends() {
    let text = "\u{FEFF}<?xml version='1.0'?>\r\n<!-- c --><a  b = 'x'\t/>\r\n<?pi x?>\n";
    let document = Document::parse(text.as_bytes()).unwrap();
    assert_eq!(document.render(), text.as_bytes());
    assert!(document.has_byte_order_mark());
    assert_eq!(
        document.root().position(),
        Position {
            line: 2,
            column: 11,
            offset: 36
        }
    );
}

#[test]
fn a_document_type_and_foreign_entities_are_refused() {
    assert_eq!(
        refused("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"),
        Kind::XmlDoctype
    );
    assert_eq!(refused("<a>&b;</a>"), Kind::XmlEntity);
    assert_eq!(refused("<a x='&b;'/>"), Kind::XmlEntity);
    assert_eq!(refused("<a>&#0;</a>"), Kind::XmlEntity);
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for text in [
        "",
        "  ",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "text",
        "<a/>text",
        "<a b/>",
        "<a b=c/>",
        "<a b='1' b='2'/>",
        "<a b='<'/>",
        "<a b='1'c='2'/>",
        "<1a/>",
        "<a:b:c xmlns:a='u'/>",
        "<a>]]></a>",
        "<a><!-- -- --></a>",
        "<a/><?xml version='1.0'?>",
        "<?xml version='1.1'?><a/>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<a>&amp</a>",
        "<a>& b</a>",
        "<a/",
        "<a><![CDATA[x</a>",
        "<a xmlns:p='u' xmlns:q='u' p:x='1' q:x='2'/>",
        "<![CDATA[x]]><a/>",
        "&amp;<a/>",
        "<?xml encoding='UTF-8'?><a/>",
        "<a><?XML x?></a>",
        "< a/>",
        "<a></a b='c'>",
        "<a xmlns:xml='urn:x'/>",
        "<a xmlns:p=''/>",
    ] {
        assert_eq!(refused(text), Kind::XmlMalformed, "{text}");
    }
    assert_eq!(refused("<p:a/>"), Kind::XmlNamespace);
    assert_eq!(refused("<a p:b='1'/>"), Kind::XmlNamespace);
    assert_eq!(refused("<a>\u{1}</a>"), Kind::XmlCharacter);
    assert_eq!(
        Document::parse(b"<a>\xFF</a>").unwrap_err().kind(),
        Kind::XmlMalformed
    );
}

#[test]
fn documents_above_a_ceiling_are_refused() {
    let deep = "<a>".repeat(65) + &"</a>".repeat(65);
    assert_eq!(refused(&deep), Kind::XmlLimit);
    assert!(Document::parse(("<a>".repeat(64) + &"</a>".repeat(64)).as_bytes()).is_ok());
    let wide: String = (0..257).map(|i| format!(" a{i}=''")).collect();
    assert_eq!(refused(&format!("<a{wide}/>")), Kind::XmlLimit);
    let few = Limits {
        nodes: 3,
        ..Limits::default()
    };
    assert_eq!(
        Document::parse_within(b"<a><b/><c/><d/></a>", few)
            .unwrap_err()
            .kind(),
        Kind::XmlLimit
    );
    let small = Limits {
        bytes: 4,
        ..Limits::default()
    };
    assert_eq!(
        Document::parse_within(b"<abc/>", small).unwrap_err().kind(),
        Kind::XmlLimit
    );
}

#[test]
fn errors_name_line_and_column() {
    let error = Document::parse(b"<a>\n <b c='&x;'/>\n</a>").unwrap_err();
    assert_eq!((error.place().line, error.place().column), (Some(2), Some(8)));
}

proptest! {
    #[test]
    fn no_input_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(&bytes);
    }

    #[test]
    fn no_near_document_makes_the_reader_panic_and_accepted_ones_render_back(
        text in "(<a |<b:|</a>|/>|>|<!--|-->|<!\\[CDATA\\[|\\]\\]>|&amp;|&#x|;|x='1'|xmlns:b='u'|\"|<\\?xml |\\?>| |é|\r\n){0,24}"
    ) {
        if let Ok(document) = Document::parse(text.as_bytes()) {
            prop_assert_eq!(document.render(), text.as_bytes());
        }
    }

    #[test]
    fn what_the_writer_writes_the_reader_reads(value in "[\\PC\t\n\r]*", text in "[\\PC\t\n\r]*") {
        let mut writer = Writer::new();
        writer.element("a", &[("v", &value)], |w| w.text("b", &[], &text));
        if let Ok(bytes) = writer.finish() {
            let document = Document::parse(&bytes).unwrap();
            prop_assert_eq!(document.root().attribute("", "v"), Some(value.as_str()));
            let child = document.root().children().next().unwrap();
            prop_assert_eq!(child.text(), text);
        }
    }
}
