//! One reported value with its place, name and nature, and the forms it is printed in: typed lines
//! (`pos.name.process:tags:type:value`) and JSON. `show info` and `show stat` share it.

use std::fmt::{self, Write};

/// A value as the typed forms distinguish it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Unsigned, 32 bits.
    U32(u32),
    /// Unsigned, 64 bits.
    U64(u64),
    /// Signed, 32 bits.
    S32(i32),
    /// Text.
    Str(String),
}

impl Value {
    /// The type as the typed forms spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::U32(_) => "u32",
            Value::U64(_) => "u64",
            Value::S32(_) => "s32",
            Value::Str(_) => "str",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::U32(n) => n.fmt(f),
            Value::U64(n) => n.fmt(f),
            Value::S32(n) => n.fmt(f),
            Value::Str(text) => text.fmt(f),
        }
    }
}

impl From<u32> for Value {
    fn from(n: u32) -> Value {
        Value::U32(n)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Value {
        Value::U64(n)
    }
}

impl From<i32> for Value {
    fn from(n: i32) -> Value {
        Value::S32(n)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(text)
    }
}

/// What is known about a value without looking at it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Name of the column or line.
    pub name: &'static str,
    /// Origin, nature and scope, one letter each (management guide, "Typed output format").
    pub tags: &'static str,
    /// One line for people.
    pub brief: &'static str,
}

impl Field {
    /// Origin, nature and scope as JSON spells them.
    pub fn tag_names(&self) -> [&'static str; 3] {
        let name = |at: usize, names: &[(u8, &'static str)]| {
            let letter = self.tags.as_bytes().get(at);
            names.iter().find(|(l, _)| Some(l) == letter).map_or("Unknown", |(_, name)| name)
        };
        [name(0, ORIGINS), name(1, NATURES), name(2, SCOPES)]
    }

    /// `P` for what survives a reload (counters live in shared memory), `V` for what does not.
    pub fn persistence(&self) -> char {
        if self.tags.starts_with("MC") {
            'P'
        } else {
            'V'
        }
    }
}

const ORIGINS: &[(u8, &str)] =
    &[(b'M', "Metric"), (b'S', "Status"), (b'K', "Key"), (b'C', "Config"), (b'P', "Product")];
const NATURES: &[(u8, &str)] = &[
    (b'A', "Age"),
    (b'a', "Avg"),
    (b'C', "Counter"),
    (b'D', "Duration"),
    (b'G', "Gauge"),
    (b'L', "Limit"),
    (b'M', "Max"),
    (b'm', "Min"),
    (b'N', "Name"),
    (b'O', "Output"),
    (b'R', "Rate"),
    (b'T', "Time"),
];
const SCOPES: &[(u8, &str)] = &[(b'C', "Cluster"), (b'P', "Process"), (b'S', "Service"), (b's', "System")];

/// The number of the process that statistics name: all workers are one service.
pub const PROCESS_NUM: u32 = 1;

/// Appends `pos.name.process:tags:type:value` (`before` stands in front of it), and the description
/// when asked for.
pub fn write_typed(out: &mut String, before: &str, pos: usize, field: &Field, value: &Value, desc: Desc) {
    let Field { name, tags, brief } = field;
    // Writing to memory cannot fail.
    let (kept, kind) = (field.persistence(), value.kind());
    let _ = write!(out, "{before}{pos}.{name}.{PROCESS_NUM}:{tags}{kept}:{kind}:{value}");
    if desc == Desc::Shown {
        let _ = write!(out, ":\"{brief}\"");
    }
    out.push('\n');
}

/// Appends a JSON object; `before` holds members that stand in front.
pub fn write_json(out: &mut String, before: &str, pos: usize, field: &Field, value: &Value) {
    let [origin, nature, scope] = field.tag_names();
    let shown = match value {
        Value::Str(text) => serde_json::Value::from(text.as_str()).to_string(),
        number => number.to_string(),
    };
    let _ = write!(
        out,
        "{{{before}\"field\":{{\"pos\":{pos},\"name\":\"{}\"}},\"processNum\":{PROCESS_NUM},\
         \"tags\":{{\"origin\":\"{origin}\",\"nature\":\"{nature}\",\"scope\":\"{scope}\"}},\
         \"value\":{{\"type\":\"{}\",\"value\":{shown}}}}}",
        field.name,
        value.kind(),
    );
}

/// Whether descriptions are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Desc {
    /// Behind every value.
    Shown,
    /// Not at all.
    Hidden,
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: Field = Field { name: "Uptime", tags: "MDP", brief: "how long" };

    #[test]
    fn typed_lines() {
        let rows = [
            (Value::from(7u32), Desc::Hidden, "7.Uptime.1:MDPV:u32:7\n"),
            (Value::from(-1i32), Desc::Hidden, "7.Uptime.1:MDPV:s32:-1\n"),
            (Value::from(u64::MAX), Desc::Shown, "7.Uptime.1:MDPV:u64:18446744073709551615:\"how long\"\n"),
            (Value::from("a b"), Desc::Hidden, "7.Uptime.1:MDPV:str:a b\n"),
        ];
        for (value, desc, want) in rows {
            let mut out = String::new();
            write_typed(&mut out, "", 7, &FIELD, &value, desc);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn json_is_json() {
        let mut out = String::new();
        write_json(&mut out, "\"id\":1,", 7, &FIELD, &Value::from("say \"hi\"\n"));
        assert_eq!(
            out,
            "{\"id\":1,\"field\":{\"pos\":7,\"name\":\"Uptime\"},\"processNum\":1,\"tags\":{\"origin\":\"Metric\",\
             \"nature\":\"Duration\",\"scope\":\"Process\"},\"value\":{\"type\":\"str\",\"value\":\"say \\\"hi\\\"\\n\"}}"
        );
        let parsed: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(parsed["value"]["value"], "say \"hi\"\n");
    }
}
