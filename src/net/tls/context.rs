//! What the connections of a `bind` or `server` line have in common, built once from the words of the line.
//!
//! Made by a process with file rights, before the fork where possible, so that it costs each worker nothing. What changes
//! afterwards is whom a line believes: its context is then built anew from the words kept beside it ([`Policy`], [`Ways`]) and
//! takes the place of the other one for connections to come. [`TlsShared`] is the part that lives in shared memory.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use lighterman_sys::tls::{self, Context, Credentials, Side, Wishes};
use openssl::error::ErrorStack;
use openssl::sha::Sha256;
use openssl::ssl::{SslContext, SslContextBuilder, SslMethod, SslOptions, SslVerifyMode, SslVersion};
use openssl::x509::X509;

use super::authority::{self, Authorities, Revoked};
use super::certs::{self, Cert, CertError};
use super::ocsp::Responses;
use super::sessions::ServerSessions;
use super::sources::{self, Pulse};
use super::store::Store;
use super::trust::{self, Trust, TrustKind};
use crate::conf::crtline::with_options;
use crate::plan::crt::OPTIONS_MAX;
use crate::plan::tls::{BindTls, CaSource, Ignored, ServerTls, TlsCommon, TlsVersion, Verify};
use crate::shm::early::EarlyWindow;
use crate::shm::sslcache::SslCache;
use crate::shm::tickets::Tickets;

/// TLS 1.2 suites when nothing is said: forward secret and authenticated, the cheap ones first.
const CIPHERS: &str =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
    ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
/// Added when a version below 1.2 is allowed, which has none of the above.
const OLD_CIPHERS: &str =
    ":ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:AES128-SHA:AES256-SHA";
/// Groups when nothing is said.
const GROUPS: &str =
    if cfg!(feature = "aws-lc") { "X25519MLKEM768:X25519:P-256:P-384" } else { "X25519:P-256:P-384" };

/// What all processes share for TLS, and what holds for all lines.
#[derive(Clone, Default)]
pub struct TlsShared {
    /// Sessions by id; `None` when `tune.ssl.cachesize` is 0.
    pub cache: Option<SslCache>,
    /// Keys of tickets; without them no tickets are given out.
    pub tickets: Option<Tickets>,
    /// Seconds a session may be resumed (`tune.ssl.lifetime`).
    pub lifetime: u32,
    /// `tune.ssl.tickets`.
    pub ticket_count: usize,
    /// Tickets whose early data was taken; `None`: early data is refused.
    pub early: Option<EarlyWindow>,
    /// `tune.ssl.keylog`.
    pub key_log: bool,
    /// `tune.ssl.capture-buffer-size`.
    pub capture: usize,
    /// Seconds since the epoch, of this process, a little late: for answers that count for a time.
    pub clock: Arc<AtomicU64>,
    /// Handshakes with a large hello that this process has under way.
    pub large: Arc<AtomicU32>,
    /// The certificates of all lines.
    pub store: Arc<Store>,
    /// Whom all lines believe.
    pub trust: Arc<Trust>,
    /// OCSP answers that came at run time.
    pub responses: Arc<Responses>,
}

/// Why a line's TLS cannot be built.
#[derive(Debug)]
pub enum TlsError {
    /// A file is no good.
    File(CertError),
    /// No certificate at all.
    NoCertificate(Vec<PathBuf>),
    /// A list the library refuses: the keyword and its value.
    List(&'static str, String),
    /// `verify` asks for certificates, but nobody is believed.
    NoAuthority,
    /// The library failed in itself.
    Library(ErrorStack),
    /// One of these, in a line of a list.
    At(String, Box<TlsError>),
    /// More than one thing.
    Several(Vec<TlsError>),
}

impl std::error::Error for TlsError {}

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TlsError::File(error) => error.fmt(f),
            TlsError::NoCertificate(paths) if paths.is_empty() => {
                write!(f, "'ssl' needs a certificate: add 'crt <file>'")
            }
            TlsError::NoCertificate(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
                write!(f, "no usable certificate in {}", paths.join(", "))
            }
            TlsError::List(word, value) => {
                write!(f, "'{word}': the TLS library accepts nothing of '{value}'")
            }
            TlsError::NoAuthority => {
                write!(
                    f,
                    "'verify' needs to know whom to believe: add 'ca-file <file>' or 'ca-file @system-ca'"
                )
            }
            TlsError::Library(error) => write!(f, "the TLS library failed: {error}"),
            TlsError::At(place, error) => write!(f, "{place}: {error}"),
            TlsError::Several(errors) => {
                write!(f, "several files are no good:")?;
                errors.iter().try_for_each(|error| write!(f, "\n  {error}"))
            }
        }
    }
}

