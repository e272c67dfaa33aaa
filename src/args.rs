//! The command line: what was asked for, and doing it. The options are those of HAProxy, so that init
//! scripts and service files work as they are; what has no meaning here is read and ignored.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use lighterman::conf::{self, about, reader, Setup};
use lighterman::lang::cond;
use lighterman::lang::diag::{Diag, Diags, Level, Paint};
use lighterman::lang::lexer;
use lighterman::lang::span::SourceMap;
use lighterman::master::{self, Fatal, Launch};
use lighterman::plan::Plan;

mod help;
mod options;
mod quickstart;

use options::{Ask, Options};

/// Runs the program; the number is its exit code.
pub fn run(name: &OsStr, arguments: Vec<OsString>) -> u8 {
    let options = match options::parse(arguments) {
        Ok(options) => options,
        Err(why) => {
            say_error(&why);
            eprint!("{}", help::HINT);
            return 1;
        }
    };
    match &options.ask {
        Ask::Help => out(&help::text()),
        Ask::Version => out(&about::short()),
        Ask::Details => out(&about::long()),
        Ask::Libraries if options.files.is_empty() => out(&about::libraries()),
        Ask::Keywords(class) if options.files.is_empty() => out(&conf::refdoc::keywords(class)),
        Ask::Condition(text) => return condition(text),
        _ => return serve(name, options),
    }
    0
}

fn out(text: &str) {
    // A reader that went away is no reason to complain.
    let _ = io::stdout().write_all(text.as_bytes());
}

fn say_error(what: &str) {
    let (on, off) = if paint() == Paint::Colour { ("\x1b[31m", "\x1b[0m") } else { ("", "") };
    eprintln!("{on}[ALERT]{off} {what}");
}

fn paint() -> Paint {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match io::stderr().is_terminal() && !plain {
        true => Paint::Colour,
        false => Paint::Plain,
    }
}

/// `-cc`: 0 true, 1 false, 2 not readable.
fn condition(text: &str) -> u8 {
    let mut sources = SourceMap::new();
    let file = sources.add("condition", text);
    let vars = |name: &str| std::env::var(name).ok();
    let features = about::features();
    let answers = conf::ast::answers(&vars, &features);
    let Some(source) = sources.get(file) else { return 2 };
    let word = lexer::cut_rest(source, file, 1, 0, &vars);
    match word.and_then(|word| cond::eval(&word, &answers)) {
        Ok(answer) => u8::from(!answer),
        Err(diag) => {
            eprint!("{}", diag.render(&sources, paint()));
            2
        }
    }
}

/// Everything that needs a configuration.
fn serve(name: &OsStr, options: Options) -> u8 {
    start_log(&options);
    if let Some(dir) = &options.directory {
        if let Err(err) = std::env::set_current_dir(dir) {
            say_error(&format!("could not change to \"{}\": {}", dir.display(), reader::why(&err)));
            return 1;
        }
    }
    let origin = match origin(&options) {
        Ok(origin) => origin,
        Err(why) => {
            say_error(&why);
            return 1;
        }
    };
    let setup = setup(name, &options);
    let sources = match origin.read() {
        Ok(sources) => sources,
        Err(why) => {
            say_error(&why);
            return 1;
        }
    };
    let (mut plan, said) = match load(&sources, &setup, &options) {
        Ok(loaded) => loaded,
        Err(diags) => {
            eprint!("{}", diags.render(&sources, paint()));
            return 1;
        }
    };
    say(&sources, said, &options);
    if let Err(why) = adjust(&mut plan, &options) {
        say_error(&why);
        return 1;
    }
    match &options.ask {
        Ask::Libraries => out(&about::libraries()),
        Ask::Keywords(class) => out(&conf::refdoc::keywords(class)),
        _ => {}
    }
    if options.check {
        return checked(&plan, &options);
    }
    if plan.listeners.is_empty() && plan.global.cli.is_empty() {
        say_error("the configuration has nothing to listen on: add a \"bind\" line");
        return 1;
    }
    if let Origin::Text(text) = &origin {
        out(&quickstart::greeting(text));
    }
    launch(plan, origin, setup, options)
}

/// Where the configuration comes from.
enum Origin {
    Files(Vec<PathBuf>),
    Text(String),
}

impl Origin {
    fn read(&self) -> Result<SourceMap, String> {
        match self {
            Origin::Files(files) => reader::read(files),
            Origin::Text(text) => {
                let mut sources = SourceMap::new();
                sources.add("command line", text.as_bytes());
                Ok(sources)
            }
        }
    }
}

fn origin(options: &Options) -> Result<Origin, String> {
    if let Some(text) = quickstart::text(options)? {
        return Ok(Origin::Text(text));
    }
    if options.files.is_empty() {
        return Err(format!("no configuration was given: name a file with -f. {}", help::HINT.trim_end()));
    }
    Ok(Origin::Files(options.files.clone()))
}

