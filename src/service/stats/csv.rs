//! Rows as text: CSV, typed lines, JSON.

use super::columns::{Row, COLUMNS};
use super::value::{write_json, write_typed, Desc, Value};

/// Appends the line of column names.
pub fn write_header(out: &mut String) {
    out.push_str("# ");
    for column in COLUMNS {
        out.push_str(column.name);
        out.push(',');
    }
    out.push('\n');
}

/// Appends one line; columns without a value are empty and the last one is followed by a comma too.
pub fn write_row(out: &mut String, row: &Row) {
    for value in row.values() {
        match value {
            Some(Value::Str(text)) => write_text(out, text),
            Some(number) => out.push_str(&number.to_string()),
            None => {}
        }
        out.push(',');
    }
    out.push('\n');
}

/// Text is quoted only where it could be misread.
fn write_text(out: &mut String, text: &str) {
    if !text.contains(['"', ',', '\n', '\r']) {
        return out.push_str(text);
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

/// Appends one line per value.
pub fn write_row_typed(out: &mut String, row: &Row, desc: Desc) {
    let before = format!("{}.{}.{}.", row.kind.letter(), row.iid, row.sid);
    for (pos, (value, column)) in row.values().iter().zip(COLUMNS).enumerate() {
        if let Some(value) = value {
            if column.name != "-" {
                write_typed(out, &before, pos, column, value, desc);
            }
        }
    }
}

/// Appends an array of objects, one per value.
pub fn write_row_json(out: &mut String, row: &Row) {
    let before = format!("\"objType\":\"{}\",\"proxyId\":{},\"id\":{},", row.kind.name(), row.iid, row.sid);
    let mut next = '[';
    for (pos, (value, column)) in row.values().iter().zip(COLUMNS).enumerate() {
        if let Some(value) = value {
            if column.name != "-" {
                out.push(next);
                write_json(out, &before, pos, column, value);
                next = ',';
            }
        }
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Col, RowKind};
    use super::*;

    fn row() -> Row {
        let mut row = Row::new(RowKind::Server, 3, 1);
        row.set(Col::Pxname, "be");
        row.set(Col::Svname, "s\"1\"");
        row.set(Col::LastChk, "a,b");
        row.set(Col::Lastsess, -1);
        row.set(Col::Stot, 12u64);
        row
    }

    fn written(write: impl Fn(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn csv_has_one_field_per_column() {
        let header = written(write_header);
        assert!(header.starts_with("# pxname,svname,qcur,qmax,") && header.ends_with(",\n"));
        assert_eq!(header.matches(',').count(), COLUMNS.len());
        let line = written(|out| write_row(out, &row()));
        assert!(line.starts_with("be,\"s\"\"1\"\"\",,,,,,12,,"), "{line}");
        assert!(line.contains(",-1,\"a,b\",,") && line.contains(",1,3,1,,,,2,"), "{line}");
        assert_eq!(line.matches(',').count(), COLUMNS.len() + 1);
    }

    #[test]
    fn typed_lines_name_the_object() {
        let lines = written(|out| write_row_typed(out, &row(), Desc::Hidden));
        assert!(lines.starts_with("S.3.1.0.pxname.1:KNSV:str:be\nS.3.1.1.svname.1:KNSV:str:s\"1\"\n"));
        assert!(
            lines.contains("S.3.1.7.stot.1:MCPP:u64:12\n")
                && lines.contains("S.3.1.55.lastsess.1:MAPV:s32:-1\n")
        );
        assert!(!lines.contains(".-."));
    }

    #[test]
    fn json_is_an_array_of_values() {
        let text = written(|out| write_row_json(out, &row()));
        let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed[0]["objType"], "Server");
        assert_eq!(parsed[0]["field"]["name"], "pxname");
        assert_eq!(parsed[2]["value"]["value"], 12);
    }
}