impl From<CertError> for TlsError {
    fn from(error: CertError) -> Self {
        TlsError::File(error)
    }
}

impl From<ErrorStack> for TlsError {
    fn from(error: ErrorStack) -> Self {
        TlsError::Library(error)
    }
}

/// TLS of a `bind` line.
pub struct BindContext {
    /// The line's own options first, then those of lines of its lists.
    policies: RwLock<Vec<Arc<Policy>>>,
    /// The places of its certificates in the store, in order of preference.
    pub(super) places: Vec<u32>,
    /// Its `default-crt`, `crt` and `crt-list` in this order, each with its place.
    sources: Vec<(PathBuf, Option<u32>)>,
    pub(super) strict_sni: bool,
    pub(super) shared: TlsShared,
}

/// The options a connection is made with.
pub struct Policy {
    /// The words it was built from, without certificates and lists.
    words: BindTls,
    pub(super) context: Context,
    /// `alpn`, preferred first.
    pub(super) alpn: Vec<String>,
    /// Clients are asked for a certificate.
    pub(super) asks: bool,
    /// Who is believed.
    pub(super) believed: Vec<X509>,
    /// `ca-ignore-err`.
    ca_ignore: Ignored,
    /// `crt-ignore-err`.
    crt_ignore: Ignored,
}

impl Policy {
    /// Whether this fault of a client's certificate (depth 0), or of an authority above it, is passed over.
    pub(super) fn ignores(&self, error: i32, depth: i32) -> bool {
        if depth <= 0 { self.crt_ignore } else { self.ca_ignore }.has(error)
    }

    fn build(line: &BindTls, shared: &TlsShared) -> Result<Policy, TlsError> {
        let mut builder = common(&line.common, !line.prefer_client_ciphers)?;
        let known = authorities(line.verify, line.ca_file.as_ref(), &shared.trust)?;
        if !line.no_ca_names {
            for authority in known.iter().flat_map(|known| known.certs()) {
                builder.add_client_ca(authority)?;
            }
        }
        let mut believed = known.map_or(Vec::new(), |known| known.certs().to_vec());
        if let Some(more) = line.ca_verify_file.as_ref().filter(|_| line.verify != Verify::None) {
            believed.extend_from_slice(shared.trust.authorities(more)?.certs());
        }
        let revoked = match (&line.crl_file, line.verify) {
            (_, Verify::None) | (None, _) => None,
            (Some(file), _) => Some(shared.trust.revoked(file)?),
        };
        if !believed.is_empty() {
            builder.set_cert_store(authority::store(&believed, revoked.as_deref())?);
        }
        builder.set_session_id_context(&session_context(line, &believed, revoked.as_deref()))?;
        let wishes = Wishes {
            sessions: shared.cache.is_some(),
            tickets: line.common.tickets && shared.tickets.is_some(),
            lifetime: shared.lifetime,
            ticket_count: shared.ticket_count,
            key_log: shared.key_log,
            alpn: !line.common.alpn.is_empty(),
            verify: mode(line.verify),
            early_data: line.early_data && shared.early.is_some(),
        };
        let words =
            BindTls { crt: Vec::new(), default_crt: Vec::new(), variants: Vec::new(), ..line.clone() };
        Ok(Policy {
            words,
            context: Context::new(builder, Side::Server, &wishes)?,
            alpn: line.common.alpn.clone(),
            asks: line.verify != Verify::None,
            believed,
            ca_ignore: line.ca_ignore,
            crt_ignore: line.crt_ignore,
        })
    }
}

impl BindContext {
    /// Indexes the certificates and builds the contexts. Beside it: what the operator should know, files of directories that
    /// are no good for one (a file that is named itself must be good).
    pub fn build(
        line: &BindTls,
        shared: &TlsShared,
        pulse: Pulse<'_>,
    ) -> Result<(BindContext, Vec<String>), TlsError> {
        let found = sources::read(line, shared, pulse)?;
        if found.places.is_empty() {
            found.notes.iter().for_each(|note| log::warn!("{note}"));
        }
        Ok((Self::with_places(line, (found.places, found.sources), shared)?, found.notes))
    }

