//! Fetches that need no traffic: constants, variables, dates, chance, the process.

use super::{Fetch, Needs};
use crate::expr::args::{Arg, Args, Kind};
use crate::expr::compile::ParseCx;
use crate::expr::sample::Data;
use crate::expr::sample::{Got, Sample, Scratch, Ty, Value};
use crate::expr::view::{Facts, ProcessCount};

/// The rows of this family.
pub const ROWS: &[Fetch] = &[
    Fetch::new("always_false", Ty::Bool, Needs::NOTHING, |_, _| Got::Some(Sample::Bool(false)), "never"),
    Fetch::new("always_true", Ty::Bool, Needs::NOTHING, |_, _| Got::Some(Sample::Bool(true)), "always"),
    Fetch::new("bin", Ty::Bin, Needs::NOTHING, constant, "bytes given as hexadecimal digits")
        .args("bin(<hex>)", 1, &[Kind::Custom])
        .check(check_bin),
    Fetch::new("bool", Ty::Bool, Needs::NOTHING, constant, "a truth value")
        .args("bool(<value>)", 1, &[Kind::Custom])
        .check(check_bool),
    Fetch::new("date", Ty::Int, Needs::NOTHING, date, "seconds since 1970")
        .args("date([<offset>[,<unit>]])", 0, &[Kind::Int, Kind::Choice(&["s", "ms", "us"])])
        .text("An offset is added; with a unit, offset and result are in that unit."),
    Fetch::new("date_us", Ty::Int, Needs::NOTHING, date_us, "microseconds within the present second"),
    Fetch::new("env", Ty::Str, Needs::NOTHING, constant, "an environment variable, read at load time")
        .args("env(<name>)", 1, &[Kind::Custom])
        .check(check_env),
    Fetch::new("int", Ty::Int, Needs::NOTHING, integer, "an integer").args("int(<n>)", 1, &[Kind::Int]),
    Fetch::new("ipv4", Ty::Ip4, Needs::NOTHING, address, "an IPv4 address").args(
        "ipv4(<addr>)",
        1,
        &[Kind::Ip4],
    ),
    Fetch::new("ipv6", Ty::Ip6, Needs::NOTHING, address, "an IPv6 address").args(
        "ipv6(<addr>)",
        1,
        &[Kind::Ip6],
    ),
    Fetch::new(
        "hostname",
        Ty::Str,
        Needs::NOTHING,
        |f, _| Got::Some(Sample::text(f.world.hostname())),
        "the name of this machine",
    ),
    Fetch::new(
        "meth",
        Ty::Meth,
        Needs::NOTHING,
        |_, a| Got::Some(Sample::Meth(Data::Ref(a.str(0).as_bytes()))),
        "a method",
    )
    .args("meth(<method>)", 1, &[Kind::Str]),
    Fetch::new("nbproc", Ty::Int, Needs::NOTHING, |f, _| count(f, ProcessCount::Workers), "workers"),
    Fetch::new("pid", Ty::Int, Needs::NOTHING, |f, _| count(f, ProcessCount::Pid), "the process id"),
    Fetch::new(
        "proc",
        Ty::Int,
        Needs::NOTHING,
        |f, _| count(f, ProcessCount::Worker),
        "number of this worker, from 1",
    ),
    Fetch::new(
        "thread",
        Ty::Int,
        Needs::NOTHING,
        |f, _| Got::Some(Sample::Int(f.world.process(ProcessCount::Worker) - 1)),
        "number of this worker, from 0",
    ),
    Fetch::new("rand", Ty::Int, Needs::NOTHING, rand, "a random number")
        .args("rand([<range>])", 0, &[Kind::Int])
        .text("Between 0 and one less than the range, which is 2^32 when not given."),
    Fetch::new(
        "stopping",
        Ty::Bool,
        Needs::NOTHING,
        |f, _| Got::Some(Sample::Bool(f.world.process(ProcessCount::Stopping) != 0)),
        "the process is leaving",
    ),
    Fetch::new("str", Ty::Str, Needs::NOTHING, text, "a text").args("str(<text>)", 1, &[Kind::Str]),
    Fetch::new("uuid", Ty::Str, Needs::NOTHING, uuid, "a random identifier (RFC 9562, version 4)").args(
        "uuid([<version>])",
        0,
        &[Kind::Int],
    ),
    Fetch::new("var", Ty::Any, Needs::NOTHING, var, "a variable")
        .args("var(<scope.name>[,<default>])", 1, &[Kind::Var, Kind::Str])
        .text("Nothing when it was never set, unless a default is given."),
];

