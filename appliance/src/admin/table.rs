//! The connector's values as tables and lists for people.

use std::fmt;

use serde_json::Value;

use super::output::printable;

/// Lines of cells under a heading, each column as wide as its longest cell.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// One row for each entry, with these fields of it.
    pub(crate) fn of(entries: &[Value], columns: &[(&str, &str)]) -> Self {
        let heading = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
        let row = |entry| columns.iter().map(|(_, field)| text(entry, field)).collect();
        Self {
            rows: std::iter::once(heading).chain(entries.iter().map(row)).collect(),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let columns = self.rows.first().map_or(0, Vec::len);
        let widths: Vec<_> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// A field for people, or the one within it that a path such as `settings.ntp` names; `-` where there is none.
pub(crate) fn text(entry: &Value, field: &str) -> String {
    shown(field.split('.').fold(entry, |value, name| &value[name]))
}

/// Every field of an object, one a line; what is within a field has its path, such as `result.entries`.
pub(crate) fn details(object: &Value) -> String {
    let mut fields = Vec::new();
    flatten(String::new(), object, &mut fields);
    let width = fields
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    let line = |(name, value): &(String, String)| format!("{}\n", format!("{name:width$}  {value}").trim());
    fields.iter().map(line).collect()
}

fn flatten(path: String, value: &Value, fields: &mut Vec<(String, String)>) {
    let below = |name: &str| match path.is_empty() {
        true => printable(name),
        false => format!("{path}.{}", printable(name)),
    };
    match value {
        Value::Object(object) if !object.is_empty() => {
            for (name, value) in object {
                flatten(below(name), value, fields);
            }
        }
        Value::Array(values) if values.iter().any(Value::is_object) => {
            for (number, value) in values.iter().enumerate() {
                flatten(below(&number.to_string()), value, fields);
            }
        }
        other => fields.push((path, shown(other))),
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| format!("{}={}", printable(name), shown(value));
            fields.iter().map(field).collect::<Vec<_>>().join(" ")
        }
        other => printable(&other.to_string()),
    };
    match text.is_empty() {
        true => "-".to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_what_is_missing_is_a_hyphen() {
        let entries = [
            json!({ "name": "a", "scope": ["users:read", "audit:read"] }),
            json!({ "name": "longer\u{1b}", "scope": [], "revision": 2 }),
        ];
        let table = Table::of(
            &entries,
            &[("NAME", "name"), ("SCOPE", "scope"), ("N", "revision")],
        );
        let lines = [
            "NAME     SCOPE                  N",
            "a        users:read audit:read  -",
            "longer\u{fffd}  -                      2",
            "",
        ];
        assert_eq!(table.to_string(), lines.join("\n"));
        assert_eq!(details(&entries[0]), "name   a\nscope  users:read audit:read\n");
        let nested = json!({ "state": "DONE", "result": { "checks": [{ "a": "b" }], "none": {} } });
        assert_eq!(
            details(&nested),
            "state              DONE\nresult.checks.0.a  b\nresult.none        -\n"
        );
        assert_eq!(details(&json!("bare")), "bare\n");
        assert_eq!(
            Table::of(&[json!(7)], &[("NAME", "name")]).to_string(),
            "NAME\n-\n"
        );
    }
}