fn setup(name: &OsStr, options: &Options) -> Setup {
    let program = std::path::Path::new(name).file_name().unwrap_or(name).to_string_lossy().into_owned();
    let mut setup = Setup {
        program,
        no_server_verify: options.no_server_verify,
        zero_warning: options.zero_warning,
        ..Setup::default()
    };
    let files: Vec<String> = options.files.iter().map(|file| file.display().to_string()).collect();
    setup.env.set("HAPROXY_CFGFILES", &files.join(";"));
    setup.env.set("HAPROXY_STARTUP_VERSION", about::VERSION);
    setup.env.set("HAPROXY_BRANCH", about::LANGUAGE.trim_end_matches(".0"));
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
    setup
        .env
        .set("HAPROXY_LOCALPEER", options.peer.as_ref().or(host.as_ref()).map_or("localhost", |name| name));
    if options.master_worker {
        setup.env.set("HAPROXY_MWORKER", "1");
    }
    setup
}

fn load(sources: &SourceMap, setup: &Setup, options: &Options) -> Result<(Plan, Vec<Diag>), Diags> {
    let (plan, said) = conf::load_with(sources, setup)?;
    let _ = options;
    Ok((plan, said))
}

/// Warnings always, notices unless told to be quiet, details when asked for.
fn say(sources: &SourceMap, said: Vec<Diag>, options: &Options) {
    let lowest = match (options.diagnose, options.quiet) {
        (true, _) => Level::Info,
        (false, true) => Level::Warning,
        (false, false) => Level::Notice,
    };
    let mut diags = Diags::new();
    said.into_iter().filter(|diag| diag.level >= lowest).for_each(|diag| diags.push(diag));
    eprint!("{}", diags.render(sources, paint()));
}

/// What the command line says has precedence.
fn adjust(plan: &mut Plan, options: &Options) -> Result<(), String> {
    let global = &mut plan.global;
    global.quiet = (global.quiet || options.quiet) && !options.verbose;
    global.daemon = (global.daemon || options.daemon) && !options.foreground;
    global.master_worker = (global.master_worker || options.master_worker) && !options.debug;
    if let Some(pidfile) = &options.pidfile {
        global.pidfile = Some(pidfile.clone());
    }
    if let Some(maxconn) = options.maxconn {
        global.maxconn = maxconn;
    }
    if let Some(workers) = options.workers {
        global.nbproc = Some(workers);
    }
    if let Some(maxconn) = options.proxy_maxconn {
        for proxy in plan.proxies.iter_mut().filter(|proxy| proxy.is_frontend && proxy.maxconn == 0) {
            proxy.maxconn = maxconn;
        }
    }
    plan.global.master_cli =
        conf::master_sockets(&options.master_sockets).map_err(|what| format!("-S: {what}"))?;
    Ok(())
}

/// `-c`, once the configuration was found right.
fn checked(plan: &Plan, options: &Options) -> u8 {
    if plan.listeners.is_empty() && plan.global.cli.is_empty() {
        say_error("the configuration has no error, but nothing to listen on: add a \"bind\" line");
        return 2;
    }
    if let Err(Fatal(why)) = master::check(plan) {
        say_error(&why);
        return 1;
    }
    if options.verbose || !options.quiet {
        out("Configuration file is valid\n");
    }
    0
}

fn launch(plan: Plan, origin: Origin, setup: Setup, options: Options) -> u8 {
    let workers = plan.global.nbproc.map_or_else(cores, |count| count.max(1) as usize);
    let global = &plan.global;
    let single = options.debug || options.foreground && !global.master_worker;
    let single = single || (workers == 1 && !global.master_worker && !global.daemon);
    let launch = Launch {
        single,
        daemon: plan.global.daemon && !single,
        notify: options.notify,
        finish: options.finish.clone(),
        terminate: options.terminate.clone(),
        reread: Box::new(move || reread(&origin, &setup, &options)),
        plan,
    };
    match master::start(launch) {
        Ok(code) => u8::try_from(code).unwrap_or(1),
        Err(Fatal(why)) => {
            say_error(&why);
            1
        }
    }
}

fn cores() -> usize {
    lighterman_sys::cred::cores().map_or(1, |cores| cores.len().max(1))
}

/// The configuration once more, for a reload.
fn reread(origin: &Origin, setup: &Setup, options: &Options) -> Result<Plan, String> {
    let sources = origin.read()?;
    match load(&sources, setup, options) {
        Ok((mut plan, _)) => adjust(&mut plan, options).map(|()| plan),
        Err(diags) => Err(diags.render(&sources, Paint::Plain)),
    }
}

/// Messages of the running program go to stderr; RUST_LOG chooses more of them.
fn start_log(options: &Options) {
    let level = if options.quiet { "error" } else { "info" };
    let env = env_logger::Env::default().default_filter_or(level);
    let format = |out: &mut env_logger::fmt::Formatter, record: &log::Record<'_>| {
        let level = match record.level() {
            log::Level::Error => "ALERT",
            log::Level::Warn => "WARNING",
            log::Level::Info => "NOTICE",
            log::Level::Debug | log::Level::Trace => "DEBUG",
        };
        writeln!(out, "[{level}] ({}) : {}", std::process::id(), record.args())
    };
    // A second start of the log within one process is a test's doing.
    let _ = env_logger::Builder::from_env(env).format(format).try_init();
}