fn constant<'a>(_: &Facts<'a>, args: &'a Args) -> Got<'a> {
    args.value(0).map_or(Got::None, Got::Some)
}

fn integer<'a>(_: &Facts<'a>, args: &'a Args) -> Got<'a> {
    Got::Some(Sample::Int(args.int(0, 0)))
}

fn text<'a>(_: &Facts<'a>, args: &'a Args) -> Got<'a> {
    Got::Some(Sample::text(args.str(0)))
}

fn address<'a>(_: &Facts<'a>, args: &'a Args) -> Got<'a> {
    match args.get(0) {
        Arg::Ip(ip) => Got::Some(Sample::addr(*ip)),
        _ => Got::None,
    }
}

fn count<'a>(facts: &Facts<'a>, what: ProcessCount) -> Got<'a> {
    Got::Some(Sample::Int(facts.world.process(what)))
}

fn date<'a>(facts: &Facts<'a>, args: &'a Args) -> Got<'a> {
    let us = facts.date_us as i64;
    let now = match args.int(1, 0) {
        0 => us / 1_000_000,
        1 => us / 1000,
        _ => us,
    };
    Got::Some(Sample::Int(now.saturating_add(args.int(0, 0))))
}

fn date_us<'a>(facts: &Facts<'a>, _: &'a Args) -> Got<'a> {
    Got::Some(Sample::Int((facts.date_us % 1_000_000) as i64))
}

fn rand<'a>(facts: &Facts<'a>, args: &'a Args) -> Got<'a> {
    let drawn = facts.world.process(ProcessCount::Random) as u64 as u32;
    let range = args.int(0, 1 << 32).clamp(1, 1 << 32) as u64;
    Got::Some(Sample::Int(((u64::from(drawn) * range) >> 32) as i64))
}

fn uuid<'a>(facts: &Facts<'a>, _: &'a Args) -> Got<'a> {
    let high = facts.world.process(ProcessCount::Random) as u64;
    let low = facts.world.process(ProcessCount::Random) as u64;
    let high = high & !0xf000 | 0x4000;
    let low = low & !(3 << 62) | 2 << 62;
    let mut out = Scratch::new();
    crate::expr::sample::write_fmt(
        &mut out,
        format_args!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        ),
    );
    Got::Some(Sample::Str(Data::Own(out)))
}

fn var<'a>(facts: &Facts<'a>, args: &'a Args) -> Got<'a> {
    let Some(var) = args.var(0) else { return Got::None };
    match facts.var(var) {
        Some(value) => Got::Some(value),
        None => args.opt_str(1).map_or(Got::None, |text| Got::Some(Sample::text(text))),
    }
}

fn check_bin(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    let Some(Arg::Str(text)) = args.first() else { return Ok(()) };
    let bytes = crate::expr::args::from_hex(text.as_bytes()).ok_or("expected pairs of hexadecimal digits")?;
    args[0] = Arg::Value(Value::Bin(bytes.into()));
    Ok(())
}

fn check_bool(_: &str, args: &mut [Arg], _: &mut ParseCx<'_>) -> Result<(), String> {
    let Some(Arg::Str(text)) = args.first() else { return Ok(()) };
    let value = match &**text {
        "true" | "1" | "yes" | "on" => true,
        "false" | "0" | "no" | "off" => false,
        other => return Err(format!("expected true or false, found \"{other}\"")),
    };
    args[0] = Arg::Value(Value::Bool(value));
    Ok(())
}

fn check_env(_: &str, args: &mut [Arg], cx: &mut ParseCx<'_>) -> Result<(), String> {
    let Some(Arg::Str(name)) = args.first() else { return Ok(()) };
    let value = cx.names.env(name).unwrap_or_default();
    args[0] = Arg::Value(Value::Str(value.into_bytes().into()));
    Ok(())
}