    /// Builds the context around certificates that are parsed already.
    pub fn with_certs(
        line: &BindTls,
        certs: Vec<Arc<Cert>>,
        shared: &TlsShared,
    ) -> Result<BindContext, TlsError> {
        let certs = certs.into_iter().map(|cert| (cert, None)).collect();
        let places = vec![sources::in_memory(&shared.store, certs)?];
        Self::with_places(line, (places, Vec::new()), shared)
    }

    fn with_places(
        line: &BindTls,
        (places, sources): (Vec<u32>, Vec<Option<u32>>),
        shared: &TlsShared,
    ) -> Result<BindContext, TlsError> {
        if places.is_empty() {
            let paths = line.crt.iter().chain(&line.default_crt).map(|source| source.path().to_owned());
            return Err(TlsError::NoCertificate(paths.collect()));
        }
        let lines = [line].into_iter().chain(&line.variants);
        let policies: Result<Vec<_>, _> =
            lines.map(|line| Policy::build(line, shared).map(Arc::new)).collect();
        let paths = line.default_crt.iter().chain(&line.crt).map(|source| source.path().to_owned());
        let sources = paths.zip(sources).collect();
        Ok(BindContext {
            policies: RwLock::new(policies?),
            places,
            sources,
            strict_sni: line.strict_sni,
            shared: shared.clone(),
        })
    }

    fn all_policies(&self) -> Vec<Arc<Policy>> {
        self.policies.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The options of this number; those of the line when there is none.
    pub(super) fn policy(&self, number: usize) -> Option<Arc<Policy>> {
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        policies.get(number).or(policies.first()).cloned()
    }

    /// Whether connections may turn out to need other options than those they begin with.
    pub(super) fn has_choice(&self) -> bool {
        self.policies.read().unwrap_or_else(PoisonError::into_inner).len() > 1
    }

    /// Whether the line, or one of its lists, asks the file of this name.
    pub fn believes(&self, kind: TrustKind, name: &str) -> bool {
        self.all_policies().iter().any(|policy| trust::bind_uses(&policy.words, kind, name))
    }

    /// Its options built anew where they ask the file of this name, to be put in place with [`BindContext::adopt`].
    pub fn rebuilt(&self, trust: &Arc<Trust>, kind: TrustKind, name: &str) -> Result<Rebuilt, TlsError> {
        let shared = TlsShared { trust: Arc::clone(trust), ..self.shared.clone() };
        let mut policies = self.all_policies();
        for policy in policies.iter_mut().filter(|policy| trust::bind_uses(&policy.words, kind, name)) {
            *policy = Arc::new(Policy::build(&policy.words, &shared)?);
        }
        Ok(Rebuilt(policies))
    }

    /// Connections to come are made with these options.
    pub fn adopt(&self, Rebuilt(policies): Rebuilt) {
        *self.policies.write().unwrap_or_else(PoisonError::into_inner) = policies;
    }

    /// The places of its certificates in the store, in order of preference.
    pub fn places(&self) -> &[u32] {
        &self.places
    }

    /// Its `default-crt`, `crt` and `crt-list`, in this order, each with the place of its certificates; `None` for one that
    /// had none when it was read.
    pub fn sources(&self) -> &[(PathBuf, Option<u32>)] {
        &self.sources
    }

    /// The number of the set of options that lines of its lists with these options get; `None`: nobody has asked for it yet.
    pub fn options_of(&self, text: &str) -> Result<Option<u16>, String> {
        let policies = self.all_policies();
        let Some(own) = policies.first() else { return Ok(None) };
        let words = with_options(&own.words, text)?;
        let place = policies.iter().position(|policy| policy.words == words);
        Ok(place.and_then(|place| u16::try_from(place).ok()))
    }

    /// Gets another set of options, for lines of its lists.
    pub fn add_options(&self, text: &str) -> Result<(), String> {
        if self.options_of(text)?.is_some() {
            return Ok(());
        }
        let mut policies = self.all_policies();
        let Some(own) = policies.first() else { return Ok(()) };
        if policies.len() > OPTIONS_MAX {
            return Err(format!("there are more than {OPTIONS_MAX} different sets of options"));
        }
        let words = with_options(&own.words, text)?;
        policies.push(Arc::new(Policy::build(&words, &self.shared).map_err(|error| error.to_string())?));
        self.adopt(Rebuilt(policies));
        Ok(())
    }

    /// The store of its certificates.
    pub fn store(&self) -> &Arc<Store> {
        &self.shared.store
    }

    /// Whether a client that asks for an unknown name is refused.
    pub fn is_strict(&self) -> bool {
        self.strict_sni
    }

    /// The cipher suites in force, for `-vv` and tests.
    pub fn ciphers(&self) -> Vec<String> {
        self.policy(0).map_or(Vec::new(), |policy| policy.context.ciphers())
    }
}

/// Options of a `bind` line that are about to be put in place.
pub struct Rebuilt(Vec<Arc<Policy>>);

/// TLS towards one server.
pub struct ServerContext {
    ways: RwLock<Arc<Ways>>,
    shared: TlsShared,
    /// `verifyhost`.
    pub(super) verify_host: Option<String>,
    /// The certificate is checked, so a name must be expected.
    pub(super) verifies: bool,
    /// When the operator was last told of a failed handshake (milliseconds), of this process.
    warned: AtomicU64,
}

/// What connections to a server are made with, as whom it believes is known now.
pub struct Ways {
    /// The words it was built from.
    words: ServerTls,
    /// `crt`: the client certificate shown.
    own: Option<Arc<Credentials>>,
    pub(super) context: Context,
    /// Sessions to offer; `None` with `no-ssl-reuse`. They vouch for what was verified, so they end with it.
    pub(super) sessions: Option<ServerSessions>,
}

/// A failure is not reported again sooner, milliseconds.
const WARN_EVERY_MS: u64 = 10_000;

impl Ways {
    fn build(line: &ServerTls, own: Option<Arc<Credentials>>, shared: &TlsShared) -> Result<Ways, TlsError> {
        let mut builder = common(&line.common, false)?;
        if let Some(known) = authorities(line.verify, line.ca_file.as_ref(), &shared.trust)? {
            let revoked = line.crl_file.as_deref().map(|file| shared.trust.revoked(file)).transpose()?;
            builder.set_cert_store(authority::store(known.certs(), revoked.as_deref())?);
        }
        if !line.common.alpn.is_empty() {
            builder.set_alpn_protos(&alpn_list(&line.common.alpn)?)?;
        }
        let wishes = Wishes {
            sessions: line.reuse_sessions,
            tickets: line.common.tickets,
            lifetime: shared.lifetime,
            key_log: shared.key_log,
            verify: mode(line.verify),
            early_data: line.early_data,
            ..Wishes::default()
        };
        if !line.common.tickets {
            builder.set_options(SslOptions::NO_TICKET);
        }
        let mut context = Context::new(builder, Side::Client, &wishes)?;
        if let Some(own) = &own {
            context.set_default_credentials(own);
        }
        let sessions = line.reuse_sessions.then(ServerSessions::default);
        Ok(Ways { words: line.clone(), own, context, sessions })
    }
}

impl ServerContext {
    /// Loads files and builds the context.
    pub fn build(line: &ServerTls, shared: &TlsShared) -> Result<ServerContext, TlsError> {
        let how = &shared.store.settings.how;
        let own = line.crt.as_ref().map(|files| certs::load_files(files, how)).transpose()?;
        let own = own.map(|cert| Arc::new(cert.credentials));
        Ok(ServerContext {
            ways: RwLock::new(Arc::new(Ways::build(line, own, shared)?)),
            shared: shared.clone(),
            verify_host: line.verify_host.clone(),
            verifies: line.verify != Verify::None,
            warned: AtomicU64::new(0),
        })
    }

    /// What connections are made with now.
    pub(super) fn ways(&self) -> Arc<Ways> {
        Arc::clone(&self.ways.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the line asks the file of this name.
    pub fn believes(&self, kind: TrustKind, name: &str) -> bool {
        trust::server_uses(&self.ways().words, kind, name)
    }

    /// The same with what is believed now, to be put in place with [`ServerContext::adopt`].
    pub fn rebuilt(&self, trust: &Arc<Trust>) -> Result<Ways, TlsError> {
        let shared = TlsShared { trust: Arc::clone(trust), ..self.shared.clone() };
        let ways = self.ways();
        Ways::build(&ways.words, ways.own.clone(), &shared)
    }

    /// Whether the line shows the certificate of this file.
    pub fn shows(&self, file: &Path) -> bool {
        self.ways().words.crt.as_ref().is_some_and(|files| files.crt == file)
    }

    /// The same with another certificate to show.
    pub fn showing(&self, own: &Arc<Credentials>) -> Result<Ways, TlsError> {
        Ways::build(&self.ways().words, Some(Arc::clone(own)), &self.shared)
    }

    /// Connections to come are made with these; none of the sessions made before is offered any more.
    pub fn adopt(&self, ways: Ways) {
        *self.ways.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ways);
    }

    /// Whether a failed handshake with this server is worth a line in the log: not when there was one lately.
    pub fn may_warn(&self, now_ms: u64) -> bool {
        let last = self.warned.load(Relaxed);
        let due = last == 0 || now_ms.saturating_sub(last) >= WARN_EVERY_MS;
        if due {
            self.warned.store(now_ms.max(1), Relaxed);
        }
        due
    }
}

fn common(words: &TlsCommon, our_order: bool) -> Result<SslContextBuilder, TlsError> {
    let mut builder = SslContext::builder(SslMethod::tls())?;
    builder.set_min_proto_version(Some(version(words.min)))?;
    builder.set_max_proto_version(Some(version(words.max)))?;
    let mut ciphers = words.ciphers.clone().unwrap_or_else(|| CIPHERS.to_owned());
    if words.ciphers.is_none() && words.min < TlsVersion::V12 {
        ciphers.push_str(OLD_CIPHERS);
    }
    let refused = |word, value: &str| TlsError::List(word, value.to_owned());
    if ciphers.contains('\0') || builder.set_cipher_list(&ciphers).is_err() {
        return Err(refused("ciphers", &ciphers));
    }
    if let Some(suites) = &words.ciphersuites {
        tls::set_ciphersuites(&mut builder, suites).map_err(|_| refused("ciphersuites", suites))?;
    }
    let groups = words.curves.as_deref().unwrap_or(GROUPS);
    if groups.contains('\0') || builder.set_groups_list(groups).is_err() {
        return Err(refused("curves", groups));
    }
    if let Some(names) = &words.sigalgs {
        tls::set_signature_algorithms(&mut builder, names).map_err(|_| refused("sigalgs", names))?;
    }
    if our_order {
        builder.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
    }
    Ok(builder)
}

/// Whom a line believes; nobody is asked with `verify none`.
fn authorities(
    verify: Verify,
    source: Option<&CaSource>,
    trust: &Trust,
) -> Result<Option<Arc<Authorities>>, TlsError> {
    match (verify, source) {
        (Verify::None, _) => Ok(None),
        (_, Some(source)) => Ok(Some(trust.authorities(source)?)),
        (_, None) => Err(TlsError::NoAuthority),
    }
}

fn mode(verify: Verify) -> SslVerifyMode {
    match verify {
        Verify::None => SslVerifyMode::NONE,
        Verify::Optional => SslVerifyMode::PEER,
        Verify::Required => SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
    }
}

fn version(version: TlsVersion) -> SslVersion {
    match version {
        TlsVersion::V10 => SslVersion::TLS1,
        TlsVersion::V11 => SslVersion::TLS1_1,
        TlsVersion::V12 => SslVersion::TLS1_2,
        TlsVersion::V13 => SslVersion::TLS1_3,
    }
}

/// Protocol names as the library takes them, each after its length (RFC 7301 section 3.1).
fn alpn_list(names: &[String]) -> Result<Vec<u8>, TlsError> {
    let mut list = Vec::new();
    for name in names {
        let len = u8::try_from(name.len()).ok().filter(|len| *len > 0);
        list.push(len.ok_or_else(|| TlsError::List("alpn", name.clone()))?);
        list.extend_from_slice(name.as_bytes());
    }
    Ok(list)
}

/// Sessions resume on every line that asks clients for the same proof: a session made without a certificate never opens a
/// line that wants one, nor one that was checked with other authorities, other revocations or more patience.
fn session_context(line: &BindTls, authorities: &[X509], revoked: Option<&Revoked>) -> [u8; 16] {
    let mut sum = Sha256::new();
    sum.update(match line.verify {
        Verify::None => b"none",
        Verify::Optional => b"optional",
        Verify::Required => b"required",
    });
    if line.verify != Verify::None {
        sum.update(&line.ca_ignore.0.to_be_bytes());
        sum.update(&line.crt_ignore.0.to_be_bytes());
        for authority in authorities {
            sum.update(&authority.to_der().unwrap_or_default());
        }
        for list in revoked.iter().flat_map(|revoked| revoked.lists()) {
            sum.update(list);
        }
    }
    let mut short = [0; 16];
    for (to, from) in short.iter_mut().zip(sum.finish()) {
        *to = from;
    }
    short
}
